//! What an operator would write: certificates, identities and three configuration files.

use std::io;
use std::net::Ipv4Addr;

use super::network::{KME_A, KME_B, SITE_A, SITE_B};
use crate::cli::lab::children::succeed;
use crate::cli::lab::folder::Folder;
use crate::cli::lab::identity;

/// Inner address of site A.
pub(super) const INNER_A: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// Inner address of site B.
pub(super) const INNER_B: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);
/// Port of the KMEs.
pub(super) const KME_PORT: u16 = 8443;
/// Seconds that traffic may go on without fresh QKD keys.
pub(super) const HOLD_LAST_SECONDS: u64 = 5;
/// Keys that a KME keeps: so few that a cut is felt within seconds.
const STOCK: u32 = 4;
/// Secret key that the quantum link makes: four keys of 256 bits a second.
const KEY_RATE: u32 = 1024;

/// One site's side of everything.
struct Side {
    name: &'static str,
    other: &'static str,
    inner: Ipv4Addr,
    other_inner: Ipv4Addr,
    other_outer: Ipv4Addr,
    kme: Ipv4Addr,
    sae: &'static str,
    other_sae: &'static str,
}

const SIDE_A: Side = Side {
    name: "site-a",
    other: "site-b",
    inner: INNER_A,
    other_inner: INNER_B,
    other_outer: SITE_B,
    kme: KME_A,
    sae: "SAE-A",
    other_sae: "SAE-B",
};
const SIDE_B: Side = Side {
    name: "site-b",
    other: "site-a",
    inner: INNER_B,
    other_inner: INNER_A,
    other_outer: SITE_A,
    kme: KME_B,
    sae: "SAE-B",
    other_sae: "SAE-A",
};

/// Makes every file, as `plait kme cert`, `genkey` and `pubkey` make them.
pub(super) fn write(folder: &Folder) -> io::Result<()> {
    let pki = folder.file("pki");
    let pki = pki.to_str().ok_or_else(|| io::Error::other("the folder's path is not UTF-8"))?;
    let (a, b) = (format!("KME-A={KME_A}"), format!("KME-B={KME_B}"));
    let saes = ["--sae", "SAE-A", "--sae", "SAE-B"];
    let mut arguments = vec!["kme", "cert", "--dir", pki, "--kme", &a, "--kme", &b];
    arguments.extend(saes);
    succeed(folder, &arguments, None)?;
    for side in [&SIDE_A, &SIDE_B] {
        identity::write(folder, side.name)?;
        folder.write(&format!("{}.toml", side.name), &site(side))?;
    }
    folder.write("pair.toml", &pair())
}

fn site(side: &Side) -> String {
    let Side { name, other, inner, other_inner, other_outer, kme, sae, other_sae } = side;
    format!(
        r#"[interface]
private_key_file = "{name}.key"
listen = "0.0.0.0:51900"
address = ["{inner}/30"]
[policy]
qkd = "required"
hold_last = "{HOLD_LAST_SECONDS}s"
rekey = "1s"
[[qkd]]
name = "quantum-link"
type = "etsi014"
url = "https://{kme}:{KME_PORT}"
local_sae = "{sae}"
remote_sae = "{other_sae}"
ca_file = "pki/ca.pem"
cert_file = "pki/{sae}.pem"
key_file = "pki/{sae}.key"
[[peer]]
name = "{other}"
public_key_file = "{other}.pub"
endpoint = "{other_outer}:51900"
allowed_ips = ["{other_inner}/32"]
"#
    )
}

fn pair() -> String {
    let kme = |id: &str, address: Ipv4Addr, sae: &str| {
        format!(
            r#"[[kme]]
id = "{id}"
listen = ["{address}:{KME_PORT}"]
cert_file = "pki/{id}.pem"
key_file = "pki/{id}.key"
ca_file = "pki/ca.pem"
saes = ["{sae}"]
"#
        )
    };
    format!(
        r#"name = "pair"
[link]
model = "constant"
key_rate = {KEY_RATE}
block_bits = 256
stock_start = {STOCK}
stock_max = {STOCK}
{}{}"#,
        kme("KME-A", KME_A, "SAE-A"),
        kme("KME-B", KME_B, "SAE-B")
    )
}
