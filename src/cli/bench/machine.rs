//! Which machine it is: a figure without it says nothing.

use serde::Serialize;

/// What the figures depend on.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    /// The processor's own name.
    pub(super) processor: String,
    /// Processors that this program may use.
    pub(super) cores: usize,
    /// Name and release of the kernel.
    pub(super) kernel: String,
    /// Version of this program.
    pub(super) plait: &'static str,
}

/// Asks the system; what it does not tell is called unknown.
pub(super) fn describe() -> Machine {
    let unknown = || "unknown".to_owned();
    let kernel = nix::sys::utsname::uname().map_or_else(
        |_| unknown(),
        |names| format!("{} {}", names.sysname().to_string_lossy(), names.release().to_string_lossy()),
    );
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    Machine {
        processor: model(&processors).unwrap_or_else(unknown),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        kernel,
        plait: env!("CARGO_PKG_VERSION"),
    }
}

/// The model name in the text of `/proc/cpuinfo`.
fn model(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_found_if_it_is_told() {
        assert_eq!(model("processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\n").as_deref(), Some("Some CPU @ 3 GHz"));
        assert_eq!(model("processor\t: 0\n"), None);
    }

    #[test]
    fn a_machine_has_a_kernel_and_a_core() {
        let machine = describe();
        assert!(machine.cores >= 1 && machine.kernel.starts_with("Linux "), "{machine:?}");
    }
}
