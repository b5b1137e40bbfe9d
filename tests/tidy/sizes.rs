//! Sizes: a file is one idea, a function is one screen, and the first line says which idea.

use crate::source;

/// Lines of a file, tests included.
const FILE_LINES_MAX: usize = 500;
/// Lines of a function, from `fn` to its closing brace: the same as `too-many-lines-threshold` in `.clippy.toml`.
const FUNCTION_LINES_MAX: usize = 70;

/// Files and functions that are too long.
pub(crate) fn violations(path: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        wrong.push(format!("{path}: {lines} lines"));
    }
    for (name, first, last) in functions(&source::code(text)) {
        let lines = last - first + 1;
        if lines > FUNCTION_LINES_MAX {
            wrong.push(format!("{path}:{first}: fn {name} has {lines} lines"));
        }
    }
    wrong
}

/// Name, first and last line of every function with a body.
fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let name: String = code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if source::word_before(bytes, at) || name.is_empty() {
            continue;
        }
        let Some(open) = body(bytes, at) else { continue };
        let end = source::closing(bytes, open);
        found.push((name, source::line(bytes, at), source::line(bytes, end - 1)));
    }
    found
}

/// The brace that opens the body: the first one outside the parentheses and brackets of the signature.
fn body(code: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0;
    for (at, byte) in code.iter().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(at),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// A file whose first line is not its one sentence.
pub(crate) fn first_line(path: &str, text: &str) -> Vec<String> {
    let first = text.lines().next().unwrap_or_default();
    match first.strip_prefix("//! ") {
        Some(sentence) if !sentence.trim().is_empty() => Vec::new(),
        Some(_) | None => vec![format!("{path}: the first line is not `//! ` and a sentence")],
    }
}

#[test]
fn a_long_file_and_a_long_function_are_found() {
    let long = |lines: usize| format!("//! x\nfn long(a: [u8; 3]) {{\n{}}}\n", "    f();\n".repeat(lines));
    assert!(violations("a.rs", &long(FUNCTION_LINES_MAX - 2)).is_empty());
    assert_eq!(violations("a.rs", &long(FUNCTION_LINES_MAX - 1)).len(), 1);
    assert!(violations("a.rs", &"\n".repeat(FILE_LINES_MAX)).is_empty());
    assert_eq!(violations("a.rs", &"\n".repeat(FILE_LINES_MAX + 1)).len(), 1);
    assert!(violations("a.rs", &format!("trait A {{\nfn f();\n{}}}", "const X: u8 = 1;\n".repeat(100))).is_empty());
}

#[test]
fn a_file_without_its_sentence_is_found() {
    assert!(first_line("a.rs", "//! One idea.\n").is_empty());
    for text in ["use x;\n", "//!\n", "// x\n", ""] {
        assert_eq!(first_line("a.rs", text).len(), 1);
    }
}
