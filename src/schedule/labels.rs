//! Every label of the protocol, one list in the order of use (PROTOCOL 2.3, 2.4, 2.5, 2.8).
//!
//! No secret and no public value goes into a derivation without one.

// --- Tags outside the transcript ---

/// Key of mac1: `H("PLAIT1 mac1" || fp_r)` (2.4).
pub const MAC1: &[u8] = b"PLAIT1 mac1";
/// Cookie: `HMAC(secret, "cookie" || ..)` (2.4); as a label, the cookie in the transcript (2.5).
pub const COOKIE: &str = "cookie";
/// Id of a ratchet entry: `H("PLAIT1 rsid" || rs)[0..8]` (2.5 Finish).
pub const RATCHET_ID: &[u8] = b"PLAIT1 rsid";

// --- I1 ---

/// The responder's static public values.
pub const FP_R: &str = "fp_r";
/// The initiator's ephemeral X25519 value.
pub const E_I: &str = "e_i";
/// X25519 of the initiator's ephemeral and the responder's static key.
pub const ES: &str = "es";
/// The initiator's ephemeral encapsulation key.
pub const EK: &str = "ek";
/// Encapsulation to the responder's static key.
pub const CT_R: &str = "ct_r";
/// Its shared secret.
pub const SKEM_R: &str = "skem_r";
/// The initiator's sealed fingerprint.
pub const ID: &str = "id";
/// The initiator's static public values.
pub const PK_I: &str = "pk_i";
/// X25519 of both static keys.
pub const SS: &str = "ss";
/// The pre-shared key, zero if there is none.
pub const PSK: &str = "psk";
/// The initiator's sealed terms.
pub const P1: &str = "p1";
/// Export after p1: the key of mac2 of R1, I2, R2.
pub const FRAG: &str = "frag";

// --- R1 ---

/// The responder's ephemeral X25519 value.
pub const E_R: &str = "e_r";
/// Encapsulation to the initiator's ephemeral key.
pub const CT_E: &str = "ct_e";
/// Encapsulation to the initiator's static key.
pub const CT_I: &str = "ct_i";
/// X25519 of both ephemeral keys.
pub const EE: &str = "ee";
/// X25519 of the initiator's static and the responder's ephemeral key.
pub const SE: &str = "se";
/// Shared secret of `ct_e`.
pub const EKEM: &str = "ekem";
/// Shared secret of `ct_i`.
pub const SKEM_I: &str = "skem_i";
/// The responder's sealed terms.
pub const P2: &str = "p2";
/// The ratchet entry both have, zero if there is none.
pub const RATCHET: &str = "ratchet";

// --- I2, R2 ---

/// The sealed slots.
pub const P3: &str = "p3";
/// A fresh one-time key for p4.
pub const TURN: &str = "turn";
/// The sealed status.
pub const P4: &str = "p4";
/// Check byte of a mixed key: `HMAC(K_s, lp("chk") || h)[0]`.
pub const CHK: &str = "chk";
/// Source and key_ID, then the key itself.
pub const QKD: &str = "qkd";
/// Hash of a key longer than 32 bytes.
pub const QKD_LONG: &str = "qkd-long";
/// No key was mixed.
pub const NO_QKD: &str = "nqkd";
/// A fresh one-time key for `ok`, and the last step before the exports.
pub const FINAL: &str = "final";
/// Key confirmation.
pub const OK: &str = "ok";

// --- Exports ---

/// Traffic key from initiator to responder.
pub const I2R: &str = "i2r";
/// Traffic key from responder to initiator.
pub const R2I: &str = "r2i";
/// Root of the next epoch.
pub const ROOT: &str = "root";
/// The next ratchet secret.
pub const RS: &str = "rs";

// --- Fast rekey ---

/// Export of an epoch: the key of FR1's `auth`.
pub const FR: &str = "fr";
/// The whole of FR1.
pub const FR1: &str = "FR1";
/// FR2 without `ok`.
pub const FR2: &str = "FR2";
/// X25519 of both ephemeral keys of a fast rekey.
pub const FEE: &str = "fee";
