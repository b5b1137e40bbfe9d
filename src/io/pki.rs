//! `plait kme cert`: a small CA and the certificates of KMEs and SAEs, X.509 v3, for simulators and laboratories.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use zeroize::Zeroizing;

use super::keyfile;
use super::keyfile_error::KeyFileError;
use super::tls::leaf::Leaf;
use crate::crypto::digest::sha256;
use crate::types::time::UnixTime;

/// One day.
const DAY: Duration = Duration::from_secs(86_400);
/// A CA outlives what it issues by years.
const CA_DAYS: u32 = 3650;
/// Certificates are valid from a day before: clocks of two machines differ.
const BACKDATED: Duration = DAY;
/// Bytes of a file that is read back.
const FILE_BYTES_MAX: usize = 64 * 1024;

/// What to make.
pub struct PkiOrder {
    /// Where the files go; made if it is not there.
    pub dir: PathBuf,
    /// KME ids, each with the name or address its clients use.
    pub kmes: Vec<(String, String)>,
    /// SAE ids.
    pub saes: Vec<String>,
    /// Days of validity.
    pub days: u32,
    /// Whether existing certificates are made anew.
    pub renew: bool,
    /// The present.
    pub now: UnixTime,
}

/// What became of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its file.
    pub path: PathBuf,
    /// False: it was there already, for the same name.
    pub is_new: bool,
}

/// Why a certificate was not made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The directory or a certificate file.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The library refuses.
    #[error("certificate of {id}: {error}")]
    Make {
        /// Whose.
        id: String,
        /// Why.
        error: rcgen::Error,
    },
    /// Anything else: what was expected, what came, what to do.
    #[error("{0}")]
    Other(String),
}

/// Makes the CA, or takes the one in the directory, and all certificates that are not there.
///
/// # Errors
/// [`PkiError`]; what was made before it stays.
pub fn make(order: &PkiOrder) -> Result<Vec<Made>, PkiError> {
    let ids = order.kmes.iter().map(|(id, _)| id).chain(&order.saes);
    ids.clone().try_for_each(|id| check_id(id))?;
    let mut seen: Vec<&String> = ids.collect();
    seen.sort_unstable();
    if let Some([twice, _]) = seen.windows(2).find(|pair| matches!(pair, [a, b] if a == b)) {
        return Err(PkiError::Other(format!("{twice} is named twice: a certificate belongs to one of them")));
    }
    let builder = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(&order.dir);
    builder.map_err(|error| PkiError::Io { path: order.dir.clone(), error })?;
    let (ca, ca_made) = authority(order)?;
    let mut made = vec![ca_made];
    for (id, name) in &order.kmes {
        made.push(certificate(order, &ca, id, Some(name))?);
    }
    for id in &order.saes {
        made.push(certificate(order, &ca, id, None)?);
    }
    Ok(made)
}

/// An id becomes a file name beside `ca.pem`.
fn check_id(id: &str) -> Result<(), PkiError> {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '+');
    let fits = (1..=64).contains(&id.len()) && id.chars().all(letters) && !id.starts_with('.');
    if fits && !id.eq_ignore_ascii_case("ca") {
        return Ok(());
    }
    let expected = "expected 1 to 64 letters, digits, - _ . @ +, not starting with \".\" and not \"ca\"";
    Err(PkiError::Other(format!("id \"{}\": {expected}", id.escape_debug())))
}

fn authority(order: &PkiOrder) -> Result<(Issuer<'static, KeyPair>, Made), PkiError> {
    let (cert_path, key_path) = (order.dir.join("ca.pem"), order.dir.join("ca.key"));
    let failed = |error| PkiError::Make { id: "ca".to_owned(), error };
    match (cert_path.exists(), key_path.exists()) {
        (true, true) => {
            let cert = text(keyfile::read_public(&cert_path, FILE_BYTES_MAX)?, &cert_path)?;
            let key = keyfile::read_secret(&key_path, FILE_BYTES_MAX)?;
            let key = std::str::from_utf8(key.expose()).ok().and_then(|pem| KeyPair::from_pem(pem).ok());
            let key = key.ok_or_else(|| PkiError::Other(format!("{}: not a private key", key_path.display())))?;
            let issuer = Issuer::from_ca_cert_pem(&cert, key).map_err(failed)?;
            Ok((issuer, Made { path: cert_path, is_new: false }))
        }
        (false, false) => {
            let key = KeyPair::generate().map_err(failed)?;
            // Two CAs of one name are a riddle to whoever reads an error about them.
            let short = data_encoding::HEXLOWER.encode(sha256(key.public_key_raw()).get(..4).unwrap_or_default());
            let mut params = params(&format!("plait laboratory CA {short}"), order.now, CA_DAYS)?;
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            let cert = params.self_signed(&key).map_err(failed)?;
            write(&cert_path, &key_path, &cert, &key)?;
            Ok((Issuer::new(params, key), Made { path: cert_path, is_new: true }))
        }
        (has_cert, _) => {
            let (there, missing) = if has_cert { (cert_path, key_path) } else { (key_path, cert_path) };
            let (there, missing) = (there.display(), missing.display());
            Err(PkiError::Other(format!("{there} is there but {missing} is not: restore it, or use another --dir")))
        }
    }
}

/// A KME's certificate (server, `name` in the SAN) or a SAE's (client).
fn certificate(
    order: &PkiOrder,
    ca: &Issuer<'static, KeyPair>,
    id: &str,
    name: Option<&String>,
) -> Result<Made, PkiError> {
    let failed = |error| PkiError::Make { id: id.to_owned(), error };
    let path = order.dir.join(format!("{id}.pem"));
    let key_path = order.dir.join(format!("{id}.key"));
    if path.exists() && !order.renew {
        return kept(path, &key_path, name);
    }
    let mut params = params(id, order.now, order.days)?;
    if let Some(name) = name {
        let san = CertificateParams::new(vec![name.clone()]).map_err(failed)?;
        params.subject_alt_names = san.subject_alt_names;
    }
    let purpose =
        if name.is_some() { ExtendedKeyUsagePurpose::ServerAuth } else { ExtendedKeyUsagePurpose::ClientAuth };
    params.extended_key_usages = vec![purpose];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(failed)?;
    let cert = params.signed_by(&key, ca).map_err(failed)?;
    if order.renew {
        remove(&path)?;
        remove(&key_path)?;
    }
    write(&path, &key_path, &cert, &key)?;
    Ok(Made { path, is_new: true })
}

/// An existing certificate is kept if it says what was asked for.
fn kept(path: PathBuf, key_path: &Path, name: Option<&String>) -> Result<Made, PkiError> {
    let shown = path.display();
    if !key_path.exists() {
        return Err(PkiError::Other(format!("{shown} is there but its key is not; --renew makes both anew")));
    }
    let pem = keyfile::read_public(&path, FILE_BYTES_MAX)?;
    let der = <rustls::pki_types::CertificateDer<'_> as rustls::pki_types::pem::PemObject>::from_pem_slice(&pem);
    let leaf = der.ok().and_then(|der| Leaf::read(&der));
    let leaf = leaf.ok_or_else(|| PkiError::Other(format!("{shown} is not a certificate; --renew replaces it")))?;
    let fits = match name {
        Some(name) => leaf.names.iter().any(|san| san.eq_ignore_ascii_case(name)),
        None => leaf.names.is_empty(),
    };
    if fits {
        return Ok(Made { path, is_new: false });
    }
    Err(PkiError::Other(format!("{shown} is there for another name ({}); --renew replaces it", leaf.shown_names())))
}

fn params(common_name: &str, now: UnixTime, days: u32) -> Result<CertificateParams, PkiError> {
    let made = CertificateParams::new(Vec::new());
    let mut params = made.map_err(|error| PkiError::Make { id: common_name.to_owned(), error })?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let start = date_time_ymd(1970, 1, 1);
    let now = Duration::from_secs(now.0);
    params.not_before = start + now.saturating_sub(BACKDATED);
    params.not_after = start + now + DAY * days;
    Ok(params)
}

/// The key first: a certificate without its key is of no use, and is not taken for a finished pair.
fn write(cert_path: &Path, key_path: &Path, cert: &Certificate, key: &KeyPair) -> Result<(), PkiError> {
    let pem = Zeroizing::new(key.serialize_pem());
    keyfile::write_new_secret(key_path, pem.as_bytes())?;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(cert_path);
    let written = file.and_then(|mut file| file.write_all(cert.pem().as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| PkiError::Io { path: cert_path.to_owned(), error })
}

fn remove(path: &Path) -> Result<(), PkiError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(PkiError::Io { path: path.to_owned(), error })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn text(bytes: Vec<u8>, path: &Path) -> Result<String, PkiError> {
    String::from_utf8(bytes).map_err(|_| PkiError::Other(format!("{}: not PEM", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(dir: &Path) -> PkiOrder {
        PkiOrder {
            dir: dir.join("pki"),
            kmes: vec![("KME-A".into(), "127.0.0.1".into()), ("KME-B".into(), "kme-b.example".into())],
            saes: vec!["SAE-A".into()],
            days: 730,
            renew: false,
            now: UnixTime(1_790_000_000),
        }
    }

    fn leaf(order: &PkiOrder, file: &str) -> Leaf {
        let pem = std::fs::read(order.dir.join(file)).unwrap();
        let der = <rustls::pki_types::CertificateDer<'_> as rustls::pki_types::pem::PemObject>::from_pem_slice(&pem);
        Leaf::read(&der.unwrap()).unwrap()
    }

    #[test]
    fn certificates_say_who_they_are_for() {
        let dir = tempfile::tempdir().unwrap();
        let order = order(dir.path());
        assert_eq!(make(&order).unwrap().len(), 4);
        assert!(leaf(&order, "ca.pem").is_ca);
        let kme = leaf(&order, "KME-A.pem");
        assert_eq!((kme.common_name.as_deref(), kme.names.as_slice()), (Some("KME-A"), &["127.0.0.1".to_owned()][..]));
        assert!(!kme.is_version_1 && !kme.is_ca);
        assert_eq!((kme.not_before, kme.not_after), (1_790_000_000 - 86_400, 1_790_000_000 + 730 * 86_400));
        assert_eq!(leaf(&order, "KME-B.pem").names, ["kme-b.example"]);
        assert_eq!(leaf(&order, "SAE-A.pem").common_name.as_deref(), Some("SAE-A"));
    }

    #[test]
    fn a_second_run_keeps_the_ca_and_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let mut order = order(dir.path());
        make(&order).unwrap();
        let (ca, kme) = (leaf(&order, "ca.pem"), leaf(&order, "KME-A.pem"));
        order.saes.push("SAE-B".into());
        let made = make(&order).unwrap();
        assert_eq!(made.iter().map(|made| made.is_new).collect::<Vec<_>>(), [false, false, false, false, true]);
        assert_eq!((leaf(&order, "ca.pem"), leaf(&order, "KME-A.pem")), (ca.clone(), kme.clone()));
        assert_eq!(leaf(&order, "SAE-B.pem").issuer, ca.subject);
        order.kmes[0].1 = "127.0.0.2".into();
        assert!(make(&order).unwrap_err().to_string().contains("another name"));
        order.renew = true;
        make(&order).unwrap();
        assert_eq!(leaf(&order, "KME-A.pem").names, ["127.0.0.2"]);
        assert_eq!(leaf(&order, "ca.pem"), ca);
    }

    #[test]
    fn half_a_pki_and_unusable_ids_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut order = order(dir.path());
        for id in ["", "ca", "CA", "../x", ".x", "a/b", "a b"] {
            order.saes = vec![id.into()];
            assert!(make(&order).unwrap_err().to_string().contains("expected"), "{id}");
        }
        order.saes = vec!["KME-A".into()];
        assert!(make(&order).unwrap_err().to_string().contains("twice"));
        order.saes.clear();
        make(&order).unwrap();
        std::fs::remove_file(order.dir.join("ca.key")).unwrap();
        assert!(make(&order).unwrap_err().to_string().contains("ca.key is not"));
    }
}
