//! Whether a KME's certificate is the expected one: chain and host, chain and a name, or a pinned leaf.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::leaf::Leaf;
use crate::etsi014::v1::pin::Pin;

/// What the KME's certificate must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A chain to a trusted CA, and the URL's host in its SAN.
    Host,
    /// A chain to a trusted CA, and this name in its SAN or CN: the KME id of V1.1.1, 5.1.
    Name(String),
    /// This very certificate or public key; neither chain nor name nor dates.
    Pin(Pin),
}

/// Checks the certificate and words what it finds.
pub struct KmeVerifier {
    expected: Expected,
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
}

impl KmeVerifier {
    /// For one source.
    pub fn new(expected: Expected, roots: RootCertStore, algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { expected, roots, algorithms }
    }

    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let leaf = Leaf::read(end_entity).ok_or_else(|| refusal("is not a readable X.509 certificate"))?;
        if let Expected::Pin(pin) = &self.expected {
            return check_pin(&leaf, pin);
        }
        if leaf.is_version_1 {
            let text = "is X.509 v1, which cannot be checked; have it reissued as v3, or pin it by pin_sha256";
            return Err(refusal(text));
        }
        if leaf.is_ca {
            return Err(refusal(&format!(
                "is that of a CA ({}), expected one that was issued to the KME",
                leaf.subject
            )));
        }
        let cert = ParsedCertificate::try_from(end_entity).map_err(|error| word(&error, &leaf, now))?;
        verify_server_cert_signed_by_trust_anchor(&cert, &self.roots, intermediates, now, self.algorithms.all)
            .map_err(|error| word(&error, &leaf, now))?;
        match &self.expected {
            Expected::Name(name) if leaf.is_named(name) => Ok(()),
            Expected::Name(name) => Err(refusal(&format!(
                "has another name: expected server_name \"{name}\" in its SAN or CN, it shows {}",
                leaf.shown_names()
            ))),
            Expected::Host => verify_server_name(&cert, host).map_err(|_| {
                let text = format!(
                    "has another name: expected \"{}\" (the url's host) in its SAN, it shows {}; \
                     if that is the KME, name it by server_name",
                    host.to_str(),
                    leaf.shown_names()
                );
                refusal(&text)
            }),
            Expected::Pin(_) => Ok(()),
        }
    }
}

fn check_pin(leaf: &Leaf, pin: &Pin) -> Result<(), Error> {
    if [leaf.sha256, leaf.public_key_sha256].contains(pin) {
        return Ok(());
    }
    let hex = |pin: &Pin| data_encoding::HEXLOWER.encode(pin);
    Err(refusal(&format!(
        "is not the pinned one: pin_sha256 is {}, it has {} (its public key {})",
        hex(pin),
        hex(&leaf.sha256),
        hex(&leaf.public_key_sha256)
    )))
}

/// The library's reasons in an operator's words.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's reasons are non-exhaustive; those not named get its own words"
)]
fn word(error: &Error, leaf: &Leaf, now: UnixTime) -> Error {
    use CertificateError as E;
    let Error::InvalidCertificate(reason) = error else { return refusal(&format!("is refused: {error}")) };
    let Leaf { subject, issuer, .. } = leaf;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let text = match reason {
        E::UnknownIssuer => format!(
            "was not issued by a CA of ca_file: it is {subject}, issued by {issuer}; \
             ca_file must hold that issuer (or the KME must send the chain to one that it holds)"
        ),
        E::Expired | E::ExpiredContext { .. } if now <= leaf.not_after => {
            format!("has a chain with a CA certificate that has expired ({subject}, issued by {issuer})")
        }
        E::Expired | E::ExpiredContext { .. } => {
            format!("has expired ({subject}): renew it, or look at this machine's clock")
        }
        E::NotValidYet | E::NotValidYetContext { .. } => {
            format!("is not valid yet ({subject}): look at this machine's clock")
        }
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            format!("may not be used by a server: its extended key usage lacks serverAuth ({subject})")
        }
        E::BadSignature => format!(
            "is not signed by the CA of ca_file, although its issuer has that name ({subject}, issued by {issuer}): \
             was the CA made anew? An issuer with an RSA key of less than 2048 bits is not accepted either"
        ),
        E::BadEncoding => format!("is not well-formed ({subject}): have it reissued"),
        E::UnsupportedSignatureAlgorithmContext { .. } | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            format!("is signed in a way that is no longer accepted, as SHA-1 ({subject}, issued by {issuer})")
        }
        other => format!("is refused ({subject}, issued by {issuer}): {}", chain_words(&other.to_string())),
    };
    refusal(&text)
}

/// Words for what the library calls by its own names.
fn chain_words(name: &str) -> &str {
    let known = [
        ("EndEntityUsedAsCa", "a certificate that is no CA's has issued it"),
        ("PathLenConstraintViolated", "its chain is longer than its CA allows"),
        ("NameConstraintViolation", "its CA may not issue certificates for this name"),
        ("UnsupportedCriticalExtension", "it has a critical extension that is not known here"),
    ];
    known.iter().find(|(own, _)| name.contains(own)).map_or(name, |(_, words)| words)
}

/// A sentence that goes on after "the KME's certificate".
#[derive(Debug)]
pub struct Refusal(pub String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the KME's certificate {}", self.0)
    }
}

impl std::error::Error for Refusal {}

fn refusal(text: &str) -> Error {
    CertificateError::Other(OtherError(Arc::new(Refusal(text.to_owned())))).into()
}

impl fmt::Debug for KmeVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KmeVerifier({:?})", self.expected)
    }
}

impl ServerCertVerifier for KmeVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity, intermediates, server_name, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.version_1_key(cert) {
            Some(key) => verify_by_key(&self.algorithms, message, &key, signed),
            None => verify_tls12_signature(message, cert, signed, &self.algorithms),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.version_1_key(cert) {
            Some(key) => {
                let key = SubjectPublicKeyInfoDer::from(key.info);
                verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
            }
            None => verify_tls13_signature(message, cert, signed, &self.algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Public key of a pinned X.509 v1 certificate, which the library does not read.
struct Version1Key {
    /// SubjectPublicKeyInfo.
    info: Vec<u8>,
    /// The bits inside it.
    bits: Vec<u8>,
}

impl KmeVerifier {
    fn version_1_key(&self, cert: &CertificateDer<'_>) -> Option<Version1Key> {
        if !matches!(self.expected, Expected::Pin(_)) || !Leaf::read(cert)?.is_version_1 {
            return None;
        }
        let (_, cert) = X509Certificate::from_der(cert).ok()?;
        let key = cert.public_key();
        Some(Version1Key { info: key.raw.to_vec(), bits: key.subject_public_key.data.to_vec() })
    }
}

/// TLS 1.2 names a signature scheme but not the curve: every candidate of the scheme is tried with the pinned key.
fn verify_by_key(
    algorithms: &WebPkiSupportedAlgorithms,
    message: &[u8],
    key: &Version1Key,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let candidates = algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme).map(|(_, found)| *found);
    let verified = candidates
        .unwrap_or_default()
        .iter()
        .any(|candidate| candidate.verify_signature(&key.bits, message, signed.signature()).is_ok());
    if verified { Ok(HandshakeSignatureValid::assertion()) } else { Err(CertificateError::BadSignature.into()) }
}
