//! The cookie round: the responder proves that an address receives before it keeps any state for it (PROTOCOL 2.4).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::mac::{Mac1Key, check_mac2, check_no_mac2};
use super::refusal::Refusal;
use crate::crypto::kdf::{hmac_tag, length_prefix};
use crate::identity::Fingerprint;
use crate::schedule::labels;
use crate::types::limits::COOKIE_SECRET_LIFE;
use crate::types::random::Randomness;
use crate::types::secret::Secret;
use crate::types::time::Instant;
use crate::wire::bodies::{self, COOKIE_BYTES};
use crate::wire::handshake::{HandshakeDatagram, Header, MessageType};

/// Proof that its holder receives at an address. It travels in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie(pub [u8; COOKIE_BYTES]);

/// What to do about an I1 fragment that is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub enum CookieFault {
    /// Nothing.
    Refused(Refusal),
    /// Its cookie has expired or its address has changed: send it this R0.
    AnswerR0(Vec<u8>),
}

impl From<Refusal> for CookieFault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The responder's gate: two secrets, and nothing for each sender.
pub struct CookieGate {
    mac1: Arc<Mac1Key>,
    current: Secret<32>,
    previous: Option<Secret<32>>,
    next_rotation: Instant,
}

impl CookieGate {
    /// Draws the first secret.
    pub fn new(now: Instant, rng: &mut dyn Randomness, fp_r: &Fingerprint) -> Self {
        let (current, next_rotation) = (draw(rng), now + COOKIE_SECRET_LIFE);
        Self { mac1: Arc::new(Mac1Key::new(fp_r)), current, previous: None, next_rotation }
    }

    /// The key of what comes to this end, for who looks before the gate does.
    pub fn mac1(&self) -> Arc<Mac1Key> {
        Arc::clone(&self.mac1)
    }

    /// When [`rotate`](Self::rotate) is due.
    pub fn next_rotation(&self) -> Instant {
        self.next_rotation
    }

    /// Draws a new secret if one is due; the old one is accepted for as long again, but never longer.
    pub fn rotate(&mut self, now: Instant, rng: &mut dyn Randomness) {
        if now < self.next_rotation {
            return;
        }
        let old = std::mem::replace(&mut self.current, draw(rng));
        self.previous = (now < self.next_rotation + COOKIE_SECRET_LIFE).then_some(old);
        self.next_rotation = now + COOKIE_SECRET_LIFE;
    }

    /// Checks an I0 and gives the R0 to send back: as long as what came, and nothing is kept.
    pub fn answer_i0(&self, from: SocketAddr, i0: &HandshakeDatagram<'_>) -> Result<Vec<u8>, Refusal> {
        if i0.kind != MessageType::I0 {
            return Err(Refusal::Unexpected);
        }
        self.mac1.check(i0)?;
        check_no_mac2(i0)?;
        let n_i = bodies::parse_i0(i0.body)?;
        self.create_r0(from, i0, n_i)
    }

    /// Checks mac1 and the cookie of an I1 fragment and gives the cookie it was made with.
    pub fn check_i1(&self, from: SocketAddr, i1: &HandshakeDatagram<'_>) -> Result<Cookie, CookieFault> {
        if i1.kind != MessageType::I1 {
            return Err(Refusal::Unexpected.into());
        }
        self.mac1.check(i1)?;
        let secrets = [Some(&self.current), self.previous.as_ref()];
        let cookies = secrets.into_iter().flatten().map(|secret| cookie(secret, from, i1.sender));
        for cookie in cookies {
            if check_mac2(i1, &cookie.0).is_ok() {
                return Ok(cookie);
            }
        }
        match bodies::peek_e_i(i1.body) {
            Some(e_i) if i1.part == 0 => Err(CookieFault::AnswerR0(self.create_r0(from, i1, e_i)?)),
            Some(_) | None => Err(Refusal::Mac2.into()),
        }
    }

    fn create_r0(&self, from: SocketAddr, to: &HandshakeDatagram<'_>, echo: &[u8; 32]) -> Result<Vec<u8>, Refusal> {
        let header = Header { kind: MessageType::R0, sender: 0, receiver: to.sender, message_id: to.message_id };
        let body = bodies::write_r0(echo, &cookie(&self.current, from, to.sender).0);
        self.mac1.finish(&header, &body, None).pop().ok_or(Refusal::Unexpected)
    }
}

fn draw(rng: &mut dyn Randomness) -> Secret<32> {
    Secret::filled(|out| rng.public("cookie_secret", out))
}

/// `HMAC(secret, "cookie" || lp(src ip) || u16 port || u32 sender index)[0..16]`; IPv4-mapped counts as IPv4.
fn cookie(secret: &Secret<32>, from: SocketAddr, sender: u32) -> Cookie {
    let (port, sender) = (from.port().to_be_bytes(), sender.to_be_bytes());
    let mac = |ip: &[u8]| {
        let parts: [&[u8]; 5] = [labels::COOKIE.as_bytes(), &length_prefix(ip), ip, &port, &sender];
        Cookie(hmac_tag(secret.expose(), &parts))
    };
    match from.ip().to_canonical() {
        IpAddr::V4(ip) => mac(&ip.octets()),
        IpAddr::V6(ip) => mac(&ip.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Gives 1, 2, 3 .. as cookie secrets.
    struct Counting(u8);

    impl Randomness for Counting {
        fn secret(&mut self, _: &'static str, out: &mut [u8]) {
            out.fill(0);
        }

        fn public(&mut self, _: &'static str, out: &mut [u8]) {
            self.0 += 1;
            out.fill(self.0);
        }
    }

    fn secrets(gate: &CookieGate) -> (u8, Option<u8>) {
        let first = |secret: &Secret<32>| secret.expose()[0];
        (first(&gate.current), gate.previous.as_ref().map(first))
    }

    #[test]
    fn a_secret_is_current_for_120_seconds_and_previous_for_120_more() {
        let mut rng = Counting(0);
        let mut gate = CookieGate::new(Instant::ZERO, &mut rng, &Fingerprint::from_bytes([0; 32]));
        assert_eq!(gate.next_rotation(), Instant::ZERO + Duration::from_secs(120));
        gate.rotate(Instant::ZERO + Duration::from_secs(119), &mut rng);
        assert_eq!(secrets(&gate), (1, None));
        gate.rotate(Instant::ZERO + Duration::from_secs(120), &mut rng);
        assert_eq!(secrets(&gate), (2, Some(1)));
        gate.rotate(Instant::ZERO + Duration::from_secs(240), &mut rng);
        assert_eq!(secrets(&gate), (3, Some(2)));
    }

    #[test]
    fn a_secret_that_should_have_gone_during_a_sleep_is_not_accepted() {
        let mut rng = Counting(0);
        let mut gate = CookieGate::new(Instant::ZERO, &mut rng, &Fingerprint::from_bytes([0; 32]));
        gate.rotate(Instant::ZERO + Duration::from_secs(240), &mut rng);
        assert_eq!(secrets(&gate), (2, None));
        assert_eq!(gate.next_rotation(), Instant::ZERO + Duration::from_secs(360));
    }

    #[test]
    fn only_i0_is_answered_by_the_gate() {
        let gate = CookieGate::new(Instant::ZERO, &mut Counting(0), &Fingerprint::from_bytes([0; 32]));
        let header = Header { kind: MessageType::I2, sender: 1, receiver: 1, message_id: 1 };
        let i2 = gate.mac1.finish(&header, &[0; 464], None).concat();
        let i2 = HandshakeDatagram::parse(&i2).unwrap();
        let from = SocketAddr::from(([192, 0, 2, 1], 1));
        assert_eq!(gate.answer_i0(from, &i2), Err(Refusal::Unexpected));
        assert_eq!(gate.check_i1(from, &i2), Err(CookieFault::Refused(Refusal::Unexpected)));
    }
}
