//! Facts of the kernel and the machine that bear on a tunnel; not its name.

use std::fmt::Write;
use std::path::Path;

/// Settings and counters that a tunnel over UDP depends on.
const SETTINGS: [&str; 9] = [
    "/proc/sys/net/core/rmem_max",
    "/proc/sys/net/core/wmem_max",
    "/proc/sys/net/core/rmem_default",
    "/proc/sys/net/core/netdev_max_backlog",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv4/conf/all/rp_filter",
    "/proc/sys/net/ipv4/ip_no_pmtu_disc",
    "/sys/devices/system/clocksource/clocksource0/current_clocksource",
    "/proc/loadavg",
];
/// Of the processor's flags, those that ciphers and KEMs use.
const FLAGS: [&str; 10] =
    ["aes", "vaes", "pclmulqdq", "vpclmulqdq", "avx2", "avx512f", "sha_ni", "asimd", "pmull", "sha3"];
/// Lines told of a file that could be long.
const LINES_MAX: usize = 64;

/// One fact a line; what cannot be read is said.
pub(super) fn of_machine(interface: &str) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = machine(&mut text);
    for path in SETTINGS {
        let value = std::fs::read_to_string(Path::new(path)).map(|value| value.trim().to_owned());
        let _ = writeln!(text, "{path}: {}", value.unwrap_or_else(|error| format!("cannot be read: {error}")));
    }
    let tun = if Path::new("/dev/net/tun").exists() { "there" } else { "missing" };
    let _ = writeln!(text, "/dev/net/tun: {tun}");
    lines(&mut text, "/proc/net/dev", |line| line.trim_start().starts_with(&format!("{interface}:")));
    lines(&mut text, "/proc/net/snmp", |line| line.starts_with("Udp:") || line.starts_with("Ip:"));
    lines(&mut text, "/proc/net/snmp6", |line| line.starts_with("Udp6"));
    text
}

fn machine(text: &mut String) -> std::fmt::Result {
    if let Ok(names) = nix::sys::utsname::uname() {
        let words = [names.sysname(), names.release(), names.version(), names.machine()];
        writeln!(text, "kernel: {}", words.map(|word| word.to_string_lossy().into_owned()).join(" "))?;
    }
    let system = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    if let Some((_, name)) = system.lines().find_map(|line| line.split_once("PRETTY_NAME=")) {
        writeln!(text, "system: {}", name.trim_matches('"'))?;
    }
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |key: &str| {
        let line = processors.lines().find(|line| line.starts_with(key))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    writeln!(text, "processor: {}, {count} usable", value("model name").unwrap_or_else(|| "unknown".to_owned()))?;
    let flags = value("flags").or_else(|| value("Features")).unwrap_or_default();
    let known: Vec<&str> = FLAGS.into_iter().filter(|flag| flags.split(' ').any(|word| word == *flag)).collect();
    writeln!(text, "flags: {}", known.join(" "))?;
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    for line in memory.lines().filter(|line| line.starts_with("MemTotal") || line.starts_with("MemAvailable")) {
        writeln!(text, "{line}")?;
    }
    Ok(())
}

/// The lines of a file that are wanted.
fn lines(text: &mut String, path: &str, is_wanted: impl Fn(&str) -> bool) {
    let content = std::fs::read_to_string(Path::new(path)).unwrap_or_default();
    for line in content.lines().filter(|line| is_wanted(line)).take(LINES_MAX) {
        let _ = writeln!(text, "{path}: {line}");
    }
}
