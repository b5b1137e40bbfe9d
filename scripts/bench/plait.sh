# plait as a driver of netns-bench; README.md beside this file says how. DRV_OPTS: CIPHER[,QUEUES[,OFFLOAD[,REKEY]]]
# CIPHER chacha|aes|auto (default chacha); QUEUES a number; OFFLOAD auto, off, or the switches to turn off, joined by `+`
# (tso+gro); REKEY the interval of fast rekeys. An empty part is left to plait.
# PLAIT_INTERFACE: more lines for [interface]; PLAIT_PEER: more lines for [[peer]].

# plait_offload auto|off|NAME+NAME: the value of `offload`
plait_offload() {
  case $1 in
    auto | off) echo "\"$1\"" ;;
    *) echo "{ ${1//+/ = false, } = false }" ;;
  esac
}

plait_run() { plait --run-dir "$WORK/run" --state-dir "$WORK/state" "$@"; }

# plait_file SIDE OWN_OUTER OWN_INNER OTHER_SIDE OTHER_OUTER OTHER_INNER: the configuration of one end, named like its device
plait_file() {
  local cipher queues offload rekey dev=DEV_$1
  IFS=, read -r cipher queues offload rekey <<<"${DRV_OPTS:-chacha}"
  case $cipher in
    chacha) cipher=chacha20-poly1305 ;;
    aes) cipher=aes-256-gcm ;;
  esac
  {
    echo '[interface]'
    echo "private_key_file = \"$1.key\""
    echo "listen = \"$2:$PORT\""
    echo "address = [\"$3/24\"]"
    echo "mtu = $TUN_MTU"
    [ -z "$queues" ] || echo "queues = $queues"
    [ -z "$offload" ] || echo "offload = $(plait_offload "$offload")"
    [ -z "${PLAIT_INTERFACE:-}" ] || echo "$PLAIT_INTERFACE"
    # No KME takes part: what is measured is the path of the packets.
    echo '[policy]'
    echo 'qkd = "off"'
    [ -z "$rekey" ] || echo "rekey = \"$rekey\""
    echo '[[peer]]'
    echo 'name = "other"'
    echo "public_key_file = \"$4.pub\""
    echo "endpoint = \"$5:$PORT\""
    echo "allowed_ips = [\"$6/32\"]"
    echo "cipher = \"${cipher:-auto}\""
    [ -z "${PLAIT_PEER:-}" ] || echo "$PLAIT_PEER"
  } >"$WORK/${!dev}.toml"
}

# Exit code 0 says: a session is there, and the policy (QKD off) is met.
plait_ready() { plait_run status "$DEV_A" && plait_run status "$DEV_B"; }

drv_info() { plait version | tr '\n' ' '; echo "(${DRV_OPTS:-chacha})"; }

drv_up() {
  local s dev
  umask 077
  for s in A B; do
    plait_run genkey --out "$WORK/$s.key"
    plait_run pubkey <"$WORK/$s.key" >"$WORK/$s.pub"
  done
  plait_file A "$UL_A" "$TUN_A" B "$UL_B" "$TUN_B"
  plait_file B "$UL_B" "$TUN_B" A "$UL_A" "$TUN_A"
  for s in A B; do
    dev=DEV_$s
    spawn "$s" plait --run-dir "$WORK/run" --state-dir "$WORK/state" up "$WORK/${!dev}.toml"
  done
  wait_for 10 plait_ready || { tail -n 5 "$WORK"/log.*; return 1; }
}
