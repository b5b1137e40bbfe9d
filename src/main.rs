//! The `plait` binary: arguments in, exit code out.

fn main() -> std::process::ExitCode {
    plait::cli::main()
}
