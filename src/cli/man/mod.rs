//! `plait man`: manual pages made from the same tree as the help, and plait.toml(5) from docs/CONFIG.md.

mod document;

use std::io;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use self::document::sections;
use super::args::Arguments;
use super::exit::{Exit, Failure, Outcome};
use super::output;

/// The reference of the configuration.
const CONFIGURATION: &str = include_str!("../../../docs/CONFIG.md");
/// What the environment says to every verb.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("PLAIT_LOG", "Level of the log lines of daemons, such as info or debug; events do not depend on it."),
    ("NO_COLOR", "If it is set and not empty, nothing is coloured."),
    (
        "CREDENTIALS_DIRECTORY",
        "Where systemd puts credentials: files named in a configuration are looked for here first.",
    ),
];
/// What lies where.
const FILES: [(&str, &str); 3] = [
    ("/etc/plait/NAME.toml", "Configuration of the interface NAME: plait.toml(5)."),
    ("/run/plait/NAME.sock", "Control socket of a running daemon (--run-dir)."),
    ("/var/lib/plait/NAME/", "What outlives a restart: ratchet, policy clock, events, audit (--state-dir)."),
];

/// `plait man [--dir DIR]`: plait(1), or every page in a folder.
pub(super) fn run(dir: Option<&Path>) -> Outcome {
    let failure = |error| Failure::io("cannot make the pages", &error);
    let pages = pages().map_err(failure)?;
    let Some(dir) = dir else {
        let first = pages.into_iter().next().unwrap_or_default();
        return output::data(&first.1);
    };
    std::fs::create_dir_all(dir).map_err(|error| Failure::io(dir.display(), &error))?;
    for (name, text) in &pages {
        let path = dir.join(name);
        std::fs::write(&path, text).map_err(|error| Failure::io(path.display(), &error))?;
    }
    output::talk(&format!("{} pages in {}", pages.len(), dir.display()));
    Ok(Exit::Ok)
}

/// Every page with its file name; plait(1) is the first.
fn pages() -> io::Result<Vec<(String, String)>> {
    let mut root = Arguments::command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    verb(&root, true, &mut pages)?;
    pages.push(("plait.toml.5".to_owned(), configuration()?));
    Ok(pages)
}

fn verb(command: &Command, is_root: bool, pages: &mut Vec<(String, String)>) -> io::Result<()> {
    let man = Man::new(command.clone()).source(source()).manual("plait");
    let name = man.get_filename();
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    ends(command, is_root).to_writer(&mut page)?;
    pages.push((name, text(page)?));
    command.get_subcommands().filter(|verb| !verb.is_hide_set()).try_for_each(|inner| verb(inner, false, pages))
}

/// The example; on plait(1) what holds for all verbs.
fn ends(command: &Command, is_root: bool) -> Roff {
    let mut roff = Roff::new();
    if is_root {
        list(&mut roff, "EXIT STATUS", Exit::ALL.map(|(exit, meaning)| ((exit as u8).to_string(), meaning)));
        list(&mut roff, "ENVIRONMENT", ENVIRONMENT.map(|(name, meaning)| (name.to_owned(), meaning)));
        list(&mut roff, "FILES", FILES.map(|(name, meaning)| (name.to_owned(), meaning)));
    } else if let Some(help) = command.get_after_help() {
        let help = help.to_string();
        roff.control("SH", ["EXAMPLE"]);
        roff.control("nf", []);
        for line in help.lines() {
            roff.text([roman(line.trim_start().trim_start_matches("Example: "))]);
        }
        roff.control("fi", []);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("plait"), roman("(1), "), bold("plait.toml"), roman("(5)")]);
    roff
}

fn list<const N: usize>(roff: &mut Roff, heading: &str, entries: [(String, &str); N]) {
    roff.control("SH", [heading]);
    for (name, meaning) in entries {
        roff.control("TP", []);
        roff.text([bold(name)]);
        roff.text([roman(meaning)]);
    }
}

fn configuration() -> io::Result<String> {
    let mut roff = Roff::new();
    roff.control("TH", ["plait.toml", "5", "", source().as_str(), "plait"]);
    roff.control("SH", ["NAME"]);
    let name: [Inline; 1] = [roman("plait.toml - configuration of a plait interface")];
    roff.text(name);
    roff.control("SH", ["DESCRIPTION"]);
    sections(&mut roff, CONFIGURATION);
    let mut page = Vec::new();
    roff.to_writer(&mut page)?;
    text(page)
}

fn source() -> String {
    format!("plait {}", env!("CARGO_PKG_VERSION"))
}

fn text(page: Vec<u8>) -> io::Result<String> {
    String::from_utf8(page).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_a_page_with_an_example() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[0], "plait.1");
        for name in ["plait-up.1", "plait-kme-status.1", "plait-audit-verify.1", "plait.toml.5"] {
            assert!(names.contains(&name), "{name} is not among {names:?}");
        }
        for (name, page) in &pages[1..] {
            assert!(
                page.contains(".SH EXAMPLE") || page.contains(".SH SUBCOMMANDS") || name.ends_with(".5"),
                "{name}: {page}"
            );
        }
    }

    /// Verbs without verbs of their own whose help has no example of them.
    fn without_example(command: &Command, found: &mut Vec<String>) {
        let name = command.get_bin_name().unwrap_or_default();
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let words: Vec<&str> = name.split(' ').collect();
        // The name of a pair stands between `link` and its order.
        let is_shown = help.starts_with("Example: plait") && words.iter().all(|word| help.contains(word));
        if !command.has_subcommands() && !command.is_hide_set() && !is_shown {
            found.push(name.to_owned());
        }
        command.get_subcommands().for_each(|inner| without_example(inner, found));
    }

    #[test]
    fn the_help_of_every_verb_has_an_example_of_it() {
        let mut root = Arguments::command().disable_help_subcommand(true);
        root.build();
        let mut found = Vec::new();
        without_example(&root, &mut found);
        assert_eq!(found, [] as [String; 0]);
        without_example(&Command::new("silent").bin_name("plait silent"), &mut found);
        assert_eq!(found, ["plait silent"], "one without is found");
    }

    #[test]
    fn the_first_page_lists_every_exit_code() {
        let page = pages().unwrap().remove(0).1;
        for (exit, meaning) in Exit::ALL {
            assert!(page.contains(&format!("\\fB{}\\fR\n{meaning}", exit as u8)), "{exit:?}: {page}");
        }
    }

    #[test]
    fn the_reference_of_the_configuration_has_its_keys() {
        let page = configuration().unwrap();
        for words in ["\\fBhold_last\\fR\n", "\\fBallowed_ips\\fR\n", "[[qkd]]", "default: "] {
            assert!(page.contains(words), "no {words}: {page}");
        }
        assert!(!page.contains("|---") && !page.contains("```"), "{page}");
    }
}
