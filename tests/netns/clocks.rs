//! Clocks: nothing that matters goes by the one that anybody can set, and a machine may have been up for thirty years.

use crate::topology::{inner4, runnable};
use crate::traffic::{Echo, Flow};
use crate::world::World;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const HOUR: i64 = 3600;
const YEAR: i64 = 8766 * HOUR;

/// Builds what moves the wall clock of a program (`wall_clock.c`).
fn mover(dir: &Path) -> PathBuf {
    let (source, library) =
        (concat!(env!("CARGO_MANIFEST_DIR"), "/tests/netns/wall_clock.c"), dir.join("wall_clock.so"));
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).args([source, "-ldl"]).output();
    let built = built.unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    library
}

#[test]
fn the_wall_clock_steps_and_nothing_comes_of_it() {
    if !runnable("the_wall_clock_steps_and_nothing_comes_of_it") {
        return;
    }
    let mut world = World::new();
    world.set_policy("rekey", "\"1s\"");
    let (library, moved) = (mover(&world.path()), world.path().join("wall_clock"));
    std::fs::write(&moved, 0_i64.to_ne_bytes()).unwrap();
    let clock = std::fs::File::options().write(true).open(&moved).unwrap();
    world.a.through =
        ["env", &format!("LD_PRELOAD={}", library.display()), &format!("PLAIT_WALL_CLOCK={}", moved.display())]
            .map(str::to_owned)
            .into();
    let (before, _) = world.up_hybrid();
    let _echo = Echo::start(&world.net, "b");
    let flow = Flow::start(&world.net, "a", inner4(2), Duration::from_millis(5));
    // An hour on and back, thirty years on, 1970, and back to today.
    for (step, year) in [(HOUR, "20"), (-HOUR, "20"), (30 * YEAR, "205"), (-56 * YEAR, "197"), (0, "20")] {
        clock.write_all_at(&step.to_ne_bytes(), 0).unwrap();
        let epoch = world.a.status().epoch()["number"].as_u64();
        world.a.wait_status("a rekey", Duration::from_secs(20), |status| {
            status.state() == "HYBRID" && status.epoch()["number"].as_u64() >= epoch.map(|epoch| epoch + 1)
        });
        let log = world.a.log();
        let last = log.lines().last().unwrap_or_default();
        assert!(last.starts_with(year), "the wall clock did not move by {step} s: {last}");
    }
    let (after, _) = world.both(&["HYBRID"], Duration::from_secs(5));
    assert_eq!(after.peer()["handshakes"]["full"], before.peer()["handshakes"]["full"], "the session went on");
    let uptime = after.json["uptime_seconds"].as_f64().unwrap_or_else(|| panic!("{}", after.json));
    assert!((0.0..300.0).contains(&uptime), "{uptime}");
    let pings = flow.stop();
    assert_eq!((pings.lost(), pings.duplicates), (0, 0), "of {}", pings.sent());
    // A certificate's time is the wall clock's: no KME is believed in 1970, and it is said why; the keys there are go on.
    world.pair.kill();
    clock.write_all_at(&(-56 * YEAR).to_ne_bytes(), 0).unwrap();
    world.pair.up();
    world.a.wait_state(&["HOLDOVER"], Duration::from_secs(20));
    assert!(world.a.log().contains("certificate is not valid yet"), "{}", world.a.log());
    clock.write_all_at(&0_i64.to_ne_bytes(), 0).unwrap();
    world.both(&["HYBRID"], Duration::from_secs(70));
}

#[test]
fn a_machine_that_has_been_up_for_thirty_years_is_like_any_other() {
    if !runnable("a_machine_that_has_been_up_for_thirty_years_is_like_any_other") {
        return;
    }
    let mut world = World::new();
    world.set_policy("rekey", "\"1s\"");
    let years = 30 * YEAR;
    world.a.through = ["unshare", "--time", &format!("--boottime={years}"), &format!("--monotonic={years}"), "--"]
        .map(str::to_owned)
        .into();
    let (before, _) = world.up_hybrid();
    let offsets = std::fs::read_to_string(format!("/proc/{}/timens_offsets", world.a.daemon().pid())).unwrap();
    assert!(offsets.contains(&years.to_string()), "{offsets}");
    let _echo = Echo::start(&world.net, "b");
    let flow = Flow::start(&world.net, "a", inner4(2), Duration::from_millis(10));
    let epoch = before.epoch()["number"].as_u64().unwrap();
    let after = world.a.wait_status("two rekeys", Duration::from_secs(20), |status| {
        status.state() == "HYBRID" && status.epoch()["number"].as_u64() >= Some(epoch + 2)
    });
    let uptime = after.json["uptime_seconds"].as_f64().unwrap();
    assert!((0.0..300.0).contains(&uptime), "{uptime}");
    assert_eq!(flow.stop().lost(), 0);
}
