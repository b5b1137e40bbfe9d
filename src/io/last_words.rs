//! A TCP connection of which everything the other end said is read, even after it was reset.
//!
//! A TLS 1.3 server refuses a client's certificate after the client's handshake: its alert and its reset cross our request
//! on the way. Whoever fails at the write never reads the alert, and never learns why the connection ended.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection whose end is told by its reading side alone: what is written after the other end is gone is discarded.
pub(super) struct HeardOut {
    tcp: TcpStream,
    is_gone: bool,
}

impl HeardOut {
    /// Around a connection.
    pub(super) fn new(tcp: TcpStream) -> Self {
        Self { tcp, is_gone: false }
    }

    /// What became of a write of `bytes`; the reader finds the same end, after what was said before it.
    fn outcome(&mut self, written: io::Result<usize>, bytes: usize) -> io::Result<usize> {
        use io::ErrorKind as K;
        match written {
            Err(error) if matches!(error.kind(), K::BrokenPipe | K::ConnectionReset | K::ConnectionAborted) => {
                self.is_gone = true;
                Ok(bytes)
            }
            other => other,
        }
    }
}

impl AsyncRead for HeardOut {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, into)
    }
}

impl AsyncWrite for HeardOut {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_gone {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = std::task::ready!(Pin::new(&mut self.tcp).poll_write(cx, bytes));
        Poll::Ready(self.outcome(written, bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = parts.iter().map(|part| part.len()).sum();
        if self.is_gone {
            return Poll::Ready(Ok(bytes));
        }
        let written = std::task::ready!(Pin::new(&mut self.tcp).poll_write_vectored(cx, parts));
        Poll::Ready(self.outcome(written, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Two ends; the second has said something and reset the connection.
    async fn reset() -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut theirs, _) = listener.accept().await.unwrap();
        theirs.write_all(b"why").await.unwrap();
        socket2::SockRef::from(&theirs).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(theirs);
        ours.ready(tokio::io::Interest::ERROR).await.unwrap();
        ours
    }

    #[tokio::test]
    async fn what_was_said_before_the_reset_is_read_after_a_write_that_failed() {
        assert!(reset().await.write_all(b"request").await.is_err(), "the plain connection shows what this is for");
        let mut heard = HeardOut::new(reset().await);
        for _ in 0..3 {
            heard.write_all(b"request").await.unwrap();
        }
        let mut said = [0; 3];
        heard.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"why");
        assert!(matches!(heard.read(&mut said).await, Ok(0) | Err(_)), "and then it ends");
    }
}
