//! The `plait` binary: arguments in, exit code out.

fn main() {}
