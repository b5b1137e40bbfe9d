//! What runs with one peer more or less: a text that is loaded as if it stood in the file.

use std::path::Path;

use crate::config::edit::{Added, EditError, add_peer, remove_peer};
use crate::control::reload::Blame;
use crate::daemon::load::{LoadFailure, Loaded, load_text};
use crate::daemon::refused::Refused;
use crate::daemon::start::RunFailure;

/// With a peer more: these `[[peer]]` and `[[qkd]]` sections.
///
/// # Errors
/// The edit cannot be made, or what comes out is refused as a whole; places are those of the sections handed over.
pub(super) fn with_peer(file: &Path, runs: &str, sections: &str) -> Result<Loaded, Refused> {
    let added = add_peer(runs, sections).map_err(|error| refused(Blame::Configuration, &error))?;
    let loaded = load_text(file, added.text.clone(), Vec::new());
    loaded.map_err(|failure| refuse(failure, |text| in_sections(text, file, &added)))
}

/// Without the sections of this peer.
///
/// # Errors
/// There is no such peer, or what comes out is refused as a whole.
pub(super) fn without_peer(file: &Path, runs: &str, peer: &str) -> Result<Loaded, Refused> {
    let text = remove_peer(runs, peer).map_err(|error| refused(Blame::Request, &error))?;
    load_text(file, text, Vec::new()).map_err(|failure| refuse(failure, str::to_owned))
}

fn refused(blame: Blame, error: &EditError) -> Refused {
    Refused { blame, text: error.to_string() }
}

fn refuse(failure: LoadFailure, words: impl Fn(&str) -> String) -> Refused {
    let text = words(&failure.text);
    RunFailure::from(LoadFailure { text, ..failure }).into()
}

/// `FILE:LINE:` becomes `new sections:LINE:` where the place is in them: the file has no such line.
fn in_sections(text: &str, file: &Path, added: &Added) -> String {
    let prefix = format!("{}:", file.display());
    let own = |line: &str| {
        let (number, rest) = line.strip_prefix(&prefix)?.split_once(':')?;
        Some(format!("new sections:{}:{rest}", added.line(number.parse().ok()?)?))
    };
    text.lines().map(|line| own(line).unwrap_or_else(|| line.to_owned())).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_sections_that_were_handed_over() {
        let runs = "[interface]\nprivate_key_file = \"k\"\n[policy]\nqkd = \"off\"\n[[peer]]\nname = \"b\"\n\
                    public_key_file = \"b\"\nallowed_ips = [\"10.0.0.0/8\"]\n";
        let file = Path::new("/nowhere/hq.toml");
        let add = |sections: &str| with_peer(file, runs, sections).err().unwrap().text;
        let new = "# new\n[[peer]]\nname = \"c\"\npublic_key_file = \"c\"\n";
        let text = add(&format!("{new}allowed_ips = [\"10.7.0.0/16\"]\n"));
        let expected = "new sections:5:16: allowed_ips: \"10.7.0.0/16\" overlaps \"10.0.0.0/8\" of line 8";
        assert_eq!(text, expected);
        let text = add(&format!("{new}allowed_ips = [\"192.168.0.0/16\"]\nendpoint = \"c:1\"\n"));
        assert!(text.starts_with("new sections:6:12: endpoint: "), "{text}");
        let text = add(&format!("{new}allowed_ips = [\"192.168.0.0/16\"]\n"));
        assert!(text.contains("/nowhere/hq.toml:2:20: private_key_file"), "{text}");
        assert!(text.contains("new sections:4:19: public_key_file"), "{text}");
        let text = without_peer(file, runs, "b").err().unwrap().text;
        assert!(text.contains("expected 1 to") && text.contains("[[peer]]"), "{text}");
    }
}
