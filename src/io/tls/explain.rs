//! What went wrong on a connection, in words that name the usual mistake, and whether the KME or the way to it failed.

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError, Error};

use super::leaf::Leaf;
use crate::types::policy::Reason;
use crate::types::time::UnixTime;

/// The TLS error inside an error of any layer above it.
pub fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    let mut at = Some(error);
    while let Some(error) = at {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let found = error.downcast_ref::<Error>();
        if let Some(found) = found.or_else(|| inner.and_then(|inner| inner.downcast_ref())) {
            return Some(found);
        }
        at = error.source();
    }
    None
}

/// Class and words of a TLS failure. `own` is the certificate we showed.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's errors are non-exhaustive; those not named get its own words"
)]
pub fn explain_tls(error: &Error, own: &Leaf, now: UnixTime) -> (Reason, String) {
    match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => (Reason::Unreachable, other.0.to_string()),
        // The chain was judged before, by words of its own: this is the signature over the handshake.
        Error::InvalidCertificate(CertificateError::BadSignature) => {
            let text = "the KME's certificate is refused: whoever answers there does not have its private key";
            (Reason::Unreachable, text.to_owned())
        }
        Error::InvalidCertificate(reason) => {
            (Reason::Unreachable, format!("the KME's certificate is refused: {reason}"))
        }
        Error::AlertReceived(alert) => (Reason::Refused, explain_alert(*alert, own, now)),
        Error::InvalidMessage(_) => (
            Reason::Unreachable,
            "the other end does not speak TLS on this port (plain HTTP, or another service)".into(),
        ),
        Error::PeerIncompatible(reason) => {
            (Reason::Unreachable, format!("the KME speaks neither TLS 1.2 nor 1.3 as we do: {reason:?}"))
        }
        other => (Reason::Unreachable, format!("TLS failed: {other}")),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "alerts are an open set; those not named are shown by their name")]
fn explain_alert(alert: AlertDescription, own: &Leaf, now: UnixTime) -> String {
    use AlertDescription as A;
    let us = format!("our certificate ({}, issued by {})", own.subject, own.issuer);
    let seconds = i64::try_from(now.0).unwrap_or(i64::MAX);
    if seconds > own.not_after {
        return format!("the KME refuses {us}: it has expired");
    }
    if seconds < own.not_before {
        return format!("the KME refuses {us}: it is not valid yet, look at this machine's clock");
    }
    match alert {
        A::UnknownCA => format!("the KME does not know the CA of {us}: its operator must install that CA"),
        A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateRevoked
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::AccessDenied
        | A::DecryptError
        | A::CertificateRequired => format!("the KME refuses {us} (TLS alert {alert:?})"),
        A::ProtocolVersion | A::HandshakeFailure | A::InsufficientSecurity | A::NoApplicationProtocol => format!(
            "the KME finds no common TLS version, cipher or protocol, or demands another certificate than {us} \
             (TLS alert {alert:?})"
        ),
        A::UnrecognisedName => "the KME does not know the host name of the url (TLS alert UnrecognisedName)".to_owned(),
        other => format!("the KME ends the TLS handshake (alert {other:?})"),
    }
}

/// Words for a failed TCP connection to `to` (host and port).
#[expect(clippy::wildcard_enum_match_arm, reason = "kinds are non-exhaustive; those not named get the system's words")]
pub fn explain_connect(error: &io::Error, to: &str) -> String {
    use io::ErrorKind as K;
    match error.kind() {
        K::ConnectionRefused => {
            format!("nothing listens at {to} (connection refused): is the KME up, is the port right?")
        }
        K::ConnectionReset | K::ConnectionAborted | K::UnexpectedEof | K::BrokenPipe => {
            format!("{to} closed the connection: a firewall in between, or a KME that dislikes our certificate")
        }
        K::HostUnreachable | K::NetworkUnreachable | K::NetworkDown => format!("no way to {to}: {error}"),
        _ => format!("cannot connect to {to}: {error}"),
    }
}
