//! `plait kme test`: one key, and everything about a KME that can be judged from one site.

pub(in crate::cli) mod connection;
pub(in crate::cli) mod grade;
mod keys;
pub(in crate::cli) mod report;

use std::io::Write;
use std::path::{Path, PathBuf};

use self::grade::{Findings, Grade};
use self::report::{KeyShown, TestReport};
use super::args::TestOrder;
use super::ask::{checked, fingerprint};
use super::target::Found;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::output;

/// Looks, draws one key or fetches the one of `--with`, and shows what was found. Code 1 if a check failed.
pub(super) async fn run(kme: &Found, order: &TestOrder) -> Outcome {
    let with = order.with.clone().map(checked).transpose()?;
    refuse_existing(order.report.as_ref())?;
    let (shown, url) = (&kme.shown, kme.client.https.url().authority());
    let spent = if with.is_none() { "draws one new key" } else { "fetches the key of that key_ID" };
    output::talk(&format!("asking the KME at {url}; this {spent}"));
    let mut findings = Findings::default();
    let looked = connection::look(kme, &mut findings).await;
    let key = match (&looked.status, &with) {
        // Without a connection every other check would fail by the same cause.
        (None, _) if looked.seen.is_none() => None,
        (_, None) => keys::issue(kme, &mut findings).await,
        (_, Some(id)) => keys::fetch(kme, id, &mut findings).await,
    };
    let key = key.map(|key| KeyShown {
        id: key.key_id.as_str().to_owned(),
        bits: key.material.len() * 8,
        fingerprint: fingerprint(&key),
    });
    let report = TestReport::new(kme, &looked, key.as_ref(), &findings);
    if let Some(path) = &order.report {
        write(path, &report.markdown())?;
    }
    output::data(&if order.json { report.json() } else { report.text() })?;
    if let (Some(key), None) = (&key, &with) {
        let id = &key.id;
        output::talk(&format!(
            "one key is spent; at the other site run\n  plait kme test {shown} --with {id}\nand compare the fingerprints"
        ));
    }
    match findings.first(Grade::Fail) {
        None => Ok(Exit::Ok),
        Some(check) => Err(Failure::new(Exit::Failure, format!("{}: {}", check.name, check.text))),
    }
}

fn refuse_existing(path: Option<&PathBuf>) -> Result<(), Failure> {
    match path.filter(|path| std::fs::symlink_metadata(path).is_ok()) {
        None => Ok(()),
        Some(path) => Err(exists(path)),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| {
        let is_there = error.kind() == std::io::ErrorKind::AlreadyExists;
        if is_there { exists(path) } else { Failure::io(path.display(), &error) }
    })
}

fn exists(path: &Path) -> Failure {
    Failure::new(Exit::Failure, format!("{} exists and is not overwritten; choose another name", path.display()))
}
