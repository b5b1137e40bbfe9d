//! `plait genkey`, `pubkey`, `genpsk`, `fingerprint`: make, show and compare keys.

use std::io::Read;
use std::path::Path;

use serde::Serialize;
use zeroize::Zeroizing;

use super::exit::{Exit, Failure, Outcome};
use super::output;
use super::status::Form;
use crate::crypto::kem::default_backend;
use crate::identity::armour::{self, Label};
use crate::identity::{Identity, read_secret, write_psk, write_public, write_secret};
use crate::io::entropy::OsEntropy;
use crate::io::identity::{KEY_FILE_BYTES_MAX, LoadError, load_identity, load_public};
use crate::io::keyfile::{read_public, write_new_secret};
use crate::types::policy::Suite;
use crate::types::random::Entropy;
use crate::types::secret::{Secret, SecretBytes};

/// Makes an identity: prints the secret file, or writes it to a new file of mode 0600.
pub(super) fn genkey(out: Option<&Path>, suite: u16) -> Outcome {
    let suite = Suite::from_number(suite).ok_or_else(|| Failure::new(Exit::Usage, "a suite is 1 or 2"))?;
    let secret = draw()?;
    let text = write_secret(suite, &secret);
    let me = Identity::from_secret(default_backend(), suite, secret).map_err(failure)?;
    let exit = deliver(out, &text)?;
    output::talk(&format!("fingerprint: {}", me.fp()));
    Ok(exit)
}

/// Makes a pre-shared key: prints its file, or writes it to a new file of mode 0600.
pub(super) fn genpsk(out: Option<&Path>) -> Outcome {
    deliver(out, &write_psk(&draw()?))
}

/// Reads a secret file on stdin, prints the public file.
pub(super) fn pubkey() -> Outcome {
    let mut input = Zeroizing::new(Vec::with_capacity(KEY_FILE_BYTES_MAX + 1));
    let stdin = std::io::stdin().lock();
    let read = stdin.take(KEY_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut input);
    read.map_err(|error| Failure::io("cannot read standard input", &error))?;
    let text = std::str::from_utf8(&input).unwrap_or_default();
    let (suite, secret) = read_secret(text).map_err(|error| {
        failure(format!("standard input: {error}\nusage: plait pubkey < SECRET-FILE > PUBLIC-FILE"))
    })?;
    let me = Identity::from_secret(default_backend(), suite, secret).map_err(failure)?;
    output::data(&write_public(me.public()))
}

/// What `fingerprint --json` prints.
#[derive(Serialize)]
struct Shown {
    schema: u32,
    /// Of the file.
    kind: &'static str,
    fingerprint: String,
}

/// Prints the fingerprint of a secret or public file, one line.
pub(super) fn fingerprint(file: &Path, form: Form) -> Outcome {
    let (kind, fp) = match label_of(file)? {
        Label::Secret(_) => ("secret", *load_identity(default_backend(), file).map_err(failure_to_load)?.fp()),
        Label::Public(_) => ("public", *load_public(default_backend(), file).map_err(failure_to_load)?.fp()),
        Label::Psk => {
            let text = format!("{}: a PSK has no fingerprint; name a secret or public key file", file.display());
            return Err(Failure::new(Exit::Failure, text));
        }
    };
    output::data(&match form {
        Form::Text => format!("{fp}\n"),
        Form::Json => {
            let shown = Shown { schema: 1, kind, fingerprint: fp.to_string() };
            // It holds only texts and a number: there is nothing that JSON cannot say.
            serde_json::to_string(&shown).unwrap_or_default() + "\n"
        }
    })
}

/// What kind of file it is. Its mode is judged when it is loaded as what it is.
fn label_of(file: &Path) -> Result<Label, Failure> {
    let bytes = read_public(file, KEY_FILE_BYTES_MAX).map(Zeroizing::new);
    let bytes = bytes.map_err(|error| failure_to_load(error.into()))?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let decoded = armour::decode(text);
    decoded.map(|(label, _)| label).map_err(|error| failure(format!("{}: {error}", file.display())))
}

/// Bytes of the system's generator.
pub(super) fn draw<const N: usize>() -> Result<Secret<N>, Failure> {
    let mut os = OsEntropy::open().map_err(|error| Failure::io("the system's random generator failed", &error))?;
    Ok(Secret::filled(|bytes| os.fill(bytes)))
}

fn deliver(out: Option<&Path>, text: &SecretBytes) -> Outcome {
    let Some(path) = out else {
        return output::data(std::str::from_utf8(text.expose()).unwrap_or_else(|_| unreachable!("armour is ASCII")));
    };
    write_new_secret(path, text.expose()).map_err(|error| failure_to_load(error.into()))?;
    Ok(Exit::Ok)
}

/// A key file that cannot be read or written: code 7 if a right is missing.
pub(super) fn failure_to_load(error: LoadError) -> Failure {
    Failure::new(if error.is_permission() { Exit::Permission } else { Exit::Failure }, error.to_string())
}

/// Any other failure.
pub(super) fn failure(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failure, error.to_string())
}
