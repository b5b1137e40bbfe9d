//! `plait report`: what somebody who helps from outside needs, in one archive, without what is nobody's business.
//!
//! Flow: `matter` collects each part as text or JSON, by what runs and what is left on the disk; every part goes through
//! one [`Redaction`]; `archive` packs them behind a manifest that says what is in it and what is not.

mod archive;
mod facts;
mod matter;

use std::path::{Path, PathBuf};

use serde::Serialize;

use self::archive::pack;
use self::matter::{Matter, Part};
use super::args::Places;
use super::ask::interface;
use super::exit::{Exit, Failure, Outcome};
use super::keys::failure_to_load;
use super::output;
use crate::control::time::rfc3339;
use crate::daemon::load::config_path;
use crate::io::clock::Clock;
use crate::io::keyfile::write_new_secret;

/// Number of the manifest's form.
const SCHEMA: u32 = 1;
/// Name of the manifest in the archive.
const MANIFEST: &str = "manifest.json";
/// What is not in it, for the one who is to send it.
const LEFT_OUT: [&str; 4] = [
    "keys, passwords and files with secrets: none is read",
    "key_IDs, except their ends",
    "inner addresses and allowed_ips",
    "comments and unknown keys of the configuration",
];

/// What is asked for.
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) out: Option<&'a Path>,
    pub(super) with_addresses: bool,
    pub(super) json: bool,
}

/// What the archive holds.
#[derive(Serialize)]
struct Manifest<'a> {
    schema: u32,
    interface: &'a str,
    time: &'a str,
    plait: &'static str,
    /// `running`, or why it does not answer.
    daemon: &'a str,
    with_addresses: bool,
    files: Vec<FileLine<'a>>,
    left_out: Vec<&'a str>,
    /// Where it is; not in the archive itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<String>,
}

#[derive(Serialize)]
struct FileLine<'a> {
    name: &'a str,
    bytes: usize,
    about: &'a str,
}

/// `plait report NAME [--out FILE] [--with-addresses] [--json]`.
pub(super) fn run(wanted: &Wanted<'_>, places: &Places) -> Outcome {
    let name = interface(wanted.name)?;
    let time = rfc3339(Clock::start().unix());
    let stem = format!("plait-report-{name}-{}", time.replace(['-', ':'], ""));
    let out = wanted.out.map_or_else(|| PathBuf::from(format!("{stem}.tar.gz")), Path::to_path_buf);
    // Before the work: nobody waits for a report that cannot be written.
    if std::fs::symlink_metadata(&out).is_ok() {
        return Err(Failure::new(Exit::Failure, format!("{} is there: nothing is overwritten", out.display())));
    }
    let matter = Matter::collect(&name, &config_path(wanted.name), wanted.with_addresses, places)?;
    let mut manifest = manifest(&name, &time, &matter);
    let mut files = vec![(MANIFEST.to_owned(), to_json(&manifest))];
    files.extend(matter.parts.iter().map(|part| (part.name.to_owned(), part.text.clone())));
    let packed = pack(&stem, &files).map_err(|error| Failure::io("cannot pack", &error))?;
    write_new_secret(&out, &packed).map_err(|error| failure_to_load(error.into()))?;
    output::talk("look through it before you send it: names of peers, SAEs and files are in it");
    manifest.archive = Some(out.display().to_string());
    output::data(&if wanted.json { to_json(&manifest) } else { format!("{}\n", out.display()) })
}

fn manifest<'a>(name: &'a str, time: &'a str, matter: &'a Matter) -> Manifest<'a> {
    let line = |part: &'a Part| FileLine { name: part.name, bytes: part.text.len(), about: part.about };
    let mut left_out = LEFT_OUT.to_vec();
    if !matter.with_addresses {
        left_out.push("addresses and hosts of the underlay and of KMEs (--with-addresses)");
    }
    Manifest {
        schema: SCHEMA,
        interface: name,
        time,
        plait: env!("CARGO_PKG_VERSION"),
        daemon: &matter.daemon,
        with_addresses: matter.with_addresses,
        files: matter.parts.iter().map(line).collect(),
        left_out,
        archive: None,
    }
}

fn to_json(manifest: &Manifest<'_>) -> String {
    // It holds only texts, numbers and lists: there is nothing that JSON cannot say.
    serde_json::to_string(manifest).unwrap_or_default() + "\n"
}
