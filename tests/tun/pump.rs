//! The packet threads between real interfaces: traffic flows, and the end of an interface is the end of its thread.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket as StdSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use plait::config::{Backend, RouteTable};
use plait::crypto::aead::AeadBackend;
use plait::daemon::pump::{PumpNews, PumpOutlet, PumpPair, Pumps};
use plait::dataplane::report::PumpEvent;
use plait::dataplane::routes::Routes;
use plait::dataplane::snapshot::{Endpoint, PeerView, Receiving, Sealing, Snapshot, Standing};
use plait::io::clock::Clock;
use plait::io::thread::ThreadStarter;
use plait::io::tun::Tun;
use plait::io::udp::UdpSocket;
use plait::session::epoch::{EpochTag, OpenEpoch, RecordTerms, SealEpoch};
use plait::types::id::{PeerId, SessionIndex};
use plait::types::offload::{OffloadSet, Offloads};
use plait::types::policy::Cipher;
use plait::types::secret::Secret;
use plait::types::time::Instant;

use crate::namespace::{backends, in_namespace, interface, ip, plan};
use crate::packet::PATIENCE;

/// The snapshot of one end: what it seals the other opens, under keys that follow from `own` and `theirs`.
fn snapshot(own: u8, theirs: u8, to: &UdpSocket) -> Arc<ArcSwap<Snapshot>> {
    let (tag, cipher) = (EpochTag { peer: PeerId(0), session: 0, number: 0 }, Cipher::ChaCha20Poly1305);
    let key = |end: u8| (SessionIndex::new(end.into()).unwrap(), Secret::take(&mut [end; 32]));
    let ((send, send_key), (receive, receive_key)) = (key(theirs), key(own));
    let terms = RecordTerms { cipher, inner_mtu: 1420, features: 0 };
    let seal = SealEpoch::new(tag, send, &send_key, AeadBackend::AwsLc, terms);
    let open = OpenEpoch::new(tag, receive, &receive_key, AeadBackend::AwsLc, terms);
    let address = (IpAddr::from([127, 0, 0, 1]), to.local_address().unwrap().port());
    let peer = PeerView {
        endpoint: Some(Endpoint { to: address.into(), from: None }),
        sealing: Some(Sealing { epoch: Arc::new(seal), until: Instant::FAR_FUTURE }),
        blocked: false,
        inner_mtu: 1420,
        traffic: Arc::default(),
    };
    let (index, until, standing) = (receive.value(), Instant::FAR_FUTURE, Standing::Current);
    Arc::new(ArcSwap::from_pointee(Snapshot {
        peers: vec![peer],
        routes: Arc::new(Routes::new([("10.99.0.0/24".parse().unwrap(), PeerId(0))])),
        receive: vec![Receiving { index, epoch: Arc::new(open), until, standing }],
        unclaimed: Arc::default(),
        door: None,
    }))
}

fn start(tun: &Tun, udp: &Arc<UdpSocket>, snapshot: &Arc<ArcSwap<Snapshot>>) -> (Pumps, PumpOutlet) {
    let clock = Clock::start();
    let pair = PumpPair { tun: Arc::clone(&tun.queues[0]), udp: Arc::clone(udp) as _ };
    let offloads = Arc::new(Offloads::new(OffloadSet::ALL));
    Pumps::start(
        vec![pair],
        &ThreadStarter::new().unwrap(),
        Arc::clone(snapshot),
        Arc::new(move || clock.now()),
        &offloads,
    )
    .unwrap()
}

fn loopback() -> Arc<UdpSocket> {
    Arc::new(UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap())
}

fn tunnel_end(address: &str, backend: Backend) -> Tun {
    interface("plait0", backend, &plan(&[address], 1420, &[], RouteTable::Auto))
}

/// The next news within `limit`.
fn news(outlet: &mut PumpOutlet, limit: Duration) -> Option<PumpNews> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(limit, outlet.next()).await.ok().flatten() })
}

/// Names of this process's threads that begin with the prefix, and the processor time that each has used, in ticks.
fn threads(prefix: &str, ids: &[String]) -> Vec<(String, u64)> {
    let read = |id: &String| {
        let stat = std::fs::read_to_string(format!("/proc/self/task/{id}/stat")).ok()?;
        let (name, fields) = stat.split_once('(')?.1.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?;
        name.starts_with(prefix).then(|| (name.to_owned(), ticks))
    };
    ids.iter().filter_map(read).collect()
}

fn thread_ids() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/task").unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Echoes one connection until its end.
fn echo(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = [0; 65_536];
    loop {
        match stream.read(&mut bytes).unwrap() {
            0 => return,
            count => stream.write_all(&bytes[..count]).unwrap(),
        }
    }
}

#[test]
fn a_stream_passes_between_two_hosts_unchanged() {
    for backend in backends() {
        in_namespace(|| {
            let (udp_a, udp_b) = (loopback(), loopback());
            let (at_a, at_b) = (snapshot(1, 2, &udp_b), snapshot(2, 1, &udp_a));
            let tun_a = tunnel_end("10.99.0.1/24", backend);
            let (ready, is_ready) = std::sync::mpsc::channel();
            let (done, is_done) = std::sync::mpsc::channel();
            std::thread::scope(|scope| {
                let (udp_b, at_b) = (&udp_b, &at_b);
                scope.spawn(move || {
                    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
                    let tun_b = tunnel_end("10.99.0.2/24", backend);
                    let (pumps, _outlet) = start(&tun_b, udp_b, at_b);
                    let listener = TcpListener::bind("10.99.0.2:7").unwrap();
                    ready.send(()).unwrap();
                    echo(&listener);
                    // The end of the stream must still pass; a failure at the other end drops the sender.
                    let _: Result<(), _> = is_done.recv();
                    pumps.stop();
                });
                is_ready.recv().unwrap();
                let (pumps, mut outlet) = start(&tun_a, &udp_a, &at_a);
                let mut stream = TcpStream::connect("10.99.0.2:7").unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let sent: Vec<u8> =
                    (0..2_000_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_be_bytes()).collect();
                let mut reader = stream.try_clone().unwrap();
                let received = scope.spawn(move || {
                    let mut received = vec![0; 8_000_000];
                    reader.read_exact(&mut received).unwrap();
                    received
                });
                stream.write_all(&sent).unwrap();
                assert!(received.join().unwrap() == sent, "{backend:?}: the stream was changed");
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "{backend:?}: the end of the stream passes too");
                done.send(()).unwrap();
                assert!(matches!(news(&mut outlet, PATIENCE), Some(PumpNews::Event(PumpEvent::FirstOpened { .. }))));
                pumps.stop();
            });
            let traffic = &at_a.load().peers[0].traffic;
            assert!(traffic.sent_bytes.total() > 8_000_000 && traffic.received_bytes.total() > 8_000_000);
            assert_eq!(traffic.drops.auth.total() + traffic.drops.replay.total() + traffic.drops.source.total(), 0);
        });
    }
}

#[test]
fn deleting_the_interface_ends_its_thread_within_a_second_and_nothing_spins() {
    for backend in backends() {
        in_namespace(|| {
            let udp = loopback();
            let at = snapshot(1, 2, &udp);
            let tun = tunnel_end("10.99.0.1/24", backend);
            let before = thread_ids();
            let (pumps, mut outlet) = start(&tun, &udp, &at);
            let ours: Vec<String> = thread_ids().into_iter().filter(|id| !before.contains(id)).collect();
            ip("link delete dev plait0");
            let end = loop {
                match news(&mut outlet, Duration::from_secs(1)) {
                    Some(PumpNews::Ended(end)) => break end,
                    Some(PumpNews::Event(_)) => {}
                    None => panic!("{backend:?}: nothing was said within 1 s"),
                }
            };
            assert_eq!(end.thread, "plait-seal-1");
            std::thread::sleep(Duration::from_millis(50));
            assert!(threads("plait-seal", &ours).is_empty(), "{backend:?}: the thread ended");
            let used = || threads("plait-open", &ours).iter().map(|(_, ticks)| ticks).sum::<u64>();
            let start = used();
            std::thread::sleep(Duration::from_millis(300));
            assert!(used() - start <= 2, "{backend:?}: the other thread sleeps");
            pumps.stop();
            assert!(threads("plait-", &ours).is_empty(), "{backend:?}");
        });
    }
}

#[test]
fn an_interface_that_is_down_costs_packets_and_not_the_threads() {
    for backend in backends() {
        in_namespace(|| {
            // One end talks to itself: what it seals for the peer comes back to it.
            let udp = loopback();
            let at = snapshot(1, 1, &udp);
            let tun = tunnel_end("10.99.0.1/24", backend);
            let (pumps, mut outlet) = start(&tun, &udp, &at);
            let traffic = Arc::clone(&at.load().peers[0].traffic);
            let socket = StdSocket::bind("10.99.0.1:7").unwrap();
            let sends = |what: &[u8], passes: &dyn Fn() -> u64| {
                let before = passes();
                for _ in 0..100 {
                    // While the interface is down the system refuses to send.
                    let _ = socket.send_to(what, "10.99.0.2:9");
                    std::thread::sleep(Duration::from_millis(20));
                    if passes() > before {
                        return true;
                    }
                }
                false
            };
            assert!(sends(b"up", &|| traffic.received_packets.total()));
            ip("link set dev plait0 down");
            let sealed = plait::dataplane::seal::seal_record(
                &at.load().peers[0].sealing.as_ref().unwrap().epoch,
                0,
                plait::wire::transport::RecordKind::Data,
                &crate::packet::udp(([10, 99, 0, 2].into(), 9), ([10, 99, 0, 1].into(), 7), b"down"),
            );
            udp.send(&sealed.unwrap(), at.load().peers[0].endpoint.unwrap()).unwrap();
            std::thread::sleep(Duration::from_millis(100));
            assert_eq!(traffic.drops.tun.total(), 1, "{backend:?}");
            ip("link set dev plait0 up");
            assert!(sends(b"up again", &|| traffic.received_packets.total()), "{backend:?}");
            while let Some(news) = news(&mut outlet, Duration::from_millis(10)) {
                assert!(matches!(news, PumpNews::Event(_)), "{backend:?}: {news:?}");
            }
            pumps.stop();
        });
    }
}

#[test]
fn a_send_that_the_network_refuses_is_counted_and_the_thread_goes_on() {
    in_namespace(|| {
        let udp = loopback();
        let at = snapshot(1, 1, &udp);
        let mut unreachable = at.load_full().peers.clone();
        unreachable[0].endpoint = Some(Endpoint { to: "198.51.100.7:51900".parse().unwrap(), from: None });
        let (routes, unclaimed) = (Arc::clone(&at.load().routes), Arc::default());
        at.store(Arc::new(Snapshot { peers: unreachable, routes, receive: vec![], unclaimed, door: None }));
        let tun = tunnel_end("10.99.0.1/24", Backend::TunRs);
        let (pumps, _outlet) = start(&tun, &udp, &at);
        let traffic = Arc::clone(&at.load().peers[0].traffic);
        let socket = StdSocket::bind("10.99.0.1:7").unwrap();
        for _ in 0..3 {
            socket.send_to(b"x", "10.99.0.2:9").unwrap();
        }
        for _ in 0..100 {
            if traffic.drops.send.total() >= 3 {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(traffic.drops.send.total(), 3);
        assert!(tun.queues[0].as_fd().try_clone_to_owned().is_ok());
        pumps.stop();
    });
}
