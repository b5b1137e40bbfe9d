//! Documents that must keep up with the code: limits, cited sections, configuration keys.

/// Every `pub const` without a doc comment above it.
pub(crate) fn undocumented_limits(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut wrong = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let above = lines[..at].iter().rev().find(|above| !above.trim_start().starts_with("#["));
        if line.trim_start().starts_with("pub const ")
            && !above.is_some_and(|above| above.trim_start().starts_with("/// "))
        {
            wrong.push(format!("src/types/limits.rs:{}: {}", at + 1, line.trim()));
        }
    }
    wrong
}

/// Numbers of the headings of a document: `## 2.8a Policy clock` has 2.8a.
pub(crate) fn sections(document: &str) -> Vec<String> {
    let headings = document.lines().filter(|line| line.starts_with('#'));
    headings.filter_map(|line| number(line.trim_start_matches('#').trim_start())).map(|(section, _)| section).collect()
}

/// A section number at the start of a text and what follows it: digits, an optional part after a dot, an optional letter.
fn number(text: &str) -> Option<(String, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut end = digits(text);
    if end == 0 {
        return None;
    }
    let part = text[end..].strip_prefix('.').map_or(0, digits);
    if part > 0 {
        end += 1 + part;
        end += usize::from(text[end..].starts_with(|letter: char| letter.is_ascii_lowercase()));
    }
    Some((text[..end].to_owned(), &text[end..]))
}

/// Sections that a text cites after the word PROTOCOL, lists too, and that do not exist.
pub(crate) fn missing_sections(sections: &[String], path: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, cue) in text.match_indices("PROTOCOL ") {
        let mut rest = text[at + cue.len()..].trim_start_matches('§');
        while let Some((section, after)) = number(rest) {
            if !sections.contains(&section) {
                let line = text[..at].lines().count().max(1);
                wrong.push(format!("{path}:{line}: PROTOCOL {section} is no section of docs/PROTOCOL.md"));
            }
            let next = [", ", " and ", " to "].iter().find_map(|joint| after.strip_prefix(joint));
            rest = next.unwrap_or_default();
        }
    }
    wrong
}

/// Modules that the code map does not show.
pub(crate) fn unmapped<'a>(modules: impl Iterator<Item = &'a str>, map: &str) -> Vec<String> {
    let missing = modules.filter(|name| !map.contains(&format!("| `{name}/` |")));
    missing.map(|name| format!("docs/ARCHITECTURE.md does not show `{name}/` in its map")).collect()
}

/// The files that hold the configuration as written.
pub(crate) fn is_written_form(path: &str) -> bool {
    path.starts_with("src/config/file")
}

/// Keys of the configuration as written: fields of its structs, under their renamed names.
pub(crate) fn keys(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut keys = Vec::new();
    let mut renamed = None;
    for line in code.lines().map(str::trim) {
        if let Some((_, name)) = line.split_once("rename = \"").filter(|_| line.starts_with("#[serde(")) {
            renamed = name.split('"').next().map(str::to_owned);
            continue;
        }
        let field = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub ")).unwrap_or_default();
        if let Some((name, _)) = field.split_once(": ").filter(|(name, _)| is_name(name)) {
            keys.push(renamed.take().unwrap_or_else(|| name.to_owned()));
        }
    }
    keys
}

fn is_name(text: &str) -> bool {
    text.bytes().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_')
}

/// Keys that stand nowhere in the document as `key`.
pub(crate) fn unlisted(keys: &[String], document: &str) -> Vec<String> {
    let wrong = keys.iter().filter(|key| !document.contains(&format!("`{key}`")));
    wrong.map(|key| format!("docs/CONFIG.md does not list `{key}`")).collect()
}

#[test]
fn an_undocumented_limit_is_found() {
    let text = "/// Bytes.\n#[rustfmt::skip]\npub const A: usize = 1;\npub const B: usize = 2;\n";
    assert_eq!(undocumented_limits(text).len(), 1);
}

#[test]
fn a_section_that_does_not_exist_is_found() {
    let sections = sections("# 2. The handshake\n## 2.8a Policy clock\n## 2.5 Messages\ntext 2.9\n");
    assert_eq!(sections, ["2", "2.8a", "2.5"]);
    let missing = |text: &str| missing_sections(&sections, "a.rs", text).len();
    assert_eq!(missing("PROTOCOL 2.5, 2.8a and PROTOCOL 2: `x` (PROTOCOL §2.5)."), 0);
    assert_eq!(missing("PROTOCOL 2.9"), 1);
    assert_eq!(missing("PROTOCOL 2.5, 2.7"), 1);
    assert_eq!(missing("PROTOCOL 2.5, 3 of them"), 1);
}

#[test]
fn a_module_that_is_not_on_the_map_is_found() {
    let map = "| F1 | `wire/` | formats |\n";
    assert!(unmapped(["wire"].into_iter(), map).is_empty());
    assert_eq!(unmapped(["wire", "keys"].into_iter(), map).len(), 1);
}

#[test]
fn an_unlisted_key_is_found() {
    let text = "struct Policy {\n    pub hold_last: Option<String>,\n    #[serde(rename = \"type\")]\n    pub kind: Kind,\n}\n";
    let keys = keys(text);
    assert_eq!(keys, ["hold_last", "type"]);
    assert!(unlisted(&keys, "`hold_last` and `type`").is_empty());
    assert_eq!(unlisted(&keys, "`hold_last` and kind"), ["docs/CONFIG.md does not list `type`"]);
}
