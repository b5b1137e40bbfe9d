//! Processor time of the measuring thread: what a busy machine does beside it is not in the figure.

use std::time::Duration;

use criterion::Throughput;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use nix::time::{ClockId, clock_gettime};

/// In place of criterion's wall clock.
pub(crate) struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
    }

    fn end(&self, start: Duration) -> Duration {
        self.start() - start
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// How long each figure is measured, and by this clock.
pub(crate) fn criterion(seconds: u64) -> criterion::Criterion<CpuTime> {
    let criterion = criterion::Criterion::default().with_measurement(CpuTime).warm_up_time(Duration::from_millis(500));
    criterion.measurement_time(Duration::from_secs(seconds)).configure_from_args()
}

/// Bytes that each run of a benchmark takes.
pub(crate) fn bytes(count: usize) -> Throughput {
    Throughput::Bytes(count as u64)
}
