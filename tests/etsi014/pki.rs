//! Certificates for tests: the ones of `plait kme cert`, and odd ones made to order.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use plait::io::clock::Clock;
use plait::io::pki::{PkiOrder, make};
use plait::io::tls::leaf::Leaf;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// Kept in the repository because no library makes X.509 v1 any more.
const V1_CERT: &str = include_str!("data/v1.pem");
const V1_KEY: &str = include_str!("data/v1.key");

/// A directory with a CA, two KMEs and three SAEs.
pub(crate) struct Pki {
    dir: tempfile::TempDir,
}

/// What an odd certificate has that a usual one has not.
pub(crate) struct Odd {
    pub(crate) cn: &'static str,
    pub(crate) san: &'static [&'static str],
    pub(crate) purpose: ExtendedKeyUsagePurpose,
    /// Days from now.
    pub(crate) valid: (i64, i64),
}

impl Default for Odd {
    fn default() -> Self {
        Self { cn: "KME-A", san: &["127.0.0.1"], purpose: ExtendedKeyUsagePurpose::ServerAuth, valid: (-1, 90) }
    }
}

impl Pki {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let local = |id: &str| (id.to_owned(), "127.0.0.1".to_owned());
        make(&PkiOrder {
            dir: dir.path().to_owned(),
            kmes: vec![local("KME-A"), local("KME-B")],
            saes: ["SAE-A", "SAE-B", "SAE-X"].map(str::to_owned).to_vec(),
            days: 90,
            renew: false,
            now: Clock::start().unix(),
        })
        .unwrap();
        Self { dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file of mode 0600.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    pub(crate) fn leaf(&self, name: &str) -> Leaf {
        Leaf::read(&self.certified(name).cert[0]).unwrap()
    }

    /// `NAME.pem` with `NAME.key`, without the checks a careful server makes.
    pub(crate) fn certified(&self, name: &str) -> Arc<CertifiedKey> {
        let pem = std::fs::read(self.file(&format!("{name}.pem"))).unwrap();
        let key = std::fs::read(self.file(&format!("{name}.key"))).unwrap();
        certified(&pem, &key)
    }

    /// Issues `NAME.pem` and `NAME.key` by this CA.
    pub(crate) fn issue(&self, name: &str, odd: &Odd) {
        let ca_key = KeyPair::from_pem(&std::fs::read_to_string(self.file("ca.key")).unwrap()).unwrap();
        let ca = Issuer::from_ca_cert_pem(&std::fs::read_to_string(self.file("ca.pem")).unwrap(), ca_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let cert = params(odd).signed_by(&key, &ca).unwrap();
        self.write(&format!("{name}.pem"), cert.pem().as_bytes());
        self.write(&format!("{name}.key"), key.serialize_pem().as_bytes());
    }

    /// The same, signed by itself.
    pub(crate) fn self_sign(&self, name: &str, odd: &Odd) {
        let key = KeyPair::generate().unwrap();
        let cert = params(odd).self_signed(&key).unwrap();
        self.write(&format!("{name}.pem"), cert.pem().as_bytes());
        self.write(&format!("{name}.key"), key.serialize_pem().as_bytes());
    }

    /// An X.509 v1 certificate, as `NAME.pem` and `NAME.key`.
    pub(crate) fn version_1(&self, name: &str) {
        self.write(&format!("{name}.pem"), V1_CERT.as_bytes());
        self.write(&format!("{name}.key"), V1_KEY.as_bytes());
    }
}

pub(crate) fn params(odd: &Odd) -> CertificateParams {
    let mut params = CertificateParams::new(odd.san.iter().map(|san| (*san).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, odd.cn);
    params.extended_key_usages = vec![odd.purpose.clone()];
    let now = i64::try_from(Clock::start().unix().0).unwrap();
    let at = |days: i64| date_time_ymd(1970, 1, 1) + Duration::from_secs((now + days * 86_400) as u64);
    params.not_before = at(odd.valid.0);
    params.not_after = at(odd.valid.1);
    params
}

fn certified(pem: &[u8], key: &[u8]) -> Arc<CertifiedKey> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(key).unwrap();
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    Arc::new(CertifiedKey::new(chain, key))
}
