//! The words both ends agree on: suite, cipher, QKD policy, ratchet policy, reasons, waiver (PROTOCOL 2.1, 2.5, 2.8).

/// What may happen without QKD keys. Ordered: the stricter is the greater (PROTOCOL 2.5 Finish).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum QkdPolicy {
    /// QKD is not used.
    Off = 0,
    /// QKD is used; without it the tunnel goes on, DEGRADED, for `degrade_for`.
    Preferred = 1,
    /// Without QKD the tunnel holds over for `hold_last` and stops.
    Required = 2,
}

impl QkdPolicy {
    /// From payload byte 0; `None` above 2.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Off, Self::Preferred, Self::Required].into_iter().find(|p| *p as u8 == byte)
    }

    /// The word used in configuration and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Preferred => "preferred",
            Self::Required => "required",
        }
    }
}

/// How the ratchet is used (PROTOCOL 2.7). Values as in payload byte 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RatchetPolicy {
    /// Neither offered nor selected.
    Off = 0,
    /// Used when there is a common entry; its loss raises an alarm.
    Prefer = 1,
    /// No common entry, no session.
    Require = 2,
    /// Required, but this end has no state yet and accepts one handshake without.
    RequireOpen = 3,
}

impl RatchetPolicy {
    /// From payload byte 3; `None` above 3.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Off, Self::Prefer, Self::Require, Self::RequireOpen].into_iter().find(|p| *p as u8 == byte)
    }
}

/// Data cipher, one bit of `cipher_offer` (PROTOCOL 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cipher {
    /// RFC 8439. Bit 0.
    ChaCha20Poly1305 = 1,
    /// SP 800-38D with 256-bit keys. Bit 1.
    Aes256Gcm = 2,
}

impl Cipher {
    /// From exactly one bit; `None` for anything else.
    pub fn from_bit(bit: u8) -> Option<Self> {
        [Self::ChaCha20Poly1305, Self::Aes256Gcm].into_iter().find(|c| *c as u8 == bit)
    }

    /// The word used in configuration and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChaCha20Poly1305 => "chacha20-poly1305",
            Self::Aes256Gcm => "aes-256-gcm",
        }
    }
}

/// Protocol suite: that of the key files, never negotiated (PROTOCOL 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Suite {
    /// 0x0001: X25519, ML-KEM-1024, SHA-384.
    MlKem1024 = 1,
    /// 0x0002: the same with ML-KEM-768.
    MlKem768 = 2,
}

impl Suite {
    /// From the wire number.
    pub fn from_number(number: u16) -> Option<Self> {
        [Self::MlKem1024, Self::MlKem768].into_iter().find(|s| *s as u16 == number)
    }

    /// Bytes of an encapsulation key (FIPS 203, table 3).
    pub const fn ek_bytes(self) -> usize {
        match self {
            Self::MlKem1024 => 1568,
            Self::MlKem768 => 1184,
        }
    }

    /// Bytes of a ciphertext (FIPS 203, table 3).
    pub const fn ct_bytes(self) -> usize {
        match self {
            Self::MlKem1024 => 1568,
            Self::MlKem768 => 1088,
        }
    }

    /// Bytes of an expanded decapsulation key (FIPS 203, table 3); only in memory.
    pub const fn dk_bytes(self) -> usize {
        match self {
            Self::MlKem1024 => 3168,
            Self::MlKem768 => 2400,
        }
    }

    /// The word used in `status`.
    pub fn kem_name(self) -> &'static str {
        match self {
            Self::MlKem1024 => "ml-kem-1024",
            Self::MlKem768 => "ml-kem-768",
        }
    }
}

/// Why a source gave no key (PROTOCOL 2.5 "Reasons"). Numbers as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    /// The KME could not be reached.
    Unreachable = 1,
    /// The KME refused us: authorisation.
    Refused = 2,
    /// No key now.
    NoKeyNow = 3,
    /// The key_ID is not known (dec_keys).
    UnknownKeyId = 4,
    /// Shorter than 256 bits, or not the length the other end got.
    WrongSize = 5,
    /// Malformed answer or unfit key.
    Malformed = 6,
    /// The key_ID was seen before.
    SeenBefore = 7,
    /// Too late.
    Deadline = 8,
    /// The source is not configured here.
    NotConfigured = 9,
    /// Over the request budget.
    OverBudget = 10,
    /// The two KMEs gave different keys a moment ago.
    Mismatch = 11,
    /// Not asked: probe times, or no session could come of it.
    NotAsked = 12,
    /// Anything else.
    Other = 255,
}

impl Reason {
    /// From the wire; an unknown number is `Other`, 0 is `None`.
    pub fn from_byte(byte: u8) -> Option<Self> {
        use Reason::*;
        let known = [
            Unreachable,
            Refused,
            NoKeyNow,
            UnknownKeyId,
            WrongSize,
            Malformed,
            SeenBefore,
            Deadline,
            NotConfigured,
            OverBudget,
            Mismatch,
            NotAsked,
        ];
        (byte != 0).then(|| known.into_iter().find(|r| *r as u8 == byte).unwrap_or(Other))
    }

    /// A word for logs and `status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::NoKeyNow => "no key now",
            Self::UnknownKeyId => "unknown key_ID",
            Self::WrongSize => "wrong size",
            Self::Malformed => "malformed or unfit",
            Self::SeenBefore => "key_ID seen before",
            Self::Deadline => "deadline",
            Self::NotConfigured => "not configured",
            Self::OverBudget => "over the request budget",
            Self::Mismatch => "mismatch before",
            Self::NotAsked => "not asked",
            Self::Other => "other",
        }
    }
}
