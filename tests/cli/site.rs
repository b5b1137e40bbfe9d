//! A folder with everything one site needs, good as it is: tests break one thing in it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::run::{Run, plait, plait_with};

/// The configuration, every line at its number below.
const CONFIG: &str = r#"[interface]
private_key_file = "hq.key"
listen = "[::]:51900"
address = ["10.99.0.1/30", "fd99::1/126"]
[policy]
qkd = "required"
min_sources = 1
hold_last = "1h"
rekey = "60s"
full = "10m"
[[qkd]]
name = "fibre-1"
type = "etsi014"
url = "https://127.0.0.1:18443"
local_sae = "SAE-A"
remote_sae = "SAE-B"
ca_file = "pki/ca.pem"
cert_file = "pki/SAE-A.pem"
key_file = "pki/SAE-A.key"
[[peer]]
name = "dc"
public_key_file = "dc.pub"
endpoint = "198.51.100.7:51900"
allowed_ips = ["10.20.0.0/16", "fd20::/48"]
"#;

/// One site.
pub(crate) struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["hq", "dc"] {
            assert_eq!(site.plait(&["genkey", "--out", &format!("{name}.key")]).code, 0);
        }
        let secret = std::fs::read(site.at("dc.key")).unwrap();
        let public = plait_with(site.path(), &["pubkey"], &secret);
        std::fs::write(site.at("dc.pub"), public.out).unwrap();
        let made = site.plait(&["kme", "cert", "--dir", "pki", "--kme", "KME-A=127.0.0.1", "--sae", "SAE-A"]);
        assert_eq!(made.code, 0, "{made:?}");
        site.write(CONFIG);
        site
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn plait(&self, arguments: &[&str]) -> Run {
        plait(self.path(), arguments)
    }

    fn write(&self, text: &str) {
        std::fs::write(self.at("hq.toml"), text).unwrap();
        self.set_mode("hq.toml", 0o600);
    }

    pub(crate) fn set_mode(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.at(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The good configuration with one text in the place of another, which must be there.
    pub(crate) fn with(self, old: &str, new: &str) -> Self {
        assert!(CONFIG.contains(old), "{old}");
        self.write(&CONFIG.replace(old, new));
        self
    }
}
