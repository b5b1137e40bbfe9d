//! Every function that sees foreign bytes, behind one signature: bytes in, whether they were accepted out, never a panic.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use sha2::Digest as _;

use plait::control::audit::chain::{Head, read_line};
use plait::control::audit::verify::Verifier;
use plait::control::event::Event;
use plait::control::request::{Answer, Request, from_line};
use plait::control::time::parse_rfc3339;
use plait::crypto::kem::default_backend;
use plait::dataplane::bundle::Bundle;
use plait::dataplane::frame::{Frame, Shape};
use plait::dataplane::segment::Segment;
use plait::etsi014::v1::request::{EncKeys, read_key_ids};
use plait::etsi014::v1::{base64, container, error, path, pin, status, url};
use plait::handshake::cookie::Cookie;
use plait::handshake::reassembly::I1Reassembly;
use plait::identity::{Fingerprint, read_psk, read_public, read_secret};
use plait::io::keys_link::frames::{KeyAsk, Told};
use plait::io::keys_link::handover::Handover;
use plait::keys::budget::RequestBudget;
use plait::keys::clock::PolicyClock;
use plait::keys::ratchet::RatchetStore;
use plait::keys::seen::SeenTable;
use plait::keys::state_file::FileState;
use plait::kme::api::{ApiRequest, Verb, answer};
use plait::kme::catalogue::Fault;
use plait::kme::fault::Times;
use plait::kme::link::LinkModel;
use plait::kme::order::answer_line;
use plait::kme::pair::{Kme, Pair, PairSetup, Side};
use plait::session::fast_rekey::{EpochRoot, open_fr1};
use plait::types::id::{SaeId, SourceMask};
use plait::types::policy::{Cipher, QkdPolicy, Suite};
use plait::types::random::Entropy;
use plait::types::secret::Secret;
use plait::types::terms::Agreed;
use plait::types::time::Instant;
use plait::wire::control::Control;
use plait::wire::handshake::HandshakeDatagram;
use plait::wire::ip::InnerPacket;
use plait::wire::layers::Layers;
use plait::wire::transport::DataHeader;
use plait::wire::vnet::VnetHeader;
use plait::wire::{bodies, ecn, icmp, slots, status as exchange_status, terms};

use crate::live;

/// One target.
pub(crate) struct Target {
    /// Its name: of its corpus, of its binary.
    pub(crate) name: &'static str,
    /// Runs it: whether the bytes were accepted as what they claim to be.
    pub(crate) run: fn(&[u8]) -> bool,
}

/// All of them.
pub(crate) const TARGETS: [Target; 30] = [
    Target { name: "handshake_datagram", run: handshake_datagram },
    Target { name: "handshake_bodies", run: handshake_bodies },
    Target { name: "handshake_terms", run: handshake_terms },
    Target { name: "key_slots", run: key_slots },
    Target { name: "reassembly", run: reassembly },
    Target { name: "fast_rekey", run: fast_rekey },
    Target { name: "data_header", run: data_header },
    Target { name: "control_message", run: control_message },
    Target { name: "segment", run: segment },
    Target { name: "bundle", run: bundle },
    Target { name: "inner_packet", run: inner_packet },
    Target { name: "tun_frame", run: tun_frame },
    Target { name: "too_big", run: too_big },
    Target { name: "kme_keys", run: kme_keys },
    Target { name: "kme_status", run: kme_status },
    Target { name: "kme_error", run: kme_error },
    Target { name: "kme_base64", run: kme_base64 },
    Target { name: "kme_url", run: kme_url },
    Target { name: "kme_request", run: kme_request },
    Target { name: "kme_order", run: kme_order },
    Target { name: "keys_link", run: keys_link },
    Target { name: "pair_file", run: pair_file },
    Target { name: "configuration", run: configuration },
    Target { name: "control_request", run: control_request },
    Target { name: "control_answer", run: control_answer },
    Target { name: "key_file", run: key_file },
    Target { name: "state_files", run: state_files },
    Target { name: "audit", run: audit },
    Target { name: "event_line", run: event_line },
    Target { name: "live_pair", run: live::live_pair },
];

/// The target of that name.
pub(crate) fn find(name: &str) -> Option<&'static Target> {
    const ALL: &[Target] = &TARGETS;
    ALL.iter().find(|target| target.name == name)
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn handshake_datagram(bytes: &[u8]) -> bool {
    HandshakeDatagram::parse(bytes).is_ok_and(|datagram| {
        let fits = [Suite::MlKem1024, Suite::MlKem768].map(|suite| datagram.fits(suite));
        fits.contains(&true)
    })
}

fn handshake_bodies(bytes: &[u8]) -> bool {
    let any = [
        bodies::parse_i0(bytes).is_ok(),
        bodies::parse_r0(bytes).is_ok(),
        bodies::parse_payload3(bytes).is_ok(),
        bodies::parse_r2::<16>(bytes).is_ok(),
    ];
    bodies::peek_e_i(bytes);
    any.contains(&true)
}

fn handshake_terms(bytes: &[u8]) -> bool {
    terms::parse_payload1(bytes).is_ok() | terms::parse_payload2(bytes).is_ok()
}

/// The first byte says which slots were asked for, the rest is slots, then a status.
fn key_slots(bytes: &[u8]) -> bool {
    let Some((asked, rest)) = bytes.split_first() else { return false };
    let asked = SourceMask::from_bits(asked & 0x3f).unwrap_or(SourceMask::EMPTY);
    let (slot_bytes, status_bytes) = rest.split_at(rest.len().min(6 * 72));
    let Ok(slots) = slots::parse(slot_bytes, asked) else { return false };
    exchange_status::parse(status_bytes, &slots).is_ok()
}

/// Datagrams, each behind a byte of its source, a byte of time and a big-endian length.
fn reassembly(bytes: &[u8]) -> bool {
    let mut table = I1Reassembly::new(Suite::MlKem1024);
    let (mut rest, mut now, mut whole) = (bytes, Instant::ZERO, false);
    while let Some(([source, wait, high, low], after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
        let (datagram, next) = after.split_at(length);
        rest = next;
        now = now + Duration::from_millis(u64::from(*wait) * 50);
        let from = SocketAddr::from(([192, 0, 2, *source], 51900));
        if let Ok(i1) = HandshakeDatagram::parse(datagram) {
            whole |= matches!(table.insert(now, from, source % 4 == 0, &i1, Cookie([0; 16])), Ok(Some(_)));
        }
        assert!(table.len() <= 64, "{} unfinished", table.len());
    }
    whole
}

fn agreed() -> Agreed {
    Agreed {
        policy: QkdPolicy::Required,
        need: 1,
        asked: SourceMask::from_bits(3).unwrap_or(SourceMask::EMPTY),
        cipher: Cipher::ChaCha20Poly1305,
        features: 3,
        inner_mtu: 1420,
        hold_last: 3600,
        degrade_for: u32::MAX,
        clock: 0,
    }
}

/// An FR1 as it is, and with an `auth` that is made to fit, or nothing would get past it.
fn fast_rekey(bytes: &[u8]) -> bool {
    let root = EpochRoot { hs: [1; 48], root: Secret::filled(|root| root.fill(2)) };
    assert!(open_fr1(&root, &agreed(), bytes).is_err(), "nobody knows the root");
    let body = bytes.get(..bytes.len().saturating_sub(16)).unwrap_or_default();
    open_fr1(&root, &agreed(), &[body, &root.auth(body)].concat()).is_ok()
}

fn data_header(bytes: &[u8]) -> bool {
    let Ok(header) = DataHeader::parse(bytes) else { return false };
    assert_eq!(bytes.get(..16), Some(header.to_bytes().as_slice()), "one spelling");
    true
}

fn control_message(bytes: &[u8]) -> bool {
    Control::parse(bytes).is_ok()
}

fn segment(bytes: &[u8]) -> bool {
    let Ok(segment) = Segment::parse(bytes) else { return false };
    let mut whole = bytes.to_vec();
    segment.complete(&mut whole);
    assert!(InnerPacket::parse(&whole).is_ok(), "what a segment completes to is a packet");
    true
}

fn bundle(bytes: &[u8]) -> bool {
    let Ok(bundle) = Bundle::parse(bytes) else { return false };
    let entries = bundle.entries().filter(|(_, range)| bytes.get(range.clone()).is_some()).count();
    assert!(entries >= 2, "a bundle holds at least two");
    true
}

fn inner_packet(bytes: &[u8]) -> bool {
    ecn::read_tos(bytes);
    // As if the first byte were the octet of the outer header, the second that of the inner.
    if let [outer, inner, ..] = bytes {
        ecn::inner_after(*inner, *outer);
    }
    Layers::of(bytes);
    InnerPacket::parse(bytes).is_ok_and(|packet| packet.bytes().len() <= bytes.len())
}

/// A frame with a virtio_net_hdr, cut as far as it says.
fn tun_frame(bytes: &[u8]) -> bool {
    if let Ok((header, packet)) = VnetHeader::split(bytes) {
        let again = [header.to_bytes().as_slice(), packet].concat();
        assert_eq!(VnetHeader::split(&again).ok().map(|(header, _)| header), Some(header));
    }
    let Ok(frame) = Frame::parse(bytes, true) else { return false };
    if let Shape::Segments(cut) | Shape::Pieces(cut) = frame.shape {
        let mut out = Vec::new();
        for index in [0, cut.count() / 2, cut.count().saturating_sub(1)] {
            out.clear();
            cut.write_complete(index, &mut out);
            assert_eq!(out.len(), cut.piece_bytes(index));
        }
    }
    true
}

fn too_big(bytes: &[u8]) -> bool {
    let mut out = Vec::new();
    let mut of = |from| {
        let is_made = icmp::too_big(bytes, 1280, from, &mut out);
        assert!(out.len() <= 1280, "{} bytes", out.len());
        is_made
    };
    let both = [of([10, 0, 0, 1].into()), of([0xfd99, 0, 0, 0, 0, 0, 0, 1].into())];
    both.contains(&true)
}

fn kme_keys(bytes: &[u8]) -> bool {
    container::read(bytes.to_vec().into()).is_ok_and(|keys| !keys.is_empty())
}

fn kme_status(bytes: &[u8]) -> bool {
    status::Status::read(bytes).is_ok()
}

fn kme_error(bytes: &[u8]) -> bool {
    let said = error::explain(bytes);
    assert!(said.iter().all(|words| !words.contains(['\n', '\r'])), "one line");
    said.is_some()
}

fn kme_base64(bytes: &[u8]) -> bool {
    base64::decode(&text(bytes)).is_some_and(|key| base64::encode(key.expose()).expose() == bytes)
}

/// What the three processes say to each other of keys: what is taken comes back as it was, but for words that are made fit to be shown.
fn keys_link(bytes: &[u8]) -> bool {
    let ask = KeyAsk::parse(bytes).inspect(|ask| assert_eq!(ask.to_bytes(), bytes));
    let told = Told::parse(bytes).inspect(|told| assert!(Told::parse(&told.to_bytes()).is_ok()));
    let handover = Handover::parse(bytes).inspect(|handover| {
        let again = Handover::parse(handover.to_bytes().unwrap().expose()).unwrap();
        assert_eq!(again.sources, handover.sources);
    });
    ask.is_ok() || told.is_ok() || handover.is_ok()
}

fn kme_url(bytes: &[u8]) -> bool {
    let text = text(bytes);
    pin::parse(&text);
    path::parse(&text);
    path::query_value(&text, "key_ID");
    url::BaseUrl::parse(&text).is_ok()
}

struct Count(u8);

impl Entropy for Count {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_add(97);
            *byte = self.0;
        }
    }
}

fn pair() -> Pair {
    let kme = |id: &str, sae: &str| Kme { id: id.to_owned(), saes: SaeId::new(sae).into_iter().collect() };
    let setup = PairSetup {
        kmes: [kme("KME-A", "SAE-A"), kme("KME-B", "SAE-B")],
        model: LinkModel::Constant { key_rate: 1000 },
        block_bits: 1000,
        stock_start: 10,
        stock_max: 20,
        split: false,
        dec_delay: Duration::ZERO,
    };
    Pair::new(setup, Instant::ZERO)
}

/// Method, path, query and body, each on a line of its own.
fn kme_request(bytes: &[u8]) -> bool {
    let mut parts = bytes.splitn(4, |byte| *byte == b'\n');
    let mut next = || parts.next().unwrap_or_default();
    let mut words = next().splitn(2, |byte| *byte == b' ');
    let verb = match words.next() {
        Some(b"GET") => Verb::Get,
        Some(b"POST") => Verb::Post,
        _ => Verb::Other,
    };
    let habit = words.next().and_then(|name| Fault::named(&text(name)).ok());
    let (path, query, body) = (text(next()), text(next()), next());
    let _ = (EncKeys::read(body), read_key_ids(body));
    let Some(caller) = SaeId::new("SAE-A") else { return false };
    let request = ApiRequest { caller: &caller, verb, path: &path, query: &query, body };
    let mut pair = pair();
    if let Some(habit) = habit {
        pair.faults().order(habit, None, Times::Always);
    }
    let answered = answer(&mut pair, Instant::ZERO, Side::A, &request, &mut Count(0));
    assert!(answered.code == 200 || error::explain(answered.body.expose()).is_some(), "a refusal has its words");
    answered.code == 200
}

fn kme_order(bytes: &[u8]) -> bool {
    !answer_line(&mut pair(), Instant::ZERO, bytes).contains("error")
}

fn pair_file(bytes: &[u8]) -> bool {
    plait::kme::file::read(&text(bytes), Path::new("/nowhere")).is_ok()
}

fn configuration(bytes: &[u8]) -> bool {
    match plait::config::parse("hq.toml", "hq", &text(bytes)) {
        Ok(_) => true,
        Err(errors) => {
            assert!(!errors.errors.is_empty(), "an error says what it is");
            false
        }
    }
}

fn control_request(bytes: &[u8]) -> bool {
    from_line::<Request>(&text(bytes)).is_ok()
}

fn control_answer(bytes: &[u8]) -> bool {
    from_line::<Answer>(&text(bytes)).is_ok()
}

fn key_file(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let _ = text.parse::<Fingerprint>();
    read_secret(&text).is_ok() | read_public(default_backend(), &text).is_ok() | read_psk(&text).is_ok()
}

/// The first byte says which file, the rest is its content; the frame around it is made to fit, or nothing would get past its hash.
fn state_files(bytes: &[u8]) -> bool {
    let Some((which, content)) = bytes.split_first() else { return false };
    let kind = [b'r', b'c', b'b', b's'][usize::from(which % 4)];
    let mut file = [b"PLAIT", [kind].as_slice(), &[0, 1], content].concat();
    let hash = sha2::Sha384::digest(&file);
    file.extend_from_slice(&hash);
    match which % 4 {
        0 => {
            let store = RatchetStore::from_file(Some(&file));
            assert!(store.newest_first().count() <= 3);
            store.file_state() == FileState::Present
        }
        1 => PolicyClock::from_file(Instant::ZERO, Some(&file)).1 == FileState::Present,
        2 => {
            let mut budget = RequestBudget::from_file(Some(&file), Duration::from_secs(60), Instant::ZERO);
            let taken = (0..10).filter(|_| budget.take(Instant::ZERO)).count();
            assert!(taken <= 4, "{taken} key sets at once");
            taken > 0
        }
        _ => {
            let (table, state) = SeenTable::from_file(Some(&file));
            assert!(table.len() <= 512);
            state == FileState::Present
        }
    }
}

/// The head on the first line, the lines after it.
fn audit(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let mut lines = text.lines();
    let head: Option<Head> = lines.next().and_then(|line| serde_json::from_str(line).ok());
    let mut verifier = Verifier::new(head);
    let mut read = 0;
    for line in lines {
        read += usize::from(read_line(line).is_some());
        verifier.line("line", line);
    }
    let verdict = verifier.finish(None);
    read > 0 && verdict.faults.is_empty()
}

fn event_line(bytes: &[u8]) -> bool {
    let text = text(bytes);
    parse_rfc3339(&text);
    serde_json::from_str::<Event>(&text).is_ok()
}
