//! `offload`: which kinds of help from the kernel may be used.

use toml::Spanned;

use super::file::{OffloadSection, OffloadWritten};
use super::model::Backend;
use super::reader::Reader;
use super::value::Written;
use crate::types::nearest::nearest;
use crate::types::offload::{Offload, OffloadSet};

/// What needs a TUN interface that takes super-packets.
const OF_THE_INTERFACE: [Offload; 2] = [Offload::Tso, Offload::Uso];

/// The set that is asked for; what is not written is on, as far as the backend has it.
pub(super) fn resolve(
    reader: &mut Reader<'_>,
    value: Option<&Spanned<OffloadWritten>>,
    backend: Backend,
) -> OffloadSet {
    let possible = match backend {
        Backend::TunRs => OffloadSet::ALL,
        Backend::TunTap => OF_THE_INTERFACE.into_iter().fold(OffloadSet::ALL, OffloadSet::without),
    };
    let Some(at) = value else { return possible };
    match at.get_ref() {
        OffloadWritten::Word(word) if word == "auto" => possible,
        OffloadWritten::Word(word) if word == "off" => OffloadSet::NONE,
        OffloadWritten::Word(word) => {
            let guess = nearest(word, ["auto", "off"]);
            let expected = "\"auto\", \"off\" or switches such as { uso = false }";
            reader.expected(at, "offload", expected, &format!("{word:?}{guess}"));
            possible
        }
        OffloadWritten::Switches(written) => switches(reader, written, possible),
    }
}

fn switches(reader: &mut Reader<'_>, written: &OffloadSection, possible: OffloadSet) -> OffloadSet {
    let mut set = OffloadSet::NONE;
    for (offload, at) in each(written) {
        let wanted = reader.switch(offload.name(), at);
        if wanted.unwrap_or_else(|| possible.has(offload)) {
            set = set.with(offload);
        }
        if let Some(at) = at
            && wanted == Some(true)
            && !possible.has(offload)
        {
            reader.fail(at, format!("{}: backend \"tun-tap\" takes single packets only", offload.name()));
        }
    }
    if set.has(Offload::Uso) && !set.has(Offload::Tso) {
        // Left out it follows; asked for it is a mistake.
        if let Some(at) = written.uso.as_ref().filter(|at| *at.get_ref() == Written::Switch(true)) {
            reader.fail(at, "uso: the kernel takes UDP super-packets only together with TCP's: set tso = true");
        }
        set = set.without(Offload::Uso);
    }
    set
}

fn each(written: &OffloadSection) -> [(Offload, Option<&Spanned<Written>>); Offload::ALL.len()] {
    let OffloadSection { tso, uso, gso, gro, bundle } = written;
    let written = [tso, uso, gso, gro, bundle].map(Option::as_ref);
    let mut of = written.into_iter();
    Offload::ALL.map(|offload| (offload, of.next().flatten()))
}
