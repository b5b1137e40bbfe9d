//! What happens before a connection has its first request: faults on order, and a farewell that is heard.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kme::catalogue::Fault;

/// Longest that a refused client is listened to.
const LINGER_MAX: Duration = Duration::from_secs(1);
/// Longest that a connection is held without an answer.
const HANG_MAX: Duration = Duration::from_secs(60);

/// Faults of connections.
pub(super) const OF_CONNECTIONS: [Fault; 3] = [Fault::ResetConnection, Fault::HangInHandshake, Fault::PlainText];

/// Treats a client as the fault says.
pub(super) async fn mistreat(mut stream: TcpStream, fault: Fault) {
    if fault == Fault::ResetConnection {
        drop(socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)));
        return;
    }
    let page = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    if fault == Fault::PlainText && stream.write_all(page).await.is_ok() {
        return farewell(stream).await;
    }
    let mut swallowed = [0; 1024];
    let waiting = async { while let Ok(1..) = stream.read(&mut swallowed).await {} };
    drop(tokio::time::timeout(HANG_MAX, waiting).await);
}

/// Ends a refused connection. A client may be sending already, and a reset for what nobody reads would overtake the reason.
pub(super) async fn farewell(mut stream: TcpStream) {
    drop(stream.shutdown().await);
    let mut swallowed = [0; 1024];
    let listening = async { while let Ok(1..) = stream.read(&mut swallowed).await {} };
    drop(tokio::time::timeout(LINGER_MAX, listening).await);
}
