//! Floods of strangers beside load: a new peer gets through, nobody loses a session, no memory, no key and no amplification is won.

use crate::flood::{Flood, Forger, Ticket, attacker, attackers, replies};
use crate::forge::Dice;
use crate::hub::Hub;
use crate::process::Process;
use crate::site::Status;
use crate::topology::{Net, inner4, outer4, runnable};
use crate::traffic::{Echo, Flow};
use std::net::SocketAddr;
use std::time::Duration;

/// Datagrams a second: what a debug build answers beside the other tests of a small machine; `scripts/flood.sh` sends more.
const A_SECOND: u32 = 10_000;
/// A peer that has just started gets through a flood within the time that it has without one.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Memory that a flood may cost each end (RELIABILITY 5), in KiB: queues that were never full before.
const GROWTH_KIB_MAX: u64 = 2048;
/// Addresses of an attacker who can receive at all of them.
const ATTACKERS: u16 = 100;
const PING_INTERVAL: Duration = Duration::from_millis(10);

/// What floods are made of, for one source (1) or many.
struct Arms {
    forger: Forger,
    tickets: Vec<Ticket>,
    sources: u16,
}

type Make = Box<dyn FnMut(u64) -> (SocketAddr, Vec<u8>) + Send>;

fn small(n: u64) -> u32 {
    u32::try_from(n & 0xffff_ffff).unwrap()
}

impl Arms {
    fn new(net: &Net, forger: Forger, to: SocketAddr, sources: u16) -> Self {
        let tickets = (0..sources.min(ATTACKERS)).map(|n| forger.ticket(net, to, n)).collect();
        Self { forger, tickets, sources }
    }

    /// Every other one is an I0 with one bit of its mac1 wrong; the rest is of every type and length.
    fn junk(&self) -> Make {
        let (mut dice, sources) = (Dice::new(0x6a75_6e6b), usize::from(self.sources));
        let mut i0 = self.forger.i0(1, 1);
        i0[64] ^= 1;
        Box::new(move |n| {
            let from = attacker(dice.below(sources).try_into().unwrap());
            if n % 2 == 0 {
                return (from, i0.clone());
            }
            let mut bytes = vec![0x55; [96, 1232, 1028, 500, 16, 1, 1400][dice.below(7)]];
            let kind = [1, 2, 3, 4, 5, 6, 16, 17, 18, 19, 200][dice.below(11)];
            let head = [kind, 1, 1, 0].into_iter().chain((0..12).map(|_| dice.below(256).try_into().unwrap()));
            bytes.iter_mut().zip(head).for_each(|(byte, head)| *byte = head);
            (from, bytes)
        })
    }

    /// I0 as everyone with the public file can make them; each is answered.
    fn i0(&self) -> Make {
        let (forger, sources) = (self.forger.clone(), u64::from(self.sources));
        Box::new(move |n| (attacker((n % sources).try_into().unwrap()), forger.i0(small(n) | 1, small(n))))
    }

    /// Whole I1 with a cookie that holds; each costs the responder all that one without keys can make it do.
    fn i1(&self) -> Make {
        let (forger, tickets) = (self.forger.clone(), self.tickets.clone());
        let mut waiting = Vec::new();
        Box::new(move |n| {
            let ticket = &tickets[usize::try_from(n / 3).unwrap() % tickets.len()];
            if waiting.is_empty() {
                waiting = forger.i1(ticket, small(n), 7);
            }
            (ticket.from(), waiting.remove(0))
        })
    }

    /// Parts of I1 that never become whole: the first, the last, two of three, the same one with other content.
    fn fragments(&self) -> Make {
        let (forger, tickets) = (self.forger.clone(), self.tickets.clone());
        Box::new(move |n| {
            let ticket = &tickets[usize::try_from(n / 4).unwrap() % tickets.len()];
            let (part, filler) = [(0, 1), (0, 2), (2, 1), (2, 3)][usize::try_from(n % 4).unwrap()];
            (ticket.from(), forger.i1(ticket, small(n / 4), filler).remove(part))
        })
    }
}

fn session(status: &Status) -> String {
    status.json["peers"][0]["epoch"]["check_words"].to_string()
}

/// Keys and failures of both of a's sources.
fn keys(status: &Status) -> [(u64, u64); 2] {
    [0, 1].map(|n| {
        let number = |key: &str| status.json["sources"][n][key].as_u64().unwrap();
        (number("keys_used"), number("requests_failed"))
    })
}

/// The most memory that the packet process has held since the last question, in KiB.
fn peak(daemon: &Process) -> u64 {
    let pid = daemon.children()[0];
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    // Counts anew from here (proc_pid_clear_refs(5)).
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// One flood at a beside pings between a and b, while c starts, makes its first handshake and stops.
fn endure(hub: &mut Hub, what: &str, make: Make) {
    let to = SocketAddr::new(outer4(1), 51900);
    let before = hub.a.status();
    for site in [&mut hub.a, &mut hub.b] {
        peak(site.daemon());
    }
    let held = [peak(hub.a.daemon()), peak(hub.b.daemon())];
    let answered = replies(&hub.net);
    let flow = Flow::start(&hub.net, "b", inner4(1), PING_INTERVAL);
    let flood = Flood::start(&hub.net, to, A_SECOND, make);
    std::thread::sleep(Duration::from_secs(2));
    hub.c.up();
    hub.c.wait_state(&["HYBRID"], HANDSHAKE_WITHIN);
    let (sent, pings) = (flood.stop(), flow.stop());
    let answered = replies(&hub.net) - answered;
    let after = hub.a.status();
    let growth = [(hub.a.daemon(), held[0]), (hub.b.daemon(), held[1])].map(|(daemon, held)| peak(daemon) - held);
    hub.c.down();
    let [lost, of] = [pings.lost(), pings.sent()];
    let refused = &after.json["refused"];
    let facts =
        format!("{what}: {sent:?}, {answered} bytes back, grown {growth:?} KiB, {lost} of {of} pings lost, {refused}");
    eprintln!("{facts}");
    assert!(sent.datagrams > 1000, "{facts}: no flood");
    assert!(answered <= sent.bytes, "{facts}: an amplifier");
    assert!(growth.iter().all(|kib| *kib <= GROWTH_KIB_MAX), "{facts}");
    assert!(lost * 5 <= of, "{facts}");
    assert_eq!((after.states()[0].as_str(), session(&after)), ("HYBRID", session(&before)), "{facts}");
    let [(to_b, _), (to_c, _)] = keys(&before);
    let failed = keys(&before).map(|(_, failed)| failed);
    assert_eq!(keys(&after), [(to_b, failed[0]), (to_c + 1, failed[1])], "{facts}: one key set, for c");
}

fn floods(sources: u16) {
    let mut hub = Hub::new();
    for site in [&mut hub.a, &mut hub.b, &mut hub.c] {
        site.config.set_policy("rekey", "\"1h\"");
        site.config.set_policy("full", "\"2h\"");
    }
    attackers(&hub.net, &["a"]);
    hub.a.up();
    hub.b.up();
    hub.b.wait_state(&["HYBRID"], HANDSHAKE_WITHIN);
    let _echo = Echo::start(&hub.net, "a");
    let arms = Arms::new(&hub.net, Forger::of(&hub.a.file("pub")), SocketAddr::new(outer4(1), 51900), sources);
    for (what, make) in [
        ("junk", arms.junk()),
        ("I0 with a good mac1", arms.i0()),
        ("I1 with a good cookie", arms.i1()),
        ("fragments", arms.fragments()),
    ] {
        endure(&mut hub, &format!("{what} from {sources}"), make);
    }
    // The floods went as far as they were to go.
    let refused = hub.a.status().json["refused"].clone();
    let reached = ["malformed", "unknown index", "mac1", "over the work limit", "unopened"];
    assert!(reached.iter().all(|reason| refused[*reason].as_u64() > Some(10)), "{refused}");
}

#[test]
fn floods_from_one_address_cost_others_nothing() {
    if runnable("floods_from_one_address_cost_others_nothing") {
        floods(1);
    }
}

#[test]
fn floods_from_thousands_of_addresses_cost_others_nothing() {
    if runnable("floods_from_thousands_of_addresses_cost_others_nothing") {
        floods(60_000);
    }
}
