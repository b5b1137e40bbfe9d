//! Orders to a running pair: one JSON line in, one JSON line out (`plait kme link`).

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::pair::{Pair, PairStatus};
use crate::types::time::Instant;

/// Bytes of a line in either direction: an order is far shorter.
pub const ORDER_BYTES_MAX: usize = 4096;
/// Version of the lines.
pub const ORDER_VERSION: u32 = 1;

/// What is asked of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Spoil the next keys.
    Fault {
        /// How.
        fault: Fault,
        /// How many.
        keys: u64,
    },
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
    pub fn to_line(self) -> String {
        serde_json::to_string(&Line { version: ORDER_VERSION, order: self }).unwrap_or_default()
    }

    /// Carries the order out.
    pub fn carry_out(self, pair: &mut Pair, now: Instant) -> PairStatus {
        match self {
            Self::Up => pair.set_link_up(now, true),
            Self::Down => pair.set_link_up(now, false),
            Self::Rate { bits_per_second } => pair.set_link_rate(now, bits_per_second),
            Self::Fault { fault, keys } => pair.order_fault(fault, keys),
            Self::Status => {}
        }
        pair.status(now)
    }
}

/// Reads a line and carries it out; the answering line, without line feed.
pub fn answer_line(pair: &mut Pair, now: Instant, line: &[u8]) -> String {
    let answer = match serde_json::from_slice::<Line>(line) {
        Ok(Line { version: ORDER_VERSION, order }) => OrderAnswer::Link(order.carry_out(pair, now)),
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
        let line = Order::Fault { fault: Fault::WrongKey, keys: 3 }.to_line();
        assert!(matches!(ask(&line), OrderAnswer::Link(PairStatus { faults_waiting: 3, .. })), "{line}");
        assert!(matches!(ask(&Order::Up.to_line()), OrderAnswer::Link(PairStatus { up: true, .. })));
        for wrong in ["", "{}", r#"{"version":2,"order":"up"}"#, r#"{"version":1,"order":"explode"}"#] {
            assert!(matches!(ask(wrong), OrderAnswer::Error(_)), "{wrong}");
        }
    }
}
