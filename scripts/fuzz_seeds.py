#!/usr/bin/env python3
"""Makes the first inputs of the fuzz corpora, from the test vectors and by hand: scripts/fuzz_seeds.py

Writes tests/fuzz/corpus/TARGET/HASH; what is there stays. What a fuzzer finds is added by scripts/fuzz.sh.
"""
import hashlib
import json
import pathlib
import struct
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
VECTORS = ROOT / "tests/vectors"
CORPUS = ROOT / "tests/fuzz/corpus"
# Longer inputs make a fuzzer slow and find nothing that shorter ones do not.
BYTES_MAX = 4096


def put(target, *inputs):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for data in inputs:
        data = data.encode() if isinstance(data, str) else data
        if len(data) > BYTES_MAX:
            continue
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def vectors(name):
    return json.loads((VECTORS / name).read_text())


def unhex(text):
    return bytes.fromhex(text)


def handshakes():
    run = vectors("handshake-qkd-6-sources.json")
    datagrams = [unhex(entry["bytes"]) for entry in run["datagrams"]]
    put("handshake_datagram", *datagrams, datagrams[0][:-1], b"")
    for entry in run["datagrams"]:
        data = unhex(entry["bytes"])
        # Header 28, body, mac1 16 (and mac2): whole messages of one datagram.
        put("handshake_bodies", data[24:-16], data[28:-16], data[28:-32], data[28:])
    for number in (1, 2):
        put("handshake_terms", unhex(run["payloads"][f"payload{number}"]))
    put("handshake_terms", b"\x02" * 9)
    put("handshake_bodies", unhex(run["payloads"]["payload3"]), bytes(40))
    slots, status = unhex(run["payloads"]["payload3"])[16:], unhex(run["payloads"]["status"])
    mask = bytes([run["local"]["initiator"]["source_mask"]])
    put("key_slots", mask + slots + status, bytes([1]) + slots)
    script = vectors("datagram.json")["reassembly"]
    parts = [unhex(data) for data in script["datagrams"]]
    frame = lambda data, source=1: bytes([source, 1]) + struct.pack(">H", len(data)) + data
    put("reassembly", b"".join(frame(part) for part in parts[:3]), b"".join(frame(part) for part in reversed(parts[:3])))
    put("reassembly", b"", frame(parts[0]))
    put("reassembly", b"".join(frame(part, number) for number in range(20) for part in parts[:1]))


def rekeys():
    for chain in vectors("fast-rekey.json")["chains"]:
        for rekey in chain["rekeys"]:
            put("control_message", unhex(rekey["fr1"]), unhex(rekey["fr2"]))
            put("fast_rekey", unhex(rekey["fr1"]))
            put("data_header", unhex(rekey["fr1_datagram"])[:64])
    put("control_message", b"\x03", b"\x04", b"\x01", b"\x09junk")


def records():
    file = vectors("records.json")
    for cut in file["cuts"]:
        put("segment", *(unhex(text) for text in cut["plaintexts"]))
        packet = unhex(cut["super_packet"])
        put("inner_packet", packet)
        kind = 5 if cut["transport"] == 17 else 4 if packet[0] >> 4 == 6 else 1
        head = 40 if packet[0] >> 4 == 6 else 20
        size = 8 if cut["transport"] == 17 else 4 * (packet[head + 12] >> 4)
        checksum = 6 if cut["transport"] == 17 else 16
        put("tun_frame", struct.pack("<BBHHHH", 1, kind, head + size, cut["size"], head, checksum) + packet)
    for entry in file["bundles"]:
        put("bundle", unhex(entry["plaintext"]))
    for entry in file["refused"]:
        put("segment" if entry["type"] == 18 else "bundle", unhex(entry["plaintext"]))
    data = vectors("data.json")
    for packet in data["packets"]:
        put("data_header", unhex(packet["datagram"])[:64])
        plain = unhex(packet["packet"])
        put("inner_packet", plain)
        put("tun_frame", bytes(10) + plain)
    for refused in data["refused"]:
        put("data_header", unhex(refused["datagram"])[:64])
    four = bytes.fromhex("4500057800004000400626b40a6300010a630002") + bytes(1380)
    put("too_big", four, b"\x60" + bytes(5) + b"\x06\x40" + bytes(32) + bytes(1300), b"\x45")


def kme():
    key = "BvaCwDyx0TVSbmaRl1GnLaiGOPkpkvLTPo4BpYFvMFg="
    one = '{"keys":[{"key_ID":"bc490419-7d60-487f-adc1-4ddcc177c139","key":"%s"}]}' % key
    put("kme_keys", one, one.replace("key_ID", "keyId"), '{"keys":[]}', '{"keys":null}', "[]", '{"keys":[{"key_ID":"","key":"%s"}]}' % key,
        one.replace(key, key[:-1]), '{"keys":[{"key_ID":"a","key":"%s","key_extension":{"x":[1,2]}}],"key_container_extension":{}}' % key, "[" * 200)
    status = ('{"source_KME_ID":"A","target_KME_ID":"B","master_SAE_ID":"a","slave_SAE_ID":"b","key_size":256,"stored_key_count":812,'
              '"max_key_count":1000,"max_key_per_request":128,"max_key_size":1024,"min_key_size":64,"max_SAE_ID_count":0}')
    put("kme_status", status, status.replace("256", '"256"'), status.replace("812", "8.12e2"), status.replace("812", "-1"), "{}", "\ufeff{}", '{"key_size":1e999}')
    put("kme_error", '{"message":"key not found"}', '{"detail":"no"}', "<html>503</html>", '{"message":{"a":[1]}}', "", '{"keys":[]}', '{"message":"a\\nb\\r\\u0000c"}')
    put("kme_base64", key, key[:-1], key.replace("M", " "), "", "AAAA", "AAB=")
    put("kme_url", "https://kme-a.example:8443", "https://[fd00::1]:8443/prefix/", "http://a", "/api/v1/keys/SAE-B/enc_keys", "https://a/%2e%2e", "sha256:" + "0" * 64)
    put("kme_request", "GET\n/api/v1/keys/SAE-B/status\n\n", "GET\n/api/v1/keys/SAE-B/enc_keys\nnumber=2&size=256\n",
        'POST\n/api/v1/keys/SAE-B/enc_keys\n\n{"number":1,"size":256}', 'POST\n/api/v1/keys/SAE-B/dec_keys\n\n{"key_IDs":[{"key_ID":"x"}]}',
        "GET\n/api/v1/keys/SAE-B/dec_keys\nkey_ID=x\n", "TRACE\n/\n\n", 'POST\n/api/v1/keys/SAE-B/enc_keys\n\n{"number":1e9,"extension_mandatory":[{"a":1}]}')
    put("kme_order", '{"version":1,"order":"status"}', '{"version":1,"order":"rate","bits_per_second":5}', '{"version":2,"order":"up"}', "{")
    put("pair_file", (ROOT / "tests/fuzz/pair.toml").read_text(), 'name = "x"', "")


def keys_link():
    text = lambda words: struct.pack(">H", len(words)) + words.encode()
    some = lambda field: b"\1" + field
    place = struct.pack(">II", 1, 0)
    ask = b"\1" + place + struct.pack(">QI", 7, 2000)
    put("keys_link", ask + b"\0" + struct.pack(">H", 256), ask + b"\1bc490419-7d60-487f-adc1-4ddcc177c139", ask + b"\2", ask + b"\1\n", b"\2", b"\2\0", b"")
    asked = lambda method, tls: bytes([method]) + struct.pack(">Q", 15000) + tls
    tls = some(text("TLSv1.3 X25519MLKEM768"))
    key = b"\0" + text("bc490419-7d60-487f-adc1-4ddcc177c139") + bytes(range(32))
    answer = b"\3" + struct.pack(">Q", 7)
    put("keys_link", answer + asked(2, tls) + key, answer + asked(3, b"\0") + b"\1\4unknown key_ID\nx", answer + asked(3, b"\0") + b"\1\0",
        answer + asked(9, b"\0"), answer + asked(2, tls) + b"\2", answer + asked(2, b"\2"), answer + asked(2, b"\0") + b"\1\1\xff",
        answer + asked(2, tls) + key + bytes(2048))
    put("keys_link", *(b"\4" + place + asked(1, tls) + b"\0" + stored for stored in (some(struct.pack(">Q", 812)), b"\0", b"\2")),
        b"\4" + place + asked(1, b"\0") + b"\1\1not reached")
    file = lambda path, content: text(path) + struct.pack(">I", len(content)) + content
    files = struct.pack(">I", 2) + file("/etc/plait/ca.pem", b"issuer") + file("/etc/plait/sae.key", b"")
    def source(url, more, method):
        paths = b"".join(text(f"/etc/plait/{name}") for name in ("ca.pem", "sae.pem", "sae.key"))
        options = some(text("/etc/plait/password")) + some(text("kme.example")) + some(bytes(32)) + b"\1" if more else b"\0\0\0\0"
        return text("fibre-1") + text(url) + paths + options + text("SAE-A") + text("SAE-B") + struct.pack(">I", 2000) + bytes([method])
    good = source("https://kme.example:8443", False, 0)
    put("keys_link", struct.pack(">I", 5) + files + struct.pack(">I", 2) + good + source("https://[fd00::1]/prefix", True, 1),
        struct.pack(">III", 1, 0, 0), struct.pack(">III", 1, 0, 1) + source("http://kme", False, 0), struct.pack(">III", 1, 0, 1) + source("https://kme", False, 7),
        struct.pack(">III", 1, 0, 1) + good.replace(b"SAE-A", b"SAE\n-"), struct.pack(">III", 1, 0, 1) + good.replace(b"fibre-1", b"fibre\xff1"),
        struct.pack(">III", 1, 0, 1) + good + b"\0", struct.pack(">II", 1, 0xffffffff))


def operators():
    for file in sorted((ROOT / "tests/config").glob("*.toml")):
        put("configuration", file.read_text())
    put("configuration", "[interface]\n", "= 1", '[interface]\nprivate_key_file = "a"\nmtu = 99999\n[policy]\nrekey = "0s"\n')
    request = lambda body: '{"version":1,"body":%s}\n' % body
    put("control_request", request('{"verb":"status"}'), request('{"verb":"rekey","peer":"dc","wait":true}'), request('{"verb":"events","after":7}'),
        request('{"verb":"stop"}'), '{"version":2,"body":{}}', "null")
    put("control_answer", request('{"answer":"done","text":"rekeyed"}'), request('{"answer":"refused","error":"no"}'), request('{"answer":"other"}'), "{}")
    keys = vectors("keys.json")
    for identity in keys["identities"][:2]:
        put("key_file", identity["secret_file"], identity["public_file"], identity["fp_text"])
    put("key_file", keys["psk"]["file"], keys["psk"]["file"][:-2], "-----BEGIN PLAIT1-PUBLIC-----\n")
    # ratchet: open, confirmed, count, then entries; clock and budget: see src/keys.
    entry = lambda number: bytes([number]) * 8 + bytes(8) + b"\x01" + bytes(7) + bytes([number]) * 32
    for confirmed, count in ((0, 0), (1, 1), (1, 3), (0, 2), (1, 0), (0, 3)):
        content = bytes([0, confirmed, count, 0, 0, 0, 0, 0]) + b"".join(entry(n) for n in range(count))
        put("state_files", b"\0" + content.ljust(8 + 3 * 56, b"\0"))
    put("state_files", b"\1" + bytes(9), b"\1\1" + bytes(6) + b"\3\1", b"\1\2", b"\2\4", b"\2\0", b"\2\5", b"\2")
    body = '{"n":1,"time":"2026-11-24T09:00:00.000Z","what":"stop"}'
    digest = hashlib.sha256(("0" * 64 + body).encode()).hexdigest()
    head = '{"schema":1,"first":1,"first_previous":"%s","last":1,"last_hash":"%s"}' % ("0" * 64, digest)
    put("audit", f"{head}\n{digest} {body}\n", f"{head}\n", body)
    event = '{"schema":1,"seq":7,"time":"2026-11-24T09:00:00.000Z","kind":"state","peer":"dc","from":"HYBRID","to":"HOLDOVER","text":"dc: no key"}'
    put("event_line", event, event.replace('"state"', '"other"'), '{"schema":1}', "2026-11-24T09:00:00.000Z")


def live():
    put("live_pair", bytes([0, 0, 50, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 200, 0, 1, 1, 0, 0]), bytes([4, 0, 0, 0, 0, 0, 100, 0, 4, 0, 0, 0]), b"")
    put("live_pair", bytes([5, 0, 4, 0, 0, 0, 255, 0, 2, 0, 3, 0, 3, 192, 5, 9, 6, 0, 170, 170, 0, 0, 255, 0]), bytes([8, 0, 1, 200, 8, 1, 16, 30, 3, 64, 2, 2]))


def main():
    for make in (handshakes, rekeys, records, kme, keys_link, operators, live):
        make()
    print(subprocess.run(["du", "-sh", str(CORPUS)], capture_output=True, text=True, check=True).stdout.strip())


main()
