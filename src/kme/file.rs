//! `pair.toml`: a simulated pair as its operator writes it, read into what `pair` and the servers need.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::bb84::LinkClass;
use super::catalogue::Fault;
use super::fault::{FAULTS_MAX, Times};
use super::link::{BLOCK_BITS_MAX, KEY_RATE_MAX, LinkModel};
use super::pair::{Kme, PairSetup, Side};
use crate::types::id::SaeId;

/// Keys of 256 bits a stock may hold: the largest seen in the field.
const STOCK_KEYS_MAX: u64 = 100_000;
/// SAEs of one KME, and addresses it listens on.
const LIST_MAX: usize = 64;
/// Longest time until the other KME knows a key: beyond it no `dec_keys` could succeed.
const DEC_DELAY_MAX: Duration = Duration::from_secs(60);

/// A pair and how it is served.
#[derive(Clone, Debug)]
pub struct PairFile {
    /// Names the control socket.
    pub name: String,
    /// The pair itself.
    pub setup: PairSetup,
    /// How side A and side B are served.
    pub serving: [KmeServing; 2],
    /// What they do wrong, or otherwise, from the start: at one of them, or at either.
    pub faults: Vec<(Fault, Option<Side>, Times)>,
}

/// How one KME is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmeServing {
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
    /// PEM, its certificate and what chains it to its issuer.
    pub cert_file: PathBuf,
    /// PEM, its private key.
    pub key_file: PathBuf,
    /// PEM, the issuers of its clients.
    pub ca_file: PathBuf,
    /// What TLS it speaks.
    pub tls: ServedTls,
}

/// TLS as a KME serves it: all of it, or less, to try a client against older KMEs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
pub enum ServedTls {
    /// 1.2 and 1.3, X25519MLKEM768 first.
    #[default]
    #[serde(rename = "any")]
    Any,
    /// 1.2 and 1.3, elliptic curves only.
    #[serde(rename = "classical")]
    Classical,
    /// 1.2 only.
    #[serde(rename = "1.2")]
    V12,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    name: String,
    link: RawLink,
    kme: Vec<RawKme>,
    #[serde(default)]
    fault: RawFaults,
}

/// By name: how many, or `true` for what lasts.
type RawFaults = BTreeMap<Fault, RawTimes>;

#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum RawTimes {
    Next(u64),
    Lasting(bool),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLink {
    #[serde(default)]
    model: RawModel,
    key_rate: Option<u64>,
    loss_db: Option<f64>,
    class: Option<RawClass>,
    #[serde(default = "block_bits_default")]
    block_bits: u64,
    #[serde(default)]
    stock_start: u64,
    #[serde(default = "stock_max_default")]
    stock_max: u64,
    #[serde(default)]
    split: bool,
    dec_delay: Option<String>,
}

fn block_bits_default() -> u64 {
    25_600
}

fn stock_max_default() -> u64 {
    1000
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawModel {
    #[default]
    Constant,
    Bb84,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawClass {
    Entry,
    Metro,
    Fast,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKme {
    id: String,
    listen: Vec<SocketAddr>,
    cert_file: PathBuf,
    key_file: PathBuf,
    ca_file: PathBuf,
    saes: Vec<String>,
    #[serde(default)]
    tls: ServedTls,
    #[serde(default)]
    fault: RawFaults,
}

/// Reads a file's text; paths in it are relative to `folder`.
///
/// # Errors
/// A sentence: line and column for what is not TOML of this form, else which value is wrong and what was expected.
pub fn read(text: &str, folder: &Path) -> Result<PairFile, String> {
    let raw: RawFile = toml::from_str(text).map_err(|error| error.to_string())?;
    check_name(&raw.name)?;
    let [a, b]: [RawKme; 2] = raw
        .kme
        .try_into()
        .map_err(|kmes: Vec<RawKme>| format!("a pair has two [[kme]] sections, found {}", kmes.len()))?;
    let mut faults = resolve_faults(&raw.fault, None)?;
    faults.extend(resolve_faults(&a.fault, Some(Side::A))?);
    faults.extend(resolve_faults(&b.fault, Some(Side::B))?);
    let (kme_a, serving_a) = resolve_kme(a, folder)?;
    let (kme_b, serving_b) = resolve_kme(b, folder)?;
    if kme_a.id == kme_b.id {
        return Err(format!("both KMEs have the id \"{}\"", kme_a.id));
    }
    if let Some(sae) = kme_a.saes.iter().find(|sae| kme_b.saes.contains(sae)) {
        return Err(format!("SAE \"{sae}\" is registered at both KMEs: each site has its own"));
    }
    let setup = resolve_link(&raw.link, [kme_a, kme_b])?;
    Ok(PairFile { name: raw.name, setup, serving: [serving_a, serving_b], faults })
}

/// A name becomes a file name of the run directory.
///
/// # Errors
/// A sentence that says what was expected.
pub fn check_name(name: &str) -> Result<(), String> {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fits = (1..=32).contains(&name.len()) && name.chars().all(letters) && !name.starts_with('.');
    if fits {
        Ok(())
    } else {
        Err(format!("name \"{}\": expected 1 to 32 letters, digits, - _ .", name.escape_debug()))
    }
}

fn resolve_kme(raw: RawKme, folder: &Path) -> Result<(Kme, KmeServing), String> {
    let id =
        SaeId::new(&raw.id).ok_or_else(|| "a KME's id is empty, too long or holds control characters".to_owned())?;
    if !(1..=LIST_MAX).contains(&raw.listen.len()) || !(1..=LIST_MAX).contains(&raw.saes.len()) {
        return Err(format!("{id}: listen and saes take 1 to {LIST_MAX} entries"));
    }
    let saes: Option<Vec<SaeId>> = raw.saes.iter().map(|sae| SaeId::new(sae)).collect();
    let saes =
        saes.ok_or_else(|| format!("{id}: a SAE id is empty, longer than 128 bytes or holds control characters"))?;
    let at = |path: &PathBuf| folder.join(path);
    let serving = KmeServing {
        listen: raw.listen,
        cert_file: at(&raw.cert_file),
        key_file: at(&raw.key_file),
        ca_file: at(&raw.ca_file),
        tls: raw.tls,
    };
    Ok((Kme { id: raw.id, saes }, serving))
}

fn resolve_faults(raw: &RawFaults, at: Option<Side>) -> Result<Vec<(Fault, Option<Side>, Times)>, String> {
    let resolved = raw.iter().map(|(fault, times)| match times {
        RawTimes::Lasting(true) => Ok((*fault, at, Times::Always)),
        RawTimes::Next(left) if !fault.is_habit() && (1..=FAULTS_MAX).contains(left) => {
            Ok((*fault, at, Times::Next(*left)))
        }
        RawTimes::Next(_) if fault.is_habit() => Err(format!("[fault] {fault} is a habit: it takes true")),
        RawTimes::Next(_) | RawTimes::Lasting(false) => {
            Err(format!("[fault] {fault}: expected true or a number from 1 to {FAULTS_MAX}"))
        }
    });
    resolved.collect()
}

fn resolve_link(raw: &RawLink, kmes: [Kme; 2]) -> Result<PairSetup, String> {
    let model = resolve_model(raw)?;
    if !(1..=BLOCK_BITS_MAX).contains(&raw.block_bits) {
        return Err(format!("block_bits = {}: expected 1 to {BLOCK_BITS_MAX}", raw.block_bits));
    }
    if !(1..=STOCK_KEYS_MAX).contains(&raw.stock_max) || raw.stock_start > raw.stock_max {
        return Err(format!("expected stock_start <= stock_max and stock_max of 1 to {STOCK_KEYS_MAX}"));
    }
    let dec_delay = match &raw.dec_delay {
        Some(text) => humantime::parse_duration(text).ok().filter(|delay| *delay <= DEC_DELAY_MAX),
        None => Some(Duration::ZERO),
    };
    let dec_delay = dec_delay.ok_or("dec_delay: expected a time up to 60s, as \"300ms\"")?;
    Ok(PairSetup {
        kmes,
        model,
        block_bits: raw.block_bits,
        stock_start: raw.stock_start,
        stock_max: raw.stock_max,
        split: raw.split,
        dec_delay,
    })
}

fn resolve_model(raw: &RawLink) -> Result<LinkModel, String> {
    match (raw.model, raw.key_rate, raw.loss_db, raw.class) {
        (RawModel::Constant, Some(key_rate), None, None) if key_rate <= KEY_RATE_MAX => {
            Ok(LinkModel::Constant { key_rate })
        }
        (RawModel::Constant, ..) => Err(format!("model = \"constant\" takes key_rate (0 to {KEY_RATE_MAX}) only")),
        (RawModel::Bb84, None, Some(loss_db), Some(class)) if (0.0..=100.0).contains(&loss_db) => {
            let class = match class {
                RawClass::Entry => LinkClass::Entry,
                RawClass::Metro => LinkClass::Metro,
                RawClass::Fast => LinkClass::Fast,
            };
            Ok(LinkModel::Bb84 { class, loss_db })
        }
        (RawModel::Bb84, ..) => {
            Err("model = \"bb84\" takes loss_db (0 to 100) and class (entry, metro, fast) only".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
name = "pair"
[link]
model       = "constant"
key_rate    = 2000
block_bits  = 25600
stock_start = 100
stock_max   = 1000
[[kme]]
id        = "KME-A"
listen    = ["127.0.0.1:8443"]
cert_file = "pki/KME-A.pem"
key_file  = "pki/KME-A.key"
ca_file   = "/etc/ca.pem"
saes      = ["SAE-A"]
[[kme]]
id        = "KME-B"
listen    = ["127.0.0.1:8444"]
cert_file = "pki/KME-B.pem"
key_file  = "pki/KME-B.key"
ca_file   = "/etc/ca.pem"
saes      = ["SAE-B"]
"#;

    #[test]
    fn the_documented_form_is_read() {
        let file = read(GOOD, Path::new("/x")).unwrap();
        assert_eq!((file.name.as_str(), file.setup.stock_start, file.setup.split), ("pair", 100, false));
        let [a, b] = file.serving;
        assert_eq!(a.cert_file, Path::new("/x/pki/KME-A.pem"));
        assert_eq!((b.ca_file.as_path(), b.tls), (Path::new("/etc/ca.pem"), ServedTls::Any));
        let bb84 =
            GOOD.replace("\"constant\"", "\"bb84\"").replace("key_rate    = 2000", "loss_db = 10\nclass = \"metro\"");
        let file = read(
            &bb84.replace("[[kme]]\nid        = \"KME-B\"", "[[kme]]\ntls = \"1.2\"\nid = \"KME-B\""),
            Path::new("/x"),
        )
        .unwrap();
        assert_eq!(file.setup.model, LinkModel::Bb84 { class: LinkClass::Metro, loss_db: 10.0 });
        assert_eq!(file.serving[1].tls, ServedTls::V12);
    }

    #[test]
    fn faults_are_read_for_both_kmes_and_for_one() {
        let text = format!("{GOOD}[kme.fault]\nhang = 1\nget-only = true\n[fault]\nwrong-key = 3\nerror-html = true\n");
        let mut faults = read(&text, Path::new("/x")).unwrap().faults;
        faults.sort_unstable();
        assert_eq!(
            faults,
            [
                (Fault::WrongKey, None, Times::Next(3)),
                (Fault::Hang, Some(Side::B), Times::Next(1)),
                (Fault::GetOnly, Some(Side::B), Times::Always),
                (Fault::ErrorHtml, None, Times::Always),
            ]
        );
        for (line, words) in [
            ("wrong-kye = 1", "did you mean `wrong-key`?"),
            ("wrong-kye = 1", "line 24"),
            ("get-only = 2", "get-only is a habit"),
            ("hang = 0", "hang: expected true or a number"),
            ("hang = false", "hang: expected true or a number"),
            ("hang = \"often\"", "line 24"),
        ] {
            let error = read(&format!("{GOOD}[fault]\n{line}\n"), Path::new("/x")).unwrap_err();
            assert!(error.contains(words), "{line}: {error}");
        }
    }

    #[test]
    fn wrong_values_are_named() {
        for (from, to, words) in [
            ("name = \"pair\"", "name = \"../pair\"", "name"),
            ("name = \"pair\"", "nam = \"pair\"", "nam"),
            ("key_rate    = 2000", "", "key_rate"),
            ("key_rate    = 2000", "key_rate = 2000\nloss_db = 1", "key_rate"),
            ("\"constant\"", "\"bb84\"", "loss_db"),
            ("\"constant\"", "\"magic\"", "magic"),
            ("block_bits  = 25600", "block_bits = 0", "block_bits"),
            ("stock_start = 100", "stock_start = 1001", "stock_start"),
            ("stock_max   = 1000", "dec_delay = \"2h\"", "dec_delay"),
            ("[\"127.0.0.1:8443\"]", "[]", "listen"),
            ("[\"127.0.0.1:8443\"]", "[\"localhost\"]", "localhost"),
            ("\"KME-B\"", "\"KME-A\"", "KME-A"),
            ("[\"SAE-B\"]", "[\"SAE-A\"]", "SAE-A"),
            ("[\"SAE-B\"]", "[\"\"]", "SAE id"),
            ("[[kme]]\nid        = \"KME-B\"", "[[kme]]\nid = \"C\"\nunknown = 1", "unknown"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD);
            let error = read(&text, Path::new("/x")).unwrap_err();
            assert!(error.contains(words), "{to}: {error}");
        }
        let one = GOOD.split_once("[[kme]]\nid        = \"KME-B\"").unwrap().0;
        assert!(read(one, Path::new("/x")).unwrap_err().contains("found 1"));
    }
}
