//! What an X.509 certificate says of itself, as far as we look: names, dates, version, digests.

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

use crate::crypto::digest::sha256;
use crate::etsi014::v1::error::one_line;
use crate::etsi014::v1::pin::Pin;

/// Facts of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Subject on one line, fit for a log.
    pub subject: String,
    /// Issuer on one line.
    pub issuer: String,
    /// The first CN of the subject, as it is.
    pub common_name: Option<String>,
    /// DNS names and addresses of the SAN.
    pub names: Vec<String>,
    /// X.509 v1: no extensions, refused by the TLS library in chains.
    pub is_version_1: bool,
    /// Basic constraints say that it may issue others.
    pub is_ca: bool,
    /// First second of validity, from 1970.
    pub not_before: i64,
    /// Last second of validity, from 1970.
    pub not_after: i64,
    /// Of the whole certificate.
    pub sha256: Pin,
    /// Of its SubjectPublicKeyInfo.
    pub public_key_sha256: Pin,
}

impl Leaf {
    /// Reads a DER certificate; `None` if it is none.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, cert) = X509Certificate::from_der(der).ok()?;
        let mut names = Vec::new();
        if let Ok(Some(san)) = cert.subject_alternative_name() {
            names.extend(san.value.general_names.iter().filter_map(general_name));
        }
        let common_name = cert.subject().iter_common_name().next().and_then(|cn| cn.as_str().ok());
        Some(Self {
            subject: one_line(&cert.subject().to_string()),
            issuer: one_line(&cert.issuer().to_string()),
            common_name: common_name.map(str::to_owned),
            names,
            is_version_1: cert.version() == X509Version::V1,
            is_ca: cert.is_ca(),
            not_before: cert.validity().not_before.timestamp(),
            not_after: cert.validity().not_after.timestamp(),
            sha256: sha256(der),
            public_key_sha256: sha256(cert.public_key().raw),
        })
    }

    /// The names that a person would look at, on one line.
    pub fn shown_names(&self) -> String {
        let common_name = self.common_name.iter().map(|cn| format!("CN {cn}"));
        let shown: Vec<String> = common_name.chain(self.names.iter().map(|name| format!("SAN {name}"))).collect();
        if shown.is_empty() { "no name at all".to_owned() } else { one_line(&shown.join(", ")) }
    }

    /// Whether one of the SAN's names, or the CN, is `expected`, in any case.
    pub fn is_named(&self, expected: &str) -> bool {
        self.names.iter().chain(&self.common_name).any(|name| name.eq_ignore_ascii_case(expected))
    }
}

fn general_name(name: &GeneralName<'_>) -> Option<String> {
    let GeneralName::IPAddress(bytes) = name else {
        return if let GeneralName::DNSName(dns) = name { Some((*dns).to_owned()) } else { None };
    };
    let address = match <[u8; 4]>::try_from(*bytes) {
        Ok(v4) => std::net::IpAddr::from(v4),
        Err(_) => std::net::IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?),
    };
    Some(address.to_string())
}
