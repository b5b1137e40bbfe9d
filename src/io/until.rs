//! A moment by which a whole message must have passed over a socket, however small its pieces.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::clock::Clock;
use crate::types::time::Instant;

/// See above.
#[derive(Clone, Copy)]
pub struct Until {
    clock: Clock,
    end: Instant,
}

impl Until {
    /// So long from now.
    pub fn after(span: Duration) -> Self {
        let clock = Clock::start();
        Self { clock, end: clock.now() + span }
    }

    /// Never zero, which would mean for ever.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when it has come.
    pub fn left(self) -> io::Result<Duration> {
        let left = self.end.since(self.clock.now());
        if left.is_zero() { Err(io::Error::from(io::ErrorKind::TimedOut)) } else { Ok(left) }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// It is too late, or the other end has gone.
    pub fn write(self, mut socket: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            socket.set_write_timeout(Some(self.left()?))?;
            match socket.write(bytes) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Fills `into`.
    ///
    /// # Errors
    /// It is too late, or the other end has gone.
    pub fn read(self, mut socket: &UnixStream, mut into: &mut [u8]) -> io::Result<()> {
        while !into.is_empty() {
            socket.set_read_timeout(Some(self.left()?))?;
            match socket.read(into) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                Ok(got) => into = into.get_mut(got..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_sends_a_byte_now_and_then_is_given_up_in_time() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (told, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let read = Until::after(Duration::from_millis(300)).read(&ours, &mut [0; 4096]);
            told.send(read.map_err(|error| error.kind()))
        });
        // Each byte comes long before the deadline of the whole.
        let late = (0..600).find_map(|_| {
            drop(theirs.write(&[0]));
            ended.recv_timeout(Duration::from_millis(50)).ok()
        });
        assert!(matches!(late, Some(Err(io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock))), "{late:?}");
    }
}
