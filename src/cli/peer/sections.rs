//! The sections of a new peer: from options, or from a file as they are.

use std::io::Read;
use std::path::Path;

use super::args::AddOrder;
use crate::cli::exit::{Exit, Failure};
use crate::io::keyfile::read_public;
use crate::types::limits::PEER_SECTIONS_BYTES_MAX;

/// As they would stand in the configuration; `folder` is its folder, from which names of files in it count.
pub(super) fn sections(order: &AddOrder, folder: &Path) -> Result<String, Failure> {
    match &order.from {
        Some(file) if file == Path::new("-") => read_input(),
        Some(file) => {
            let bytes = read_public(file, PEER_SECTIONS_BYTES_MAX);
            text(bytes.map_err(|error| Failure::new(Exit::Configuration, error.to_string()))?)
        }
        None => from_options(order, folder),
    }
}

fn read_input() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    // One byte more than allowed, so that the daemon's rule is broken and its words are heard.
    let most = PEER_SECTIONS_BYTES_MAX as u64 + 1;
    let read = std::io::stdin().lock().take(most).read_to_end(&mut bytes);
    read.map_err(|error| Failure::io("standard input", &error))?;
    text(bytes)
}

fn text(bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|_| Failure::new(Exit::Configuration, "the new sections: expected UTF-8 text"))
}

fn from_options(order: &AddOrder, folder: &Path) -> Result<String, Failure> {
    let mut text = String::from("[[peer]]\n");
    let mut line = |key: &str, value: &str| text.push_str(&format!("{key} = {}\n", quoted(value)));
    let name = order.name.as_deref().unwrap_or_default();
    line("name", name);
    for (key, file) in [("public_key_file", &order.public), ("psk_file", &order.psk_file)] {
        if let Some(file) = file {
            line(key, &named(file, folder)?);
        }
    }
    for (key, value) in [("endpoint", &order.endpoint), ("keepalive", &order.keepalive)] {
        if let Some(value) = value {
            line(key, value);
        }
    }
    let prefixes: Vec<String> = order.allowed_ips.iter().map(|prefix| quoted(prefix.trim())).collect();
    text.push_str(&format!("allowed_ips = [{}]\n", prefixes.join(", ")));
    if let Some(qkd) = &order.qkd {
        text.push_str(&format!("[peer.policy]\nqkd = {}\n", quoted(qkd)));
    }
    if order.kme_url.is_some() {
        text.push_str(&kme(order, name, folder)?);
    }
    Ok(text)
}

fn kme(order: &AddOrder, peer: &str, folder: &Path) -> Result<String, Failure> {
    let mut text = String::from("\n[[qkd]]\n");
    let mut line = |key: &str, value: &str| text.push_str(&format!("{key} = {}\n", quoted(value)));
    line("peer", peer);
    line("name", &order.kme_name.clone().unwrap_or_else(|| format!("kme-{peer}")));
    line("type", "etsi014");
    for (key, value) in [("url", &order.kme_url), ("local_sae", &order.local_sae), ("remote_sae", &order.remote_sae)] {
        line(key, value.as_deref().unwrap_or_default());
    }
    for (key, file) in [("ca_file", &order.ca_file), ("cert_file", &order.cert_file), ("key_file", &order.key_file)] {
        if let Some(file) = file {
            line(key, &named(file, folder)?);
        }
    }
    Ok(text)
}

/// A file as the configuration is to name it: whatever folder the daemon was started in.
fn named(file: &Path, folder: &Path) -> Result<String, Failure> {
    let absolute = |path: &Path| std::path::absolute(path).map_err(|error| Failure::io(path.display(), &error));
    let file = absolute(file)?;
    let short = match file.strip_prefix(absolute(folder)?) {
        Ok(inside) => inside,
        Err(_) => &file,
    };
    let name = short.to_str().map(str::to_owned);
    name.ok_or_else(|| Failure::new(Exit::Usage, format!("{}: expected a name in UTF-8", file.display())))
}

/// As a TOML string, whatever is in it.
fn quoted(value: &str) -> String {
    toml::Value::String(value.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::PeerCommand;
    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(subcommand)]
        command: PeerCommand,
    }

    fn typed(words: &str) -> Result<AddOrder, String> {
        let words = ["x", "add"].into_iter().chain(words.split(' '));
        match Typed::try_parse_from(words).map_err(|error| error.to_string())?.command {
            PeerCommand::Add(order) => Ok(*order),
            PeerCommand::Remove { .. } => unreachable!("it was asked to add"),
        }
    }

    #[test]
    fn options_become_the_sections_that_a_person_would_write() {
        let order = typed(
            "hq --name c --public /etc/plait/c.pub --allowed-ips 10.3.0.0/16,fd03::/48 --endpoint 192.0.2.3:1 \
             --keepalive 25s --psk-file /else/where.psk --qkd preferred --kme-url https://k --local-sae A \
             --remote-sae \"C --ca-file /etc/plait/pki/ca.pem --cert-file /s.pem --key-file /s.key",
        );
        let text = sections(&order.unwrap(), Path::new("/etc/plait")).unwrap();
        let expected = r#"[[peer]]
name = "c"
public_key_file = "c.pub"
psk_file = "/else/where.psk"
endpoint = "192.0.2.3:1"
keepalive = "25s"
allowed_ips = ["10.3.0.0/16", "fd03::/48"]
[peer.policy]
qkd = "preferred"

[[qkd]]
peer = "c"
name = "kme-c"
type = "etsi014"
url = "https://k"
local_sae = "A"
remote_sae = '"C'
ca_file = "pki/ca.pem"
cert_file = "/s.pem"
key_file = "/s.key"
"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn a_name_of_a_file_counts_from_where_it_was_typed() {
        let order = typed("hq --name c --public c.pub --allowed-ips 10.3.0.0/16").unwrap();
        let text = sections(&order, Path::new("/etc/plait")).unwrap();
        let here = std::env::current_dir().unwrap();
        assert!(text.contains(&format!("public_key_file = \"{}/c.pub\"\n", here.display())), "{text}");
        let text = sections(&order, &here).unwrap();
        assert!(text.contains("public_key_file = \"c.pub\"\n"), "{text}");
    }

    #[test]
    fn half_a_peer_and_half_a_kme_are_refused_where_they_are_typed() {
        let peer = "hq --name c --public c.pub --allowed-ips 10.3.0.0/16";
        for (words, said) in [
            ("hq", "--from"),
            ("hq --name c", "--public"),
            ("hq --name c --public c.pub", "--allowed-ips"),
            ("hq --public c.pub --allowed-ips 10.3.0.0/16", "--name"),
            (&format!("{peer} --from f"), "cannot be used with"),
            (&format!("{peer} --kme-url https://k"), "--local-sae"),
            (&format!("{peer} --local-sae A"), "--kme-url"),
            ("hq --from f --endpoint 1.2.3.4:5", "cannot be used with"),
        ] {
            let error = typed(words).unwrap_err();
            assert!(error.contains(said), "{words}: {error}");
        }
        assert!(typed(peer).is_ok() && typed("hq --from -").is_ok());
    }
}
