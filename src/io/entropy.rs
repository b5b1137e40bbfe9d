//! The operating system's generator (getrandom(2)), asked at each draw: no pool and no seed in memory that could leak.

use crate::types::random::Entropy;

/// Proof that the generator answered once. Later failures end the process: nothing may go on with bytes that are not random.
pub struct OsEntropy(());

impl OsEntropy {
    /// Asks once, so that a system without a generator is refused at start, with words instead of an abort.
    ///
    /// # Errors
    /// What getrandom(2) said.
    pub fn open() -> std::io::Result<Self> {
        let mut probe = [0; 32];
        draw(&mut probe)?;
        Ok(Self(()))
    }
}

impl Entropy for OsEntropy {
    fn fill(&mut self, out: &mut [u8]) {
        if let Err(error) = draw(out) {
            stop(&error);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that draws randomness")]
fn draw(out: &mut [u8]) -> std::io::Result<()> {
    getrandom::fill(out).map_err(|error| match error.raw_os_error() {
        Some(number) => std::io::Error::from_raw_os_error(number),
        None => std::io::Error::other(error.to_string()),
    })
}

#[expect(clippy::print_stderr, reason = "the last words before the abort must not depend on a logger")]
fn stop(error: &std::io::Error) -> ! {
    eprintln!(
        "plait: the system's random generator failed ({error}); stopping, because no key made now would be secret"
    );
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ_and_fill_every_byte() {
        let mut os = OsEntropy::open().unwrap();
        let mut seen = [0u8; 64];
        // A byte that is never written stays 0 in all of 32 draws; a random one does with probability 2^-256.
        for _ in 0..32 {
            let (mut a, mut b) = ([0; 64], [0; 64]);
            os.fill(&mut a);
            os.fill(&mut b);
            assert_ne!(a, b);
            seen.iter_mut().zip(a).for_each(|(seen, byte)| *seen |= byte);
        }
        assert!(seen.iter().all(|&byte| byte != 0));
    }
}
