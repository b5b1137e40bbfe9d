//! A panic on the terminal: the terminal is in order before it is told, and the cursor is back.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};

use super::*;

const SIZE: Winsize = Winsize { ws_row: 30, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
/// Leaves the screen that `top` paints on and shows what was there before (xterm, private mode 1049).
const LEAVE: &str = "\x1b[?1049l";
/// Hides the cursor, and shows it again (DEC private mode 25).
const CURSOR: [&str; 2] = ["\x1b[?25l", "\x1b[?25h"];
/// What the planted panic says.
const WORDS: &str = "planted while painting";

/// Set in the environment of a copy of the test: it is the one that panics.
const PANICS: &str = "PLAIT_TOP_PANICS";

#[test]
fn a_panic_is_told_on_a_terminal_that_is_in_order_again() {
    if std::env::var_os(PANICS).is_some() {
        let painted = on_the_terminal(|terminal, _| {
            terminal.draw(|_| ())?;
            terminal.draw(|_| panic!("{WORDS}")).map(|_| ())
        });
        return painted.unwrap();
    }
    let OpenptyResult { master, slave } = openpty(&SIZE, None).unwrap();
    let order = LocalFlags::ECHO | LocalFlags::ICANON;
    assert!(tcgetattr(&master).unwrap().local_flags.contains(order));
    #[expect(clippy::disallowed_methods, reason = "a panic on a terminal needs a process of its own")]
    let mut command = Command::new(std::env::current_exe().unwrap());
    let own = "cli::top::tests::a_panic_is_told_on_a_terminal_that_is_in_order_again";
    command.args(["--exact", own, "--nocapture"]);
    command.env("TERM", "xterm-256color").env("RUST_BACKTRACE", "0").env(PANICS, "1");
    let child = command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(Stdio::from(slave));
    let mut child = child.spawn().unwrap();
    // The command holds copies of the terminal's other side: as long as it lives there is no end to read.
    drop(command);
    let (mut from, mut written) = (File::from(master), Vec::new());
    let mut bytes = [0; 4096];
    // A terminal without its other side ends with an error.
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        written.extend_from_slice(&bytes[..count]);
    }
    let written = String::from_utf8_lossy(&written);
    assert_eq!(child.wait().unwrap().code(), Some(101), "{written:?}");
    let at = |words: &str| written.rfind(words).unwrap_or_else(|| panic!("no {words:?} in {written:?}"));
    assert!(at(LEAVE) < at(WORDS), "left before it is told: {written:?}");
    let first = |words: &str| written.find(words).unwrap_or_else(|| panic!("no {words:?} in {written:?}"));
    assert!(
        at(CURSOR[0]) < first(CURSOR[1]) && first(CURSOR[1]) < at(WORDS),
        "also where nothing is dropped: {written:?}"
    );
    assert!(tcgetattr(&from).unwrap().local_flags.contains(order), "letters are shown, lines are whole");
}
