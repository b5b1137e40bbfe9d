//! Orders to a running pair: one JSON line in, one JSON line out (`plait kme link`, `plait kme fault`).

use serde::{Deserialize, Serialize};

use super::catalogue::Fault;
use super::fault::Times;
use super::pair::{Pair, PairStatus, Side};
use crate::types::time::Instant;

/// Bytes of a line in either direction: an order is far shorter, an answer with every fault of the catalogue at both KMEs fits.
pub const ORDER_BYTES_MAX: usize = 32 * 1024;
/// Version of the lines.
pub const ORDER_VERSION: u32 = 1;

/// What is asked of the pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// Repair it.
    Up,
    /// Cut it.
    Down,
    /// Only show it.
    Status,
    /// Slow it down or speed it up.
    Rate {
        /// Bits of secret key a second.
        bits_per_second: u64,
    },
    /// Let a KME do something wrong, or otherwise.
    Fault {
        /// What.
        fault: Fault,
        /// How often.
        times: Times,
        /// Which KME, by its id; none: either.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kme: Option<String>,
    },
    /// Take all faults back.
    NoFaults,
}

#[derive(Serialize, Deserialize)]
struct Line {
    version: u32,
    #[serde(flatten)]
    order: Order,
}

/// The answer to an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderAnswer {
    /// Done; the link afterwards.
    Link(PairStatus),
    /// Not understood.
    Error(String),
}

impl Order {
    /// The line that asks for it, without line feed.
    pub fn to_line(&self) -> String {
        serde_json::to_string(&Line { version: ORDER_VERSION, order: self.clone() }).unwrap_or_default()
    }

    /// Whether the pair can carry it out.
    ///
    /// # Errors
    /// A sentence.
    pub fn check(&self, pair: &Pair) -> Result<(), String> {
        let Self::Fault { fault, times, kme } = self else { return Ok(()) };
        if fault.is_habit() && !matches!(times, Times::Always | Times::Next(0)) {
            return Err(format!("{fault} is a habit: it lasts, and is not counted"));
        }
        match kme {
            Some(kme) if pair.side_of(kme).is_none() => {
                let known = [Side::A, Side::B].map(|side| pair.kme(side).id.clone());
                Err(format!(
                    "no KME of this pair is called \"{}\", they are {}",
                    kme.escape_debug(),
                    known.join(" and ")
                ))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Carries the order out, which has been checked.
    pub fn carry_out(self, pair: &mut Pair, now: Instant) -> PairStatus {
        match self {
            Self::Up => pair.set_link_up(now, true),
            Self::Down => pair.set_link_up(now, false),
            Self::Rate { bits_per_second } => pair.set_link_rate(now, bits_per_second),
            Self::Fault { fault, times, kme } => {
                let at = kme.and_then(|kme| pair.side_of(&kme));
                pair.faults().order(fault, at, times);
            }
            Self::NoFaults => pair.faults().clear(),
            Self::Status => {}
        }
        pair.status(now)
    }
}

/// Reads a line and carries it out; the answering line, without line feed.
pub fn answer_line(pair: &mut Pair, now: Instant, line: &[u8]) -> String {
    let answer = match serde_json::from_slice::<Line>(line) {
        Ok(Line { version: ORDER_VERSION, order }) => match order.check(pair) {
            Ok(()) => OrderAnswer::Link(order.carry_out(pair, now)),
            Err(text) => OrderAnswer::Error(text),
        },
        Ok(line) => OrderAnswer::Error(format!("version {} is not {ORDER_VERSION}", line.version)),
        Err(error) => OrderAnswer::Error(format!("not an order: {error}")),
    };
    serde_json::to_string(&answer).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kme::link::LinkModel;
    use crate::kme::pair::{Kme, PairSetup};

    #[test]
    fn orders_are_carried_out_and_others_are_refused() {
        let kme = |id: &str| Kme { id: id.to_owned(), saes: Vec::new() };
        let setup = PairSetup {
            kmes: [kme("A"), kme("B")],
            model: LinkModel::Constant { key_rate: 1000 },
            block_bits: 256,
            stock_start: 3,
            stock_max: 10,
            split: false,
            dec_delay: std::time::Duration::ZERO,
        };
        let mut pair = Pair::new(setup, Instant::ZERO);
        let mut ask =
            |line: &str| serde_json::from_str(&answer_line(&mut pair, Instant::ZERO, line.as_bytes())).unwrap();
        let OrderAnswer::Link(status) = ask(&Order::Down.to_line()) else { panic!("an order is answered") };
        assert!(!status.up && status.stored_keys == [3]);
        let OrderAnswer::Link(status) = ask(&Order::Rate { bits_per_second: 7 }.to_line()) else { panic!("answered") };
        assert!(!status.up && status.rate_bits_per_second == 7);
        let fault =
            |fault, times, kme: Option<&str>| Order::Fault { fault, times, kme: kme.map(str::to_owned) }.to_line();
        let line = fault(Fault::WrongKey, Times::Next(3), Some("B"));
        assert!(matches!(ask(&line), OrderAnswer::Link(PairStatus { faults_waiting: 3, .. })), "{line}");
        let OrderAnswer::Link(status) = ask(&fault(Fault::GetOnly, Times::Always, None)) else { panic!("answered") };
        let shown = serde_json::to_string(&status.faults).unwrap();
        assert_eq!(shown, r#"[{"fault":"wrong-key","kme":"B","left":3},{"fault":"get-only"}]"#);
        for (line, words) in [
            (fault(Fault::WrongKey, Times::Next(1), Some("C")), "A and B"),
            (fault(Fault::GetOnly, Times::Next(1), None), "habit"),
            (line.replace("wrong-key", "wrong-kye"), "did you mean `wrong-key`?"),
        ] {
            assert!(matches!(ask(&line), OrderAnswer::Error(text) if text.contains(words)), "{line}");
        }
        assert!(matches!(ask(&Order::NoFaults.to_line()), OrderAnswer::Link(PairStatus { faults_waiting: 0, .. })));
        assert!(matches!(ask(&Order::Up.to_line()), OrderAnswer::Link(PairStatus { up: true, .. })));
        for wrong in ["", "{}", r#"{"version":2,"order":"up"}"#, r#"{"version":1,"order":"explode"}"#] {
            assert!(matches!(ask(wrong), OrderAnswer::Error(_)), "{wrong}");
        }
    }
}
