//! Every number of the protocol and of the house: with its unit and its reason.

use std::time::Duration;

/// Tag of the protocol in every derivation (PROTOCOL 2: `PROTO`).
pub const PROTO: &[u8] = b"PLAIT1";
/// Version byte of every datagram (PROTOCOL 2.4, 2.9).
pub const WIRE_VERSION: u8 = 1;

/// Key sources a peer can have: slots of I2 and FR1 (PROTOCOL 2.5).
pub const QKD_SOURCES_MAX: usize = 6;
/// Bytes of a key_ID: the slot's text field (PROTOCOL 2.5).
pub const KEY_ID_BYTES_MAX: usize = 64;
/// Bytes of a SAE id: the longest seen in the field is far shorter; it must fit a URL segment.
pub const SAE_ID_BYTES_MAX: usize = 128;
/// Bits of the QKD key asked for (PROTOCOL 2.5): one key of 256 bits a source.
pub const QKD_KEY_BITS: u16 = 256;
/// Bytes of the longest QKD key accepted from a KME: 64 times what is asked; longer ones are malformed.
pub const QKD_KEY_BYTES_MAX: usize = 2048;

/// Bytes of one body part of a handshake datagram (PROTOCOL 2.4): all parts but the last are exactly this long.
pub const FRAGMENT_BODY_BYTES: usize = 1184;
/// Bytes of the largest handshake datagram (PROTOCOL 2.4): fits the IPv6 minimum MTU of 1280 with 48 bytes of headers.
pub const HANDSHAKE_DATAGRAM_BYTES_MAX: usize = 1232;
/// Parts of one handshake message (PROTOCOL 2.4).
pub const FRAGMENTS_MAX: usize = 8;
/// Bytes of the data header, also the AEAD's associated data (PROTOCOL 2.9).
pub const DATA_HEADER_BYTES: usize = 16;
/// Bytes of an AEAD tag (RFC 8439, SP 800-38D).
pub const TAG_BYTES: usize = 16;
/// Lanes of the counter (PROTOCOL 2.9): one for each sending thread, 0 the control side.
pub const LANES: usize = 8;

/// Deadline of one `enc_keys`, from sending (PROTOCOL 2.5).
pub const ENC_KEYS_DEADLINE: Duration = Duration::from_secs(10);
/// Deadline of one `dec_keys`, retries included (PROTOCOL 2.5).
pub const DEC_KEYS_DEADLINE: Duration = Duration::from_secs(5);

/// key_IDs remembered for each peer, oldest out (PROTOCOL 2.5 "Seen table").
pub const SEEN_KEY_IDS_MAX: usize = 4096;
/// key_IDs of each peer that outlive a restart, the newest: 8 KiB, written with each key; a working day at a key a minute.
pub const SEEN_KEY_IDS_KEPT: usize = 512;
/// Fingerprints of delivered keys remembered for each peer, oldest out: as far back as key_IDs are remembered.
pub const KEY_FINGERPRINTS_MAX: usize = SEEN_KEY_IDS_MAX;
/// Equal bytes in a row that make a delivered key unfit (SP 800-90B 4.4.1, repetition count): chance in 27 * 2^-40 for 32 good bytes.
pub const KEY_EQUAL_BYTES_RUN: usize = 6;
/// Bytes of the shortest QKD key that is mixed (PROTOCOL 2.5).
pub const QKD_KEY_BYTES_MIN: usize = 32;
/// Key sets a peer may ask for at once (PROTOCOL 2.5 "Request budget").
pub const BUDGET_TOKENS_MAX: u8 = 4;
/// Longest time until one more key set is allowed; half of T_fast if that is shorter (PROTOCOL 2.5).
pub const BUDGET_INTERVAL_MAX: Duration = Duration::from_secs(5);
/// Delays after the 1st, 2nd .. failure in a row, the last one for all later ones (PROTOCOL 2.6, 2.8a "Probe times").
pub const BACKOFF: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(40),
    Duration::from_secs(60),
];
/// How long a source whose KMEs gave different keys counts as failed with reason 11 (PROTOCOL 2.5 R2).
pub const MISMATCH_PAUSE: Duration = Duration::from_secs(60);
/// Ratchet entries of a peer that no later handshake has proven to be common (PROTOCOL 2.7).
pub const RATCHET_UNCONFIRMED_MAX: usize = 2;
/// Shortest and longest time between two writes of a running policy clock (PROTOCOL 2.8a).
pub const CLOCK_WRITE_INTERVAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Life of a cookie secret as the current one, and again as the previous one (PROTOCOL 2.4).
pub const COOKIE_SECRET_LIFE: Duration = Duration::from_secs(120);
/// Unfinished I1 of one source, an IPv4 address or an IPv6 /64 (PROTOCOL 2.4).
pub const REASSEMBLY_PER_SOURCE_MAX: usize = 4;
/// Unfinished I1 in all (PROTOCOL 2.4).
pub const REASSEMBLY_MAX: usize = 64;
/// Of these, places only for configured or last authenticated peer addresses (PROTOCOL 2.4).
pub const REASSEMBLY_RESERVED: usize = 16;
/// Life of an unfinished I1 from its first fragment (PROTOCOL 2.4).
pub const REASSEMBLY_LIFE: Duration = Duration::from_secs(10);
/// Messages in parts that one waiting initiator keeps: R1 as first made, and one more after a restart of R (PROTOCOL 2.4).
pub const R1_IN_PARTS_MAX: usize = 2;
/// Whole I1 a second of one source, and how many at once (PROTOCOL 2.4 "Work limits").
pub const WORK_PER_SOURCE: (u32, u32) = (16, 32);
/// Whole I1 a second from unknown addresses: 64/s less the reserved quarter (PROTOCOL 2.4 "Work limits").
pub const WORK_SHARED_RATE: u32 = 48;
/// Whole I1 a second reserved for configured or last authenticated peer addresses (PROTOCOL 2.4 "Work limits").
pub const WORK_RESERVED_RATE: u32 = 16;
/// Sources whose rate is remembered: at 64/s and a burst of 32 no source is forgotten before its bucket is full again.
pub const WORK_SOURCES_MAX: usize = 256;
/// Bytes of a configuration file: room for 131 072 prefixes and as many comments.
pub const CONFIG_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of the sections of one peer that are handed to a running daemon: a thousand prefixes; with every letter escaped
/// they still fit a request of the control socket.
pub const PEER_SECTIONS_BYTES_MAX: usize = 24 * 1024;
/// Errors of a configuration shown at once: more are read by nobody.
pub const CONFIG_ERRORS_MAX: usize = 50;
/// Characters of the name of a peer or source: fits a file name with its ending, and a line of `status`.
pub const CONFIG_NAME_CHARS_MAX: usize = 64;
/// Peers of one interface: what a hub of a national network needs, and their state fits 256 MiB.
pub const PEERS_MAX: usize = 16_384;
/// Numbers of peers: what 16 bits count.
pub const PEER_NUMBERS_MAX: usize = 65_536;
/// How long the number of a peer that went is nobody's: what packet threads and key sources still say of it has come by then.
pub const PEER_NUMBER_REST: Duration = Duration::from_secs(60);
/// How long a policy may be overridden: a day; what is wanted for longer belongs in the configuration.
pub const OVERRIDE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Characters of the reason for an override: a sentence and a ticket.
pub const OVERRIDE_REASON_CHARS_MAX: usize = 200;
/// How long a session goes on whose policy has become stricter (PROTOCOL 2.8a).
pub const POLICY_TURN: Duration = Duration::from_secs(30);
/// Characters of an interface name: `IFNAMSIZ` less the terminating zero (netdevice(7)).
pub const INTERFACE_NAME_CHARS_MAX: usize = 15;
/// Bytes of the smallest inner packet limit: every IPv4 host takes 576 (RFC 791).
pub const INNER_MTU_MIN: u16 = 576;
/// Bytes of the largest inner packet limit: jumbo frames.
pub const INNER_MTU_MAX: u16 = 9000;
/// Bytes below which Linux switches IPv6 off on an interface (RFC 8200, 5).
pub const IPV6_MTU_MIN: u16 = 1280;

/// Shortest interval of fast rekeys (PROTOCOL 2.9 `T_fast`): for tests and demonstrations.
pub const REKEY_MIN: Duration = Duration::from_secs(1);
/// Shortest interval that `rekey = "auto"` chooses: a request budget gives one key set in 5 s (PROTOCOL 2.5).
pub const REKEY_AUTO_MIN: Duration = Duration::from_secs(10);
/// Interval of fast rekeys if none is set (PROTOCOL 2.9).
pub const REKEY_DEFAULT: Duration = Duration::from_secs(60);
/// Shortest interval of full handshakes (PROTOCOL 2.9 `T_full`).
pub const FULL_MIN: Duration = Duration::from_secs(10);
/// Interval of full handshakes if none is set (PROTOCOL 2.9).
pub const FULL_DEFAULT: Duration = Duration::from_secs(600);
/// Longest of both intervals (PROTOCOL 2.9): links whose key comes in bursts, by satellite.
pub const REKEY_AND_FULL_MAX: Duration = Duration::from_secs(24 * 3600);
/// `hold_last` under `required` if none is set (PROTOCOL 2.9).
pub const HOLD_LAST_DEFAULT: Duration = Duration::from_secs(3600);
/// Longest `hold_last`: 30 days; beyond it `preferred` says what is meant.
pub const HOLD_LAST_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// Longest limited `degrade_for`: a year; beyond it `"unlimited"` says what is meant.
pub const DEGRADE_FOR_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
/// Shortest interval of keepalives: one a second is a probe, not a keepalive.
pub const KEEPALIVE_MIN: Duration = Duration::from_secs(1);
/// Longest interval of keepalives: longer than any middlebox remembers.
pub const KEEPALIVE_MAX: Duration = Duration::from_secs(3600);
/// Shortest `timeout` of a KME request: below it a healthy KME on another continent fails.
pub const KME_TIMEOUT_MIN: Duration = Duration::from_millis(100);

/// Packets of a lane after which it asks for a rekey (PROTOCOL 2.9 "Packet limits").
pub const LANE_PACKETS_REKEY: u64 = 1 << 24;
/// Bytes sealed in all lanes of an epoch after which a rekey is due (PROTOCOL 2.9 `V_fast`).
pub const EPOCH_BYTES_REKEY: u64 = 16 << 30;
/// Packets of a lane after which it refuses: eight lanes stay within the 2^28 of RFC 9001 appendix B (PROTOCOL 2.9).
pub const LANE_PACKETS_MAX: u64 = 1 << 25;
/// Inner MTU in bytes above which AES-GCM packets are longer than the 2^11 bytes that the limit rests on (PROTOCOL 2.9).
pub const JUMBO_INNER_MTU: u16 = 2000;
/// What the packet limits are divided by then (PROTOCOL 2.9): 2^16 bytes are 32 times 2^11.
pub const JUMBO_LIMIT_DIVISOR: u64 = 32;
/// Failed opens under one epoch after which the session is dropped (PROTOCOL 2.9; RFC 9001 6.6).
pub const FAILED_OPENS_MAX: u64 = 1 << 36;
/// Plaintexts of type 16 are padded to a multiple of this many bytes, as far as the inner MTU allows (PROTOCOL 2.9).
pub const PADDING_BYTES: usize = 16;
/// Least time between two empty packets that tell a peer to use the newer epoch (PROTOCOL 2.9 "Hitless").
pub const EMPTY_INTERVAL: Duration = Duration::from_millis(250);
/// See [`EMPTY_INTERVAL`]; the same for records of an older epoch (PROTOCOL 2.9).
pub const OLD_EPOCH_INTERVAL: Duration = Duration::from_millis(250);
/// Least time between two reports that a peer's endpoint moved: the engine publishes the new one long before.
pub const ROAM_INTERVAL: Duration = Duration::from_millis(100);

/// Inner packets of a peer that wait for its first epoch: a TCP handshake's worth, not a buffer.
pub const STAGING_PACKETS_MAX: usize = 64;
/// Longest wait of such a packet: the life of an attempt; applications have sent it again by then, or given up.
pub const STAGING_LIFE: Duration = ATTEMPT_LIFE;
/// Receive epochs of a peer (PROTOCOL 2.9): current, unconfirmed and previous ones.
pub const RECEIVE_EPOCHS_MAX: usize = 6;
/// Unconfirmed epochs of a peer (PROTOCOL 2.9).
pub const UNCONFIRMED_EPOCHS_MAX: usize = 2;
/// How long a previous epoch opens what is still on the way (PROTOCOL 2.9).
pub const EPOCH_OVERLAP: Duration = Duration::from_secs(15);
/// The control side's lane of the counter (PROTOCOL 2.9).
pub const CONTROL_LANE: u8 = 0;
/// An epoch is rejected so long after its rekey was due (PROTOCOL 2.9).
pub const REJECT_AFTER_FAST: Duration = Duration::from_secs(120);
/// A session ends so long after its full handshake was due (PROTOCOL 2.9).
pub const REJECT_AFTER_FULL: Duration = Duration::from_secs(180);
/// A session whose end HOLDOVER deferred lives so long after it (PROTOCOL 2.8a).
pub const SESSION_AFTER_HOLDOVER: Duration = Duration::from_secs(120);
/// The responder's full handshake comes so much later than the initiator's (PROTOCOL 2.6).
pub const FULL_TURN: Duration = Duration::from_secs(10);
/// Spread of the regular full handshakes of many peers.
pub const FULL_JITTER: Duration = Duration::from_secs(1);
/// Life of an attempt after its last progress (PROTOCOL 2.6).
pub const ATTEMPT_LIFE: Duration = Duration::from_secs(30);
/// Life of an attempt that only sent I0 (PROTOCOL 2.6).
pub const ATTEMPT_UNANSWERED_LIFE: Duration = Duration::from_secs(90);
/// Pause between I0 after 15 s (PROTOCOL 2.6).
pub const RESEND_I0_LATE: Duration = Duration::from_secs(5);
/// Spread of every resend (PROTOCOL 2.6).
pub const RESEND_JITTER: Duration = Duration::from_millis(300);
/// New I1 of an attempt after a late R0 (PROTOCOL 2.4).
pub const COOKIE_RENEWALS_MAX: u32 = 3;
/// I2 and FR1 leave at the latest so long after R1 or the start of the rekey (PROTOCOL 2.5).
pub const GATHER_DEADLINE: Duration = Duration::from_secs(10);
/// A secondary waits at most so long for the primary's handshake (PROTOCOL 2.6).
pub const PARKING_MAX: Duration = Duration::from_secs(10);
/// An own attempt answered within this span goes before the other end's (PROTOCOL 2.6).
pub const ANSWERED_RECENTLY: Duration = Duration::from_secs(5);
/// No own attempt starts so soon after answering an I1 (PROTOCOL 2.6).
pub const ANSWER_QUIET: Duration = Duration::from_secs(5);
/// The secondary's attempts without a session start so much later (PROTOCOL 2.6).
pub const SECONDARY_PAUSE: Duration = Duration::from_secs(5);
/// The primary waits so long for its own R2 before it gives way to the other end's I2 (PROTOCOL 2.6 c).
pub const R2_PATIENCE: Duration = Duration::from_secs(6);
/// Pending responder states of a peer, one more for the known address (PROTOCOL 2.4).
pub const PENDING_ANSWERS_MAX: usize = 8;
/// Life of a pending responder state after R1 (PROTOCOL 2.4).
pub const PENDING_LIFE: Duration = Duration::from_secs(30);
/// Life of a pending responder state from the accepted I2 (PROTOCOL 2.4).
pub const PENDING_UNCONFIRMED_LIFE: Duration = Duration::from_secs(100);
/// A pending state makes room for another only when it is at least so old (PROTOCOL 2.4).
pub const PENDING_MIN_AGE: Duration = Duration::from_secs(5);
/// A full handshake starts as well so long after the first FR1 (PROTOCOL 2.8).
pub const FR1_FULL_AFTER: Duration = Duration::from_secs(15);
/// A new try of a fast rekey starts so long after the first FR1 (PROTOCOL 2.8).
pub const FR1_TRY_AFTER: Duration = Duration::from_secs(60);
/// An undecided I2 keeps fast rekeys away for at most this long (PROTOCOL 2.8).
pub const UNDECIDED_I2_MAX: Duration = Duration::from_secs(15);
/// PLEASE_REKEY is repeated so often (PROTOCOL 2.8).
pub const PLEASE_REKEY_INTERVAL: Duration = Duration::from_secs(5);
/// Copies of CLOSE that a blocking end sends (PROTOCOL 2.8a).
pub const CLOSE_COPIES: u32 = 3;
/// Time between the copies of CLOSE (PROTOCOL 2.8a).
pub const CLOSE_INTERVAL: Duration = Duration::from_millis(100);
/// A peer counts as gone after so long without anything authentic (PROTOCOL 2.9).
pub const DEAD_PEER_AFTER: Duration = Duration::from_secs(25);
/// An end that received and sent nothing for so long sends an empty packet (PROTOCOL 2.9).
pub const KEEPALIVE_AFTER: Duration = Duration::from_secs(10);
/// The engine looks at what the pumps counted this often: the resolution of keepalives and of DOWN.
pub const PULSE_INTERVAL: Duration = Duration::from_secs(1);
/// An alarm that strangers can cause is raised at most this often.
pub const ALARM_INTERVAL: Duration = Duration::from_secs(10);

/// Events in memory: at some 300 bytes each little more than 1 MiB; the files hold twice as many.
pub const EVENTS_KEPT_MAX: usize = 4096;

/// Longest secret that has a slot in secret pages, in bytes: a page; a decapsulation key of ML-KEM-1024 has 3 168.
pub const SECRET_SLOT_BYTES_MAX: usize = 4096;
/// Pages for secrets, in bytes, taken from the system only as they are used. 10 000 peers hold about 1 KiB each (PSK, ratchet
/// roots, chain keys and traffic secrets of three epochs); the rest is for 4 000 handshakes with a decapsulation key each.
pub const SECRET_MEMORY_BYTES_MAX: usize = 32 << 20;
/// The fewest that are worth their name, in bytes: one peer and a few handshakes.
pub const SECRET_MEMORY_BYTES_MIN: usize = 64 << 10;
