//! Between the packet process and its keeper: a question, an answer, descriptors beside it; plain data over a pair of sockets.
//!
//! The keeper has rights that the asker gave up, so nothing is taken on trust: it parses each configuration itself, and what it
//! does concerns this interface and no other. What it reads of files it reads and judges itself, and hands over what packets need of it.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::source::HeldFiles;
use super::until::Until;
use crate::control::reload::Blame;
use crate::types::limits::{CONFIG_BYTES_MAX, PEER_SECTIONS_BYTES_MAX, PEERS_MAX};
use crate::types::secret::SecretBytes;
use crate::wire::field::{Malformed, Reader};

/// Bytes of a message: a configuration as JSON text, in which quotes and ends of lines take two each, and the public keys and sources
/// of as many peers as there may be, with 4 KiB each.
const MESSAGE_BYTES_MAX: usize = 2 * CONFIG_BYTES_MAX + 4096 * PEERS_MAX;
/// Bytes of a question: the sections of a peer, in which quotes and ends of lines take two each.
const ASK_BYTES_MAX: usize = 2 * PEER_SECTIONS_BYTES_MAX + 1024;
/// Secret bytes of a message: a PSK a peer.
const SECRET_BYTES_MAX: usize = 32 * PEERS_MAX;
/// Descriptors beside an answer: one a queue.
const DESCRIPTORS_MAX: usize = 8;
/// For an answer: the kernel takes some 100 000 routes in that time.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);
/// For a question to come whole, once it has begun: both ends are on this machine, and the
/// keeper has signals to pass on meanwhile, whatever the other has become.
const QUESTION_DEADLINE: Duration = Duration::from_secs(2);
/// For an answer to be taken: some thousand public keys may be in it.
const ANSWER_TAKEN_DEADLINE: Duration = Duration::from_secs(5);

/// What the packet process wants done.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// To read a configuration with all its files, and to keep it ready for the next questions.
    Load {
        /// Which.
        wanted: Wanted,
    },
    /// Sockets on the address on which the configuration that is ready listens.
    Bind,
    /// Kill switch, addresses and routes of the configuration that is ready in place of those in use, which are then ready.
    Set,
    /// The sources of the last configuration that was read: for the keys process, from now on.
    Sources,
    /// Another keys process: the one that there is says nothing.
    RenewKeys,
    /// That the configuration that is ready will not be used, nor the TLS keys that were read with it.
    Forget,
    /// A listening socket for the status page of the configuration in use.
    Page,
    /// Another MTU of the interface.
    Mtu {
        /// Bytes.
        bytes: u16,
    },
}

/// Which configuration is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Wanted {
    /// The file as it is now.
    File,
    /// What runs, with one peer more.
    Added {
        /// A `[[peer]]` section and its `[[qkd]]` sections.
        sections: String,
    },
    /// What runs, without this peer.
    Removed {
        /// Its name.
        peer: String,
    },
}

/// What became of it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// Done; descriptors may come with it.
    Done,
    /// Read; the PSKs of the peers, 32 bytes each, come beside it.
    Loaded(Box<LoadedConfig>),
    /// The sources are the keys process's, under this number.
    Generation {
        /// Of this set of sources.
        number: u32,
    },
    /// Not done, and all is as it was.
    Refused {
        /// Whose fault it is.
        blame: Blame,
        /// For a person.
        text: String,
    },
}

/// A configuration whose files have been read and found right, without what stays in the keeper: this end's identity, and the
/// files of TLS.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedConfig {
    /// Its text.
    pub text: String,
    /// What is allowed and probably not meant, one sentence each.
    pub warnings: Vec<String>,
    /// Of this end's identity.
    pub fingerprint: String,
    /// Suite and public key of each peer, in base64, in the order of the configuration.
    pub peers: Vec<(u16, String)>,
    /// What the files of each source held, in the same order.
    pub sources: Vec<HeldFiles>,
}

/// What came: a question or an answer, with what came beside it.
pub struct Came<T> {
    /// It.
    pub message: T,
    /// Secret bytes; most have none.
    pub secret: SecretBytes,
    /// Descriptors.
    pub beside: Vec<OwnedFd>,
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
    pub fn ask(&self, ask: &Ask) -> io::Result<Came<Reply>> {
        self.ask_within(ask, ANSWER_DEADLINE)
    }

    fn ask_within(&self, ask: &Ask, deadline: Duration) -> io::Result<Came<Reply>> {
        let text = serde_json::to_vec(ask).map_err(io::Error::other)?;
        if text.len() > ASK_BYTES_MAX {
            // Before a byte of it is sent: the keeper would hang up on it, for good.
            let error = format!("a question of {} bytes, at most {ASK_BYTES_MAX} are taken", text.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        }
        let asked = self.send(&text, &[], &[], deadline).and_then(|()| self.receive(MESSAGE_BYTES_MAX, deadline));
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
        Ok(self.receive(ASK_BYTES_MAX, QUESTION_DEADLINE)?.map(|came| came.message))
    }

    /// Answers it.
    ///
    /// # Errors
    /// The asker has gone, or does not take it.
    pub fn reply(&self, reply: &Reply, secret: &[u8], beside: &[BorrowedFd<'_>]) -> io::Result<()> {
        let text = serde_json::to_vec(reply).map_err(io::Error::other)?;
        self.send(&text, secret, beside, ANSWER_TAKEN_DEADLINE)
    }

    /// Lengths of text and secret, 4 bytes each, with the descriptors; then the two.
    fn send(&self, text: &[u8], secret: &[u8], beside: &[BorrowedFd<'_>], deadline: Duration) -> io::Result<()> {
        let until = Until::after(deadline);
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
        let lengths = [length(text)?.to_be_bytes(), length(secret)?.to_be_bytes()].concat();
        let raw: Vec<_> = beside.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let rights = if raw.is_empty() { &[][..] } else { &rights[..] };
        let parts = [IoSlice::new(&lengths)];
        self.0.set_write_timeout(Some(until.left()?))?;
        let sent = loop {
            match sendmsg::<()>(self.0.as_raw_fd(), &parts, rights, MsgFlags::MSG_NOSIGNAL, None) {
                Err(Errno::EINTR) => {}
                sent => break sent?,
            }
        };
        until.write(&self.0, lengths.get(sent..).unwrap_or_default())?;
        until.write(&self.0, text)?;
        until.write(&self.0, secret)
    }

    fn receive<T: DeserializeOwned>(&self, bytes_max: usize, deadline: Duration) -> io::Result<Option<Came<T>>> {
        let until = Until::after(deadline);
        let mut lengths = [0; 8];
        self.await_message(until)?;
        let (got, beside) = self.receive_beside(&mut lengths)?;
        if got == 0 {
            return Ok(None);
        }
        until.read(&self.0, lengths.get_mut(got..).unwrap_or_default())?;
        let mut lengths = Reader::new(&lengths);
        let text = self.read_whole(lengths.u32(), bytes_max, until)?;
        let secret = SecretBytes::new(self.read_whole(lengths.u32(), SECRET_BYTES_MAX, until)?);
        Ok(Some(Came { message: serde_json::from_slice(&text).map_err(io::Error::other)?, secret, beside }))
    }

    /// A signal that comes meanwhile ends no wait: it would look like a keeper that has gone.
    fn await_message(&self, until: Until) -> io::Result<()> {
        loop {
            let left = PollTimeout::try_from(until.left()?).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], left) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn read_whole(&self, length: Result<u32, Malformed>, bytes_max: usize, until: Until) -> io::Result<Vec<u8>> {
        let length = length.map_err(io::Error::other)? as usize;
        if length > bytes_max {
            return Err(io::Error::other(format!("a message of {length} bytes, at most {bytes_max} were expected")));
        }
        let mut bytes = vec![0; length];
        until.read(&self.0, &mut bytes)?;
        Ok(bytes)
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
    use std::io::Write;

    use super::*;

    #[test]
    fn questions_and_answers_pass_with_descriptors_beside_them() {
        let (asker, keeper) = Link::pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        let kept = std::thread::spawn(move || {
            let asked = keeper.asked().unwrap().unwrap();
            keeper.reply(&Reply::Done, b"secret", &[file.as_fd(), file.as_fd()]).unwrap();
            assert_eq!(keeper.asked().unwrap(), None, "the asker has gone");
            asked
        });
        let came = asker.ask(&Ask::Mtu { bytes: 1420 }).unwrap();
        assert_eq!((came.message, came.secret.expose(), came.beside.len()), (Reply::Done, &b"secret"[..], 2));
        drop(asker);
        assert_eq!(kept.join().unwrap(), Ask::Mtu { bytes: 1420 });
    }

    #[test]
    fn who_stops_in_the_middle_of_a_question_does_not_hold_the_keeper_up() {
        for begun in [&b"\0"[..], b"\0\0\0\x09\0\0\0\0{"] {
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
        std::thread::spawn(move || told.send(Link(keeper).reply(&long, &[], &[]).is_err()));
        assert_eq!(ended.recv_timeout(10 * QUESTION_DEADLINE), Ok(true));
        drop(raw);
    }

    #[test]
    fn an_answer_that_comes_too_late_is_not_that_of_the_next_question() {
        let (raw, asker) = UnixStream::pair().unwrap();
        let asker = Link(asker);
        let soon = Duration::from_millis(10);
        assert!(asker.ask_within(&Ask::Mtu { bytes: 1420 }, soon).is_err(), "nobody answers");
        let late = b"\0\0\0\x10\0\0\0\0{\"reply\":\"done\"}";
        // The other end may have been closed by then.
        drop((&raw).write_all(late));
        assert!(asker.ask_within(&Ask::Set, soon).is_err());
    }

    #[test]
    fn a_question_that_is_too_long_is_not_sent_and_the_next_one_is() {
        let (asker, keeper) = Link::pair().unwrap();
        let kept = std::thread::spawn(move || {
            assert_eq!(keeper.asked().unwrap(), Some(Ask::Set));
            keeper.reply(&Reply::Done, &[], &[]).unwrap();
        });
        // A sign that takes six bytes in JSON.
        let sections = "\u{1}".repeat(PEER_SECTIONS_BYTES_MAX);
        let refused = asker.ask(&Ask::Load { wanted: Wanted::Added { sections } }).err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{refused}");
        assert_eq!(asker.ask(&Ask::Set).unwrap().message, Reply::Done);
        kept.join().unwrap();
    }

    #[test]
    fn what_is_no_message_is_refused_before_it_is_read() {
        let texts = [&b"\0\0\0\x02\0\0\0\0{}"[..], b"\0\0\0\x05\0\0\0\0[1,2]", b"\0\0\0\x03\0\0\0\0\xff\xff\xff"];
        let lengths = [&[0xff; 8][..], b"\0\0\0\x02\xff\xff\xff\xff{}"];
        for bytes in lengths.into_iter().chain(texts) {
            let (raw, keeper) = UnixStream::pair().unwrap();
            (&raw).write_all(bytes).unwrap();
            assert!(Link(keeper).asked().is_err(), "{bytes:?}");
        }
        let (raw, keeper) = UnixStream::pair().unwrap();
        (&raw).write_all(b"\0\0\0\x09\0\0\0\0{").unwrap();
        drop(raw);
        assert!(Link(keeper).asked().is_err(), "cut off");
    }
}
