//! Between the packet process and the keys process, one frame a datagram: requests there, what came of them back.
//!
//! ```text
//! ask     1 | generation 4 | place 4 | request 8 | deadline in ms 4 | 0, bits 2      or  1, key_ID
//! began   2
//! answer  3 | request 8    | asked   | 0, key_ID with its length 2, key              or  1, failure
//! status  4 | generation 4 | place 4 | asked     | 0, option of the stored keys, 8   or  1, failure
//!
//! asked    method 1 | time taken in us 8 | option of the TLS, as text
//! failure  reason 1 (PROTOCOL 2.5) | words, to the end
//! ```
//!
//! A generation is a set of sources as the keeper handed it over, a place one of them, in its order.

use std::time::Duration;

use zeroize::Zeroizing;

use super::text::{bytes, option, put_bytes, put_option, text};
use crate::etsi014::v1::path::Method;
use crate::io::source::{Asked, Stock};
use crate::keys::request::{DeliveredKey, KeyRequestKind, RequestId, SourceFailure};
use crate::types::id::KeyId;
use crate::types::limits::{KEY_ID_BYTES_MAX, QKD_KEY_BYTES_MAX};
use crate::types::policy::Reason;
use crate::types::secret::SecretBytes;
use crate::wire::field::{Malformed, Reader};

/// Bytes of the words of a failure: what was expected, what came, what to do.
pub const WORDS_BYTES_MAX: usize = 2048;
/// Bytes of the names of TLS version and key exchange.
const TLS_BYTES_MAX: usize = 128;
/// Bytes of a frame: fixed fields, and the longest of key and words.
pub const FRAME_BYTES_MAX: usize = 64 + TLS_BYTES_MAX + 2 + KEY_ID_BYTES_MAX + QKD_KEY_BYTES_MAX;
const _: () = assert!(WORDS_BYTES_MAX <= QKD_KEY_BYTES_MAX);

/// One of the sources that the keeper handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourcePlace {
    /// Of which handover.
    pub generation: u32,
    /// In its order, from 0.
    pub place: u32,
}

/// What the packet process wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAsk {
    /// Of which source.
    pub source: SourcePlace,
    /// Comes back with the answer.
    pub request: RequestId,
    /// New key or key by id.
    pub kind: KeyRequestKind,
    /// See `keys::request`. Milliseconds on the wire.
    pub deadline: Duration,
}

/// What the keys process says.
pub enum Told {
    /// It begins: what was asked of one before it is answered by nobody.
    Began,
    /// A request has come to its end.
    Answer {
        /// Which.
        request: RequestId,
        /// How it went.
        asked: Asked<DeliveredKey>,
    },
    /// A KME was asked for its status, which nobody requested.
    Status {
        /// Whose.
        source: SourcePlace,
        /// How it went.
        asked: Asked<Stock>,
    },
}

impl KeyAsk {
    /// As it is sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![1];
        put_place(&mut out, self.source);
        out.extend(self.request.0.to_be_bytes());
        out.extend(u32::try_from(self.deadline.as_millis()).unwrap_or(u32::MAX).to_be_bytes());
        match &self.kind {
            KeyRequestKind::New { bits } => {
                out.push(0);
                out.extend(bits.to_be_bytes());
            }
            KeyRequestKind::ById { key_id } => {
                out.push(1);
                out.extend(key_id.as_str().as_bytes());
            }
        }
        out
    }

    /// # Errors
    /// It is none.
    pub fn parse(frame: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Reader::new(frame);
        if fields.u8()? != 1 {
            return Err(Malformed::Type);
        }
        let source = place(&mut fields)?;
        let request = RequestId(fields.u64()?);
        let deadline = Duration::from_millis(fields.u32()?.into());
        let kind = match fields.u8()? {
            0 => KeyRequestKind::New { bits: fields.u16()? },
            1 => KeyRequestKind::ById { key_id: key_id(fields.rest())? },
            _ => return Err(Malformed::Value("kind")),
        };
        fields.end()?;
        Ok(Self { source, request, kind, deadline })
    }
}

impl Told {
    /// As it is sent; wiped when it is dropped, for a key may be in it.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Never grown: no copy of a key is left behind.
        let mut out = Zeroizing::new(Vec::with_capacity(FRAME_BYTES_MAX));
        match self {
            Self::Began => out.push(2),
            Self::Answer { request, asked } => {
                out.push(3);
                out.extend(request.0.to_be_bytes());
                put_asked(&mut out, asked, |out, key| {
                    put_bytes(out, key.key_id.as_str().as_bytes());
                    out.extend(key.material.expose().iter().take(QKD_KEY_BYTES_MAX));
                });
            }
            Self::Status { source, asked } => {
                out.push(4);
                put_place(&mut out, *source);
                put_asked(&mut out, asked, |out, stock| {
                    put_option(out, stock.stored_keys, |out, keys| out.extend(keys.to_be_bytes()));
                });
            }
        }
        out
    }

    /// # Errors
    /// It is none.
    pub fn parse(frame: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Reader::new(frame);
        let told = match fields.u8()? {
            2 => Self::Began,
            3 => {
                let request = RequestId(fields.u64()?);
                let asked = asked(&mut fields, |fields| {
                    let key_id = key_id(bytes(fields)?)?;
                    let material = fields.rest();
                    if material.len() > QKD_KEY_BYTES_MAX {
                        return Err(Malformed::Length);
                    }
                    Ok(DeliveredKey { key_id, material: SecretBytes::new(material.to_vec()) })
                })?;
                Self::Answer { request, asked }
            }
            4 => {
                let source = place(&mut fields)?;
                let asked = asked(&mut fields, |fields| Ok(Stock { stored_keys: option(fields, Reader::u64)? }))?;
                Self::Status { source, asked }
            }
            _ => return Err(Malformed::Type),
        };
        fields.end()?;
        Ok(told)
    }
}

/// Which of the KME's methods answers it.
pub fn method_of(kind: &KeyRequestKind) -> Method {
    match kind {
        KeyRequestKind::New { .. } => Method::EncKeys,
        KeyRequestKind::ById { .. } => Method::DecKeys,
    }
}

fn put_place(out: &mut Vec<u8>, SourcePlace { generation, place }: SourcePlace) {
    out.extend(generation.to_be_bytes());
    out.extend(place.to_be_bytes());
}

fn place(fields: &mut Reader<'_>) -> Result<SourcePlace, Malformed> {
    Ok(SourcePlace { generation: fields.u32()?, place: fields.u32()? })
}

fn key_id(bytes: &[u8]) -> Result<KeyId, Malformed> {
    KeyId::new(bytes).ok_or(Malformed::Value("key_ID"))
}

fn put_asked<T>(out: &mut Vec<u8>, asked: &Asked<T>, put: impl FnOnce(&mut Vec<u8>, &T)) {
    out.push(match asked.method {
        Method::Status => 1,
        Method::EncKeys => 2,
        Method::DecKeys => 3,
    });
    out.extend(u64::try_from(asked.took.as_micros()).unwrap_or(u64::MAX).to_be_bytes());
    put_option(out, asked.tls.as_deref(), |out, tls| put_bytes(out, cut(tls, TLS_BYTES_MAX).as_bytes()));
    match &asked.result {
        Ok(value) => {
            out.push(0);
            put(out, value);
        }
        Err(SourceFailure { reason, text }) => {
            out.extend([1, *reason as u8]);
            out.extend(cut(text, WORDS_BYTES_MAX).as_bytes());
        }
    }
}

fn asked<'a, T>(
    fields: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<Asked<T>, Malformed> {
    let method = match fields.u8()? {
        1 => Method::Status,
        2 => Method::EncKeys,
        3 => Method::DecKeys,
        _ => return Err(Malformed::Value("method")),
    };
    let took = Duration::from_micros(fields.u64()?);
    let tls = option(fields, text)?.map(shown);
    let result = match fields.u8()? {
        0 => Ok(read(fields)?),
        1 => {
            let reason = Reason::from_byte(fields.u8()?).ok_or(Malformed::Value("reason"))?;
            let words = std::str::from_utf8(fields.rest()).map_err(|_| Malformed::Value("text"))?;
            Err(SourceFailure { reason, text: shown(words) })
        }
        _ => return Err(Malformed::Value("result")),
    };
    Ok(Asked { method, took, tls, result })
}

/// On one line: it goes into logs and onto screens.
fn shown(words: &str) -> String {
    words.replace(char::is_control, " ")
}

/// No longer than that many bytes, and still text.
fn cut(words: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(words.len())).rev().find(|end| words.is_char_boundary(*end));
    words.get(..end.unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(kind: KeyRequestKind) -> KeyAsk {
        let source = SourcePlace { generation: 3, place: 7 };
        KeyAsk { source, request: RequestId(9), kind, deadline: Duration::from_millis(1500) }
    }

    fn answer(result: Result<DeliveredKey, SourceFailure>, tls: Option<&str>) -> Told {
        let tls = tls.map(str::to_owned);
        let asked = Asked { method: Method::DecKeys, took: Duration::from_micros(15), tls, result };
        Told::Answer { request: RequestId(9), asked }
    }

    fn key(bytes: usize) -> DeliveredKey {
        let key_id = KeyId::new(&[b'k'; KEY_ID_BYTES_MAX]).unwrap();
        DeliveredKey { key_id, material: SecretBytes::new(vec![7; bytes]) }
    }

    #[test]
    fn requests_come_back_as_they_were() {
        let key_id = KeyId::new(b"bc490419-7d60-487f-adc1-4ddcc177c139").unwrap();
        for kind in [KeyRequestKind::New { bits: 256 }, KeyRequestKind::ById { key_id }] {
            let sent = ask(kind);
            assert_eq!(KeyAsk::parse(&sent.to_bytes()), Ok(sent));
        }
    }

    #[test]
    fn the_longest_answer_fits_into_a_frame_and_comes_back() {
        let sent = answer(Ok(key(QKD_KEY_BYTES_MAX)), Some(&"x".repeat(TLS_BYTES_MAX))).to_bytes();
        assert!(sent.len() <= FRAME_BYTES_MAX);
        let Ok(Told::Answer { request, asked }) = Told::parse(&sent) else { panic!("no answer") };
        assert_eq!((request, asked.method, asked.took.as_micros()), (RequestId(9), Method::DecKeys, 15));
        assert_eq!(asked.tls.unwrap().len(), TLS_BYTES_MAX);
        let came = asked.result.unwrap();
        assert_eq!((came.material.expose(), came.key_id.as_str().len()), (&[7; QKD_KEY_BYTES_MAX][..], 64));
    }

    #[test]
    fn words_are_cut_to_their_bound_and_put_on_one_line() {
        let failure = SourceFailure { reason: Reason::Malformed, text: format!("a\nb\x1b[31m{}", "é".repeat(3000)) };
        let sent = answer(Err(failure), None).to_bytes();
        assert!(sent.len() <= FRAME_BYTES_MAX);
        let Ok(Told::Answer { asked, .. }) = Told::parse(&sent) else { panic!("no answer") };
        let failure = asked.result.err().unwrap();
        assert!(failure.reason == Reason::Malformed && failure.text.starts_with("a b [31mé"), "{}", failure.text);
        assert!(failure.text.len() <= WORDS_BYTES_MAX && asked.tls.is_none());
    }

    #[test]
    fn a_status_comes_back_with_and_without_a_number() {
        for stored_keys in [Some(u64::MAX), None] {
            let asked =
                Asked { method: Method::Status, took: Duration::ZERO, tls: None, result: Ok(Stock { stored_keys }) };
            let source = SourcePlace { generation: 1, place: 2 };
            let sent = Told::Status { source, asked }.to_bytes();
            let Ok(Told::Status { source: came, asked }) = Told::parse(&sent) else { panic!("no status") };
            assert_eq!((came, asked.result), (source, Ok(Stock { stored_keys })));
        }
        assert!(matches!(Told::parse(&Told::Began.to_bytes()), Ok(Told::Began)));
    }

    #[test]
    fn what_is_shorter_longer_or_of_no_known_value_is_refused() {
        let good = [answer(Ok(key(32)), Some("TLSv1.3")).to_bytes(), Told::Began.to_bytes()];
        for frame in &good {
            // The key goes to the end of its frame: what is cut off it leaves a shorter key, which others refuse.
            for length in 0..frame.len().saturating_sub(32) {
                assert!(Told::parse(&frame[..length]).is_err(), "{length} bytes");
            }
        }
        let long = [&good[1][..], &[0]].concat();
        let key_too_long = [&answer(Ok(key(QKD_KEY_BYTES_MAX)), None).to_bytes()[..], &[0]].concat();
        for (at, value) in [(0, 9), (9, 0), (18, 2), (19, 2)] {
            let mut frame = answer(Ok(key(32)), None).to_bytes().to_vec();
            frame[at] = value;
            assert!(Told::parse(&frame).is_err(), "byte {at} is {value}");
        }
        assert!(Told::parse(&long).is_err() && Told::parse(&key_too_long).is_err());
        let asks = ask(KeyRequestKind::New { bits: 256 }).to_bytes();
        for length in 0..asks.len() {
            assert!(KeyAsk::parse(&asks[..length]).is_err(), "{length} bytes");
        }
        assert!(KeyAsk::parse(&[&asks[..], &[0]].concat()).is_err());
        let mut other = asks;
        other[21] = 2;
        assert!(KeyAsk::parse(&other).is_err());
    }
}
