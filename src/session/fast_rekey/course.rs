//! What the responder does with an FR1, seen from the one it answered before (PROTOCOL 2.8).

use super::epoch::FastRefusal;

/// The course of one authentic FR1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fr1Course {
    /// The first for the next epoch: its keys are fetched.
    Answer,
    /// The same try again: the cached FR2, or silence while the keys are fetched.
    Repeat,
    /// A higher try: the unconfirmed next epoch is dropped and made anew from the root of the current one.
    Remake,
}

/// Decides by the number of the epoch that is current here, the try that was answered for the next one, and what the
/// FR1 says of itself.
///
/// # Errors
/// [`FastRefusal::OtherEpoch`] unless the FR1 is for the next epoch, [`FastRefusal::OldTry`] for a lower try.
pub fn course(current: u32, answered: Option<u8>, epoch: u32, try_number: u8) -> Result<Fr1Course, FastRefusal> {
    if current.checked_add(1) != Some(epoch) {
        return Err(FastRefusal::OtherEpoch);
    }
    match answered.map(|answered| try_number.cmp(&answered)) {
        None => Ok(Fr1Course::Answer),
        Some(std::cmp::Ordering::Equal) => Ok(Fr1Course::Repeat),
        Some(std::cmp::Ordering::Greater) => Ok(Fr1Course::Remake),
        Some(std::cmp::Ordering::Less) => Err(FastRefusal::OldTry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_next_epoch_is_answered() {
        for epoch in [0, 6, 7, 9, u32::MAX] {
            assert_eq!(course(7, None, epoch, 0), Err(FastRefusal::OtherEpoch), "{epoch}");
            assert_eq!(course(7, Some(0), epoch, 0), Err(FastRefusal::OtherEpoch), "{epoch}");
        }
        assert_eq!(course(7, None, 8, 0), Ok(Fr1Course::Answer));
        assert_eq!(course(7, None, 8, 3), Ok(Fr1Course::Answer), "earlier tries may all have been lost");
        assert_eq!(course(u32::MAX, None, 0, 0), Err(FastRefusal::OtherEpoch), "epochs do not wrap");
    }

    #[test]
    fn the_try_decides_between_cache_and_a_new_epoch() {
        assert_eq!(course(7, Some(2), 8, 1), Err(FastRefusal::OldTry));
        assert_eq!(course(7, Some(2), 8, 2), Ok(Fr1Course::Repeat));
        assert_eq!(course(7, Some(2), 8, 3), Ok(Fr1Course::Remake));
    }
}
