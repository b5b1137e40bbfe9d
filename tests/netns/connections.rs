//! Ten thousand connections to the control socket and to a KME: descriptors stay bounded, slow clients go, honest ones are served.

use crate::process::wait_for;
use crate::topology::{Net, kme4, runnable};
use crate::world::{HYBRID_WITHIN, World};
use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 10_000;
/// Open at once: more than either server has places for, and fewer than a test process has descriptors.
const HELD: usize = 300;
/// Open and silent: more than one KME has places, and as many as a kernel lets wait without dropping the next.
const SILENT: usize = 350;
/// A site has its first key before the KME gives up the first of them, which it does after 5 s.
const FIRST_REQUEST: Duration = Duration::from_secs(3);
/// Places of both KMEs, and what each has open besides.
const KME_DESCRIPTORS_MAX: usize = 2 * (256 + 128) + 64;
/// Places of the control socket, and what comes and goes beside them.
const CONTROL_DESCRIPTORS_MAX: usize = 16 + 16;
/// A client that says too little is gone after this: its deadline, and time for a busy machine.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// Opens connections one after the other until it is stopped, but `CONNECTIONS` at least; the oldest make room for new ones.
struct Crowd {
    opened: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Crowd {
    fn start<S: Write + 'static>(net: &Net, from: &str, mut open: impl FnMut() -> Option<S> + Send + 'static) -> Self {
        let (opened, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stopped) = (Arc::clone(&opened), Arc::clone(&stop));
        let thread = net.beside(from, move || {
            let mut held = VecDeque::new();
            while count.load(Ordering::Relaxed) < CONNECTIONS || !stopped.load(Ordering::Relaxed) {
                let Some(mut stream) = open() else { continue };
                // Every other one begins to say something, and never ends.
                if count.fetch_add(1, Ordering::Relaxed) % 2 == 0 {
                    let _ = stream.write_all(&[0x16, 3, 1, 2, 0]);
                }
                held.push_back(stream);
                if held.len() > HELD {
                    held.pop_front();
                }
            }
        });
        Self { opened, stop, thread }
    }

    fn wait_for(&self, opened: usize) {
        wait_for("a crowd", Duration::from_secs(60), || (self.opened.load(Ordering::Relaxed) >= opened).then_some(()));
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
}

/// A connection from this address; none if the server does not take it soon.
fn connect(from: SocketAddr, to: SocketAddr) -> Option<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // Ports of closed connections rest for a minute otherwise.
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    socket.bind(&SockAddr::from(from)).unwrap();
    socket.connect_timeout(&SockAddr::from(to), Duration::from_millis(500)).ok()?;
    Some(socket)
}

#[test]
fn ten_thousand_connections_to_a_kme_keep_no_site_from_its_key() {
    if !runnable("ten_thousand_connections_to_a_kme_keep_no_site_from_its_key") {
        return;
    }
    let mut world = World::new();
    world.up_hybrid();
    let before = world.pair.descriptors();
    world.net.ip("a", "addr add 10.3.1.77/24 dev kme");
    let (from, to) = (SocketAddr::from(([10, 3, 1, 77], 0)), SocketAddr::new(kme4(1), 8443));
    let crowd = Crowd::start(&world.net, "a", move || connect(from, to));
    crowd.wait_for(2 * HELD);
    // A new connection of a site that starts, at the worst moment.
    world.a.kill();
    world.a.up();
    world.a.wait_state(&["HYBRID"], HYBRID_WITHIN);
    let during = world.pair.descriptors();
    crowd.wait_for(CONNECTIONS);
    crowd.stop();
    assert!(during <= KME_DESCRIPTORS_MAX, "{during} descriptors");
    wait_for("the end of its connections", GONE_WITHIN, || (world.pair.descriptors() <= before + 4).then_some(()));
}

#[test]
fn clients_that_never_finish_their_handshake_are_closed_by_the_kme() {
    if !runnable("clients_that_never_finish_their_handshake_are_closed_by_the_kme") {
        return;
    }
    let mut world = World::new();
    world.pair.up();
    let to = SocketAddr::new(kme4(1), 8443);
    let mut slow = world.net.inside("a", || std::net::TcpStream::connect(to).unwrap());
    slow.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let begun = Instant::now();
    let mut byte = [0];
    // A record of 512 bytes that comes byte by byte.
    let mut hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3].into_iter();
    while slow.write_all(&[hello.next().unwrap_or(0)]).is_ok() && !matches!(slow.read(&mut byte), Ok(0)) {
        assert!(begun.elapsed() < GONE_WITHIN, "it is still there");
    }
}

fn control(run: &Path) -> Option<UnixStream> {
    UnixStream::connect(run.join("a.sock")).ok()
}

#[test]
fn ten_thousand_connections_to_the_control_socket_leave_it_answering_and_the_tunnel_up() {
    if !runnable("ten_thousand_connections_to_the_control_socket_leave_it_answering_and_the_tunnel_up") {
        return;
    }
    let mut world = World::new();
    let (before, _) = world.up_hybrid();
    let held = world.a.daemon().descriptors();
    let run = world.path().join("run");
    let crowd = Crowd::start(&world.net, "a", move || control(&run));
    let mut most = 0;
    while crowd.opened.load(Ordering::Relaxed) < CONNECTIONS {
        most = most.max(world.a.daemon().descriptors());
        std::thread::sleep(Duration::from_millis(20));
    }
    crowd.stop();
    assert!(most <= held + CONTROL_DESCRIPTORS_MAX, "{most} descriptors, {held} before");
    let status = world.a.wait_status("an answer", GONE_WITHIN, |_| true);
    assert_eq!((status.state(), status.words()), (before.state(), before.words()), "the tunnel has noticed nothing");
    wait_for("its old count", GONE_WITHIN, || (world.a.daemon().descriptors() <= held).then_some(()));
}

#[test]
fn clients_that_say_their_request_byte_by_byte_are_dropped_and_the_next_is_served() {
    if !runnable("clients_that_say_their_request_byte_by_byte_are_dropped_and_the_next_is_served") {
        return;
    }
    let mut world = World::new();
    world.a.up();
    let run = world.path().join("run");
    let mut slow: Vec<UnixStream> = (0..16).map(|_| control(&run).unwrap()).collect();
    let begun = Instant::now();
    while !slow.is_empty() {
        slow.retain_mut(|stream| stream.write_all(b"x").is_ok());
        assert!(begun.elapsed() < GONE_WITHIN, "{} are still there", slow.len());
        std::thread::sleep(Duration::from_millis(200));
    }
    world.a.status();
}

#[test]
fn silent_connections_beyond_the_places_of_a_kme_keep_no_site_from_its_key() {
    if !runnable("silent_connections_beyond_the_places_of_a_kme_keep_no_site_from_its_key") {
        return;
    }
    let mut world = World::new();
    world.pair.up();
    world.b.up();
    world.net.ip("a", "addr add 10.3.1.77/24 dev kme");
    let (from, to) = (SocketAddr::from(([10, 3, 1, 77], 0)), SocketAddr::new(kme4(1), 8443));
    let silent: Vec<Socket> = world.net.inside("a", || (0..SILENT).filter_map(|_| connect(from, to)).collect());
    world.a.up();
    world.a.wait_state(&["HYBRID"], FIRST_REQUEST);
    assert!(silent.len() > SILENT / 5 * 4, "only {} connections", silent.len());
}
