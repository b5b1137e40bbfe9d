//! Waiting for a descriptor, or for the order to stop: poll(2).

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll, ppoll};
use nix::sys::time::TimeSpec;

/// What the wait ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The descriptor can be used.
    Ready,
    /// The descriptor is in error: using it says why.
    Broken,
    /// The order to stop came.
    Stop,
}

/// Gives the order to stop to every [`StopListener`] made with it, by being dropped.
pub struct StopOrder {
    given: Arc<AtomicBool>,
    #[expect(dead_code, reason = "dropping it closes the pipe, and that wakes who waits")]
    pipe: PipeWriter,
}

impl Drop for StopOrder {
    fn drop(&mut self) {
        self.given.store(true, Ordering::Relaxed);
    }
}

/// Hears the order to stop. A closed pipe stays readable, so no order is missed, whoever waits and whenever.
#[derive(Clone)]
pub struct StopListener {
    given: Arc<AtomicBool>,
    pipe: Arc<PipeReader>,
}

/// A pair of both.
///
/// # Errors
/// No descriptor left.
pub fn stop_pair() -> io::Result<(StopOrder, StopListener)> {
    let (reader, pipe) = io::pipe()?;
    let given = Arc::new(AtomicBool::new(false));
    let listener = StopListener { given: Arc::clone(&given), pipe: Arc::new(reader) };
    Ok((StopOrder { given, pipe }, listener))
}

impl StopListener {
    /// Whether the order was given: for a loop that never waits because there is always more to do.
    pub fn is_given(&self) -> bool {
        self.given.load(Ordering::Relaxed)
    }

    /// Waits that long, or until the order to stop.
    ///
    /// # Errors
    /// What ppoll(2) refuses.
    pub fn pause(&self, span: Duration) -> io::Result<()> {
        let mut fds = [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut fds, Some(TimeSpec::from(span)), None) {
            // A pause cut short by a signal is a shorter pause.
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits without limit until there is something to read, or the order to stop.
    ///
    /// # Errors
    /// What poll(2) refuses.
    pub fn wait_readable(&self, what: BorrowedFd<'_>) -> io::Result<Woken> {
        self.wait(what, PollFlags::POLLIN)
    }

    /// Waits without limit until there is room to write, or the order to stop.
    ///
    /// # Errors
    /// What poll(2) refuses.
    pub fn wait_writable(&self, what: BorrowedFd<'_>) -> io::Result<Woken> {
        self.wait(what, PollFlags::POLLOUT)
    }

    fn wait(&self, what: BorrowedFd<'_>, events: PollFlags) -> io::Result<Woken> {
        let mut fds = [PollFd::new(what, events), PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)];
        loop {
            match poll(&mut fds, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => break,
            }
        }
        let [what, stop] = fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        Ok(if !stop.is_empty() {
            Woken::Stop
        } else if what.contains(events) {
            Woken::Ready
        } else {
            Woken::Broken
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_wakes_every_listener_and_comes_before_all_else() {
        let (order, listener) = stop_pair().unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| listener.wait_readable(reader.as_fd()))).collect();
            assert!(!listener.is_given());
            drop(order);
            for woken in waiting {
                assert_eq!(woken.join().unwrap().unwrap(), Woken::Stop);
            }
        });
        assert!(listener.is_given());
        listener.pause(Duration::from_secs(3600)).unwrap();
        io::Write::write_all(&mut writer, b"x").unwrap();
        assert_eq!(listener.clone().wait_readable(reader.as_fd()).unwrap(), Woken::Stop);
    }

    #[test]
    fn readiness_and_breakage_are_told_apart() {
        let (_order, listener) = stop_pair().unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        assert_eq!(listener.wait_writable(writer.as_fd()).unwrap(), Woken::Ready);
        io::Write::write_all(&mut writer, b"x").unwrap();
        assert_eq!(listener.wait_readable(reader.as_fd()).unwrap(), Woken::Ready);
        drop(reader);
        io::Write::write_all(&mut writer, b"x").unwrap_err();
        drop(writer);
        let (reader, writer) = io::pipe().unwrap();
        drop(writer);
        assert_eq!(listener.wait_readable(reader.as_fd()).unwrap(), Woken::Broken);
    }
}
