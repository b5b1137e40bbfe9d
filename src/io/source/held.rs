//! What the TLS files of a source held when they were read, as far as a change is told by it.

use serde::{Deserialize, Serialize};

use crate::etsi014::v1::pin::Pin;
use crate::types::time::UnixTime;

/// Of one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldFiles {
    /// SHA-256 of our certificate.
    pub own: Pin,
    /// Seconds since 1970 at which it ends; `None` before that year.
    pub own_ends: Option<u64>,
    /// SHA-256 of the file of who signs the KME's, if it was read: a pin replaces it.
    pub ca: Option<[u8; 32]>,
}

impl HeldFiles {
    /// When our certificate ends.
    pub fn ends(&self) -> Option<UnixTime> {
        self.own_ends.map(UnixTime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_ends_when_it_says_and_one_from_before_1970_at_no_moment() {
        let pin = [0; 32];
        let held = |own_ends| HeldFiles { own: pin, own_ends, ca: None };
        assert_eq!(held(Some(1_800_000_000)).ends(), Some(UnixTime(1_800_000_000)));
        assert_eq!(held(None).ends(), None);
    }
}
