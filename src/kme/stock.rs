//! The stock: bits of secret key that both KMEs hold and nobody has asked for.

/// Secret key in stock, counted in bits: a key of any size is cut from it when it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock {
    bits: u64,
    bits_max: u64,
}

impl Stock {
    /// With this many bits, of at most so many.
    pub fn new(bits: u64, bits_max: u64) -> Self {
        Self { bits: bits.min(bits_max), bits_max }
    }

    /// Adds what the link made; what does not fit is discarded, as at a full KME.
    pub fn add(&mut self, bits: u64) {
        self.bits = self.bits.saturating_add(bits).min(self.bits_max);
    }

    /// Takes so many bits, or none if there are fewer.
    pub fn take(&mut self, bits: u64) -> bool {
        let rest = self.bits.checked_sub(bits);
        self.bits = rest.unwrap_or(self.bits);
        rest.is_some()
    }

    /// Whole keys of this size in stock.
    pub fn keys(&self, size_bits: u64) -> u64 {
        self.bits.checked_div(size_bits).unwrap_or(0)
    }

    /// Most whole keys of this size it can hold.
    pub fn keys_max(&self, size_bits: u64) -> u64 {
        self.bits_max.checked_div(size_bits).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_stock_discards_and_an_empty_one_gives_nothing() {
        let mut stock = Stock::new(256, 512);
        stock.add(10_000);
        assert_eq!((stock.keys(256), stock.keys_max(256)), (2, 2));
        assert!(!stock.take(513));
        assert_eq!(stock.keys(256), 2);
        assert!(stock.take(512));
        assert!(!stock.take(1));
        assert_eq!(stock.keys(0), 0);
    }
}
