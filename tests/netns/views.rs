//! A running daemon as it is seen: status, page, metrics and events agree; who looks, however rudely, costs no packet.

use crate::process::{Process, plait};
use crate::site::Site;
use crate::topology::{Net, inner4, runnable};
use crate::traffic::{Echo, Flow};
use crate::world::World;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

const LISTEN: &str = "127.0.0.1:9596";

fn get(net: &Net, site: &Site, path: &str) -> Option<(u16, String)> {
    net.inside(site.name, || {
        let mut stream = TcpStream::connect(LISTEN).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {LISTEN}\r\n\r\n").as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    })
}

/// The word of every view; they are asked one after the other, so they may differ for a moment.
fn words(world: &World) -> Option<Vec<(&'static str, String)>> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let ask = |path| get(&world.net, &world.a, path);
    let status = world.a.try_status()?;
    let page: Value = serde_json::from_str(&ask("/status.json")?.1).ok()?;
    let live: Value = serde_json::from_str(&ask("/live.json")?.1).ok()?;
    let metrics = ask("/metrics")?.1;
    let state = metrics.lines().find(|line| line.starts_with("plait_peer_state{") && line.ends_with(" 1"))?;
    let (code, ready) = ask("/readyz")?;
    let stops = ["HOLDING", "BLOCKED", "DOWN"].contains(&ready.trim());
    assert_eq!(code, if stops { 503 } else { 200 }, "{ready}");
    let events = live["events"].as_array()?.iter().rev();
    let event = events.filter(|event| event["kind"] == "state").map(|event| text(&event["to"])).next();
    let course = live["courses"][0]["states"].as_array()?.last().map(|mark| text(&mark["to"]));
    let top = String::from_utf8(world.a.run(&["top", "a", "--once"]).stdout).ok()?;
    Some(vec![
        ("top", top.split_whitespace().nth(1)?.to_owned()),
        ("status", status.state()),
        ("status.json", text(&page["peers"][0]["state"])),
        ("live.json", text(&live["status"]["state"])),
        ("metrics", state.split("state=\"").nth(1)?.split('"').next()?.to_owned()),
        ("readyz", ready.trim().to_owned()),
        ("event", event.unwrap_or_else(|| "HOLDING".to_owned())),
        ("course", course.unwrap_or_else(|| "HOLDING".to_owned())),
    ])
}

fn agree(world: &World, state: &str, within: Duration) {
    let begun = Instant::now();
    loop {
        let words = words(world);
        if words.as_ref().is_some_and(|words| words.iter().all(|(_, word)| word == state)) {
            return;
        }
        assert!(begun.elapsed() < within, "not all say {state}: {words:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn all_views_agree_in_every_state_that_comes() {
    if !runnable("all_views_agree_in_every_state_that_comes") {
        return;
    }
    let mut world = World::new();
    world.set_policy("rekey", "\"1s\"");
    world.set_policy("hold_last", "\"5s\"");
    world.a.config.status = Some(LISTEN.to_owned());
    world.pair.up();
    world.a.up();
    agree(&world, "HOLDING", Duration::from_secs(5));
    world.b.up();
    agree(&world, "HYBRID", Duration::from_secs(10));
    no_route(&mut world);
    world.pair.kill();
    agree(&world, "HOLDOVER", Duration::from_secs(15));
    agree(&world, "BLOCKED", Duration::from_secs(10));
    let metrics = get(&world.net, &world.a, "/metrics").unwrap().1;
    for series in [
        "plait_policy_transitions_total{interface=\"a\",peer=\"b\",from=\"HYBRID\",to=\"HOLDOVER\"} 1",
        "plait_kme_up{interface=\"a\",peer=\"b\",source=\"fibre-1\"} 0",
    ] {
        assert!(metrics.contains(series), "{series}\n{metrics}");
    }
    watch_over_an_end(&mut world);
}

#[test]
fn all_views_agree_where_qkd_is_off() {
    if !runnable("all_views_agree_where_qkd_is_off") {
        return;
    }
    let mut world = World::new();
    world.set_policy("qkd", "\"off\"");
    world.a.config.status = Some(LISTEN.to_owned());
    world.up();
    agree(&world, "OFF", Duration::from_secs(15));
}

#[test]
fn all_views_agree_when_keys_and_then_the_peer_are_lost() {
    if !runnable("all_views_agree_when_keys_and_then_the_peer_are_lost") {
        return;
    }
    let mut world = World::new();
    world.set_policy("qkd", "\"preferred\"");
    world.set_policy("rekey", "\"1s\"");
    world.a.config.status = Some(LISTEN.to_owned());
    world.up_hybrid();
    world.pair.kill();
    agree(&world, "DEGRADED", Duration::from_secs(30));
    world.b.kill();
    // Sealed and never answered: 25 s of that are DOWN.
    let _flow = Flow::start(&world.net, "a", inner4(2), Duration::from_millis(100));
    agree(&world, "DOWN", Duration::from_secs(60));
}

/// A packet for a network that is no peer's is counted where people look.
fn no_route(world: &mut World) {
    world.net.ip("a", "route add 10.77.0.0/16 dev a");
    world.net.inside("a", || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.send_to(b"lost", "10.77.0.1:9").unwrap();
    });
    world.a.wait_status("a packet without route", Duration::from_secs(5), |status| {
        status.json["unclaimed"]["no_route"].as_u64().unwrap() > 0
    });
}

/// `status --watch` goes on over the end of a daemon, and says what is old.
fn watch_over_an_end(world: &mut World) {
    let watch = |name: &str, form: &[&str]| {
        let mut command = plait(&world.path());
        command.args(["status", "a", "--watch", "200ms"]).args(form);
        Process::start(name, command, world.path().join(name))
    };
    let (text, lines) = (watch("watch-text", &[]), watch("watch-json", &["--json"]));
    let begun = Instant::now();
    while lines.output().lines().count() < 3 || text.output().matches("interface: a").count() < 3 {
        assert!(begun.elapsed() < Duration::from_secs(10), "{}", lines.output());
        std::thread::sleep(Duration::from_millis(50));
    }
    world.a.down();
    let begun = Instant::now();
    while !text.output().contains("STALE, 0 s old") {
        assert!(begun.elapsed() < Duration::from_secs(10), "{}", text.output());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(text.output().contains("NO ANSWER: no daemon runs"), "{}", text.output());
    let uptimes: Vec<f64> = lines
        .output()
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["uptime_seconds"].as_f64())
        .collect();
    assert!(uptimes.len() >= 3 && uptimes.is_sorted(), "{uptimes:?}");
    text.kill();
    lines.kill();
}

#[test]
fn who_floods_the_page_costs_no_packet() {
    if !runnable("who_floods_the_page_costs_no_packet") {
        return;
    }
    let mut world = World::new();
    world.set_policy("rekey", "\"1s\"");
    world.a.config.status = Some(LISTEN.to_owned());
    world.up_hybrid();
    let _echo = Echo::start(&world.net, "b");
    let flow = Flow::start(&world.net, "a", inner4(2), Duration::from_millis(5));
    let begun = Instant::now();
    world.net.inside("a", || {
        let mut held = Vec::new();
        while begun.elapsed() < Duration::from_secs(3) {
            if let Ok(mut stream) = TcpStream::connect(LISTEN) {
                let _ = stream.write_all(b"GET /live.json HTTP/1.1\r\nHost: localhost\r\n");
                held.push(stream);
            }
            if held.len() > 200 {
                held.clear();
            }
        }
    });
    let report = flow.stop();
    assert_eq!((report.lost(), report.duplicates), (0, 0), "of {}", report.sent());
    let status = world.a.status();
    assert!(status.state() == "HYBRID" && status.peer()["handshakes"]["failed"] == 0, "{}", status.json);
    std::thread::sleep(Duration::from_millis(3500));
    assert_eq!(get(&world.net, &world.a, "/healthz").map(|(code, _)| code), Some(200), "and its places come back");
}
