//! From lines to rows: one for each epoch, with its beginning and its end together.

use std::collections::BTreeMap;

use serde::Serialize;

use super::record::{Epoch, Record, What};
use crate::control::time::bytes;

/// One epoch, or a change of state between epochs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "row", rename_all = "snake_case")]
pub enum Row {
    /// Traffic under one set of keys.
    Epoch(Box<EpochRow>),
    /// The policy state of a peer changed.
    State {
        /// RFC 3339.
        time: String,
        /// Whose.
        peer: String,
        /// The word before.
        from: String,
        /// The word after.
        to: String,
    },
    /// The policy for a peer was weakened for a time, or is as configured again.
    Override {
        /// RFC 3339.
        time: String,
        /// Whose.
        peer: String,
        /// What, until when and why.
        text: String,
    },
    /// Lines were lost or found changed.
    Fault {
        /// RFC 3339.
        time: String,
        /// What is not known.
        text: String,
    },
}

/// One epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EpochRow {
    /// RFC 3339: when its keys were confirmed.
    pub began: String,
    /// RFC 3339: when the next one was, or it ended; null while it is in use, or if the daemon ended without a word.
    pub ended: Option<String>,
    /// Inner bytes delivered; null without an end.
    pub received_bytes: Option<u64>,
    /// Inner bytes sealed; null without an end.
    pub sent_bytes: Option<u64>,
    /// The policy state at its end; null without an end.
    pub state_at_end: Option<String>,
    /// The rest.
    #[serde(flatten)]
    pub epoch: Epoch,
}

/// Is fed all records, oldest first.
#[derive(Default)]
pub struct Table(BTreeMap<String, EpochRow>);

impl Table {
    /// One more record; gives the rows that are complete by it.
    pub fn add(&mut self, record: Record) -> Vec<Row> {
        let Record { time, what, .. } = record;
        match what {
            // Whatever was open before ended without a word.
            What::Start { .. } | What::Stop => self.rest(),
            What::State { peer, from, to } => vec![Row::State { time, peer, from, to }],
            What::Override { peer, qkd, until, reason } => {
                let text = format!("policy overridden: qkd {qkd} until {until}: {reason}");
                vec![Row::Override { time, peer, text }]
            }
            What::OverrideEnd { peer, early } => {
                let text = if early { "override ended before its time" } else { "override ended" };
                vec![Row::Override { time, peer, text: text.to_owned() }]
            }
            What::Gap { lost } => vec![Row::Fault { time, text: format!("{lost} lines could not be written") }],
            What::Broken { text } => vec![Row::Fault { time, text }],
            What::Epoch(epoch) => {
                let peer = epoch.peer.clone();
                let row = EpochRow {
                    began: time,
                    ended: None,
                    received_bytes: None,
                    sent_bytes: None,
                    state_at_end: None,
                    epoch,
                };
                self.0.insert(peer, row).map(|open| Row::Epoch(Box::new(open))).into_iter().collect()
            }
            What::EpochEnd { peer, epoch, received_bytes, sent_bytes, state } => {
                let Some(mut row) = self.0.remove(&peer) else { return Vec::new() };
                if row.epoch.epoch == epoch {
                    row.ended = Some(time);
                    row.received_bytes = Some(received_bytes);
                    row.sent_bytes = Some(sent_bytes);
                    row.state_at_end = Some(state);
                }
                vec![Row::Epoch(Box::new(row))]
            }
        }
    }

    /// What has no end.
    pub fn rest(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.0).into_values().map(|row| Row::Epoch(Box::new(row))).collect()
    }
}

impl Row {
    /// Its last moment, RFC 3339; `None` if it has no end.
    pub fn last_moment(&self) -> Option<&str> {
        match self {
            Self::Epoch(row) => row.ended.as_deref(),
            Self::State { time, .. } | Self::Override { time, .. } | Self::Fault { time, .. } => Some(time),
        }
    }

    /// For people: one line, and one more for each QKD key.
    pub fn to_text(&self) -> String {
        match self {
            Self::State { time, peer, from, to } => format!("{time}  {peer}  {from} -> {to}\n"),
            // What the file holds was perhaps not written by us.
            Self::Override { time, peer, text } => {
                let text: String = text.chars().filter(|letter| !letter.is_control()).collect();
                format!("{time}  {peer}  {text}\n")
            }
            Self::Fault { time, text } => format!("{time}  FAULT: {text}\n"),
            Self::Epoch(row) => row.to_text(),
        }
    }
}

impl EpochRow {
    fn to_text(&self) -> String {
        let Epoch { peer, epoch, full, mixed, key_ids, cipher, policy, state } = &self.epoch;
        let ended = self.ended.as_deref().unwrap_or("no end known");
        let state_at_end = self.state_at_end.as_ref().filter(|end| *end != state);
        let state = state_at_end.map_or_else(|| state.clone(), |end| format!("{state}, at its end {end}"));
        let traffic = match (self.received_bytes, self.sent_bytes) {
            (Some(received), Some(sent)) => format!("{} received, {} sent", bytes(received), bytes(sent)),
            (Some(_) | None, _) => "bytes not known".to_owned(),
        };
        let kind = if *full { "full handshake" } else { "fast rekey" };
        let mixed = mixed.join(" + ");
        let mut text = format!(
            "{} .. {ended}  {peer}  epoch {epoch} ({kind})  {state}, policy {policy}  {cipher}  {mixed}  {traffic}\n",
            self.began
        );
        for key in key_ids {
            text.push_str(&format!("    {}: key_ID {}\n", key.source, key.key_id));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::report::KeyIdReport;

    fn epoch(number: u64) -> What {
        What::Epoch(Epoch {
            peer: "dc".to_owned(),
            epoch: number,
            full: number == 1,
            mixed: ["x25519", "ml-kem-1024", "fibre-1"].map(str::to_owned).to_vec(),
            key_ids: vec![KeyIdReport { source: "fibre-1".to_owned(), key_id: format!("key-{number}") }],
            cipher: "aes-256-gcm".to_owned(),
            policy: "required".to_owned(),
            state: "HYBRID".to_owned(),
        })
    }

    fn end(number: u64, state: &str) -> What {
        let (peer, state) = ("dc".to_owned(), state.to_owned());
        What::EpochEnd { peer, epoch: number, received_bytes: 2048, sent_bytes: 10, state }
    }

    fn rows(all: Vec<What>) -> Vec<Row> {
        let mut table = Table::default();
        let records = (1..).zip(all).map(|(n, what)| Record { n, time: format!("T{n}"), what });
        let mut rows: Vec<Row> = records.flat_map(|record| table.add(record)).collect();
        rows.extend(table.rest());
        rows
    }

    #[test]
    fn beginning_and_end_of_an_epoch_are_one_row() {
        let rows = rows(vec![epoch(1), end(1, "HYBRID"), epoch(2), end(2, "HOLDOVER")]);
        assert_eq!(rows.len(), 2);
        assert_eq!(
            rows[0].to_text(),
            "T1 .. T2  dc  epoch 1 (full handshake)  HYBRID, policy required  aes-256-gcm  x25519 + ml-kem-1024 + fibre-1  \
             2.00 KiB received, 10 B sent\n    fibre-1: key_ID key-1\n"
        );
        assert!(
            rows[1].to_text().contains("epoch 2 (fast rekey)  HYBRID, at its end HOLDOVER"),
            "{}",
            rows[1].to_text()
        );
        assert_eq!(rows[1].last_moment(), Some("T4"));
    }

    #[test]
    fn an_epoch_without_an_end_is_shown_as_such() {
        let start = What::Start { version: String::new(), fingerprint: String::new() };
        for all in [vec![epoch(1), start.clone()], vec![epoch(1)], vec![epoch(1), What::Stop]] {
            let rows = rows(all);
            assert!(rows.len() == 1 && rows[0].to_text().contains("T1 .. no end known"), "{rows:?}");
            assert!(rows[0].to_text().contains("bytes not known"));
        }
        assert_eq!(rows(vec![epoch(1), epoch(2), end(2, "HYBRID")]).len(), 2);
        let wrong = rows(vec![epoch(1), end(7, "HYBRID"), end(7, "HYBRID")]);
        assert!(wrong.len() == 1 && wrong[0].last_moment().is_none(), "{wrong:?}");
    }

    #[test]
    fn states_and_gaps_are_rows_of_their_own() {
        let state = What::State { peer: "dc".to_owned(), from: "HYBRID".to_owned(), to: "BLOCKED".to_owned() };
        let rows = rows(vec![state, What::Gap { lost: 3 }]);
        let texts: String = rows.iter().map(Row::to_text).collect();
        assert_eq!(texts, "T1  dc  HYBRID -> BLOCKED\nT2  FAULT: 3 lines could not be written\n");
    }
}
