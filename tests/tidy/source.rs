//! Rust text with comments, strings and unit tests blanked out, so that rules see code only.

/// Replaces comments and the contents of string and character literals by spaces; lines stay where they are.
pub(crate) fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => find(bytes, at, b"\n").unwrap_or(bytes.len()),
            b'/' if bytes[at..].starts_with(b"/*") => block_comment(bytes, at),
            b'"' => string(bytes, at),
            b'r' if !word_before(bytes, at) && raw_hashes(bytes, at).is_some() => raw_string(bytes, at),
            b'\'' => character(bytes, at),
            _ => at,
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8(out).expect("only whole characters were blanked")
}

/// `code` without the bodies of items under `#[cfg(test)]`.
pub(crate) fn product(text: &str) -> String {
    let mut code = code(text).into_bytes();
    let mut from = 0;
    while let Some(start) = find(&code, from, b"#[cfg(test)]") {
        let body = find(&code, start, b"{");
        let semicolon = find(&code, start, b";").unwrap_or(code.len());
        let end = match body {
            Some(open) if open < semicolon => closing(&code, open),
            Some(_) | None => semicolon,
        };
        for byte in &mut code[start..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        from = end.max(start + 1);
    }
    String::from_utf8(code).expect("only whole characters were blanked")
}

/// Position just past the brace that closes the one at `open`.
pub(crate) fn closing(code: &[u8], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.iter().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// Line number, from 1, of a position.
pub(crate) fn line(text: &[u8], at: usize) -> usize {
    text[..at].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// First place of `needle` at or after `from`.
pub(crate) fn find(text: &[u8], from: usize, needle: &[u8]) -> Option<usize> {
    text.get(from..)?.windows(needle.len()).position(|window| window == needle).map(|at| from + at)
}

/// Whether the byte before `at` belongs to a name.
pub(crate) fn word_before(text: &[u8], at: usize) -> bool {
    at > 0 && (text[at - 1].is_ascii_alphanumeric() || text[at - 1] == b'_')
}

fn block_comment(bytes: &[u8], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = at;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn string(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn raw_hashes(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    (bytes.get(at + 1 + hashes) == Some(&b'"')).then_some(hashes)
}

fn raw_string(bytes: &[u8], at: usize) -> usize {
    let hashes = raw_hashes(bytes, at).unwrap_or(0);
    let mut end = vec![b'"'];
    end.extend(std::iter::repeat_n(b'#', hashes));
    find(bytes, at + 2 + hashes, &end).map_or(bytes.len(), |found| found + end.len())
}

/// A character literal; a lifetime has no closing quote where one would stand.
fn character(bytes: &[u8], at: usize) -> usize {
    if bytes.get(at + 1) == Some(&b'\\') {
        return find(bytes, at + 3, b"'").map_or(at, |end| end + 1);
    }
    let width = (at + 2..=at + 5).find(|end| bytes.get(*end) == Some(&b'\''));
    match width {
        Some(end) if std::str::from_utf8(&bytes[at + 1..end]).is_ok_and(|inner| inner.chars().count() == 1) => end + 1,
        Some(_) | None => at,
    }
}

#[test]
fn comments_strings_and_characters_are_blank() {
    let text =
        "a(\"crate::x {\"); // crate::y\nlet b = '{'; r#\"crate::\"z\"#; fn f<'a>(c: &'a str) {} /* d /* e */ */ g";
    let blank = code(text);
    assert_eq!(blank.len(), text.len());
    assert!(!blank.contains("crate") && !blank.contains(" e ") && blank.contains("<'a>") && blank.ends_with('g'));
    assert_eq!(blank.matches('{').count(), 1);
}

#[test]
fn tests_are_not_product() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { x.unwrap() } }\n#[cfg(test)]\nmod more;\nfn c() {}";
    let product = product(text);
    assert!(!product.contains("unwrap") && !product.contains("more"));
    assert!(product.contains("fn a") && product.contains("fn c"));
}
