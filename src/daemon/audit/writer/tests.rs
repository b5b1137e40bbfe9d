//! A disk that is full for a while: nothing is lost or out of order until the bound, and then it is said.

use super::*;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Sender, channel};

/// A disk that can be full.
#[derive(Clone, Default)]
struct Disk {
    full: Arc<AtomicBool>,
    lines: Arc<Mutex<Vec<What>>>,
}

impl Lines for Disk {
    fn append(&mut self, _: UnixMillis, what: What) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.lines.lock().unwrap().push(what);
        Ok(())
    }
}

fn what(number: u64) -> What {
    What::State { peer: "dc".to_owned(), from: String::new(), to: number.to_string() }
}

fn numbers(disk: &Disk) -> Vec<u64> {
    let number = |what: &What| {
        let What::State { to, .. } = what else { panic!("{what:?}") };
        to.parse().unwrap()
    };
    disk.lines.lock().unwrap().iter().map(number).collect()
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(10));
    }
    panic!("no {what} within 10 s");
}

#[test]
fn what_a_full_disk_refused_is_written_in_order_when_there_is_room() {
    let (disk, progress) = (Disk::default(), Arc::new(Progress::default()));
    let mut writer = Writer::with(disk.clone(), Arc::clone(&progress));
    writer.put(UnixMillis(0), what(0));
    wait_for("first line", || numbers(&disk).len() == 1);
    assert_eq!(progress.failures.load(Ordering::SeqCst), 0);
    disk.full.store(true, Ordering::SeqCst);
    for number in 1..=9 {
        writer.put(UnixMillis(0), what(number));
    }
    wait_for("failure", || progress.failures.load(Ordering::SeqCst) > 0);
    assert_eq!((numbers(&disk), progress.written.load(Ordering::SeqCst)), (vec![0], 1));
    disk.full.store(false, Ordering::SeqCst);
    wait_for("recovery without a further line", || progress.failures.load(Ordering::SeqCst) == 0);
    writer.finish();
    assert_eq!(numbers(&disk), (0..=9).collect::<Vec<_>>());
}

#[test]
fn what_is_beyond_the_bound_is_counted_in_a_line() {
    let (sender, waiting) = sync_channel(1);
    drop(sender);
    let disk = Disk::default();
    let mut desk =
        Desk { lines: disk.clone(), waiting, counted: Arc::new(Progress::default()), held: VecDeque::new(), lost: 0 };
    disk.full.store(true, Ordering::SeqCst);
    for number in 0..AUDIT_WAITING_MAX as u64 + 5 {
        desk.hold((UnixMillis(0), what(number)));
    }
    desk.write();
    disk.full.store(false, Ordering::SeqCst);
    desk.write();
    assert_eq!(disk.lines.lock().unwrap().pop(), Some(What::Gap { lost: 5 }));
    assert_eq!(numbers(&disk).len(), AUDIT_WAITING_MAX);
}

#[test]
fn a_queue_without_room_is_a_failure() {
    let progress = Arc::new(Progress::default());
    let mut writer = Writer { progress: Arc::clone(&progress), ..Writer::default() };
    writer.put(UnixMillis(0), what(0));
    assert_eq!(progress.failures.load(Ordering::SeqCst), 1);
}

/// A disk that hangs with each line, until it is let go.
struct Hung {
    begun: Sender<()>,
    go: Receiver<()>,
    disk: Disk,
}

impl Lines for Hung {
    fn append(&mut self, time: UnixMillis, what: What) -> io::Result<()> {
        // Both ends of the test's are gone in the end.
        let _ = self.begun.send(());
        let _ = self.go.recv();
        self.disk.append(time, what)
    }
}

/// It refuses nothing: what does not fit into the queue meanwhile is told of all the same.
#[test]
fn what_found_no_room_while_the_disk_hung_is_counted_in_a_line() {
    let (disk, progress) = (Disk::default(), Arc::new(Progress::default()));
    let ((begun, taken), (let_go, go)) = (channel(), channel());
    let mut writer = Writer::with(Hung { begun, go, disk: disk.clone() }, Arc::clone(&progress));
    writer.put(UnixMillis(0), what(0));
    taken.recv().unwrap();
    for number in 1..=AUDIT_WAITING_MAX as u64 + 2 {
        writer.put(UnixMillis(0), what(number));
    }
    assert_eq!((writer.lost, progress.failures.load(Ordering::SeqCst)), (2, 2));
    drop(let_go);
    writer.finish();
    assert_eq!(disk.lines.lock().unwrap().pop(), Some(What::Gap { lost: 2 }), "the last line tells of it");
    assert_eq!(numbers(&disk), (0..=AUDIT_WAITING_MAX as u64).collect::<Vec<_>>());
}
