//! Children: this same binary with other verbs, and programs that make traffic, ended with their parent whatever ends it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getppid};

use super::folder::Folder;
use super::namespace::Namespace;
use super::pause::now;

/// How long a child may take to end when asked.
const END_WITHIN: Duration = Duration::from_secs(5);
/// Lines of a child's log that a failure shows.
const LOG_LINES: usize = 15;

/// In a child: asks the kernel for SIGTERM when the thread that started it ends. `parent` is the process it expects
/// there: if that has ended before the question was asked, so does the child.
pub(in crate::cli) fn end_with_parent(parent: u32) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
    if u32::try_from(getppid().as_raw()) != Ok(parent) {
        return Err(io::Error::other("the process that started this one has ended"));
    }
    Ok(())
}

/// Runs this binary to its end.
pub(in crate::cli) fn finish(folder: &Folder, arguments: &[&str], input: Option<&Path>) -> io::Result<Output> {
    let mut command = plait(folder, arguments)?;
    command.stdin(match input {
        Some(path) => Stdio::from(File::open(path)?),
        None => Stdio::null(),
    });
    command.output()
}

/// As [`finish`], but anything except success is an error with what the child said.
pub(in crate::cli) fn succeed(folder: &Folder, arguments: &[&str], input: Option<&Path>) -> io::Result<String> {
    let output = finish(folder, arguments, input)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("plait {}: {}: {}", arguments.join(" "), output.status, said.trim())));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}

#[expect(clippy::disallowed_methods, reason = "it starts its own binary: real daemons, not a shell")]
fn plait(folder: &Folder, arguments: &[&str]) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--run-dir").arg(folder.file("run")).arg("--state-dir").arg(folder.file("state"));
    command.arg("--end-with-parent").arg(std::process::id().to_string()).args(arguments);
    Ok(command)
}

/// A daemon in a namespace. Dropping it ends it: first politely, then not.
pub(in crate::cli) struct Daemon {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `plait ARGUMENTS` in `namespace`; what it says goes to a log in the folder.
    pub(in crate::cli) fn start(
        name: &'static str,
        folder: &Folder,
        namespace: &Namespace,
        arguments: &[&str],
    ) -> io::Result<Self> {
        Self::spawn(name, folder, namespace, plait(folder, arguments)?)
    }

    /// Starts another program, the first of `words`, with the rest as its arguments; it ends with this process.
    #[expect(clippy::disallowed_methods, reason = "a program that makes traffic, not a shell")]
    pub(in crate::cli) fn program(
        name: &'static str,
        folder: &Folder,
        namespace: &Namespace,
        words: &[&str],
    ) -> io::Result<Self> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).args(words);
        Self::spawn(name, folder, namespace, command)
    }

    fn spawn(name: &'static str, folder: &Folder, namespace: &Namespace, mut command: Command) -> io::Result<Self> {
        use std::os::unix::process::CommandExt;
        let log = folder.file(&format!("{name}.log"));
        let file = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        // A group of its own: Ctrl-C reaches the parent only, which ends its children in order.
        command.process_group(0);
        let child = namespace.run(move || command.spawn())??;
        Ok(Self { name, child, log })
    }

    /// Fails if it has ended.
    pub(in crate::cli) fn check(&mut self) -> io::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(io::Error::other(format!("{} ended: {status}", self.name))),
        }
    }

    /// How it ended, if it has.
    pub(in crate::cli) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Its process id.
    pub(in crate::cli) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it said.
    pub(in crate::cli) fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What it is called here.
    pub(in crate::cli) fn name(&self) -> &'static str {
        self.name
    }

    /// The last lines of its log.
    pub(in crate::cli) fn log_end(&self) -> String {
        let text = self.output();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(LOG_LINES);
        lines.get(from..).unwrap_or_default().join("\n")
    }

    /// Asks it to end and waits; `None` if it had to be killed.
    pub(in crate::cli) fn end(&mut self) -> Option<ExitStatus> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Some(status);
        }
        let begun = now();
        // Both fail only for a child that has ended already, which the wait sees.
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        while begun.elapsed() < END_WITHIN {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        drop(self.child.kill());
        drop(self.child.wait());
        None
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
    }
}
