//! Peers come and go in texts of every style; what is not theirs keeps its bytes.

use super::*;

/// As a person writes: comments, blanks, a peer's own policy, and the section of a KME that does not name its peer.
const ONE: &str = r#"# hq, see the ticket
[interface]
private_key_file = "hq.key"   # never leaves

[policy]
qkd = "required"

# the fibre under the river
[[qkd]]    # one KME
name = "fibre-1"

# dc, since 2026
[[peer]]
name = "dc"
allowed_ips = [
  "10.20.0.0/16",   # servers
]
[peer.policy]
qkd = "preferred"
"#;

const NEW: &str =
    "[[peer]]\nname = \"branch\"\nallowed_ips = [\"10.30.0.0/16\"]\n\n# its KME\n[[qkd]]\nname = \"fibre-2\"\n";

#[test]
fn a_peer_is_appended_and_what_was_unsaid_is_said() {
    let added = add_peer(ONE, NEW).unwrap();
    assert_eq!(added.peer, "branch");
    let expected = ONE.replace("# one KME\n", "# one KME\npeer = \"dc\"\n")
        + "\n"
        + &NEW.replace("[[qkd]]\n", "[[qkd]]\npeer = \"branch\"\n");
    assert_eq!(added.text, expected);
    // With two peers there, every section says whose it is already.
    let third = add_peer(&added.text, "[[peer]]\nname = \"third\"").unwrap();
    assert_eq!(third.text, format!("{}\n[[peer]]\nname = \"third\"\n", added.text));
}

#[test]
fn lines_of_the_whole_text_are_those_of_the_new_sections_again() {
    let added = add_peer(ONE, NEW).unwrap();
    let at = |words: &str| added.text.lines().position(|line| line.contains(words)).unwrap() + 1;
    let own = |words: &str| NEW.lines().position(|line| line.contains(words)).unwrap() + 1;
    for words in ["\"branch\"", "10.30.0.0", "its KME", "fibre-2"] {
        let whole = if words == "\"branch\"" { at("name = \"branch\"") } else { at(words) };
        assert_eq!(added.line(whole), Some(own(words)), "{words}");
    }
    assert_eq!(added.line(at("fibre-1")), None);
}

#[test]
fn a_removed_peer_takes_its_sources_and_comments_along_and_nothing_else() {
    let two = add_peer(ONE, NEW).unwrap().text;
    let said = ONE.replace("# one KME\n", "# one KME\npeer = \"dc\"\n");
    assert_eq!(remove_peer(&two, "branch").unwrap(), said, "as it was before");
    let left = remove_peer(&two, "dc").unwrap();
    for gone in ["dc", "river", "fibre-1", "servers", "preferred"] {
        assert!(!left.contains(gone), "{gone}: {left}");
    }
    for stays in ["see the ticket", "never leaves", "qkd = \"required\"", "branch", "# its KME", "fibre-2"] {
        assert!(left.contains(stays), "{stays}: {left}");
    }
    // Of the only peer, also the section that does not name it; that no peer is left is for others to refuse.
    let none = remove_peer(ONE, "dc").unwrap();
    assert!(none.ends_with("qkd = \"required\"\n"), "{none}");
}

#[test]
fn sections_may_stand_in_any_order_and_dress() {
    let text = "[[ peer ]]\r\nname = \"a\"\r\n  [[\"qkd\"]]\r\n  peer = \"b\"\r\n\
                name = '''\r\n# not a comment\r\n[[peer]]'''\r\n\
                # b\r\n[[peer]]\r\nname = \"b\"\r\npolicy.qkd = \"off\"\r\n[interface]\r\nlisten = \"x\"\r\n";
    let left = remove_peer(text, "b").unwrap();
    assert_eq!(left, "[[ peer ]]\r\nname = \"a\"\r\n[interface]\r\nlisten = \"x\"\r\n");
    let late = "[[peer]]\nname = \"a\"\n[interface]\nlisten = \"x\"\n[[peer]]\nname = \"b\"\n\
                [peer.policy]\nqkd = \"off\"\n[status]\nlisten = \"y\"";
    let left = remove_peer(late, "b").unwrap();
    assert_eq!(left, "[[peer]]\nname = \"a\"\n[interface]\nlisten = \"x\"\n[status]\nlisten = \"y\"");
}

#[test]
fn what_cannot_be_cut_is_left_alone() {
    let list = "peer = [{ name = \"a\" }, { name = \"b\" }]\n";
    assert!(remove_peer(list, "b").unwrap_err().0.contains("by hand"));
    assert!(add_peer(list, NEW).unwrap_err().0.contains("by hand"));
    // The line above the header ends a text and only looks like a comment.
    let trap = "[interface]\nlisten = '''\n# x'''\n[[peer]]\nname = \"a\"\n";
    assert!(remove_peer(trap, "a").unwrap_err().0.contains("by hand"));
}

#[test]
fn what_is_no_peer_is_refused_with_words() {
    let long = format!("{NEW}# {}\n", "x".repeat(PEER_SECTIONS_BYTES_MAX));
    for (sections, words) in [
        ("", "expected one [[peer]] section, came 0"),
        ("[[peer]]\nname = \"a\"\n[[peer]]\nname = \"b\"", "expected one [[peer]] section, came 2"),
        ("[[peer]]\nallowed_ips = []", "name: this key is needed"),
        ("[[peer]]\nname = \"a\"\n[policy]\nqkd = \"off\"", "came [policy] too"),
        ("[interface]\n[[peer]]\nname = \"a\"", "came [interface] too"),
        ("[[peer]]\nname = \"a\"\n[status]\nlisten = \"x\"", "came [status] too"),
        ("[[peer]]\nname = \"a\"\n[[qkd]]\npeer = \"dc\"", "expected \"a\" in every [[qkd]] section, came \"dc\""),
        ("[[peer]]\nname = \"a\"\nkeepalife = \"1s\"", "line 3, column 1: unknown key `keepalife`"),
        ("[[peer]\nname", "line 1"),
        ("[[peer]]\nname = \"dc\"", "there is a peer \"dc\" already"),
        (&long, "at most"),
    ] {
        let error = add_peer(ONE, sections).unwrap_err().to_string();
        assert!(error.contains(words), "{sections}: {error}");
    }
    let error = remove_peer(ONE, "dcc").unwrap_err().to_string();
    assert_eq!(error, "no peer \"dcc\" in this interface: there are dc; did you mean `dc`?");
}
