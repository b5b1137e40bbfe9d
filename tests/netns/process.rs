//! Children of a test: their output goes to a file, they end with the test, whatever happens to it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a child may take to end after SIGTERM before that is a failure of the test.
const END_WITHIN: Duration = Duration::from_secs(10);

/// The binary under test, with the folders of this test.
pub(crate) fn plait(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plait"));
    command.arg("--run-dir").arg(dir.join("run")).arg("--state-dir").arg(dir.join("state"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("PLAIT_LOG", "debug");
    command.stdin(Stdio::null());
    command
}

/// The same, started by another program that becomes it: its words, then the command.
pub(crate) fn through(words: &[String], inner: &Command) -> Command {
    let mut outer = Command::new(&words[0]);
    outer.args(&words[1..]).arg(inner.get_program()).args(inner.get_args()).env_clear().stdin(Stdio::null());
    outer.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer
}

/// Runs to the end and fails unless it succeeds; gives its standard output.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = finish(command);
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs to the end, however it ends.
pub(crate) fn finish(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Asks again every 50 ms until there is an answer; fails with what was waited for.
pub(crate) fn wait_for<T>(what: &str, within: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < within, "no {what} within {within:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A running child. Dropping it kills it; a test that fails shows the end of its output.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; its output is appended to `log`.
    pub(crate) fn start(name: &str, mut command: Command, log: PathBuf) -> Self {
        let file = File::options().create(true).append(true).open(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file).stdin(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { name: name.to_owned(), child, log }
    }

    /// Everything it said so far.
    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its exit status, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// SIGTERM, then waits for its end.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        let name = self.name.clone();
        wait_for(&format!("end of {name} after SIGTERM"), END_WITHIN, || self.ended())
    }

    /// SIGKILL: no time for anything. What it started ends with it.
    pub(crate) fn kill(mut self) {
        let children = self.children();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let are_gone = || children.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        wait_for("the end of its processes", Duration::from_secs(5), || are_gone().then_some(()));
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(self.pid(), signal).unwrap();
    }

    /// Sends a signal to it and to the processes that it started.
    pub(crate) fn signal_all(&self, signal: nix::sys::signal::Signal) {
        for pid in self.children().into_iter().chain([self.pid()]) {
            nix::sys::signal::kill(pid, signal).unwrap();
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// The one of its processes that has this name.
    pub(crate) fn part(&self, name: &str) -> nix::unistd::Pid {
        let is_named = |pid: &nix::unistd::Pid| {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
        };
        self.children().into_iter().find(is_named).unwrap_or_else(|| panic!("no {name}"))
    }

    /// Descriptors that it and the processes that it started hold.
    pub(crate) fn descriptors(&self) -> usize {
        let of = |pid| std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        self.children().into_iter().chain([self.pid()]).map(of).sum()
    }

    /// The processes that it started and that run.
    pub(crate) fn children(&self) -> Vec<nix::unistd::Pid> {
        let own = self.pid();
        let list = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        list.split_whitespace().map(|pid| nix::unistd::Pid::from_raw(pid.parse().unwrap())).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let output = self.output();
            let lines: Vec<&str> = output.lines().collect();
            eprintln!("---- {} ----\n{}", self.name, lines[lines.len().saturating_sub(60)..].join("\n"));
        }
    }
}
