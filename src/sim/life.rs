//! What one seed's life looked like, and a picture of it for a person who looks at a failure.

use std::fmt::Write as _;
use std::time::Duration;

use super::plan::FaultKind;
use crate::engine::output::State;

/// What is kept for a picture: more marks than this are not drawn by anything.
const MARKS_MAX: usize = 100_000;
/// Pixels of the picture's width and of one row.
const WIDTH: f64 = 1200.0;
const ROW: f64 = 26.0;
/// Pixels left of the rows.
const LEFT: f64 = 130.0;

/// A recorded life; empty unless asked for.
#[derive(Default)]
pub struct Life {
    is_kept: bool,
    states: Vec<(Duration, usize, usize, State)>,
    epochs: Vec<(Duration, usize, bool, usize)>,
    faults: Vec<(Duration, Duration, FaultKind)>,
    stocks: Vec<(Duration, usize, u64)>,
    lines: Vec<String>,
    end: Duration,
    healed: Duration,
}

impl Life {
    /// One that keeps what it is told.
    pub fn kept() -> Self {
        Self { is_kept: true, ..Self::default() }
    }

    pub(super) fn state(&mut self, at: Duration, site: usize, peer: usize, state: State) {
        if self.is_kept && self.states.len() < MARKS_MAX {
            self.states.push((at, site, peer, state));
        }
    }

    pub(super) fn epoch(&mut self, at: Duration, site: usize, full: bool, keys: usize) {
        if self.is_kept && self.epochs.len() < MARKS_MAX {
            self.epochs.push((at, site, full, keys));
        }
    }

    pub(super) fn fault(&mut self, at: Duration, until: Duration, kind: FaultKind) {
        if self.is_kept && self.faults.len() < MARKS_MAX {
            self.faults.push((at, until.max(at), kind));
        }
    }

    pub(super) fn stock(&mut self, at: Duration, pair: usize, keys: u64) {
        if self.is_kept && self.stocks.len() < MARKS_MAX {
            self.stocks.push((at, pair, keys));
        }
    }

    /// Something for a person to read, put into words only if the life is kept.
    pub(super) fn tell(&mut self, at: Duration, words: impl FnOnce() -> String) {
        if self.is_kept && self.lines.len() < MARKS_MAX {
            self.lines.push(format!("{:.6} {}", at.as_secs_f64(), words()));
        }
    }

    /// What happened, a line each, with the seconds since the beginning.
    pub fn to_text(&self) -> String {
        self.lines.join("\n") + "\n"
    }

    pub(super) fn ends(&mut self, healed: Duration, end: Duration) {
        (self.healed, self.end) = (healed, end);
    }

    /// An SVG: a row for each site and peer with its states and epochs, a row of faults, a row of key stock for each pair.
    pub fn to_svg(&self, title: &str) -> String {
        let rows: std::collections::BTreeSet<(usize, usize)> =
            self.states.iter().map(|(_, s, p, _)| (*s, *p)).collect();
        let pairs = self.stocks.iter().map(|(_, pair, _)| pair + 1).max().unwrap_or(0);
        let height = ROW * (rows.len() + pairs + 3) as f64 + 30.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"8\" y=\"18\">{title}</text>\n",
            LEFT + WIDTH + 20.0
        );
        let mut top = 30.0;
        for row in rows {
            self.draw_states(&mut svg, row, top);
            top += ROW;
        }
        self.draw_faults(&mut svg, top);
        top += ROW * 1.5;
        for pair in 0..pairs {
            self.draw_stock(&mut svg, pair, top);
            top += ROW;
        }
        self.draw_axis(&mut svg, top);
        svg.push_str("</svg>\n");
        svg
    }

    fn x(&self, at: Duration) -> f64 {
        LEFT + WIDTH * at.as_secs_f64() / self.end.as_secs_f64().max(1.0)
    }

    fn draw_states(&self, svg: &mut String, (site, peer): (usize, usize), top: f64) {
        let marks: Vec<_> = self.states.iter().filter(|(_, s, p, _)| (*s, *p) == (site, peer)).collect();
        let _ = writeln!(svg, "<text x=\"8\" y=\"{}\">site {site}, peer {peer}</text>", top + 15.0);
        for (number, (at, _, _, state)) in marks.iter().enumerate() {
            let until = marks.get(number + 1).map_or(self.end, |(next, ..)| *next);
            let (x, width) = (self.x(*at), (self.x(until) - self.x(*at)).max(0.3));
            let (color, word) = (color(*state), state.as_str());
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"16\" fill=\"{color}\"><title>{word} from {:.1} s</title></rect>",
                at.as_secs_f64()
            );
        }
        for (at, _, full, keys) in self.epochs.iter().filter(|(_, s, ..)| *s == site) {
            let (x, length, color) = (self.x(*at), if *full { 8 } else { 4 }, if *keys == 0 { "#b00" } else { "#000" });
            let _ = writeln!(
                svg,
                "<path d=\"M{x:.1} {} v-{length}\" stroke=\"{color}\" stroke-width=\"0.5\"/>",
                top + 22.0
            );
        }
    }

    fn draw_faults(&self, svg: &mut String, top: f64) {
        let _ = writeln!(svg, "<text x=\"8\" y=\"{}\">faults</text>", top + 15.0);
        for (at, until, kind) in &self.faults {
            let (x, width) = (self.x(*at), (self.x(*until) - self.x(*at)).max(0.6));
            let y = top + 2.0 * f64::from(*kind as u8);
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"2\" fill=\"#555\"><title>{kind:?} at {:.1} s</title></rect>",
                at.as_secs_f64()
            );
        }
    }

    fn draw_stock(&self, svg: &mut String, pair: usize, top: f64) {
        let marks: Vec<_> = self.stocks.iter().filter(|(_, p, _)| *p == pair).collect();
        let most = marks.iter().map(|(_, _, keys)| *keys).max().unwrap_or(0);
        let _ = writeln!(svg, "<text x=\"8\" y=\"{}\">stock {pair}, most {most}</text>", top + 15.0);
        let points = marks.iter().map(|(at, _, keys)| {
            format!("{:.1},{:.1}", self.x(*at), top + 20.0 - 18.0 * *keys as f64 / most.max(1) as f64)
        });
        let points: Vec<String> = points.collect();
        let _ = writeln!(svg, "<polyline fill=\"none\" stroke=\"#06c\" points=\"{}\"/>", points.join(" "));
    }

    fn draw_axis(&self, svg: &mut String, top: f64) {
        let hours = self.end.as_secs_f64() / 3600.0;
        for tick in 0..=10 {
            let x = LEFT + WIDTH * f64::from(tick) / 10.0;
            let _ =
                writeln!(svg, "<text x=\"{x:.1}\" y=\"{}\">{:.1} h</text>", top + 15.0, hours * f64::from(tick) / 10.0);
        }
        let x = self.x(self.healed);
        let _ =
            writeln!(svg, "<path d=\"M{x:.1} 24 V{top}\" stroke=\"#080\"/><text x=\"{x:.1}\" y=\"24\">healed</text>");
    }
}

fn color(state: State) -> &'static str {
    match state {
        State::Hybrid => "#7fc97f",
        State::Off => "#80b1d3",
        State::Holdover => "#fdc086",
        State::Degraded => "#ffff99",
        State::Holding => "#dddddd",
        State::Blocked => "#e31a1c",
        State::Down => "#999999",
    }
}
