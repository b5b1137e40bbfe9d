//! Between the packet process and its keeper: a question, an answer, descriptors beside it; plain data over a pair of sockets.
//!
//! The keeper has rights that the asker gave up, so nothing is taken on trust: it parses each configuration itself, and what it
//! does concerns this interface and no other.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::clock::Clock;
use crate::control::reload::Blame;
use crate::types::limits::CONFIG_BYTES_MAX;
use crate::types::time::Instant;

/// Bytes of a message: a configuration as JSON text, in which quotes and ends of lines take two each.
const MESSAGE_BYTES_MAX: usize = 2 * CONFIG_BYTES_MAX + 1024;
/// Descriptors beside an answer: one a queue.
const DESCRIPTORS_MAX: usize = 8;
/// For an answer: the kernel takes some 100 000 routes in that time.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);
/// For a question to come whole, once it has begun, and for an answer to be taken: both ends are on this machine, and the
/// keeper has signals to pass on meanwhile, whatever the other has become.
const QUESTION_DEADLINE: Duration = Duration::from_secs(2);

/// What the packet process wants done.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// Whether this configuration could be set, as far as the keeper would have to.
    Check {
        /// Its text.
        text: String,
    },
    /// Sockets on the address on which this configuration listens.
    Bind {
        /// Its text.
        text: String,
    },
    /// Kill switch, addresses and routes of this configuration in place of those in use.
    Set {
        /// Its text.
        text: String,
    },
    /// Another MTU of the interface.
    Mtu {
        /// Bytes.
        bytes: u16,
    },
}

/// What became of it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// Done; descriptors may come with it.
    Done,
    /// Not done, and all is as it was.
    Refused {
        /// Whose fault it is.
        blame: Blame,
        /// For a person.
        text: String,
    },
}

/// One end.
pub struct Link(UnixStream);

impl Link {
    /// Both ends.
    ///
    /// # Errors
    /// What the system says.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = UnixStream::pair()?;
        Ok((Self(one), Self(other)))
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The keeper has gone, or does not answer in time.
    pub fn ask(&self, ask: &Ask) -> io::Result<(Reply, Vec<OwnedFd>)> {
        self.ask_within(ask, ANSWER_DEADLINE)
    }

    fn ask_within(&self, ask: &Ask, deadline: Duration) -> io::Result<(Reply, Vec<OwnedFd>)> {
        let asked = self.send(ask, &[], deadline).and_then(|()| self.receive(deadline));
        let answer = asked.and_then(|answer| answer.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof)));
        if answer.is_err() {
            // An answer that comes later would be taken for that of the next question: there is none.
            drop(self.0.shutdown(Shutdown::Both));
        }
        answer
    }

    /// The next question; `None` when the asker has gone.
    ///
    /// # Errors
    /// What came is no question, or stopped in the middle of one.
    pub fn asked(&self) -> io::Result<Option<Ask>> {
        Ok(self.receive(QUESTION_DEADLINE)?.map(|(ask, _)| ask))
    }

    /// Answers it.
    ///
    /// # Errors
    /// The asker has gone, or does not take it.
    pub fn reply(&self, reply: &Reply, beside: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.send(reply, beside, QUESTION_DEADLINE)
    }

    /// Length, 4 bytes, with the descriptors; then the text.
    fn send(&self, message: &impl Serialize, beside: &[BorrowedFd<'_>], deadline: Duration) -> io::Result<()> {
        let until = Until::after(deadline);
        let text = serde_json::to_vec(message).map_err(io::Error::other)?;
        let length = u32::try_from(text.len()).map_err(io::Error::other)?.to_be_bytes();
        let raw: Vec<_> = beside.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let rights = if raw.is_empty() { &[][..] } else { &rights[..] };
        let parts = [IoSlice::new(&length)];
        self.0.set_write_timeout(Some(until.left()?))?;
        let sent = sendmsg::<()>(self.0.as_raw_fd(), &parts, rights, MsgFlags::MSG_NOSIGNAL, None)?;
        self.write_until(length.get(sent..).unwrap_or_default(), until)?;
        self.write_until(&text, until)
    }

    fn write_until(&self, mut bytes: &[u8], until: Until) -> io::Result<()> {
        while !bytes.is_empty() {
            self.0.set_write_timeout(Some(until.left()?))?;
            match (&self.0).write(bytes) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read_until(&self, mut into: &mut [u8], until: Until) -> io::Result<()> {
        while !into.is_empty() {
            self.0.set_read_timeout(Some(until.left()?))?;
            match (&self.0).read(into) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                Ok(got) => into = into.get_mut(got..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn receive<T: DeserializeOwned>(&self, deadline: Duration) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let until = Until::after(deadline);
        let mut length = [0; 4];
        self.0.set_read_timeout(Some(until.left()?))?;
        let (got, beside) = self.receive_beside(&mut length)?;
        if got == 0 {
            return Ok(None);
        }
        self.read_until(length.get_mut(got..).unwrap_or_default(), until)?;
        let bytes = u32::from_be_bytes(length) as usize;
        if bytes > MESSAGE_BYTES_MAX {
            return Err(io::Error::other(format!(
                "a message of {bytes} bytes, at most {MESSAGE_BYTES_MAX} were expected"
            )));
        }
        let mut text = vec![0; bytes];
        self.read_until(&mut text, until)?;
        Ok(Some((serde_json::from_slice(&text).map_err(io::Error::other)?, beside)))
    }

    fn receive_beside(&self, into: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        let mut space = nix::cmsg_space!([std::os::fd::RawFd; DESCRIPTORS_MAX]);
        let mut parts = [IoSliceMut::new(into)];
        let message = recvmsg::<()>(self.0.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
        let mut beside = Vec::new();
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(raw) = control {
                #[expect(unsafe_code, reason = "descriptors come from the kernel as numbers")]
                // SAFETY: the kernel has just made these descriptors for this process, and nobody else knows them.
                beside.extend(raw.into_iter().map(|raw| unsafe { OwnedFd::from_raw_fd(raw) }));
            }
        }
        Ok((message.bytes, beside))
    }
}

/// When a whole message must have passed, however small its pieces.
#[derive(Clone, Copy)]
struct Until {
    clock: Clock,
    end: Instant,
}

impl Until {
    fn after(span: Duration) -> Self {
        let clock = Clock::start();
        Self { clock, end: clock.now() + span }
    }

    /// Never zero, which would mean for ever.
    fn left(self) -> io::Result<Duration> {
        let left = self.end.since(self.clock.now());
        if left.is_zero() { Err(io::Error::from(io::ErrorKind::TimedOut)) } else { Ok(left) }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_answers_pass_with_descriptors_beside_them() {
        let (asker, keeper) = Link::pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        let kept = std::thread::spawn(move || {
            let asked = keeper.asked().unwrap().unwrap();
            keeper.reply(&Reply::Done, &[file.as_fd(), file.as_fd()]).unwrap();
            assert_eq!(keeper.asked().unwrap(), None, "the asker has gone");
            asked
        });
        let (reply, beside) = asker.ask(&Ask::Mtu { bytes: 1420 }).unwrap();
        assert_eq!((reply, beside.len()), (Reply::Done, 2));
        drop(asker);
        assert_eq!(kept.join().unwrap(), Ask::Mtu { bytes: 1420 });
    }

    #[test]
    fn who_stops_in_the_middle_of_a_question_does_not_hold_the_keeper_up() {
        for begun in [&b"\0"[..], b"\0\0\0\x09{"] {
            let (raw, keeper) = UnixStream::pair().unwrap();
            (&raw).write_all(begun).unwrap();
            let (told, ended) = std::sync::mpsc::channel();
            std::thread::spawn(move || told.send(Link(keeper).asked().is_err()));
            assert_eq!(ended.recv_timeout(10 * QUESTION_DEADLINE), Ok(true), "{begun:?}");
            drop(raw);
        }
    }

    #[test]
    fn who_takes_no_answer_does_not_hold_the_keeper_up() {
        let (raw, keeper) = UnixStream::pair().unwrap();
        let long = Reply::Refused { blame: Blame::System, text: "x".repeat(MESSAGE_BYTES_MAX) };
        let (told, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || told.send(Link(keeper).reply(&long, &[]).is_err()));
        assert_eq!(ended.recv_timeout(10 * QUESTION_DEADLINE), Ok(true));
        drop(raw);
    }

    #[test]
    fn an_answer_that_comes_too_late_is_not_that_of_the_next_question() {
        let (raw, asker) = UnixStream::pair().unwrap();
        let asker = Link(asker);
        let soon = Duration::from_millis(10);
        assert!(asker.ask_within(&Ask::Mtu { bytes: 1420 }, soon).is_err(), "nobody answers");
        let late = b"\0\0\0\x10{\"reply\":\"done\"}";
        // The other end may have been closed by then.
        drop((&raw).write_all(late));
        assert!(asker.ask_within(&Ask::Check { text: String::new() }, soon).is_err());
    }

    #[test]
    fn what_is_no_message_is_refused_before_it_is_read() {
        for bytes in [&[0xff; 8][..], b"\0\0\0\x02{}", b"\0\0\0\x05[1,2]", b"\0\0\0\x03\xff\xff\xff"] {
            let (raw, keeper) = UnixStream::pair().unwrap();
            (&raw).write_all(bytes).unwrap();
            assert!(Link(keeper).asked().is_err(), "{bytes:?}");
        }
        let (raw, keeper) = UnixStream::pair().unwrap();
        (&raw).write_all(b"\0\0\0\x09{").unwrap();
        drop(raw);
        assert!(Link(keeper).asked().is_err(), "cut off");
    }
}
