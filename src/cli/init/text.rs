//! The configuration that `plait init` writes: every line an operator may want to change has its comment.

use super::draft::{Draft, Field};

/// The whole file.
pub(super) fn render(draft: &Draft) -> String {
    let name = &draft.name;
    let mut text = format!(
        "# plait, interface {name}. Every key is explained in docs/CONFIG.md.\n\
         # After a change: plait check {name}.toml --online. This file must not be open to others (chmod 600).\n\n\
         [interface]\n\
         private_key_file = {}    # never leaves this machine\n\
         listen  = {}    # UDP: open this port in the firewall\n\
         address = {}    # of this end, inside the tunnel\n\
         # mtu = 1420              # less if the path between the sites takes less: plait doctor {name} measures it\n\
         # table = \"auto\"          # routes for all allowed_ips in the main table; \"off\": you route\n\n",
        quoted(&format!("{name}.key")),
        quoted(&draft.listen),
        list(draft.of(Field::Address)),
    );
    text.push_str(&policy(&draft.qkd));
    if draft.has_kme() {
        text.push_str(&kme(draft));
    }
    text.push_str(&peer(draft));
    text
}

fn policy(qkd: &str) -> String {
    let limit = match qkd {
        "preferred" => {
            "degrade_for = \"unlimited\"    # how long traffic may run without QKD keys; \"8h\" stops it then\n"
        }
        "off" => "",
        _ => "hold_last = \"1h\"    # how long traffic goes on when no QKD key comes, then it stops; \"0s\": at once\n",
    };
    format!(
        "[policy]    # both ends tell each other theirs, and the stricter holds\n\
         qkd   = {}    # required | preferred | off\n\
         {limit}\
         rekey = \"60s\"    # new keys, each with a fresh QKD key: the KME must give that many\n\
         full  = \"10m\"    # full handshake with fresh ML-KEM keys\n\n",
        quoted(qkd)
    )
}

fn kme(draft: &Draft) -> String {
    let [ca, cert, key] = &draft.files;
    format!(
        "[[qkd]]    # this site's KME; a second section with another id adds a second KME pair\n\
         id   = 0    # the same number at both sites\n\
         peer = {}    # whom it keys: the name of a [[peer]] section\n\
         name = \"kme\"    # in status, logs and metrics\n\
         type = \"etsi014\"\n\
         url  = {}\n\
         local_sae  = {}    # ours; the other site has the two ids the other way round\n\
         remote_sae = {}\n\
         ca_file   = {}    # who issued the KME's certificate, not the certificate itself\n\
         cert_file = {}    # ours, leaf first\n\
         key_file  = {}    # chmod 600\n\
         # server_name = \"kme-a\"    # if the certificate does not show the host of the url\n\n",
        quoted(draft.one(Field::Peer)),
        quoted(draft.one(Field::KmeUrl)),
        quoted(draft.one(Field::LocalSae)),
        quoted(draft.one(Field::RemoteSae)),
        quoted(ca),
        quoted(cert),
        quoted(key),
    )
}

fn peer(draft: &Draft) -> String {
    let name = draft.one(Field::Peer);
    let endpoint = match draft.of(Field::Endpoint) {
        [] => "# endpoint = \"198.51.100.7:51900\"    # left out: the other site calls us\n".to_owned(),
        [endpoint, ..] => format!("endpoint = {}\n", quoted(endpoint)),
    };
    format!(
        "[[peer]]\n\
         name = {}\n\
         public_key_file = {}    # the other site's, its fingerprint compared by phone\n\
         {endpoint}\
         allowed_ips = {}    # what is behind it; packets from elsewhere are dropped\n\
         # keepalive = \"25s\"    # if a NAT or firewall on the way forgets idle flows\n\
         # psk_file = \"{}.psk\"    # a further secret, made by plait genpsk and carried over by hand\n",
        quoted(name),
        quoted(&format!("{name}.pub")),
        list(draft.of(Field::AllowedIps)),
        // A comment ends with its line, whatever a name holds.
        name.escape_default(),
    )
}

fn list(values: &[String]) -> String {
    format!("[{}]", values.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(", "))
}

/// As a TOML string, whatever is in it.
fn quoted(value: &str) -> String {
    toml::Value::String(value.to_owned()).to_string()
}
