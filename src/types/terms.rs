//! What two ends agreed on in a full handshake: plain values, valid for the whole session (PROTOCOL 2.5, 2.8a).

use super::id::SourceMask;
use super::policy::{Cipher, QkdPolicy};

/// Feature bit of segment records (PROTOCOL 2.9).
pub const FEATURE_SEGMENT: u8 = 1;
/// Feature bit of bundle records (PROTOCOL 2.9).
pub const FEATURE_BUNDLE: u8 = 2;

/// Feature bit of an end that has AES in hardware (PROTOCOL 2.1).
pub const FEATURE_AES_HARDWARE: u8 = 4;

/// Which side of one handshake an end is; it stays the side of the session made by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sent I1, issues fast rekeys.
    Initiator,
    /// Answered it.
    Responder,
}

/// The terms that follow from both payloads: the same at both ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The stricter of the two policies.
    pub policy: QkdPolicy,
    /// Distinct sources that must be mixed: the greater of both `min_sources`.
    pub need: u8,
    /// The sources that are asked: those of both masks; none if the policy is off.
    pub asked: SourceMask,
    /// The data cipher that the responder chose.
    pub cipher: Cipher,
    /// Features of both (bit 0 segment, bit 1 bundle, bit 2 AES in hardware).
    pub features: u8,
    /// Bytes of the largest inner packet: the smaller of both.
    pub inner_mtu: u16,
    /// Seconds, the smaller of both; `u32::MAX` is not set or unlimited.
    pub hold_last: u32,
    /// Seconds, the smaller of both; `u32::MAX` is not set or unlimited.
    pub degrade_for: u32,
    /// The clock that tightens ours (PROTOCOL 2.8a): 0 not running, else 1 + the seconds that remain, the smaller of
    /// both; 65535 tightens nothing.
    pub clock: u16,
}

impl Agreed {
    /// Whether this set of mixed sources is less than the policy needs (PROTOCOL 2.5 Finish: `short`).
    pub fn is_short(&self, mixed: SourceMask) -> bool {
        self.policy != QkdPolicy::Off && mixed.count() < self.need
    }
}
