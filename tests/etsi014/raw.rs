//! Bytes over TLS, without any HTTP library: what foreign clients send, to the letter.

use std::net::SocketAddr;

use plait::io::tls::client::{ClientFiles, client_tls};
use plait::io::tls::files::TlsFiles;
use plait::io::tls::verify::Expected;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::pki::Pki;

pub(crate) struct Raw(TlsStream<TcpStream>);

impl Raw {
    pub(crate) async fn connect(pki: &Pki, at: SocketAddr, sae: &str) -> Self {
        let files = ClientFiles {
            bytes: &mut TlsFiles::default(),
            ca_file: &pki.file("ca.pem"),
            cert_file: &pki.file(&format!("{sae}.pem")),
            key_file: &pki.file(&format!("{sae}.key")),
            password_file: None,
            expected: Expected::Host,
        };
        let config = client_tls(files).unwrap().config;
        let tcp = TcpStream::connect(at).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        Self(TlsConnector::from(config).connect(name, tcp).await.unwrap())
    }

    /// Sends the bytes and reads one answer: code, head, body.
    pub(crate) async fn ask(&mut self, bytes: &str) -> (u16, String, String) {
        self.0.write_all(bytes.as_bytes()).await.unwrap();
        self.read().await
    }

    /// Sends a request of these parts; a body gets its length.
    pub(crate) async fn request(&mut self, line: &str, headers: &str, body: &str) -> (u16, String, String) {
        let length =
            if line.starts_with("GET") { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        self.ask(&format!("{line} HTTP/1.1\r\nhost: kme\r\n{headers}{length}\r\n{body}")).await
    }

    async fn read(&mut self) -> (u16, String, String) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        (code, head, String::from_utf8(body).unwrap())
    }
}
