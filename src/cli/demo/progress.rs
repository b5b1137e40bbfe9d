//! The live line: state, epoch, check words of both ends, ping loss, key stock.

use std::io::{IsTerminal, Write};

use super::observe::Both;
use super::ping::Pings;
use crate::cli::output;

/// One line that is written over on a terminal, and written again at each change elsewhere.
pub(super) struct Progress {
    live: bool,
    colour: bool,
    last: String,
}

impl Progress {
    /// A fresh line.
    pub(super) fn new() -> Self {
        Self { live: std::io::stderr().is_terminal(), colour: output::may_colour_stderr(), last: String::new() }
    }

    /// A stage begins.
    pub(super) fn stage(&mut self, text: &str) {
        self.end();
        output::talk(&format!("== {text}"));
    }

    /// Shows how things are.
    pub(super) fn show(&mut self, both: &Both, pings: Option<&Pings>) {
        let state = state(both, self.colour);
        if self.live {
            let text = format!("\r\x1b[K   {state}  {}", figures(both, pings));
            let mut err = std::io::stderr().lock();
            // A terminal that went away has no reader left.
            drop(err.write_all(text.as_bytes()).and_then(|()| err.flush()));
            self.last = text;
        } else if let Some(change) = self.change(&state, both) {
            output::talk(&format!("   {change}  {}", figures(both, pings)));
        }
    }

    /// Ends the live line.
    pub(super) fn end(&mut self) {
        if self.live && !self.last.is_empty() {
            output::talk("");
        }
        self.last.clear();
    }

    /// Where the line cannot be written over, only a new state or epoch is worth one.
    fn change(&mut self, state: &str, both: &Both) -> Option<String> {
        let key = format!("{state} {:?}", both.a.epoch);
        let changed = key != self.last;
        self.last = key;
        changed.then(|| state.to_owned())
    }
}

fn state(both: &Both, colour: bool) -> String {
    let text = if both.a.state == both.b.state {
        both.a.state.clone()
    } else {
        format!("{} | {}", both.a.state, both.b.state)
    };
    let code = match text.as_str() {
        "HYBRID" => "32",
        "HOLDOVER" | "DEGRADED" => "33",
        "BLOCKED" | "DOWN" => "31",
        _ => "0",
    };
    let padded = format!("{text:8}");
    if colour { format!("\x1b[{code};1m{padded}\x1b[0m") } else { padded }
}

fn figures(both: &Both, pings: Option<&Pings>) -> String {
    let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let words = |end: &super::observe::End| end.words.clone().unwrap_or_else(|| "---------".to_owned());
    let equal = if both.agree() { "=" } else { " " };
    let pings = pings.map_or_else(String::new, |pings| {
        let (sent, answered) = (pings.sent(), pings.answered());
        // The youngest ping is still on its way.
        format!("  ping {} sent, {} unanswered", sent, sent.saturating_sub(answered + 1))
    });
    let (epoch, stock) = (number(both.a.epoch), number(both.a.stock));
    format!("epoch {epoch:>3}  words {} {equal} {}{pings}  stock {stock} keys", words(&both.a), words(&both.b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::observe::End;

    fn end(state: &str, words: Option<&str>) -> End {
        End { state: state.to_owned(), words: words.map(str::to_owned), epoch: Some(3), ..End::default() }
    }

    #[test]
    fn the_line_shows_agreement_and_difference() {
        let same = Both { a: end("HYBRID", Some("aaaa-bbbb")), b: end("HYBRID", Some("aaaa-bbbb")) };
        assert_eq!(state(&same, false), "HYBRID  ");
        assert!(figures(&same, None).contains("aaaa-bbbb = aaaa-bbbb"));
        let differ = Both { a: end("HYBRID", Some("aaaa-bbbb")), b: end("BLOCKED", None) };
        assert_eq!(state(&differ, false), "HYBRID | BLOCKED");
        assert!(!figures(&differ, None).contains('='));
    }
}
