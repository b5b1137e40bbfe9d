//! Lines over restarts, rotations, crashes and hands that changed them.

use super::*;
use crate::control::audit::verify::{Verdict, Verifier};
use std::os::unix::fs::MetadataExt;

fn place() -> (tempfile::TempDir, StateDir) {
    let place = tempfile::tempdir().unwrap();
    let state = StateDir::of(place.path(), "hq");
    state.create().unwrap();
    (place, state)
}

fn what(text: u64) -> What {
    What::State { peer: "dc".to_owned(), from: "HYBRID".to_owned(), to: format!("S{text}") }
}

/// So many lines by one writer, which must find nothing wrong.
fn write(state: &StateDir, count: u64) {
    let (mut file, trouble) = AuditFile::open(state).unwrap();
    assert_eq!(trouble, None);
    for n in 0..count {
        file.append(UnixMillis(n), what(n)).unwrap();
    }
}

fn verify(state: &StateDir) -> Verdict {
    let reader = AuditReader::of(state);
    let mut verifier = Verifier::new(reader.head().unwrap());
    reader.lines(|place, line| verifier.line(place, line)).unwrap();
    verifier.finish(None)
}

fn change(state: &StateDir, change: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(newest(state)).unwrap();
    std::fs::write(newest(state), change(text)).unwrap();
}

fn texts(verdict: &Verdict) -> Vec<&str> {
    verdict.faults.iter().map(|fault| fault.text.as_str()).collect()
}

#[test]
fn lines_of_several_daemons_hang_together_in_files_closed_to_others() {
    let (_place, state) = place();
    for _ in 0..3 {
        write(&state, 4);
    }
    let verdict = verify(&state);
    assert_eq!((verdict.lines, verdict.last, texts(&verdict)), (12, 12, vec![]));
    for name in ["audit.log", HEAD] {
        assert_eq!(std::fs::metadata(state.folder().join(name)).unwrap().mode() & 0o7777, 0o600, "{name}");
    }
}

#[test]
fn rotation_keeps_the_chain_and_the_oldest_files_go_with_their_lines() {
    let (_place, state) = place();
    let (file, _) = AuditFile::open(&state).unwrap();
    let mut file = AuditFile { bytes_max: 1000, files_max: 4, ..file };
    for n in 0..60 {
        file.append(UnixMillis(n), what(n)).unwrap();
        let verdict = verify(&state);
        assert_eq!((texts(&verdict), verdict.last), (vec![], n + 1));
    }
    assert_eq!(older_files(&state).unwrap().len(), 3);
    assert!(read_head(&state).unwrap().unwrap().first > 1);
    // A file in the middle is gone.
    std::fs::remove_file(&older_files(&state).unwrap()[1]).unwrap();
    let verdict = verify(&state);
    assert!(verdict.faults.len() == 1 && verdict.faults[0].text.contains("missing before line"), "{verdict:?}");
}

#[test]
fn a_torn_line_and_a_late_head_are_no_fault() {
    let (_place, state) = place();
    write(&state, 3);
    change(&state, |text| text + "0123456789abcdef {\"n\":4");
    write(&state, 1);
    assert_eq!(texts(&verify(&state)), [] as [&str; 0]);
    // The crash came between the line and the head.
    let head = std::fs::read(state.folder().join(HEAD)).unwrap();
    write(&state, 1);
    std::fs::write(state.folder().join(HEAD), head).unwrap();
    assert_eq!(texts(&verify(&state)), [] as [&str; 0]);
    write(&state, 1);
    let verdict = verify(&state);
    assert_eq!((texts(&verdict), verdict.last), (vec![], 6));
}

#[test]
fn a_cut_end_is_seen_at_the_next_start_and_stays_seen() {
    let (_place, state) = place();
    write(&state, 6);
    change(&state, |text| text.split_inclusive('\n').take(4).collect());
    assert_eq!(texts(&verify(&state)), ["the end is cut off: the last line is 4, and 6 were written"]);
    let (mut file, trouble) = AuditFile::open(&state).unwrap();
    assert!(trouble.unwrap().contains("the last line is 4, and 6 were written"));
    file.append(UnixMillis(0), what(7)).unwrap();
    assert_eq!(texts(&verify(&state)), ["lines 5 to 6 are missing before line 7: removed or moved"]);
    write(&state, 1);
    assert_eq!(verify(&state).faults.len(), 1, "told once, the new lines are good");
}

#[test]
fn a_missing_head_a_missing_file_and_rubbish_are_trouble_and_no_end() {
    let (_place, state) = place();
    write(&state, 3);
    std::fs::remove_file(state.folder().join(HEAD)).unwrap();
    assert!(AuditFile::open(&state).unwrap().1.unwrap().contains("no head"));
    std::fs::write(state.folder().join(HEAD), "{}").unwrap();
    assert!(AuditFile::open(&state).unwrap().1.unwrap().contains("no head"));
    let (_place, state) = place();
    write(&state, 3);
    std::fs::remove_file(newest(&state)).unwrap();
    let (mut file, trouble) = AuditFile::open(&state).unwrap();
    assert!(trouble.unwrap().contains("3 lines were written"));
    file.append(UnixMillis(0), what(0)).unwrap();
    assert_eq!(texts(&verify(&state)), ["lines 1 to 3 are missing before line 4: removed or moved"]);
    change(&state, |_| "rubbish\n\u{0}\n".to_owned());
    assert!(AuditFile::open(&state).unwrap().1.is_some());
    assert!(!verify(&state).faults.is_empty());
}

#[test]
fn a_write_that_failed_is_tried_again_and_leaves_no_piece() {
    let (_place, state) = place();
    let (mut file, _) = AuditFile::open(&state).unwrap();
    std::fs::create_dir(newest(&state)).unwrap();
    assert!(file.append(UnixMillis(0), what(0)).is_err());
    std::fs::remove_dir(newest(&state)).unwrap();
    file.append(UnixMillis(0), what(0)).unwrap();
    // The head cannot be written: the line is there, the next one is refused.
    let obstacle = state.folder().join("audit.head.new/x");
    std::fs::create_dir_all(&obstacle).unwrap();
    file.append(UnixMillis(0), what(1)).unwrap();
    assert!(file.append(UnixMillis(0), what(2)).is_err());
    std::fs::remove_dir_all(state.folder().join("audit.head.new")).unwrap();
    file.append(UnixMillis(0), what(2)).unwrap();
    let verdict = verify(&state);
    assert_eq!((verdict.lines, texts(&verdict)), (3, vec![]));
}

#[test]
fn a_line_without_bound_is_a_fault_and_not_a_matter_of_memory() {
    let (_place, state) = place();
    write(&state, 2);
    change(&state, |text| text + &"x".repeat(200_000) + "\n");
    let verdict = verify(&state);
    assert_eq!((verdict.lines, verdict.faults.len()), (3, 1));
    assert!(verdict.faults[0].place == "audit.log:3", "{verdict:?}");
}
