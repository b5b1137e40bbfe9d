//! One peer more or less in the text of a configuration: everything else keeps its bytes, comments too.
//!
//! Sections are found by the places that the TOML parser gives, cut and joined as text, and what comes out is read
//! again: if it says anything but what was wanted, nothing is changed.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Place;
use super::file::{File, written};
use crate::types::limits::PEER_SECTIONS_BYTES_MAX;
use crate::types::nearest::nearest;

/// A text with one peer more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The whole configuration.
    pub text: String,
    /// Name of the new peer.
    pub peer: String,
    /// Line at which the new sections begin, from 1.
    first: usize,
    /// Lines of the whole text, after `first`, that were put in.
    inserted: Vec<usize>,
}

impl Added {
    /// The line of the new sections, as they were handed over, that is this line of the whole text.
    pub fn line(&self, whole: usize) -> Option<usize> {
        let own = (whole + 1).checked_sub(self.first).filter(|own| *own > 0)?;
        Some(own - self.inserted.iter().filter(|line| **line <= whole).count())
    }
}

/// Why a text was not changed: what was expected, what came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditError(String);

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EditError {}

fn refuse<T>(text: impl Into<String>) -> Result<T, EditError> {
    Err(EditError(text.into()))
}

/// Appends one `[[peer]]` section and the `[[qkd]]` sections that key it. What has left out its peer while there was
/// only one says it from then on.
///
/// # Errors
/// The sections are too large, are no TOML, are others than these, or name a peer that is there.
pub fn add_peer(text: &str, sections: &str) -> Result<Added, EditError> {
    if sections.len() > PEER_SECTIONS_BYTES_MAX {
        let came = sections.len();
        return refuse(format!("the new sections have {came} bytes, at most {PEER_SECTIONS_BYTES_MAX} are taken"));
    }
    let new = written(sections).map_err(|error| placed(error.place, &error.text))?;
    let peer = only_peer(&new)?;
    let old = read(text)?;
    if old.peer.iter().any(|known| name_of(known.get_ref().name.as_ref()) == peer) {
        return refuse(format!(
            "name: there is a peer {peer:?} already; choose another name, or change the file and reload"
        ));
    }
    let mut whole = match old.peer.as_slice() {
        [only] => with_owner(text, &old, name_of(only.get_ref().name.as_ref())).0,
        _ => text.to_owned(),
    };
    if !is_last_line_whole(&whole) {
        whole.push('\n');
    }
    whole.push('\n');
    let first = whole.matches('\n').count() + 1;
    let (sections, inserted) = with_owner(sections, &new, &peer);
    whole.push_str(&sections);
    if !is_last_line_whole(&whole) {
        whole.push('\n');
    }
    let is_as_wanted = table(&whole).is_some_and(|got| Some(got) == joined(text, &old, &sections));
    if !is_as_wanted {
        return refuse(
            "a section cannot be put behind this configuration (are peers written as one list in it?): change the \
             file by hand and reload",
        );
    }
    let inserted = inserted.into_iter().map(|line| line + first - 1).collect();
    Ok(Added { text: whole, peer, first, inserted })
}

/// Takes the `[[peer]]` section of that name out, with the `[[qkd]]` sections that key it and the comments directly
/// above each.
///
/// # Errors
/// There is no such peer, or its section cannot be cut out.
pub fn remove_peer(text: &str, name: &str) -> Result<String, EditError> {
    let old = read(text)?;
    let names: Vec<&str> = old.peer.iter().map(|peer| name_of(peer.get_ref().name.as_ref())).collect();
    let Some(place) = names.iter().position(|known| *known == name) else {
        let guess = nearest(name, names.iter().copied());
        return refuse(format!("no peer {name:?} in this interface: there are {}{guess}", names.join(", ")));
    };
    let is_of = |section: usize| {
        let owner = old.qkd.get(section).and_then(|section| section.get_ref().peer.as_ref());
        owner.map_or(names.len() == 1, |owner| owner.get_ref() == name)
    };
    let goes = |owner: Owner| match owner {
        Owner::Peer(section) => section == place,
        Owner::Qkd(section) => is_of(section),
        Owner::Other => false,
    };
    let Some(headers) = headers(text) else { return refuse("the configuration cannot be read") };
    let mut kept = String::with_capacity(text.len());
    let mut from = 0;
    for (at, (start, owner)) in headers.iter().enumerate() {
        let end = headers.get(at + 1).map_or(text.len(), |(start, _)| lead(text, *start));
        if goes(*owner) {
            kept.push_str(text.get(from..lead(text, *start)).unwrap_or_default());
            from = end;
        }
    }
    kept.push_str(text.get(from..).unwrap_or_default());
    if from == text.len() {
        kept.truncate(kept.trim_end().len());
        kept.push('\n');
    }
    let left = |mut table: toml::Table| {
        take(&mut table, "peer", |section| section == place);
        take(&mut table, "qkd", is_of);
        table
    };
    if table(&kept).is_some_and(|got| Some(got) == table(text).map(left)) {
        Ok(kept)
    } else {
        refuse("the peer's section cannot be cut out of this configuration: change the file by hand and reload")
    }
}

fn read(text: &str) -> Result<File, EditError> {
    written(text).map_err(|error| placed(error.place, &error.text))
}

fn placed(Place { line, column }: Place, text: &str) -> EditError {
    EditError(format!("line {line}, column {column}: {text}"))
}

fn name_of(name: Option<&Spanned<String>>) -> &str {
    name.map_or("", |name| name.get_ref().as_str())
}

/// The name of the peer that these sections are about, if they are about one and nothing else.
fn only_peer(new: &File) -> Result<String, EditError> {
    let other =
        [("interface", new.interface.is_some()), ("policy", new.policy.is_some()), ("status", new.status.is_some())];
    if let Some((section, _)) = other.iter().find(|(_, is_there)| *is_there) {
        return refuse(format!("expected one [[peer]] section and its [[qkd]] sections, came [{section}] too"));
    }
    let [peer] = new.peer.as_slice() else {
        return refuse(format!("expected one [[peer]] section, came {}", new.peer.len()));
    };
    let name = name_of(peer.get_ref().name.as_ref());
    if name.is_empty() {
        return refuse("name: this key is needed in [[peer]] and is missing");
    }
    let owners = new.qkd.iter().filter_map(|section| section.get_ref().peer.as_ref());
    match owners.map(Spanned::get_ref).find(|owner| *owner != name) {
        Some(other) => refuse(format!("peer: expected {name:?} in every [[qkd]] section, came {other:?}")),
        None => Ok(name.to_owned()),
    }
}

/// Writes the peer into every `[[qkd]]` section that has left it out; gives the lines of the new text that were put in.
fn with_owner(text: &str, file: &File, peer: &str) -> (String, Vec<usize>) {
    let line = format!("peer = {}\n", toml::Value::String(peer.to_owned()));
    let (mut whole, mut lines, mut from) = (String::with_capacity(text.len()), Vec::new(), 0);
    for section in file.qkd.iter().filter(|section| section.get_ref().peer.is_none()) {
        let Range { start, end } = section.span();
        let rest = text.get(end..).unwrap_or_default();
        let Some(length) = rest.find('\n').filter(|_| text.get(start..).is_some_and(|text| text.starts_with('[')))
        else {
            continue;
        };
        let to = end + length + 1;
        whole.push_str(text.get(from..to).unwrap_or_default());
        lines.push(whole.matches('\n').count() + 1);
        whole.push_str(&line);
        from = to;
    }
    whole.push_str(text.get(from..).unwrap_or_default());
    (whole, lines)
}

fn is_last_line_whole(text: &str) -> bool {
    text.is_empty() || text.ends_with('\n')
}

/// Whose section a header opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// A peer's, by its place.
    Peer(usize),
    /// A key source's, by its place.
    Qkd(usize),
    /// Any other.
    Other,
}

/// Where each `[..]` and `[[..]]` begins, in the order of the text.
fn headers(text: &str) -> Option<Vec<(usize, Owner)>> {
    let root = DeTable::parse(text).ok()?;
    let mut found = Vec::new();
    for (key, value) in root.get_ref() {
        let owner: fn(usize) -> Owner = match key.get_ref().as_ref() {
            "peer" => Owner::Peer,
            "qkd" => Owner::Qkd,
            _ => |_| Owner::Other,
        };
        if let DeValue::Array(sections) = value.get_ref() {
            sections.iter().enumerate().for_each(|(at, section)| collect(text, section, owner(at), &mut found));
        } else {
            collect(text, value, Owner::Other, &mut found);
        }
    }
    found.sort_by_key(|(start, _)| *start);
    Some(found)
}

/// A table with a header, and those inside it: `[peer.policy]`.
fn collect(text: &str, value: &Spanned<DeValue<'_>>, owner: Owner, found: &mut Vec<(usize, Owner)>) {
    let DeValue::Table(table) = value.get_ref() else { return };
    let start = value.span().start;
    if text.get(start..).is_some_and(|text| text.starts_with('[')) {
        found.push((start, owner));
    }
    table.iter().for_each(|(_, inner)| collect(text, inner, owner, found));
}

/// Where a section begins for a person: with the comment lines directly above its header.
fn lead(text: &str, header: usize) -> usize {
    let before = text.get(..header).unwrap_or_default();
    // Blanks may stand before a header.
    let mut start = before.rfind('\n').map_or(0, |end| end + 1);
    while let Some(above) = text.get(..start).and_then(|before| before.strip_suffix('\n')) {
        let line = above.rfind('\n').map_or(0, |end| end + 1);
        if !above.get(line..).is_some_and(|line| line.trim_start().starts_with('#')) {
            break;
        }
        start = line;
    }
    start
}

fn table(text: &str) -> Option<toml::Table> {
    text.parse().ok()
}

/// Removes the elements of a list; an empty one goes itself.
fn take(table: &mut toml::Table, key: &str, goes: impl Fn(usize) -> bool) {
    let Some(toml::Value::Array(list)) = table.get_mut(key) else { return };
    let mut place = 0;
    list.retain(|_| {
        place += 1;
        !goes(place - 1)
    });
    if list.is_empty() {
        table.remove(key);
    }
}

/// What the old text and the new sections say together.
fn joined(text: &str, old: &File, sections: &str) -> Option<toml::Table> {
    let (mut whole, mut new) = (table(text)?, table(sections)?);
    if let ([only], Some(toml::Value::Array(list))) = (old.peer.as_slice(), whole.get_mut("qkd")) {
        let name = name_of(only.get_ref().name.as_ref());
        for section in list.iter_mut().filter_map(toml::Value::as_table_mut) {
            section.entry("peer").or_insert_with(|| toml::Value::String(name.to_owned()));
        }
    }
    for key in ["peer", "qkd"] {
        let Some(toml::Value::Array(more)) = new.remove(key) else { continue };
        let list = whole.entry(key).or_insert_with(|| toml::Value::Array(Vec::new()));
        let toml::Value::Array(list) = list else { return None };
        list.extend(more);
    }
    Some(whole)
}

#[cfg(test)]
mod tests;
