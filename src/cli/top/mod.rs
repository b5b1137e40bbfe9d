//! `plait top`: one daemon on the whole terminal, until `q`.

mod screen;
mod stop;

use std::io::{IsTerminal, stdout};
use std::path::Path;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::buffer::Buffer;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, poll, read};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::size;
use ratatui::layout::Rect;

use self::screen::Screen;
use self::stop::Stop;
use super::ask::{ask, interface};
use super::exit::{Exit, Failure, Outcome};
use super::output::{self, may_colour_stdout};
use crate::control::live::LiveReport;
use crate::control::request::{Answer, Request};
use crate::io::clock::Clock;
use crate::io::control_client::ANSWER_DEADLINE;
use crate::io::control_socket::running;

/// Between two questions to the daemon.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A key or a signal waits no longer than this.
const KEY_INTERVAL: Duration = Duration::from_millis(200);
/// Columns and lines of `--once` where no terminal says its own: they fit into a mail and show every part.
const SIZE: (u16, u16) = (100, 30);

/// `plait top [NAME] [--once]`.
pub(super) fn run(name: Option<&str>, once: bool, run_dir: &Path) -> Outcome {
    let name = which(name, run_dir)?;
    // Before the screen is taken: whoever has no daemon reads that in the place where they typed.
    let first = live(&name, run_dir)?;
    if once {
        let (width, height) = if stdout().is_terminal() { size().unwrap_or(SIZE) } else { SIZE };
        return output::data(&text(&Screen::new(first, false), Rect::new(0, 0, width, height)));
    }
    if !stdout().is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            "top needs a terminal; `--once` and `plait status --watch` write anywhere",
        ));
    }
    let ended = on_the_terminal(|terminal, stop| go_on(terminal, stop, &name, run_dir, first));
    ended.map_err(|error| Failure::io("the terminal cannot be used", &error))?;
    Ok(Exit::Ok)
}

/// Takes the whole terminal for `work`, and leaves it as it was, however `work` ends.
fn on_the_terminal(work: impl FnOnce(&mut DefaultTerminal, &Stop) -> std::io::Result<()>) -> std::io::Result<()> {
    let stop = Stop::listen()?;
    // It also restores the terminal before a panic is told, but for the cursor: that is left to a drop, and a process
    // that aborts drops nothing.
    let mut terminal = ratatui::try_init()?;
    let restore = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // Nobody can be told that this failed.
        drop(execute!(stdout(), Show));
        restore(panic);
    }));
    let ended = work(&mut terminal, &stop);
    ratatui::restore();
    ended
}

/// The one that is named, or the only one that runs.
fn which(name: Option<&str>, run_dir: &Path) -> Result<String, Failure> {
    if let Some(name) = name {
        return interface(name);
    }
    let mut names = running(run_dir).map_err(|error| Failure::io(run_dir.display(), &error))?;
    match (names.pop(), names.is_empty()) {
        (Some(name), true) => Ok(name),
        (None, _) => Err(Failure::new(Exit::NotRunning, format!("no daemon runs (looked in {})", run_dir.display()))),
        (Some(last), false) => {
            Err(Failure::new(Exit::Usage, format!("several daemons run: name one of {}, {last}", names.join(", "))))
        }
    }
}

fn live(name: &str, run_dir: &Path) -> Result<LiveReport, Failure> {
    if let Answer::Live { live } = ask(name, run_dir, &Request::Live, ANSWER_DEADLINE)? {
        return Ok(*live);
    }
    Err(Failure::new(Exit::Unreachable, format!("the daemon of {name} gave another answer than its figures")))
}

fn go_on(
    terminal: &mut DefaultTerminal,
    stop: &Stop,
    name: &str,
    run_dir: &Path,
    first: LiveReport,
) -> std::io::Result<()> {
    let clock = Clock::start();
    let (mut asked, mut seen) = (clock.now(), clock.now());
    let mut screen = Screen::new(first, may_colour_stdout());
    while !stop.is_wanted() {
        terminal.draw(|frame| screen.paint(frame.area(), frame.buffer_mut()))?;
        if poll(KEY_INTERVAL)? && !goes_on(&read()?, &mut screen) {
            return Ok(());
        }
        // A key that is held down is no reason to ask more often.
        if clock.now().since(asked) < LOOK_INTERVAL {
            continue;
        }
        match live(name, run_dir) {
            Ok(live) => {
                screen.show(live);
                seen = clock.now();
            }
            // A daemon that restarts is no reason to stop looking.
            Err(failure) => screen.fail(failure.to_string(), clock.now().since(seen)),
        }
        asked = clock.now();
    }
    Ok(())
}

fn goes_on(event: &Event, screen: &mut Screen) -> bool {
    match event {
        Event::Key(key) if key.kind == KeyEventKind::Press => !is_interrupt(key) && screen.press(key.code),
        Event::Key(_)
        | Event::Mouse(_)
        | Event::Paste(_)
        | Event::Resize(..)
        | Event::FocusGained
        | Event::FocusLost => true,
    }
}

/// In raw mode Ctrl-C is a key, not a signal.
fn is_interrupt(key: &KeyEvent) -> bool {
    key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL)
}

/// The screen as lines without trailing blanks.
fn text(screen: &Screen, area: Rect) -> String {
    let mut buffer = Buffer::empty(area);
    screen.paint(area, &mut buffer);
    let line = |y| (0..area.width).filter_map(|x| buffer.cell((x, y))).map(|cell| cell.symbol()).collect::<String>();
    (0..area.height).map(|y| line(y).trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests;
