//! Where a connection's answers leave: those of the HTTP library as they are, scripted ones in their place.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Notify};
use tokio_rustls::server::TlsStream;
use zeroize::Zeroizing;

use crate::kme::delivery::{DRIP_PAUSE, Step};

/// Bytes that wait between the HTTP library and the connection.
const PIPE_BYTES: usize = 16 * 1024;
/// Longest that a script holds a connection that says nothing, or too much: far beyond every deadline of a client.
const HANG_MAX: Duration = Duration::from_secs(60);

/// The writing side of one connection.
pub(super) struct Outlet {
    writer: Mutex<WriteHalf<TlsStream<TcpStream>>>,
    /// The next head of the HTTP library stands for an answer that a script has given.
    is_answered: AtomicBool,
    /// A script has ended the connection.
    ended: Notify,
    /// The client has left.
    left: Notify,
}

/// A connection taken apart: what the client says, the library's end of the pipe, our end of it, and the outlet.
pub(super) struct Parts {
    pub(super) reader: ReadHalf<TlsStream<TcpStream>>,
    pub(super) library: DuplexStream,
    pub(super) pipe: DuplexStream,
    pub(super) outlet: Outlet,
}

impl Parts {
    pub(super) fn of(stream: TlsStream<TcpStream>) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let (library, pipe) = tokio::io::duplex(PIPE_BYTES);
        let outlet = Outlet {
            writer: Mutex::new(writer),
            is_answered: AtomicBool::new(false),
            ended: Notify::new(),
            left: Notify::new(),
        };
        Self { reader, library, pipe, outlet }
    }
}

impl Outlet {
    /// Carries bytes both ways until the library is done or a script ends the connection.
    pub(super) async fn carry<R>(&self, reader: R, pipe: DuplexStream, library: impl Future<Output = ()>)
    where
        R: AsyncRead + Unpin,
    {
        let (from_library, to_library) = tokio::io::split(pipe);
        tokio::select! {
            _ = async { tokio::join!(library, self.outwards(from_library)) } => {}
            () = self.ended.notified() => {}
            () = self.inwards(reader, to_library) => {}
        }
    }

    async fn inwards(&self, mut reader: impl AsyncRead + Unpin, mut to_library: impl AsyncWrite + Unpin) {
        // However the client has left, the library is told that no more comes, and ends in its own way.
        drop(tokio::io::copy(&mut reader, &mut to_library).await);
        drop(to_library.shutdown().await);
        self.left.notify_one();
        std::future::pending::<()>().await;
    }

    async fn outwards(&self, mut from_library: impl AsyncRead + Unpin) {
        let mut held = Zeroizing::new(vec![0; PIPE_BYTES]);
        let mut unseen = Vec::new();
        while let Ok(bytes @ 1..) = from_library.read(&mut held).await {
            let came = held.get(..bytes).unwrap_or_default();
            let shown = if self.is_answered.load(Ordering::Acquire) {
                unseen.extend_from_slice(came);
                let Some(end) = unseen.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
                self.is_answered.store(false, Ordering::Release);
                unseen.drain(..end + 4);
                std::mem::take(&mut unseen)
            } else {
                came.to_vec()
            };
            let shown = Zeroizing::new(shown);
            if self.write(&shown).await.is_err() {
                break;
            }
        }
        drop(self.writer.lock().await.shutdown().await);
    }

    async fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut writer = self.writer.lock().await;
        writer.write_all(bytes).await?;
        writer.flush().await
    }

    /// Plays a script in place of an answer; the library's own, which has no body, is not sent then.
    pub(super) async fn play(&self, steps: Vec<Step>) {
        self.is_answered.store(true, Ordering::Release);
        for step in steps {
            if !self.step(step).await {
                self.ended.notify_one();
                // The connection is dropped around this.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Whether the connection goes on.
    async fn step(&self, step: Step) -> bool {
        match step {
            Step::Write(bytes) => self.write(bytes.expose()).await.is_ok(),
            Step::Drip(bytes) => {
                for byte in bytes.expose() {
                    if self.write(&[*byte]).await.is_err() || self.pause(DRIP_PAUSE).await {
                        return false;
                    }
                }
                true
            }
            Step::Pause(pause) => !self.pause(pause).await,
            Step::Forever(bytes) => {
                let writing = async { while self.write(&bytes).await.is_ok() {} };
                drop(tokio::time::timeout(HANG_MAX, writing).await);
                false
            }
            Step::Hang => {
                self.pause(HANG_MAX).await;
                false
            }
            Step::Close => {
                drop(self.writer.lock().await.shutdown().await);
                false
            }
            Step::Cut => false,
        }
    }

    /// Whether the client left before the time was over.
    async fn pause(&self, pause: Duration) -> bool {
        tokio::time::timeout(pause, self.left.notified()).await.is_ok()
    }
}
