//! `plait top` on a terminal: what it paints, what keys and signals do, and that the terminal is as it was afterwards.

use crate::process::{plait, wait_for};
use crate::topology::runnable;
use crate::world::World;
use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SIZE: Winsize = Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
const WITHIN: Duration = Duration::from_secs(10);
/// Leaves the screen that `top` paints on and shows what was there before (xterm, private mode 1049).
const LEAVE: &str = "\x1b[?1049l";

/// A program on a terminal of its own. Dropping it kills it.
struct OnTerminal {
    child: Child,
    master: File,
    painted: Arc<Mutex<Vec<u8>>>,
}

impl OnTerminal {
    fn start(mut command: Command) -> Self {
        let OpenptyResult { master, slave } = openpty(&SIZE, None).unwrap();
        command.env("TERM", "xterm-256color");
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        let child = command.spawn().unwrap();
        // The command holds copies of the terminal's other side: as long as it lives there is no end to read.
        drop(command);
        let (master, painted) = (File::from(master), Arc::new(Mutex::new(Vec::new())));
        let (mut from, into) = (master.try_clone().unwrap(), Arc::clone(&painted));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                into.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Self { child, master, painted }
    }

    fn written(&self) -> String {
        String::from_utf8_lossy(&self.painted.lock().unwrap()).into_owned()
    }

    fn wait_for(&self, words: &str) {
        let what = format!("{words:?} on the terminal");
        wait_for(&what, WITHIN, || shown(&self.written()).contains(words).then_some(()));
    }

    fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Whether what is typed is shown, and handed over a line at a time, as a shell has it.
    fn is_in_order(&self) -> bool {
        tcgetattr(&self.master).unwrap().local_flags.contains(LocalFlags::ECHO | LocalFlags::ICANON)
    }

    fn end(&mut self) -> ExitStatus {
        wait_for("end of top", WITHIN, || self.child.try_wait().unwrap())
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines that a terminal shows: letters stand where the cursor was put (ECMA-48 CUP), everything else is passed over.
fn shown(written: &str) -> String {
    let (rows, columns) = (usize::from(SIZE.ws_row), usize::from(SIZE.ws_col));
    let mut cells = vec![vec![' '; columns]; rows];
    let (mut row, mut column) = (0, 0);
    let mut rest = written;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        if let Some(sequence) = rest.strip_prefix('[').filter(|_| letter == '\x1b') {
            // A sequence that has not come whole yet is the last.
            let Some(end) = sequence.find(|letter: char| ('@'..='~').contains(&letter)) else { break };
            let (parameters, last) = (&sequence[..end], &sequence[end..=end]);
            let numbers: Vec<usize> = parameters.split(';').filter_map(|number| number.parse().ok()).collect();
            match (last, numbers.as_slice()) {
                ("H", &[down, right]) => (row, column) = (down - 1, right - 1),
                ("J", _) => cells = vec![vec![' '; columns]; rows],
                _ => {}
            }
            rest = &sequence[end + 1..];
        } else if let Some(cell) = cells.get_mut(row).and_then(|cells| cells.get_mut(column)) {
            *cell = letter;
            column += 1;
        }
    }
    cells.into_iter().map(|line| line.into_iter().collect::<String>() + "\n").collect()
}

fn top(world: &World) -> OnTerminal {
    let mut command = plait(&world.path());
    command.args(["top", "a"]);
    OnTerminal::start(command)
}

#[test]
fn top_paints_hears_keys_and_leaves_the_terminal_as_it_was() {
    if !runnable("top_paints_hears_keys_and_leaves_the_terminal_as_it_was") {
        return;
    }
    let mut world = World::new();
    world.up_hybrid();
    let mut by_key = top(&world);
    for words in ["HYBRID", "check words", "fibre-1", "last events"] {
        by_key.wait_for(words);
    }
    assert!(!by_key.is_in_order(), "it hears single keys");
    by_key.press("?");
    by_key.wait_for("any key: back");
    by_key.press(" ");
    by_key.press("q");
    assert_eq!(by_key.end().code(), Some(0));
    assert!(by_key.is_in_order());
    assert!(by_key.written().contains(LEAVE));
    let signals = [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT];
    let mut by_signal: Vec<OnTerminal> = signals.iter().map(|_| top(&world)).collect();
    for (top, signal) in by_signal.iter_mut().zip(signals) {
        top.wait_for("HYBRID");
        kill(Pid::from_raw(i32::try_from(top.child.id()).unwrap()), signal).unwrap();
        assert_eq!(top.end().code(), Some(0), "{signal}");
        assert!(top.is_in_order(), "{signal}");
        assert!(top.written().contains(LEAVE), "{signal}");
    }
    goes_on_without_a_daemon(&mut world);
}

/// A daemon that ends is said, with the age of what is shown; one that comes back is shown again.
fn goes_on_without_a_daemon(world: &mut World) {
    let mut screen = top(world);
    screen.wait_for("HYBRID");
    world.a.down();
    screen.wait_for("NO ANSWER, all figures");
    world.a.up();
    let is_shown_again = || (!shown(&screen.written()).contains("NO ANSWER")).then_some(());
    wait_for("screen without a complaint", WITHIN, is_shown_again);
    screen.press("\x03");
    assert_eq!(screen.end().code(), Some(0), "Ctrl-C");
    assert!(screen.is_in_order());
}
