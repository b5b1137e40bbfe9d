//! Key rate of decoy-state BB84 over a lossy fibre: the asymptotic GLLP bound (Lo, Ma, Chen 2005).

/// Classes of QKD systems, by what published systems of that kind reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkClass {
    /// Kilobits a second: 300 MHz, gated detectors.
    Entry,
    /// Tens of kilobits a second: 1 GHz, dead time.
    Metro,
    /// Megabits a second at low loss: 1 GHz, no dead time, more dark counts.
    Fast,
}

/// What a system's hardware determines.
struct Hardware {
    /// Pulses a second.
    clock_hz: f64,
    /// Transmittance of the receiver and its detector.
    eta_bob: f64,
    /// Dark counts a pulse.
    dark: f64,
    /// Share of signals that arrive wrong by misalignment.
    misaligned: f64,
    /// Seconds a detector is blind after a click.
    dead_s: f64,
    /// Share of the time in which key is made.
    duty: f64,
    /// Share of pulses that survive sifting.
    sifted: f64,
}

/// Photons a signal pulse.
const MU: f64 = 0.5;
/// Error correction, times the Shannon limit.
const ERROR_CORRECTION: f64 = 1.16;
/// Error rate above which BB84 makes no key.
const QBER_ABORT: f64 = 0.11;

/// What a link of this class makes at this loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Yield {
    /// Bits of secret key a second.
    pub bits_per_second: f64,
    /// Share of sifted bits that are wrong.
    pub qber: f64,
}

impl LinkClass {
    fn hardware(self) -> Hardware {
        let entry = Hardware {
            clock_hz: 3e8,
            eta_bob: 0.10 * 10_f64.powf(-0.3),
            dark: 2e-6,
            misaligned: 0.02,
            dead_s: 20e-6,
            duty: 0.5,
            sifted: 0.5,
        };
        let metro = Hardware {
            clock_hz: 1e9,
            eta_bob: 0.2 * 10_f64.powf(-0.25),
            dark: 1e-6,
            misaligned: 0.015,
            dead_s: 2e-6,
            duty: 0.7,
            sifted: 0.5,
        };
        match self {
            Self::Entry => entry,
            Self::Fast => Hardware { dark: 2e-5, misaligned: 0.02, dead_s: 0.0, duty: 0.9, sifted: 0.9, ..metro },
            Self::Metro => metro,
        }
    }

    /// Rate and error rate at `loss_db` of fibre loss.
    pub fn key_yield(self, loss_db: f64) -> Yield {
        let hw = self.hardware();
        let eta = 10_f64.powf(-loss_db.max(0.0) / 10.0) * hw.eta_bob;
        let clicks = 1.0 - (-eta * MU).exp();
        let gain = hw.dark + clicks;
        let qber = (hw.dark / 2.0 + hw.misaligned * clicks) / gain;
        let single_yield = hw.dark + eta;
        let single_gain = single_yield * MU * (-MU).exp();
        let single_error = (hw.dark / 2.0 + hw.misaligned * eta) / single_yield;
        let kept = single_gain * (1.0 - entropy(single_error)) - ERROR_CORRECTION * gain * entropy(qber);
        let busy = 1.0 + hw.clock_hz * gain * hw.dead_s;
        let rate = hw.sifted * kept * hw.clock_hz * hw.duty / busy;
        Yield { bits_per_second: if qber > QBER_ABORT { 0.0 } else { rate.max(0.0) }, qber }
    }
}

/// Binary entropy.
fn entropy(p: f64) -> f64 {
    if p <= 0.0 || p >= 1.0 { 0.0 } else { -p * p.log2() - (1.0 - p) * (1.0 - p).log2() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_published_table() {
        for (loss_db, entry, metro, fast, fast_qber) in [
            (2.0, 4.46, 72.0, 10271.0, 2.0),
            (5.0, 4.38, 70.2, 5096.0, 2.1),
            (10.0, 4.15, 65.7, 1565.0, 2.2),
            (14.5, 3.66, 56.9, 516.0, 2.5),
            (20.0, 2.44, 37.1, 105.0, 3.6),
            (24.0, 1.32, 21.1, 12.3, 5.9),
            (28.0, 0.44, 9.6, 0.0, 10.8),
        ] {
            for (class, kilobits) in [(LinkClass::Entry, entry), (LinkClass::Metro, metro), (LinkClass::Fast, fast)] {
                let rate = class.key_yield(loss_db).bits_per_second / 1000.0;
                assert!((rate - kilobits).abs() <= 0.02 * kilobits + 0.05, "{class:?} {loss_db} dB: {rate} kb/s");
            }
            assert!((LinkClass::Fast.key_yield(loss_db).qber * 100.0 - fast_qber).abs() < 0.06);
        }
    }

    #[test]
    fn too_long_a_fibre_makes_no_key() {
        assert_eq!(LinkClass::Entry.key_yield(60.0).bits_per_second, 0.0);
        assert!(LinkClass::Entry.key_yield(60.0).qber > QBER_ABORT);
    }
}
