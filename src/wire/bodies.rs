//! The bodies of whole handshake messages, cut into their fields (PROTOCOL 2.4, 2.5).

use super::field::{Malformed, Reader, put_zero};
use super::slots::{self, Slot};
use crate::types::limits::QKD_SOURCES_MAX;
use crate::types::policy::Suite;

/// Bytes of a nonce, an X25519 value and a fingerprint.
const VALUE_BYTES: usize = 32;
/// Bytes of a cookie.
pub const COOKIE_BYTES: usize = 16;
/// Bytes of a sealed fingerprint.
const ID_BYTES: usize = 48;
/// Bytes of sealed terms.
const TERMS_BYTES: usize = 80;
/// Bytes of the sealed status.
const P4_BYTES: usize = 32;

/// Writes I0: `n_i` and 16 zero bytes.
pub fn write_i0(n_i: &[u8; VALUE_BYTES]) -> Vec<u8> {
    let mut out = n_i.to_vec();
    put_zero(&mut out, COOKIE_BYTES);
    out
}

/// Reads `n_i` from I0.
pub fn parse_i0(body: &[u8]) -> Result<&[u8; VALUE_BYTES], Malformed> {
    let mut fields = Reader::new(body);
    let n_i = fields.array()?;
    fields.zero(COOKIE_BYTES)?;
    fields.end()?;
    Ok(n_i)
}

/// Writes R0: what it echoes, and the cookie.
pub fn write_r0(echo: &[u8; VALUE_BYTES], cookie: &[u8; COOKIE_BYTES]) -> Vec<u8> {
    [echo.as_slice(), cookie].concat()
}

/// Reads echo and cookie from R0.
pub fn parse_r0(body: &[u8]) -> Result<(&[u8; VALUE_BYTES], &[u8; COOKIE_BYTES]), Malformed> {
    let mut fields = Reader::new(body);
    let both = (fields.array()?, fields.array()?);
    fields.end()?;
    Ok(both)
}

/// The body of I1.
#[derive(Clone, Copy, Debug)]
pub struct I1<'a> {
    /// The number of the suite; read before anything whose length depends on it.
    pub suite: Suite,
    /// The initiator's ephemeral X25519 value.
    pub e_i: &'a [u8; VALUE_BYTES],
    /// Its ephemeral encapsulation key.
    pub ek: &'a [u8],
    /// Encapsulation to the responder's static key.
    pub ct_r: &'a [u8],
    /// Sealed fingerprint.
    pub id: &'a [u8],
    /// Sealed terms.
    pub p1: &'a [u8],
}

impl<'a> I1<'a> {
    /// Reads the body; the suite must be that of the own key file.
    pub fn parse(body: &'a [u8], suite: Suite) -> Result<Self, Malformed> {
        let mut fields = Reader::new(body);
        if Suite::from_number(fields.u16()?) != Some(suite) {
            return Err(Malformed::Value("suite"));
        }
        fields.zero(2)?;
        let e_i = fields.array()?;
        let (ek, ct_r) = (fields.take(suite.ek_bytes())?, fields.take(suite.ct_bytes())?);
        let (id, p1) = (fields.take(ID_BYTES)?, fields.take(TERMS_BYTES)?);
        fields.end()?;
        Ok(Self { suite, e_i, ek, ct_r, id, p1 })
    }

    /// Writes the body.
    pub fn write(&self) -> Vec<u8> {
        let head = [(self.suite as u16).to_be_bytes(), [0; 2]].concat();
        [&head, self.e_i.as_slice(), self.ek, self.ct_r, self.id, self.p1].concat()
    }
}

/// The initiator's ephemeral value in part 0 of an I1 that cannot be opened: what an R0 to it echoes.
pub fn peek_e_i(part_0: &[u8]) -> Option<&[u8; VALUE_BYTES]> {
    part_0.split_at_checked(4)?.1.first_chunk()
}

/// The body of R1.
#[derive(Clone, Copy, Debug)]
pub struct R1<'a> {
    /// The responder's ephemeral X25519 value.
    pub e_r: &'a [u8; VALUE_BYTES],
    /// Encapsulation to the initiator's ephemeral key.
    pub ct_e: &'a [u8],
    /// Encapsulation to the initiator's static key.
    pub ct_i: &'a [u8],
    /// Sealed terms.
    pub p2: &'a [u8],
}

impl<'a> R1<'a> {
    /// Reads the body.
    pub fn parse(body: &'a [u8], suite: Suite) -> Result<Self, Malformed> {
        let mut fields = Reader::new(body);
        let e_r = fields.array()?;
        let (ct_e, ct_i) = (fields.take(suite.ct_bytes())?, fields.take(suite.ct_bytes())?);
        let p2 = fields.take(TERMS_BYTES)?;
        fields.end()?;
        Ok(Self { e_r, ct_e, ct_i, p2 })
    }

    /// Writes the body.
    pub fn write(&self) -> Vec<u8> {
        [self.e_r.as_slice(), self.ct_e, self.ct_i, self.p2].concat()
    }
}

/// Bytes before the slots of payload 3.
const PAYLOAD3_ZERO_BYTES: usize = 16;

/// Writes payload 3: 16 zero bytes and the slots.
pub fn write_payload3(all: &[Slot; QKD_SOURCES_MAX]) -> Vec<u8> {
    let mut out = vec![0; PAYLOAD3_ZERO_BYTES];
    slots::write(all, &mut out);
    out
}

/// The bytes of the slots in payload 3.
pub fn parse_payload3(payload: &[u8]) -> Result<&[u8], Malformed> {
    let mut fields = Reader::new(payload);
    fields.zero(PAYLOAD3_ZERO_BYTES)?;
    Ok(fields.rest())
}

/// Reads R2: the sealed status, and `ok` or what stands in its place.
pub fn parse_r2<const OK: usize>(body: &[u8]) -> Result<(&[u8], &[u8; OK]), Malformed> {
    let mut fields = Reader::new(body);
    let both = (fields.take(P4_BYTES)?, fields.array()?);
    fields.end()?;
    Ok(both)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::handshake::MessageType;

    #[test]
    fn i0_is_a_nonce_and_zeros() {
        let mut body = write_i0(&[3; 32]);
        assert_eq!(parse_i0(&body), Ok(&[3; 32]));
        body[47] = 1;
        assert_eq!(parse_i0(&body), Err(Malformed::NotZero));
        assert_eq!(parse_i0(&body[..47]), Err(Malformed::Length));
    }

    #[test]
    fn r0_is_an_echo_and_a_cookie() {
        let body = write_r0(&[3; 32], &[4; 16]);
        assert_eq!(parse_r0(&body), Ok((&[3; 32], &[4; 16])));
        assert_eq!(parse_r0(&body[1..]), Err(Malformed::Length));
    }

    #[test]
    fn i1_and_r1_are_read_back_in_both_suites() {
        for suite in [Suite::MlKem1024, Suite::MlKem768] {
            let (ek, ct) = (vec![1; suite.ek_bytes()], vec![2; suite.ct_bytes()]);
            let (id, terms) = ([3; ID_BYTES], [4; TERMS_BYTES]);
            let body = I1 { suite, e_i: &[5; 32], ek: &ek, ct_r: &ct, id: &id, p1: &terms }.write();
            assert_eq!(body.len(), MessageType::I1.body_bytes(suite));
            let read = I1::parse(&body, suite).unwrap();
            assert_eq!((read.e_i, read.ek, read.ct_r, read.id, read.p1), (&[5; 32], &*ek, &*ct, &id[..], &terms[..]));
            assert_eq!(peek_e_i(&body), Some(&[5; 32]));
            let body = R1 { e_r: &[6; 32], ct_e: &ct, ct_i: &ct, p2: &terms }.write();
            assert_eq!(body.len(), MessageType::R1.body_bytes(suite));
            assert_eq!(R1::parse(&body, suite).unwrap().write(), body);
            assert!(R1::parse(&body[1..], suite).is_err());
        }
    }

    #[test]
    fn another_suite_and_a_set_zero_field_are_refused() {
        let body = vec![0; MessageType::I1.body_bytes(Suite::MlKem1024)];
        assert_eq!(I1::parse(&body, Suite::MlKem1024).err(), Some(Malformed::Value("suite")));
        let mut body = body;
        body[1] = 2;
        assert_eq!(I1::parse(&body, Suite::MlKem1024).err(), Some(Malformed::Value("suite")));
        body[1] = 1;
        assert!(I1::parse(&body, Suite::MlKem1024).is_ok());
        body[3] = 1;
        assert_eq!(I1::parse(&body, Suite::MlKem1024).err(), Some(Malformed::NotZero));
        assert_eq!(I1::parse(&body[..3299], Suite::MlKem768).err(), Some(Malformed::Value("suite")));
        assert!(peek_e_i(&[0; 35]).is_none());
    }

    #[test]
    fn the_zero_bytes_before_the_slots_are_checked() {
        let mut payload = vec![0; 448];
        assert_eq!(parse_payload3(&payload).map(<[u8]>::len), Ok(432));
        payload[15] = 1;
        assert_eq!(parse_payload3(&payload), Err(Malformed::NotZero));
    }
}
