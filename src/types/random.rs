//! Randomness as an argument: the core draws named values and never touches a generator.

/// The operating system's generator, or a seeded stand-in of a test.
pub trait Entropy: Send {
    /// Fills `out` with random bytes.
    fn fill(&mut self, out: &mut [u8]);
}

/// Draws of the protocol, each by its name, so that vectors can script them.
pub trait Randomness: Send {
    /// A secret value, hedged as PROTOCOL 2.2 says: `rnd(label, out.len())`.
    fn secret(&mut self, label: &'static str, out: &mut [u8]);
    /// A value that travels in clear: an index, a message id, `n_i`, a cookie secret, jitter.
    fn public(&mut self, name: &'static str, out: &mut [u8]);

    /// A public 32-bit value.
    fn public_u32(&mut self, name: &'static str) -> u32 {
        let mut bytes = [0; 4];
        self.public(name, &mut bytes);
        u32::from_be_bytes(bytes)
    }
}
