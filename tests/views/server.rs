//! The listener on a free port of the loopback, answered by a view that the test gives; and a raw client.

use plait::control::live::LiveView;
use plait::io::status_http::{Ask, StatusListener};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// A running listener; it ends with its value.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// How often the daemon's loop was asked.
    pub(crate) asked: Arc<AtomicUsize>,
    view: Arc<Mutex<Option<LiveView>>>,
    _runtime: Runtime,
}

impl Server {
    /// Answers with this view; without one the loop stands still.
    pub(crate) fn start(view: Option<LiveView>) -> Self {
        let runtime = Runtime::new().unwrap();
        let (asks, mut asking) = mpsc::channel::<Ask>(1);
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = runtime.block_on(async { StatusListener::over(socket) }).unwrap();
        let address = listener.local_address().unwrap();
        runtime.spawn(listener.serve(asks));
        let (asked, view) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(view)));
        let (count, shown) = (Arc::clone(&asked), Arc::clone(&view));
        runtime.spawn(async move {
            let mut unanswered = Vec::new();
            while let Some(ask) = asking.recv().await {
                count.fetch_add(1, Ordering::SeqCst);
                let view = shown.lock().unwrap().clone();
                match view {
                    Some(view) => drop(ask.send(view)),
                    None => unanswered.push(ask),
                }
            }
        });
        Self { address, asked, view, _runtime: runtime }
    }

    /// Another view from here on.
    pub(crate) fn show(&self, view: Option<LiveView>) {
        *self.view.lock().unwrap() = view;
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        stream
    }

    /// Sends these bytes and reads to the end.
    pub(crate) fn raw(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        Answer::read(stream)
    }

    /// A request as a client of this machine makes it.
    pub(crate) fn ask(&self, method: &str, path: &str) -> Answer {
        self.raw(&format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path)
    }
}

/// What came back, to the end of the connection.
#[derive(Debug)]
pub(crate) struct Answer {
    /// 0 if there was no answer.
    pub(crate) code: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A connection that is reset has ended too.
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Self { code, head: head.to_lowercase(), body: body.to_owned() }
    }

    /// The value of a header; empty without it.
    pub(crate) fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    /// Whether any header's name or value has this.
    pub(crate) fn head_has(&self, text: &str) -> bool {
        self.head.contains(text)
    }
}
