//! Words: what product code must not say, and where clocks, sockets and runtimes may be named.

use crate::source;

/// Never in product code: they are a promise, a leftover or a panic.
const BANNED: [&str; 4] = ["todo!", "unimplemented!", "dbg!", ".unwrap()"];
/// Never in a comment: unfinished work is finished or written down elsewhere.
const LEFTOVERS: [&str; 3] = ["TODO", "FIXME", "XXX"];
/// What reads the world: only below the purity line.
const IMPURE: [&str; 24] = [
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "std::io::std",
    "std::time::Instant",
    "SystemTime",
    "Instant::now",
    "std::os::",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "UnixStream",
    "UnixListener",
    "tokio",
    "async fn",
    "getrandom",
    "OsRng",
    "thread_rng",
    "nix::",
    "libc::",
    "socket2",
    "rustls",
    "hyper",
];
/// Iteration over these has no order, and the same inputs must give the same bytes.
const UNORDERED: [&str; 2] = ["HashMap", "HashSet"];

/// Banned words in product code and leftovers in its comments.
pub(crate) fn banned(path: &str, text: &str) -> Vec<String> {
    if path.ends_with("/tests.rs") || path.contains("/tests/") {
        return Vec::new();
    }
    let mut wrong = hits(path, &source::product(text), &BANNED, "is banned");
    wrong.extend(hits(path, text, &LEFTOVERS, "is unfinished work"));
    wrong
}

/// Names of clocks, sockets, files, runtimes and unordered maps.
pub(crate) fn impure(path: &str, text: &str) -> Vec<String> {
    if path.ends_with("/tests.rs") || path.contains("/tests/") {
        return Vec::new();
    }
    let code = source::product(text);
    let mut wrong = hits(path, &code, &IMPURE, "stands above the purity line");
    wrong.extend(hits(path, &code, &UNORDERED, "has no order; take a BTreeMap"));
    wrong
}

/// A test that does not run is worse than none: it looks like one.
pub(crate) fn ignored(path: &str, text: &str) -> Vec<String> {
    hits(path, &source::code(text), &["#[ignore", "#[cfg_attr(miri, ignore"], "skips a test")
}

/// Paths of one machine and addresses of one network's mirrors.
pub(crate) fn machine(path: &str, text: &str) -> Vec<String> {
    let folders = ["work", "root", "home"].map(|name| format!("/{name}/"));
    let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
    let mut wrong = hits(path, text, &folders, "is a path of one machine");
    if path.starts_with(".cargo/") {
        wrong.push(format!("{path}: where crates come from is the machine's affair, not the repository's"));
    }
    wrong
}

fn hits(path: &str, text: &str, words: &[&str], why: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for word in words {
        for (at, _) in text.match_indices(word) {
            let starts_a_name = word.starts_with(|letter: char| letter.is_alphabetic());
            if !(starts_a_name && source::word_before(text.as_bytes(), at)) {
                wrong.push(format!("{path}:{}: {word} {why}", source::line(text.as_bytes(), at)));
            }
        }
    }
    wrong
}

#[test]
fn a_banned_word_is_found() {
    for word in BANNED {
        assert_eq!(
            banned(
                "src/a.rs",
                &format!("fn f() {{ x{word} }}")
                    .replace("xtodo", "x; todo")
                    .replace("xun", "x; un")
                    .replace("xdbg", "x; dbg")
            )
            .len(),
            1,
            "{word}"
        );
        assert!(
            banned("src/a.rs", &format!("// {word}\n#[cfg(test)]\nmod tests {{ fn f() {{ {word} }} }}")).is_empty()
        );
    }
    assert_eq!(banned("src/a.rs", &format!("// {}: later", LEFTOVERS[0])).len(), 1);
    assert!(banned("src/a.rs", "fn f() { x.unwrap_or(0) }").is_empty());
}

#[test]
fn an_impure_name_is_found() {
    for word in IMPURE.iter().chain(&UNORDERED) {
        assert_eq!(impure("src/engine/a.rs", &format!("use {word};")).len().min(1), 1, "{word}");
    }
    assert!(impure("src/engine/a.rs", "use crate::types::time::Instant; // tokio").is_empty());
    assert!(impure("src/engine/a.rs", "#[cfg(test)]\nmod tests { use std::fs; }").is_empty());
}

#[test]
fn an_ignored_test_is_found() {
    assert_eq!(ignored("tests/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}").len(), 1);
    assert!(ignored("tests/a.rs", "// #[ignore]\n#[test]\nfn f() {}").is_empty());
}

#[test]
fn a_path_of_one_machine_is_found() {
    assert_eq!(machine("README.md", &format!("see {}x", ["", "home", ""].join("/"))).len(), 1);
    assert_eq!(machine(".cargo/config.toml", "").len(), 1);
    assert!(machine("README.md", "see /etc/plait/hq.toml and the frameworks/x").is_empty());
}
