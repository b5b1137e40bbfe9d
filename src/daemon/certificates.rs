//! The TLS files of all sources: loaded as a connection would load them, and their dates.

use std::path::Path;

use super::load::{Faults, LoadFailure, remark, resolve};
use crate::config::{Config, ConfigError, FileRef, Source};
use crate::control::time::rfc3339;
use crate::crypto::digest::sha256;
use crate::io::source::{HeldFiles, SourceSetup};
use crate::io::tls::client::client_tls;
use crate::io::tls::files::TlsFiles;
use crate::io::tls::leaf::Leaf;
use crate::io::tls::material::{PEM_BYTES_MAX, SetupError};
use crate::types::time::UnixTime;

/// Before a certificate ends somebody must order the next one: from here on it is said aloud.
const EXPIRY_WARNING_SECONDS: i64 = 30 * 24 * 3600;

/// What was read, and what there is to say about it.
pub struct Checked {
    /// About dates and names, one sentence each.
    pub remarks: Vec<String>,
    /// Of each source, in the order of the configuration.
    pub held: Vec<HeldFiles>,
    /// The files themselves.
    pub files: TlsFiles,
}

/// Loads every source's files.
///
/// # Errors
/// A file is missing, open to others, or does not hold what it should.
pub fn check(file: &Path, config: &Config, now: UnixTime) -> Result<Checked, LoadFailure> {
    let mut faults = Faults::in_file(file);
    let (mut remarks, mut held, mut files) = (Vec::new(), Vec::new(), TlsFiles::default());
    let shown = file.display().to_string();
    for source in config.peers.iter().flat_map(|peer| &peer.sources) {
        let reach = SourceSetup::from_config(source, |named| resolve(file, &named.path)).reach;
        match client_tls(reach.files(&mut files)).map(|tls| tls.own) {
            Ok(own) => {
                let ca = files.public(&reach.ca_file, PEM_BYTES_MAX).ok();
                let ca = ca.map(|bytes| sha256(bytes.expose()));
                held.push(HeldFiles { own: own.sha256, own_ends: u64::try_from(own.not_after).ok(), ca });
                let error = |text| ConfigError { place: source.cert_file.place, text };
                let said = date(&own, now).into_iter().chain(name(&own, source));
                remarks.extend(said.map(|text| remark(&shown, &error(format!("cert_file: {text}")))));
            }
            Err(error) => {
                let denied = matches!(&error, SetupError::File(file) if file.is_permission());
                faults.note_right(concerned(file, source, &error), denied, &error);
            }
        }
    }
    faults.none()?;
    Ok(Checked { remarks, held, files })
}

/// Which key of the section an error is about.
fn concerned<'s>(config_file: &Path, source: &'s Source, error: &SetupError) -> &'s FileRef {
    let path = match error {
        SetupError::File(file) => Some(&file.path),
        SetupError::Content { path, .. } => Some(path),
        SetupError::Other(_) => None,
    };
    let files = [&source.ca_file, &source.cert_file, &source.key_file];
    files
        .into_iter()
        .chain(&source.key_password_file)
        .find(|named| path == Some(&resolve(config_file, &named.path)))
        .unwrap_or(&source.cert_file)
}

/// Most KMEs know a SAE by the CN of its certificate.
fn name(own: &Leaf, source: &Source) -> Option<String> {
    let cn = own.common_name.as_deref()?;
    let (local, remote) = (source.local_sae.as_str(), source.remote_sae.as_str());
    if cn == local {
        None
    } else if cn == remote {
        Some(format!("the certificate's CN is {remote}, which is remote_sae: are local_sae and remote_sae swapped?"))
    } else {
        Some(format!(
            "the certificate's CN is {}, local_sae is {local}: does the KME know it by that?",
            cn.escape_debug()
        ))
    }
}

fn date(own: &Leaf, now: UnixTime) -> Option<String> {
    let now = i64::try_from(now.0).unwrap_or(i64::MAX);
    let moment = |seconds: i64| rfc3339(UnixTime(u64::try_from(seconds).unwrap_or(0)));
    if now < own.not_before {
        Some(format!("the certificate is valid only from {}: is the clock right?", moment(own.not_before)))
    } else if now > own.not_after {
        Some(format!("the certificate ended at {}: the KME will refuse it", moment(own.not_after)))
    } else if own.not_after - now < EXPIRY_WARNING_SECONDS {
        Some(format!("the certificate ends soon, at {}", moment(own.not_after)))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(not_before: i64, not_after: i64) -> Leaf {
        Leaf {
            subject: String::new(),
            issuer: String::new(),
            common_name: None,
            names: Vec::new(),
            is_version_1: false,
            is_ca: false,
            not_before,
            not_after,
            sha256: [0; 32],
            public_key_sha256: [0; 32],
        }
    }

    #[test]
    fn dates_are_remarked_when_someone_must_act() {
        const YEAR: i64 = 365 * 86_400;
        let said = |before, after| date(&leaf(before, after), UnixTime(YEAR as u64));
        assert_eq!(said(0, 2 * YEAR), None);
        assert!(said(0, YEAR + 86_400).unwrap().contains("ends soon, at 1971-01-02"));
        assert!(said(0, YEAR - 1).unwrap().contains("ended at 1970-12-31"));
        assert!(said(YEAR + 1, 2 * YEAR).unwrap().contains("valid only from 1971-01-01"));
        assert!(said(i64::MIN, -1).unwrap().contains("1970-01-01"));
    }
}
