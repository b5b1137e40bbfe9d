//! One TCP stream through the tunnel, made by iperf3.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value;

use super::meter::Bench;
use super::row::Trouble;
use crate::cli::lab::children::Daemon;
use crate::cli::lab::folder::Folder;
use crate::cli::lab::namespace::Namespace;
use crate::cli::lab::pause::now;

/// The programs it takes: the second ends the first with this process.
const PROGRAMS: [&str; 2] = ["iperf3", "setpriv"];
/// How much longer than asked a run may take, connecting included.
const GRACE: Duration = Duration::from_secs(10);
/// How often the server, which takes a moment to listen, is called.
const CALLS: usize = 30;

/// What one stream carried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Carried {
    /// Received, in bits a second.
    pub(super) bits_per_second: f64,
    /// Received, in bytes.
    pub(super) bytes: f64,
}

/// Says which program is missing, if one is.
pub(super) fn missing() -> Option<Trouble> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let missing = PROGRAMS.into_iter().find(|program| !is_there(program));
    missing.map(|program| Trouble::Absent(format!("{program} is not installed")))
}

/// From the client in `a` to the server at `target` in `b`; the other way round if `reverse`.
pub(super) fn run(
    bench: &Bench,
    folder: &Folder,
    (a, b): (&Namespace, &Namespace),
    target: Ipv4Addr,
    reverse: bool,
) -> Result<Carried, Trouble> {
    let target = target.to_string();
    // One test, then it ends by itself.
    let mut server = Daemon::program("iperf3-server", folder, b, &["iperf3", "-s", "-1", "-B", &target])?;
    let seconds = bench.long.as_secs().to_string();
    let mut arguments = vec!["iperf3", "-c", &target, "-t", &seconds, "-J", "--connect-timeout", "2000"];
    if reverse {
        arguments.push("-R");
    }
    let mut said = Err("it was never called".to_owned());
    for _ in 0..CALLS {
        let mut client = Daemon::program("iperf3-client", folder, a, &arguments)?;
        let begun = now();
        while client.ended()?.is_none() {
            bench.pause.tick()?;
            if begun.elapsed() > bench.long + GRACE {
                return Err(Trouble::Failed("iperf3 does not end".to_owned()));
            }
        }
        said = read(&client.output());
        if said.is_ok() || server.ended()?.is_some() {
            break;
        }
        bench.pause.tick()?;
    }
    said.map_err(|why| Trouble::Failed(format!("iperf3: {why}")))
}

/// Reads what `iperf3 -J` printed.
fn read(text: &str) -> Result<Carried, String> {
    let json: Value = serde_json::from_str(text).map_err(|_| text.trim().to_owned())?;
    if let Some(error) = json.get("error").and_then(Value::as_str) {
        return Err(error.to_owned());
    }
    let number = |key: &str| json.pointer(&format!("/end/sum_received/{key}")).and_then(Value::as_f64);
    match (number("bits_per_second"), number("bytes")) {
        (Some(bits_per_second), Some(bytes)) if bytes > 0.0 => Ok(Carried { bits_per_second, bytes }),
        _ => Err("nothing was received".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_iperf3_prints_is_read() {
        let good = r#"{"end": {"sum_received": {"bytes": 1000, "bits_per_second": 8000.5}}}"#;
        assert_eq!(read(good), Ok(Carried { bits_per_second: 8000.5, bytes: 1000.0 }));
        assert_eq!(read(r#"{"error": "unable to connect"}"#), Err("unable to connect".to_owned()));
        assert_eq!(read("no such option"), Err("no such option".to_owned()));
        let nothing = r#"{"end": {"sum_received": {"bytes": 0, "bits_per_second": 0}}}"#;
        assert_eq!(read(nothing), Err("nothing was received".to_owned()));
    }
}
