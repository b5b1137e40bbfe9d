//! Finds lines that were changed, removed, moved or cut off, and names them.

use super::chain::{Hash, Head, read_line};

/// Faults that are named; of more only the number is told.
pub const FAULTS_MAX: usize = 100;

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// File and number of the line in it, from 1 on; empty for what concerns no line.
    pub place: String,
    /// What is wrong.
    pub text: String,
}

/// What came of a look at all lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Lines looked at.
    pub lines: u64,
    /// Number of the last good one.
    pub last: u64,
    /// Its hash.
    pub last_hash: String,
    /// At most [`FAULTS_MAX`]; none: everything is as it was written.
    pub faults: Vec<Fault>,
    /// Further ones.
    pub faults_more: u64,
}

/// Is fed all lines, oldest first.
pub struct Verifier {
    head: Option<Head>,
    previous: Option<Hash>,
    next: u64,
    verdict: Verdict,
}

impl Verifier {
    /// With the head as it is kept beside the lines.
    pub fn new(head: Option<Head>) -> Self {
        let first = head.as_ref().and_then(|head| Hash::from_hex(&head.first_previous).map(|hash| (head.first, hash)));
        let (next, previous) = first.unwrap_or((1, Hash::NONE));
        let verdict = Verdict {
            lines: 0,
            last: next.saturating_sub(1),
            last_hash: previous.to_hex(),
            faults: Vec::new(),
            faults_more: 0,
        };
        let mut verifier = Self { head, previous: Some(previous), next, verdict };
        if verifier.head.is_none() {
            verifier.fault("", "there is no head that could be read: a cut end could not be seen");
        }
        verifier
    }

    /// One more line, without its end.
    pub fn line(&mut self, place: &str, text: &str) {
        self.verdict.lines += 1;
        let Some(line) = read_line(text) else {
            self.fault(place, "is no line of an audit: changed, or torn by a crash");
            // What follows it hangs on something that is lost.
            self.previous = None;
            self.next = self.next.saturating_add(1);
            return;
        };
        let n = line.record.n;
        if n < self.next {
            return self.fault(place, format!("line {n} stands behind line {}: moved or repeated", self.next - 1));
        }
        if n > self.next {
            let missing = match n - self.next {
                1 => format!("line {} is", self.next),
                _ => format!("lines {} to {} are", self.next, n - 1),
            };
            self.fault(place, format!("{missing} missing before line {n}: removed or moved"));
        } else if self.previous.is_some_and(|previous| previous.after(line.body) != line.hash) {
            self.fault(place, format!("line {n} is not what was written: it was changed, or the one before it"));
        }
        self.previous = Some(line.hash);
        self.next = n.saturating_add(1);
        self.verdict.last = n;
        self.verdict.last_hash = line.hash.to_hex();
    }

    /// After the last line; `later` is the head as it is now, which a daemon may have moved on meanwhile.
    pub fn finish(mut self, later: Option<&Head>) -> Verdict {
        let Some(head) = self.head.take() else { return self.verdict };
        let later = later.unwrap_or(&head);
        let last = self.verdict.last;
        if last < head.last {
            let text = format!("the end is cut off: the last line is {last}, and {} were written", head.last);
            self.fault("", text);
        // A crash between a line and the head leaves one line more.
        } else if last > later.last.saturating_add(1) {
            let text = format!("lines {} to {last} were added behind the end", later.last + 1);
            self.fault("", text);
        } else if [&head, later].iter().any(|head| last == head.last && self.verdict.last_hash != head.last_hash) {
            self.fault("", format!("line {last} is not the one that was written last"));
        }
        self.verdict
    }

    fn fault(&mut self, place: &str, text: impl Into<String>) {
        if self.verdict.faults.len() < FAULTS_MAX {
            self.verdict.faults.push(Fault { place: place.to_owned(), text: text.into() });
        } else {
            self.verdict.faults_more += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::audit::chain::write_line;
    use crate::control::audit::record::{Record, What};

    /// `count` lines and their head.
    fn written(count: u64) -> (Vec<String>, Head) {
        let (mut previous, mut lines) = (Hash::NONE, Vec::new());
        for n in 1..=count {
            let what = What::State { peer: "dc".to_owned(), from: "HYBRID".to_owned(), to: format!("S{n}") };
            let (line, hash) = write_line(previous, &Record { n, time: String::new(), what });
            lines.push(line.trim_end().to_owned());
            previous = hash;
        }
        let head = Head { last: count, last_hash: previous.to_hex(), ..Head::empty() };
        (lines, head)
    }

    fn verdict(lines: &[String], head: Option<Head>) -> Verdict {
        let mut verifier = Verifier::new(head);
        for (at, line) in lines.iter().enumerate() {
            verifier.line(&format!("audit.log:{}", at + 1), line);
        }
        verifier.finish(None)
    }

    /// The faults of nine lines after a change.
    fn faults(change: impl FnOnce(&mut Vec<String>)) -> Vec<String> {
        let (mut lines, head) = written(9);
        change(&mut lines);
        verdict(&lines, Some(head)).faults.into_iter().map(|fault| format!("{} {}", fault.place, fault.text)).collect()
    }

    #[test]
    fn what_was_written_has_no_fault() {
        assert_eq!(faults(|_| ()), [] as [String; 0]);
        let (lines, head) = written(9);
        let verdict = verdict(&lines, Some(head.clone()));
        assert_eq!((verdict.lines, verdict.last, verdict.last_hash), (9, 9, head.last_hash));
        assert_eq!(Verifier::new(Some(Head::empty())).finish(None).faults, []);
    }

    #[test]
    fn a_changed_line_is_named() {
        for at in 0..9 {
            let found = faults(|lines| lines[at] = lines[at].replace("HYBRID", "HYBRIS"));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(&format!("audit.log:{} line {} is not what", at + 1, at + 1)), "{found:?}");
        }
    }

    #[test]
    fn a_line_changed_with_its_hash_breaks_the_next_one_or_the_head() {
        let forged = |lines: &mut Vec<String>, at: usize| {
            let previous = match at {
                0 => Hash::NONE,
                _ => read_line(&lines[at - 1]).unwrap().hash,
            };
            let body = read_line(&lines[at]).unwrap().body.replace("HYBRID", "HYBRIS");
            lines[at] = format!("{} {body}", previous.after(&body).to_hex());
        };
        let found = faults(|lines| forged(lines, 3));
        assert!(found.len() == 1 && found[0].contains("line 5 is not what was written"), "{found:?}");
        let found = faults(|lines| forged(lines, 8));
        assert!(found.len() == 1 && found[0].contains("line 9 is not the one that was written last"), "{found:?}");
    }

    #[test]
    fn removed_lines_are_named_at_every_place() {
        let found = faults(|lines| drop(lines.remove(4)));
        assert_eq!(found, ["audit.log:5 line 5 is missing before line 6: removed or moved"]);
        let found = faults(|lines| drop(lines.drain(2..5)));
        assert_eq!(found, ["audit.log:3 lines 3 to 5 are missing before line 6: removed or moved"]);
        let found = faults(|lines| drop(lines.remove(0)));
        assert_eq!(found, ["audit.log:1 line 1 is missing before line 2: removed or moved"]);
        let found = faults(|lines| lines.truncate(7));
        assert_eq!(found, [" the end is cut off: the last line is 7, and 9 were written"]);
        let found = faults(Vec::clear);
        assert_eq!(found, [" the end is cut off: the last line is 0, and 9 were written"]);
    }

    #[test]
    fn swapped_and_repeated_lines_are_named() {
        let found = faults(|lines| lines.swap(4, 5));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].contains("line 5 is missing before line 6") && found[1].contains("line 5 stands behind line 6")
        );
        let found = faults(|lines| lines.insert(4, lines[3].clone()));
        assert_eq!(found, ["audit.log:5 line 4 stands behind line 4: moved or repeated"]);
    }

    #[test]
    fn a_garbled_line_is_named_once_and_one_line_behind_the_head_is_no_fault() {
        let found = faults(|lines| lines[4] = "rubbish".to_owned());
        assert_eq!(found, ["audit.log:5 is no line of an audit: changed, or torn by a crash"]);
        let (lines, _) = written(9);
        let head = |count: u64| Some(written(count).1);
        assert_eq!(verdict(&lines, head(8)).faults, []);
        assert!(verdict(&lines, head(7)).faults[0].text.contains("lines 8 to 9 were added"));
    }

    #[test]
    fn lines_written_while_they_are_looked_at_are_no_fault() {
        let (lines, _) = written(9);
        let head = |count: u64| written(count).1;
        let mut verifier = Verifier::new(Some(head(5)));
        for line in &lines {
            verifier.line("", line);
        }
        assert_eq!(verifier.finish(Some(&head(9))).faults, []);
    }

    #[test]
    fn without_a_head_that_is_said_and_the_lines_are_looked_at() {
        let (mut lines, _) = written(3);
        lines[1] = lines[1].replace("HYBRID", "x");
        let found = verdict(&lines, None).faults;
        assert!(found.len() == 2 && found[0].text.contains("no head") && found[1].text.contains("line 2"), "{found:?}");
    }

    #[test]
    fn lines_whose_elders_were_rotated_away_hang_on_the_head() {
        let (lines, head) = written(9);
        let fourth = read_line(&lines[3]).unwrap().hash.to_hex();
        let kept = Head { first: 5, first_previous: fourth, ..head };
        assert_eq!(verdict(&lines[4..], Some(kept.clone())).faults, []);
        let wrong = Head { first_previous: Hash::NONE.to_hex(), ..kept };
        assert!(verdict(&lines[4..], Some(wrong)).faults[0].text.contains("line 5 is not what"));
    }

    #[test]
    fn the_number_of_named_faults_is_bounded() {
        let lines = vec!["rubbish".to_owned(); FAULTS_MAX + 7];
        let verdict = verdict(&lines, Some(Head::empty()));
        assert_eq!((verdict.faults.len(), verdict.faults_more), (FAULTS_MAX, 7));
    }
}
