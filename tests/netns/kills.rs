//! Real daemons killed at random instants, either or both, again and again: traffic comes back, and no QKD key is used twice.

use crate::process::wait_for;
use crate::topology::{inner4, runnable};
use crate::traffic::{Echo, Flow};
use crate::world::World;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Kills of a run; `PLAIT_KILLS` sets another number, for a night.
const KILLS: usize = 50;
/// Traffic again, on a machine that does much else beside: the figures themselves are printed, not judged.
const AGAIN_WITHIN: Duration = Duration::from_secs(30);

#[test]
fn fifty_kills_at_random_instants_and_no_key_twice() {
    if !runnable("fifty_kills_at_random_instants_and_no_key_twice") {
        return;
    }
    let kills = std::env::var("PLAIT_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let mut world = World::new();
    world.set_policy("rekey", "\"2s\"");
    world.up_hybrid();
    let _echo = Echo::start(&world.net, "b");
    let flow = Flow::start(&world.net, "a", inner4(2), Duration::from_millis(20));
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut restarted = Vec::new();
    for _ in 0..kills {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (who, wait) = ((seed >> 33) % 3, Duration::from_millis((seed >> 40) % 400));
        let sites = [who != 1, who != 0];
        if sites[0] {
            world.a.kill();
        }
        if sites[1] {
            world.b.kill();
        }
        std::thread::sleep(wait);
        if sites[0] {
            world.a.up();
        }
        if sites[1] {
            world.b.up();
        }
        restarted.push(Instant::now());
        world.both(&["HYBRID"], AGAIN_WITHIN);
        // The next kill meets a handshake, a rekey or plain traffic, as it comes.
        std::thread::sleep(wait);
    }
    std::thread::sleep(Duration::from_secs(1));
    let report = flow.stop();
    let mut took: Vec<Duration> =
        restarted.iter().map(|at| report.first_answer_after(*at).expect("traffic again") - *at).collect();
    took.sort_unstable();
    let (median, longest) = (took[took.len() / 2], took[took.len() - 1]);
    println!("{kills} kills: traffic again after {median:?} (median), {longest:?} (longest)");
    assert!(longest < AGAIN_WITHIN, "{longest:?}");
    for site in [&world.a, &world.b] {
        let keys =
            wait_for("the log", Duration::from_secs(5), || Some(keys(&site.log())).filter(|keys| !keys.is_empty()));
        let once: BTreeSet<&String> = keys.iter().collect();
        assert!(keys.len() > kills / 2, "{} epochs with a key", keys.len());
        assert_eq!(once.len(), keys.len(), "a QKD key keyed two epochs at {}", site.name);
    }
}

/// The QKD keys of the confirmed epochs, as the log names them.
fn keys(log: &str) -> Vec<String> {
    let confirmed = log.lines().filter(|line| line.contains("epoch confirmed"));
    let key = |line: &str| line.split("qkd=\"").nth(1)?.split('"').next().map(str::to_owned);
    confirmed.filter_map(key).filter(|key| !key.is_empty()).collect()
}
