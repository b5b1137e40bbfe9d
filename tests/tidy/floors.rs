//! Floors: which module may name which, read from the table that `src/lib.rs` is.

use crate::source;

/// Module and floor, in the order of `src/lib.rs`: a comment `// F3 ...` opens a floor, `pub mod x;` stands on it.
pub(crate) fn table(lib: &str) -> Vec<(String, u32)> {
    let mut floor = None;
    let mut table = Vec::new();
    for line in lib.lines() {
        let number = line.strip_prefix("// F").and_then(|rest| rest.split(' ').next()).and_then(|n| n.parse().ok());
        floor = number.or(floor);
        if let (Some(floor), Some(name)) = (floor, module_line(line)) {
            table.push((name.to_owned(), floor));
        }
    }
    table
}

/// The modules above the purity line of `src/lib.rs`.
pub(crate) fn pure_modules(lib: &str) -> Vec<String> {
    let above = lib.split("the purity line:").next().unwrap_or_default();
    above.lines().filter_map(module_line).map(str::to_owned).collect()
}

fn module_line(line: &str) -> Option<&str> {
    line.strip_prefix("pub mod ")?.strip_suffix(';')
}

/// Top module of a file under `src/`.
pub(crate) fn module_of(path: &str) -> &str {
    let inner = path.strip_prefix("src/").unwrap_or(path);
    inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs")
}

/// Every `crate::x` whose floor is not strictly below this file's, its own module excepted.
pub(crate) fn violations(table: &[(String, u32)], path: &str, text: &str) -> Vec<String> {
    let module = module_of(path);
    let floor_of = |name: &str| table.iter().find(|(known, _)| known == name).map(|(_, floor)| *floor);
    let Some(own) = floor_of(module) else { return Vec::new() };
    let code = source::code(text);
    let mut wrong = Vec::new();
    for (at, name) in names_after(&code, "crate::").into_iter().chain(escapes(path, &code)) {
        if name != module && floor_of(&name).is_none_or(|floor| floor >= own) {
            let line = source::line(code.as_bytes(), at);
            wrong.push(format!("{path}:{line}: {module} (F{own}) names crate::{name}, which is not below it"));
        }
    }
    wrong
}

/// Names that follow `prefix`, a group in braces included.
fn names_after(code: &str, prefix: &str) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        if source::word_before(code.as_bytes(), at) {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(_) => {
                let end = source::closing(rest.as_bytes(), 0);
                names.extend(group(&rest[1..end - 1]).into_iter().map(|name| (at, name)));
            }
            None => names.push((at, identifier(rest))),
        }
    }
    names
}

/// First names of the members of an import group.
fn group(inner: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut start = 0;
    for (at, letter) in inner.char_indices().chain([(inner.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(identifier(inner[start..at].trim()));
                start = at + 1;
            }
            _ => {}
        }
    }
    names.into_iter().filter(|name| !name.is_empty()).collect()
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

/// Names reached by climbing out of the module with `super::super::..`.
fn escapes(path: &str, code: &str) -> Vec<(usize, String)> {
    let depth = path.trim_end_matches("/mod.rs").trim_end_matches(".rs").matches('/').count();
    names_after(code, &"super::".repeat(depth))
}

/// What a leaf takes from the `mod.rs` above it: names of its folder that are not files of it.
pub(crate) fn leaf_violations(paths: &[&str], path: &str, text: &str) -> Vec<String> {
    let Some((folder, leaf)) = path.strip_prefix("src/").and_then(|inner| inner.rsplit_once('/')) else {
        return Vec::new();
    };
    if leaf == "mod.rs" || leaf == "tests.rs" {
        return Vec::new();
    }
    let code = outer(&source::product(text));
    let siblings = |name: &str| {
        [format!("src/{folder}/{name}.rs"), format!("src/{folder}/{name}/mod.rs")]
            .iter()
            .any(|file| paths.contains(&file.as_str()))
    };
    let own = format!("crate::{}::", folder.replace('/', "::"));
    let upward = names_after(&code, &own).into_iter().chain(names_after(&code, "super::"));
    let wrong = upward.filter(|(_, name)| name != "super" && !siblings(name) && !name.is_empty());
    wrong
        .map(|(at, name)| format!("{path}:{}: a leaf takes {name} from its mod.rs", source::line(code.as_bytes(), at)))
        .collect()
}

/// Code without the bodies of inline modules, where `super` is the leaf itself.
fn outer(code: &str) -> String {
    let mut out = code.as_bytes().to_vec();
    for (at, _) in code.match_indices("mod ") {
        let name = identifier(&code[at + 4..]);
        let open = at + 4 + name.len() + 1;
        if !source::word_before(code.as_bytes(), at) && code.as_bytes().get(open) == Some(&b'{') {
            let end = source::closing(code.as_bytes(), open);
            out[open..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        }
    }
    String::from_utf8(out).expect("only whole characters were blanked")
}

#[test]
fn an_upward_import_is_found() {
    let table = table("// F0 words\npub mod types;\n// F1\npub mod wire;\npub mod crypto;\n// F2 x\npub mod keys;\n");
    assert_eq!(table.len(), 4);
    let wrong = |path: &str, text: &str| violations(&table, path, text).len();
    assert_eq!(wrong("src/keys/a.rs", "use crate::wire::x; use crate::types::y; use crate::keys::z;"), 0);
    assert_eq!(wrong("src/wire/a.rs", "use crate::keys::x;"), 1);
    assert_eq!(wrong("src/wire/a.rs", "fn f() { crate::crypto::g() }"), 1);
    assert_eq!(wrong("src/wire/a.rs", "use crate::{types::{a, b}, keys::c};"), 1);
    assert_eq!(wrong("src/types/mod.rs", "pub use super::wire::A;"), 1);
    assert_eq!(wrong("src/types/id.rs", "use super::super::wire::A;"), 1);
    assert_eq!(wrong("src/wire/a.rs", "// crate::keys::x\nconst A: &str = \"crate::keys\";"), 0);
    assert_eq!(wrong("src/wire/a.rs", "use crate::Reexported;"), 1);
}

#[test]
fn a_leaf_that_takes_from_its_mod_rs_is_found() {
    let paths = ["src/wire/mod.rs", "src/wire/field.rs", "src/wire/slots.rs"];
    let wrong = |path: &str, text: &str| leaf_violations(&paths, path, text).len();
    assert_eq!(wrong("src/wire/slots.rs", "use super::field::Reader; use crate::wire::field::Writer;"), 0);
    assert_eq!(wrong("src/wire/slots.rs", "use super::Datagram;"), 1);
    assert_eq!(wrong("src/wire/slots.rs", "use crate::wire::{field::Reader, Datagram};"), 1);
    assert_eq!(wrong("src/wire/slots.rs", "#[cfg(test)]\nmod tests { use super::*; }"), 0);
    assert_eq!(wrong("src/wire/slots.rs", "struct Own;\nmod inner { use super::Own; }\nuse super::field::x;"), 0);
    assert_eq!(wrong("src/wire/mod.rs", "pub use self::field::Reader;"), 0);
}
