//! What `top` paints: peers, the chosen peer's keys and traffic, key sources, last events.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::crossterm::event::KeyCode;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Gauge, Paragraph, Row, Sparkline, Table, Widget, Wrap};

use crate::control::live::{CourseReport, LiveReport, meaning};
use crate::control::report::{OverrideReport, PeerReport, SourceReport};
use crate::control::time::{bytes, per_second, rough};

/// Peers in sight at once where there is room; the others come by moving the choice.
const PEERS_SHOWN: u16 = 8;
/// Key sources in sight; a peer has at most six.
const SOURCES_SHOWN: u16 = 6;
/// Columns from which the table of peers has all of its own.
const WIDE: u16 = 80;
/// Every state, in the order of the run book.
const STATES: [&str; 7] = ["HYBRID", "OFF", "HOLDOVER", "DEGRADED", "HOLDING", "BLOCKED", "DOWN"];

/// What is painted.
pub(super) struct Screen {
    /// The last answer.
    live: LiveReport,
    /// Why there is no newer one, and how old it is.
    failure: Option<(String, Duration)>,
    /// Place of the chosen peer.
    selected: usize,
    /// Whether the keys and words are explained instead.
    help: bool,
    /// Whether the terminal wants colours.
    colours: bool,
}

impl Screen {
    /// The first peer is chosen.
    pub(super) fn new(live: LiveReport, colours: bool) -> Self {
        Self { live, failure: None, selected: 0, help: false, colours }
    }

    /// A new answer; it may have fewer peers than the last.
    pub(super) fn show(&mut self, live: LiveReport) {
        self.selected = self.selected.min(live.status.peers.len().saturating_sub(1));
        (self.live, self.failure) = (live, None);
    }

    /// No answer, and the last one is so old.
    pub(super) fn fail(&mut self, why: String, age: Duration) {
        self.failure = Some((why, age));
    }

    /// Up and down choose a peer, `?` explains; whether `top` goes on.
    pub(super) fn press(&mut self, code: KeyCode) -> bool {
        let is_end = matches!(code, KeyCode::Char('q') | KeyCode::Esc);
        if self.help {
            // Any key leads back.
            self.help = false;
            return code != KeyCode::Char('q');
        }
        self.help = matches!(code, KeyCode::Char('?' | 'h'));
        let last = self.live.status.peers.len().saturating_sub(1);
        if matches!(code, KeyCode::Down | KeyCode::Char('j')) {
            self.selected = (self.selected + 1).min(last);
        }
        if matches!(code, KeyCode::Up | KeyCode::Char('k')) {
            self.selected = self.selected.saturating_sub(1);
        }
        !is_end
    }

    /// The whole screen.
    pub(super) fn paint(&self, area: Rect, buffer: &mut Buffer) {
        if self.help {
            return self.explain(area, buffer);
        }
        let [peers, kmes, keys, flow, events] =
            heights(area.height, self.live.status.peers.len(), self.sources().count());
        let rows = [2, peers, keys, flow, kmes, events].map(Constraint::Length);
        let [head, peers, keys, flow, kmes, events] = Layout::vertical(rows).areas(area);
        self.head(head, buffer);
        self.peers(peers, buffer);
        self.keys(keys, buffer);
        self.flow(flow, buffer);
        self.kmes(kmes, buffer);
        self.events(events, buffer);
    }

    fn style(&self, state: &str) -> Style {
        let colour = match state {
            "HYBRID" | "ok" => Color::Green,
            "OFF" => Color::Blue,
            "HOLDOVER" | "DEGRADED" => Color::Yellow,
            "HOLDING" | "unknown" => Color::Magenta,
            _ => Color::Red,
        };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        if self.colours { bold.fg(colour) } else { bold }
    }

    fn chosen(&self) -> Option<(&PeerReport, Option<&CourseReport>)> {
        let peer = self.live.status.peers.get(self.selected)?;
        Some((peer, self.live.courses.get(self.selected)))
    }

    /// Of the chosen peer.
    fn sources(&self) -> impl Iterator<Item = &SourceReport> {
        let name = self.chosen().map(|(peer, _)| peer.name.as_str());
        self.live.status.sources.iter().filter(move |source| Some(source.peer.as_str()) == name)
    }

    fn head(&self, area: Rect, buffer: &mut Buffer) {
        let status = &self.live.status;
        let title = Line::from(vec![
            Span::raw(format!("{}  ", status.interface)),
            Span::styled(status.state.as_str(), self.style(&status.state)),
            Span::raw(format!("  up {}  {}  q: end  ?: help", rough(status.uptime_seconds), self.live.time)),
        ]);
        let second = match &self.failure {
            Some((failure, age)) => {
                let text = format!("NO ANSWER, all figures {} old: {failure}", rough(age.as_secs_f64()));
                Line::styled(text, self.style("DOWN"))
            }
            None => match self.chosen().and_then(|(peer, _)| peer.over.as_ref()) {
                Some(over) => Line::styled(overridden(over), self.style("HOLDOVER")),
                None => Line::raw(self.chosen().map_or("", |(peer, _)| meaning(&peer.state))),
            },
        };
        Paragraph::new(vec![title, second]).render(area, buffer);
    }

    fn peers(&self, area: Rect, buffer: &mut Buffer) {
        let wide = area.width >= WIDE;
        // The chosen one stays in sight, under two borders and the heading.
        let from = (self.selected + 1).saturating_sub(usize::from(area.height.saturating_sub(3)).max(1));
        let rows = self.live.status.peers.iter().enumerate().skip(from).map(|(at, peer)| self.peer(at, peer, wide));
        let (header, widths) = if wide {
            let widths = [14, 9, 16, 16, 12, 12];
            (vec!["  peer", "state", "", "keys' age", "received", "sent"], widths.to_vec())
        } else {
            (vec!["  peer", "state", "keys' age"], vec![10, 9, 15])
        };
        let widths = widths.into_iter().enumerate();
        let widths = widths.map(|(at, width)| if at == 0 { Constraint::Min(width) } else { Constraint::Length(width) });
        let table = Table::new(rows, widths).header(Row::new(header));
        table.block(Block::bordered().title("peers (up, down)")).render(area, buffer);
    }

    fn peer<'a>(&'a self, at: usize, peer: &'a PeerReport, wide: bool) -> Row<'a> {
        let last = self.live.courses.get(at).and_then(|course| course.traffic.last()).copied();
        let rate = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| bits(value * 8.0));
        let mark = if at == self.selected { ">" } else { " " };
        let age = peer.epoch.as_ref().map_or_else(
            || "no keys".to_owned(),
            |epoch| format!("{} of {} s", rough(epoch.age_seconds), peer.policy.rekey_seconds),
        );
        let stops = peer.deadline_seconds.map(|left| format!("stops in {}", rough(left)));
        let mut cells = vec![
            Line::raw(format!("{mark} {}", peer.name)),
            Line::styled(peer.state.as_str(), self.style(&peer.state)),
        ];
        if wide {
            let rates = [last.map(|(_, received, _)| received), last.map(|(_, _, sent)| sent)].map(rate);
            cells.push(Line::raw(stops.unwrap_or_default()));
            cells.push(Line::raw(age));
            cells.extend(rates.map(Line::raw));
        } else {
            cells.push(Line::raw(stops.unwrap_or(age)));
        }
        Row::new(cells)
    }

    fn keys(&self, area: Rect, buffer: &mut Buffer) {
        let Some((peer, _)) = self.chosen() else { return };
        let block = Block::bordered().title(format!("keys with {}", peer.name));
        let inner = block.inner(area);
        block.render(area, buffer);
        let [bar, text] = Layout::vertical([Constraint::Length(1), Constraint::Length(1)]).areas(inner);
        let Some(epoch) = &peer.epoch else {
            return Paragraph::new("no epoch: no keys in use").render(bar, buffer);
        };
        let every = peer.policy.rekey_seconds.max(1) as f64;
        let label = format!("epoch {}: {} of {} s", epoch.number, rough(epoch.age_seconds), peer.policy.rekey_seconds);
        let gauge = Gauge::default().ratio((epoch.age_seconds / every).clamp(0.0, 1.0)).label(label);
        gauge.gauge_style(self.style(&peer.state)).render(bar, buffer);
        let words = format!("check words {}   {}   {}", epoch.check_words, epoch.mixed.join(" + "), epoch.cipher);
        Paragraph::new(words).render(text, buffer);
    }

    fn flow(&self, area: Rect, buffer: &mut Buffer) {
        let Some((peer, Some(course))) = self.chosen() else { return };
        let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
        let [received, sent] = [peer.transfer.received_bytes, peer.transfer.sent_bytes].map(bytes);
        for (area, title, column) in [(left, format!("received, {received}"), 0), (right, format!("sent, {sent}"), 1)] {
            let wide = usize::from(area.width.saturating_sub(2));
            let newest = course.traffic.iter().skip(course.traffic.len().saturating_sub(wide));
            let rate = |(_, received, sent): &(f64, f64, f64)| if column == 0 { *received } else { *sent } as u64;
            let values: Vec<u64> = newest.map(rate).collect();
            Sparkline::default().data(&values).block(Block::bordered().title(title)).render(area, buffer);
        }
    }

    fn kmes(&self, area: Rect, buffer: &mut Buffer) {
        let lines: Vec<Line<'_>> = self.sources().map(|source| self.kme(source)).collect();
        let lines = if lines.is_empty() { vec![Line::raw("none")] } else { lines };
        Paragraph::new(lines).block(Block::bordered().title("QKD keys")).render(area, buffer);
    }

    fn kme<'a>(&self, source: &'a SourceReport) -> Line<'a> {
        let fails = source.not_used.is_some() || source.state == "failing";
        let word = if fails { "FAILING" } else { source.state.as_str() };
        let mut text = match (source.stored_keys, source.stored_keys_age_seconds) {
            (Some(keys), Some(age)) => {
                let stale = if source.stored_keys_stale == Some(true) { ", STALE" } else { "" };
                format!("  {keys} keys ({} ago{stale})", rough(age))
            }
            (Some(_) | None, _) => "  stock not known yet".to_owned(),
        };
        if let (Some(income), Some(used)) = (source.rate_in_per_second, source.rate_out_per_second) {
            text.push_str(&format!(", {} in, {} out", per_second(income), per_second(used)));
        }
        if let Some(lasts) = source.lasts_seconds {
            text.push_str(&format!(", lasts {}", rough(lasts)));
        }
        if let Some(why) = source.last_error.as_ref().or(source.not_used.as_ref()).filter(|_| fails) {
            text.push_str(&format!("  {why}"));
        }
        Line::from(vec![Span::raw(format!("{} ", source.name)), Span::styled(word, self.style(word)), Span::raw(text)])
    }

    fn events(&self, area: Rect, buffer: &mut Buffer) {
        let fit = usize::from(area.height.saturating_sub(2));
        let newest = self.live.events.iter().rev().take(fit).map(|event| {
            let who = event.peer.as_deref().unwrap_or_default();
            let time = event.time.get(11..19).unwrap_or(&event.time);
            Line::raw(format!("{time} {who} {}", event.text))
        });
        let block = Block::bordered().title("last events, newest first");
        Paragraph::new(newest.collect::<Vec<_>>()).block(block).render(area, buffer);
    }

    /// Keys and words.
    fn explain(&self, area: Rect, buffer: &mut Buffer) {
        let mut text = Text::raw("up, down: choose a peer   q, Esc: end   any key: back\n");
        for state in STATES {
            let word = Span::styled(format!("{state}  "), self.style(state));
            text.push_line(Line::from(vec![word, Span::raw(meaning(state))]));
        }
        let block = Block::bordered().title("help");
        Paragraph::new(text).wrap(Wrap { trim: true }).block(block).render(area, buffer);
    }
}

/// Lines of peers, key sources, keys, traffic and events. Where not all fit, the first of these are told; the head has two.
fn heights(total: u16, peers: usize, sources: usize) -> [u16; 5] {
    let count = |count: usize, most: u16| u16::try_from(count).unwrap_or(most).clamp(1, most);
    let mut left = total.saturating_sub(2);
    let peers = (count(peers, PEERS_SHOWN) + 3).min(left.div_ceil(2).max(4)).min(left);
    left = left.saturating_sub(peers);
    let mut given = [count(sources, SOURCES_SHOWN) + 2, 4, 3, 5].map(|wanted| {
        let given = if wanted <= left { wanted } else { 0 };
        left = left.saturating_sub(given);
        given
    });
    let [kmes, keys, events, flow] = &mut given;
    // What is left over goes to the one that always has more to tell.
    if *events > 0 {
        *events += left;
    }
    [peers, *kmes, *keys, *flow, *events]
}

/// Weaker than configured, until when and why: before what the state means, for a person asked for it.
fn overridden(over: &OverrideReport) -> String {
    let OverrideReport { qkd, remaining_seconds, ends, reason } = over;
    format!("POLICY OVERRIDDEN: {qkd} for {} more, until {ends}: {reason}", rough(*remaining_seconds))
}

/// Bits a second in the largest unit that leaves at least one.
fn bits(rate: f64) -> String {
    let (mut rate, mut unit) = (rate.max(0.0), "bit/s");
    for next in ["kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"] {
        if rate < 1000.0 {
            break;
        }
        (rate, unit) = (rate / 1000.0, next);
    }
    if unit == "bit/s" { format!("{rate:.0} {unit}") } else { format!("{rate:.1} {unit}") }
}

#[cfg(test)]
mod tests;
