//! The rows as they are measured, and how long each is: progress to stderr, a look for signals between batches.

use std::time::Duration;

use super::row::{Figure, Finding, Row, Trouble};
use crate::cli::lab::pause::{Interrupted, Pause, now};
use crate::cli::output;

/// A batch that spends most of its time on what is not measured ends after this many times its share.
const PATIENCE: u32 = 5;

/// What one batch did, and how long that took, without its preparation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lap {
    pub(super) calls: u64,
    pub(super) packets: u64,
    pub(super) spent: Duration,
}

impl Lap {
    /// Nanoseconds of one call.
    pub(super) fn per_call(&self) -> f64 {
        nanoseconds(self.spent) / self.calls as f64
    }

    /// Nanoseconds of one packet.
    pub(super) fn per_packet(&self) -> f64 {
        nanoseconds(self.spent) / self.packets as f64
    }
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// All measurements.
pub(super) struct Bench {
    pub(super) pause: Pause,
    /// How long a figure is measured that needs no more than this process.
    pub(super) short: Duration,
    /// How long one of the tunnel is.
    pub(super) long: Duration,
    rows: Vec<Row>,
}

impl Bench {
    /// Nothing measured yet.
    pub(super) fn new(pause: Pause, short: Duration, long: Duration) -> Self {
        Self { pause, short, long, rows: Vec::new() }
    }

    /// What was measured.
    pub(super) fn into_rows(self) -> Vec<Row> {
        self.rows
    }

    /// Says what is measured, and measures it.
    ///
    /// # Errors
    /// [`Interrupted`]: anything else is the row's finding.
    pub(super) fn row(
        &mut self,
        group: &'static str,
        name: impl Into<String>,
        measure: impl FnOnce(&mut Self) -> Result<Vec<Figure>, Trouble>,
    ) -> Result<(), Interrupted> {
        let name = name.into();
        output::talk(&format!("measuring: {name}"));
        let finding = match measure(self) {
            Ok(figures) => Finding::Figures(figures),
            Err(Trouble::Absent(why)) => Finding::Absent(why),
            Err(Trouble::Failed(why)) => Finding::Failed(why),
            Err(Trouble::Interrupted) => return Err(Interrupted),
        };
        self.rows.push(Row { group, name, finding });
        Ok(())
    }

    /// Repeats a batch until its laps are as long as a short figure is measured.
    pub(super) fn laps(&self, mut batch: impl FnMut() -> Result<Lap, Trouble>) -> Result<Lap, Trouble> {
        let begun = now();
        // The first one finds cold caches and is not counted.
        batch()?;
        let mut sum = Lap::default();
        while sum.spent < self.short && begun.elapsed() < self.short * PATIENCE {
            self.pause.check()?;
            let lap = batch()?;
            sum.calls += lap.calls;
            sum.packets += lap.packets;
            sum.spent += lap.spent;
        }
        if sum.calls == 0 || sum.packets == 0 {
            return Err(Trouble::Failed("nothing came through".to_owned()));
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::row::Unit;
    use std::sync::mpsc::channel;

    fn bench() -> (std::sync::mpsc::Sender<()>, Bench) {
        let (stop, stopped) = channel();
        (stop, Bench::new(Pause::new(stopped), Duration::from_millis(5), Duration::from_millis(25)))
    }

    #[test]
    fn laps_add_up_to_the_time_asked_for() {
        let (_stop, bench) = bench();
        let lap = Lap { calls: 2, packets: 90, spent: Duration::from_millis(1) };
        let sum = bench.laps(|| Ok(lap)).unwrap();
        assert_eq!((sum.calls, sum.packets, sum.spent), (10, 450, Duration::from_millis(5)));
        assert!((sum.per_call() - 500_000.0).abs() < 1.0 && (sum.per_packet() - 11_111.0).abs() < 1.0);
    }

    #[test]
    fn a_batch_without_a_call_is_a_failure_and_an_end() {
        let (_stop, bench) = bench();
        assert!(matches!(bench.laps(|| Ok(Lap::default())), Err(Trouble::Failed(_))));
    }

    #[test]
    fn a_signal_ends_the_measuring() {
        let (stop, mut bench) = bench();
        stop.send(()).unwrap();
        let endless = Lap { calls: 1, packets: 1, spent: Duration::ZERO };
        assert!(bench.row("group", "name", |bench| bench.laps(|| Ok(endless)).map(|_| Vec::new())).is_err());
        assert!(bench.into_rows().is_empty());
    }

    #[test]
    fn a_row_keeps_what_came_of_it() {
        let (_stop, mut bench) = bench();
        bench.row("g", "a", |_| Ok(vec![(1.5, Unit::GigabitsPerSecond)])).unwrap();
        bench.row("g", "b", |_| Err(Trouble::Absent("no iperf3".to_owned()))).unwrap();
        bench.row("g", "c", |_| Err(std::io::Error::other("broken").into())).unwrap();
        let findings: Vec<Finding> = bench.into_rows().into_iter().map(|row| row.finding).collect();
        assert_eq!(findings[0], Finding::Figures(vec![(1.5, Unit::GigabitsPerSecond)]));
        assert_eq!(findings[1], Finding::Absent("no iperf3".to_owned()));
        assert_eq!(findings[2], Finding::Failed("broken".to_owned()));
    }
}
