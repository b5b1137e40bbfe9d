//! Between the packet process and its keeper: a question, an answer, descriptors beside it; plain data over a pair of sockets.
//!
//! The keeper has rights that the asker gave up, so nothing is taken on trust: it parses each configuration itself, and what it
//! does concerns this interface and no other.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::control::reload::Blame;
use crate::types::limits::CONFIG_BYTES_MAX;

/// Bytes of a message: a configuration as JSON text, in which quotes and ends of lines take two each.
const MESSAGE_BYTES_MAX: usize = 2 * CONFIG_BYTES_MAX + 1024;
/// Descriptors beside an answer: one a queue.
const DESCRIPTORS_MAX: usize = 8;
/// For an answer: the kernel takes some 100 000 routes in that time.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

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
        self.0.set_read_timeout(Some(ANSWER_DEADLINE))?;
        self.send(ask, &[])?;
        self.receive()?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
    }

    /// The next question; `None` when the asker has gone.
    ///
    /// # Errors
    /// What came is no question.
    pub fn asked(&self) -> io::Result<Option<Ask>> {
        Ok(self.receive()?.map(|(ask, _)| ask))
    }

    /// Answers it.
    ///
    /// # Errors
    /// The asker has gone.
    pub fn reply(&self, reply: &Reply, beside: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.send(reply, beside)
    }

    /// Length, 4 bytes, with the descriptors; then the text.
    fn send(&self, message: &impl Serialize, beside: &[BorrowedFd<'_>]) -> io::Result<()> {
        let text = serde_json::to_vec(message).map_err(io::Error::other)?;
        let length = u32::try_from(text.len()).map_err(io::Error::other)?.to_be_bytes();
        let raw: Vec<_> = beside.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let rights = if raw.is_empty() { &[][..] } else { &rights[..] };
        let parts = [IoSlice::new(&length)];
        let sent = sendmsg::<()>(self.0.as_raw_fd(), &parts, rights, MsgFlags::MSG_NOSIGNAL, None)?;
        (&self.0).write_all(length.get(sent..).unwrap_or_default())?;
        (&self.0).write_all(&text)
    }

    fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let mut length = [0; 4];
        let (got, beside) = self.receive_beside(&mut length)?;
        if got == 0 {
            return Ok(None);
        }
        (&self.0).read_exact(length.get_mut(got..).unwrap_or_default())?;
        let bytes = u32::from_be_bytes(length) as usize;
        if bytes > MESSAGE_BYTES_MAX {
            return Err(io::Error::other(format!(
                "a message of {bytes} bytes, at most {MESSAGE_BYTES_MAX} were expected"
            )));
        }
        let mut text = vec![0; bytes];
        (&self.0).read_exact(&mut text)?;
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
