//! `plait completions SHELL`: the script a shell loads to complete verbs and options.

use clap::CommandFactory;
use clap_complete::Shell;

use super::args::Arguments;
use super::exit::Outcome;
use super::output;

/// Prints the script.
pub(super) fn run(shell: Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "plait", &mut script);
    output::data(&String::from_utf8_lossy(&script))
}
