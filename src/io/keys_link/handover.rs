//! What the keeper hands to the keys process: every source, and the files of TLS as bytes, so that it opens none.
//!
//! ```text
//! generation 4
//! files   number 4 | each: path, length 4, bytes
//! sources number 4 | each: name, url, ca_file, cert_file, key_file, option key_password_file,
//!                          option server_name, option pin 32, pq only 1, local_sae, remote_sae, timeout in ms 4, method 1
//! ```
//! Text and paths have their length in front, 2 bytes.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::text::{bytes, flag, option, put_bytes, put_option, text};
use crate::config::HttpMethod;
use crate::etsi014::v1::url::BaseUrl;
use crate::io::kme_client::registry::Reach;
use crate::io::source::SourceSetup;
use crate::io::tls::files::TlsFiles;
use crate::types::id::SaeId;
use crate::types::secret::SecretBytes;
use crate::wire::field::{Malformed, Reader};

/// Bytes of a handover: the sources of as many peers as there may be, with a kilobyte each, and a thousand files of TLS.
pub const HANDOVER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Sources and files.
pub struct Handover {
    /// Number of this set of sources: each is greater than the one before.
    pub generation: u32,
    /// In the order of the configuration.
    pub sources: Vec<SourceSetup>,
    /// What was read.
    pub files: TlsFiles,
}

impl Handover {
    /// As it is sent; there are private keys in it.
    ///
    /// # Errors
    /// Its size, in bytes, which is more than [`HANDOVER_BYTES_MAX`].
    pub fn to_bytes(&self) -> Result<SecretBytes, usize> {
        let files: usize = self.files.known().map(|(path, bytes)| path.as_os_str().len() + bytes.len() + 6).sum();
        let mut sources = Vec::new();
        for source in &self.sources {
            put_source(&mut sources, source);
        }
        let size = 12 + files + sources.len();
        if size > HANDOVER_BYTES_MAX {
            return Err(size);
        }
        // Never grown: no copy of a key is left behind.
        let mut out = Vec::with_capacity(size);
        out.extend(self.generation.to_be_bytes());
        out.extend(number(self.files.known().len()));
        for (path, bytes) in self.files.known() {
            put_path(&mut out, path);
            out.extend(number(bytes.len()));
            out.extend(bytes.expose());
        }
        out.extend(number(self.sources.len()));
        out.extend(sources);
        Ok(SecretBytes::new(out))
    }

    /// # Errors
    /// It is none.
    pub fn parse(whole: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Reader::new(whole);
        let generation = fields.u32()?;
        let mut files = BTreeMap::new();
        for _ in 0..fields.u32()? {
            let path = path(&mut fields)?;
            let length = fields.u32()?;
            let bytes = fields.take(usize::try_from(length).map_err(|_| Malformed::Length)?)?;
            files.insert(path, Arc::new(SecretBytes::new(bytes.to_vec())));
        }
        let mut sources = Vec::new();
        for _ in 0..fields.u32()? {
            sources.push(source(&mut fields)?);
        }
        fields.end()?;
        Ok(Self { generation, sources, files: TlsFiles::handed(files) })
    }
}

/// Within [`HANDOVER_BYTES_MAX`], so it fits.
fn number(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes()
}

fn put_path(out: &mut Vec<u8>, path: &Path) {
    put_bytes(out, path.as_os_str().as_bytes());
}

fn path(fields: &mut Reader<'_>) -> Result<PathBuf, Malformed> {
    bytes(fields).map(|path| PathBuf::from(OsStr::from_bytes(path)))
}

fn put_source(out: &mut Vec<u8>, source: &SourceSetup) {
    let SourceSetup { name, reach, local_sae, remote_sae, timeout, method } = source;
    put_bytes(out, name.as_bytes());
    put_bytes(out, reach.url.to_string().as_bytes());
    put_path(out, &reach.ca_file);
    put_path(out, &reach.cert_file);
    put_path(out, &reach.key_file);
    put_option(out, reach.key_password_file.as_deref(), put_path);
    put_option(out, reach.server_name.as_deref(), |out, name| put_bytes(out, name.as_bytes()));
    put_option(out, reach.pin_sha256.as_ref(), |out, pin| out.extend(pin));
    out.push(u8::from(reach.is_pq_only));
    put_bytes(out, local_sae.as_str().as_bytes());
    put_bytes(out, remote_sae.as_str().as_bytes());
    out.extend(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX).to_be_bytes());
    out.push(match method {
        HttpMethod::Post => 0,
        HttpMethod::Get => 1,
    });
}

fn source(fields: &mut Reader<'_>) -> Result<SourceSetup, Malformed> {
    Ok(SourceSetup {
        name: text(fields)?.to_owned(),
        reach: Reach {
            url: BaseUrl::parse(text(fields)?).map_err(|_| Malformed::Value("url"))?,
            ca_file: path(fields)?,
            cert_file: path(fields)?,
            key_file: path(fields)?,
            key_password_file: option(fields, path)?,
            server_name: option(fields, |fields| text(fields).map(str::to_owned))?,
            pin_sha256: option(fields, |fields| fields.array().copied())?,
            is_pq_only: flag(fields)?,
        },
        local_sae: sae(fields)?,
        remote_sae: sae(fields)?,
        timeout: Duration::from_millis(fields.u32()?.into()),
        method: match fields.u8()? {
            0 => HttpMethod::Post,
            1 => HttpMethod::Get,
            _ => return Err(Malformed::Value("method")),
        },
    })
}

fn sae(fields: &mut Reader<'_>) -> Result<SaeId, Malformed> {
    SaeId::new(text(fields)?).ok_or(Malformed::Value("SAE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(name: &str, more: bool) -> SourceSetup {
        SourceSetup {
            name: name.to_owned(),
            reach: Reach {
                url: BaseUrl::parse("https://[2001:db8::1]:8443/kme-a").unwrap(),
                ca_file: "/etc/plait/ca.pem".into(),
                cert_file: "/etc/plait/sae.pem".into(),
                key_file: "/etc/plait/sae.key".into(),
                key_password_file: more.then(|| "/etc/plait/password".into()),
                server_name: more.then(|| "kme.example".to_owned()),
                pin_sha256: more.then_some([9; 32]),
                is_pq_only: more,
            },
            local_sae: SaeId::new("SAE-A").unwrap(),
            remote_sae: SaeId::new("SAE-B").unwrap(),
            timeout: Duration::from_millis(2500),
            method: if more { HttpMethod::Get } else { HttpMethod::Post },
        }
    }

    fn handover() -> Handover {
        let file = |name: &str, bytes: &[u8]| (PathBuf::from(name), Arc::new(SecretBytes::new(bytes.to_vec())));
        let files = BTreeMap::from([file("/etc/plait/ca.pem", b"issuer"), file("/etc/plait/sae.key", b"")]);
        let sources = vec![setup("fibre-1", false), setup("fibre-2", true)];
        Handover { generation: 5, sources, files: TlsFiles::handed(files) }
    }

    #[test]
    fn sources_and_files_come_back_as_they_were() {
        let sent = handover();
        let came = Handover::parse(sent.to_bytes().unwrap().expose()).unwrap();
        assert_eq!((came.generation, &came.sources), (5, &sent.sources));
        let files: Vec<_> =
            came.files.known().map(|(path, bytes)| (path.to_owned(), bytes.expose().to_vec())).collect();
        let expected = [("/etc/plait/ca.pem", &b"issuer"[..]), ("/etc/plait/sae.key", b"")];
        assert_eq!(files, expected.map(|(path, bytes)| (PathBuf::from(path), bytes.to_vec())));
    }

    #[test]
    fn every_cut_and_every_byte_too_many_is_refused() {
        let whole = handover().to_bytes().unwrap();
        for length in 0..whole.len() {
            assert!(Handover::parse(&whole.expose()[..length]).is_err(), "{length} bytes");
        }
        assert!(Handover::parse(&[whole.expose(), &[0]].concat()).is_err());
        // A number of files or sources that is far beyond what follows asks for no memory.
        assert!(Handover::parse(&[0xff; 12]).is_err());
    }

    #[test]
    fn more_than_there_may_be_is_told_by_its_size() {
        let large = SecretBytes::new(vec![0; HANDOVER_BYTES_MAX]);
        let files = TlsFiles::handed(BTreeMap::from([(PathBuf::from("/large"), Arc::new(large))]));
        let refused = Handover { generation: 1, sources: Vec::new(), files }.to_bytes().err().unwrap();
        assert!(refused > HANDOVER_BYTES_MAX);
    }
}
