//! `plait events` for people: one line an event.

use super::event::Event;

/// Time, peer and source, kind, the change, and the sentence.
pub fn line(event: &Event) -> String {
    let mut line = format!("{}  {:<12}", event.time, event.kind.as_str());
    let who = [&event.peer, &event.source].into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join("/");
    line.push_str(&format!("  {:<12}", if who.is_empty() { "-" } else { &who }));
    if let (Some(from), Some(to)) = (&event.from, &event.to) {
        line.push_str(&format!("  {from} -> {to}:"));
    } else {
        line.push(' ');
    }
    // What a file holds was perhaps not written by us.
    let text: String = event.text.chars().filter(|letter| !letter.is_control()).collect();
    line.push_str(&format!(" {text}\n"));
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::event::{Draft, EventKind};
    use crate::types::time::UnixMillis;

    #[test]
    fn a_line_says_when_who_what_and_why() {
        let time = UnixMillis(1_795_510_800_250);
        let change = Draft::new(EventKind::Kme, "no QKD key").peer("dc").source("fibre-1").change("ok", "unreachable");
        assert_eq!(
            line(&change.numbered(1, time)),
            "2026-11-24T09:00:00.250Z  kme           dc/fibre-1    ok -> unreachable: no QKD key\n"
        );
        let mut start = Draft::new(EventKind::Start, "").numbered(2, time);
        start.text = "runs\n\u{1b}[2J".to_owned();
        assert_eq!(line(&start), "2026-11-24T09:00:00.250Z  start         -             runs[2J\n");
    }
}
