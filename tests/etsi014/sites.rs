//! The files of two sites as `plait init` writes them.

use std::net::SocketAddr;
use std::process::Command;

use crate::pki::Pki;

/// Makes `hq` and `dc` with the KME at `at`, SAE ids ours and theirs, and what the other site owns inside; hq knows dc's key.
pub(crate) fn init(pki: &Pki, at: SocketAddr, (ours, theirs): (&str, &str), inside: &str) {
    let url = format!("https://{at}");
    for name in ["hq", "dc"] {
        let options = [
            ("--dir", name),
            ("--peer", "dc"),
            ("--address", "10.99.0.1/30"),
            ("--allowed-ips", inside),
            ("--kme-url", &url),
            ("--local-sae", ours),
            ("--remote-sae", theirs),
            ("--ca-file", "../ca.pem"),
            ("--cert-file", "../SAE-A.pem"),
            ("--key-file", "../SAE-A.key"),
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_plait"));
        command.current_dir(pki.dir()).args(["init", "hq"]);
        let made = command.args(options.iter().flat_map(|(option, value)| [option, value])).output().unwrap();
        assert!(made.status.success(), "{made:?}");
    }
    std::fs::copy(pki.file("dc/hq.pub"), pki.file("hq/dc.pub")).unwrap();
}
