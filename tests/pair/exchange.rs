//! The ordinary life: a handshake, fast rekeys, full handshakes, and what both ends show of them (PROTOCOL 2.5 to 2.9).

use std::time::Duration;

use plait::config::CipherChoice;
use plait::daemon::setup::{ciphers, features};
use plait::engine::output::{Command, EventKind, State};
use plait::types::offload::OffloadSet;
use plait::types::policy::{Cipher, QkdPolicy};

use crate::world::{Config, World};

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

#[test]
fn both_ends_are_hybrid_within_a_second_and_show_the_same() {
    let mut world = World::started(1, [Config::required(), Config::required()]);
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    world.assert_same_epoch();
    let epoch = world.status(0).unwrap().epoch.unwrap();
    assert_eq!(epoch.mixed.len(), 1);
    assert_eq!(epoch.mixed[0].1, "fibre-0");
    assert_eq!((world.kme.issued.len(), world.kme.fetched.len()), (1, 1));
}

#[test]
fn an_end_without_an_endpoint_is_found_by_the_other() {
    for silent in [0, 1] {
        let mut configs = [Config::required(), Config::required()];
        configs[silent].knows_endpoint = false;
        let mut world = World::started(2, configs);
        world.run_to("HYBRID", seconds(7), |w| w.both(State::Hybrid));
        world.assert_same_epoch();
    }
}

#[test]
fn rekeys_come_at_the_interval_each_with_its_own_key() {
    let mut world = World::started(3, [Config::required(), Config::required()]);
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    world.run_for(seconds(125));
    let status = world.status(0).unwrap();
    assert!((12..=13).contains(&status.handshakes.fast), "{:?}", status.handshakes);
    assert_eq!((status.handshakes.full, status.handshakes.failed), (1, 0));
    let mut ids = world.kme.issued.clone();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), world.kme.issued.len());
    assert_eq!(world.kme.issued.len() as u64, 1 + status.handshakes.fast);
    world.assert_same_epoch();
    assert_eq!(world.told(0, |e| matches!(e, EventKind::State { to, .. } if *to != State::Hybrid)), 0);
}

#[test]
fn a_full_handshake_comes_at_its_interval_without_a_gap() {
    let mut config = Config::required();
    config.policy.full = seconds(60);
    let mut world = World::started(4, [config.clone(), config]);
    world.run_for(seconds(320));
    for side in [0, 1] {
        let status = world.status(side).unwrap();
        assert!((5..=6).contains(&status.handshakes.full), "{:?}", status.handshakes);
        assert_eq!(status.state, State::Hybrid);
    }
    world.assert_same_epoch();
}

#[test]
fn six_sources_are_all_mixed() {
    let mut config = Config::required();
    config.sources = 6;
    config.policy.min_sources = 6;
    let mut world = World::started(5, [config.clone(), config]);
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    assert_eq!(world.status(1).unwrap().epoch.unwrap().mixed.len(), 6);
    world.run_for(seconds(30));
    assert_eq!(world.status(1).unwrap().epoch.unwrap().mixed.len(), 6);
    world.assert_same_epoch();
}

#[test]
fn the_responders_order_chooses_the_cipher() {
    let mut configs = [Config::required(), Config::required()];
    configs[0].ciphers = vec![Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm];
    configs[1].ciphers = vec![Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305];
    configs[1].knows_endpoint = false;
    let mut world = World::started(6, configs);
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    assert_eq!(world.status(0).unwrap().epoch.unwrap().cipher, Cipher::Aes256Gcm);
    world.assert_same_epoch();
}

/// The cipher of a session that side 0 began, between ends with and without AES in hardware.
fn cipher_between(choices: [CipherChoice; 2], in_hardware: [bool; 2]) -> Cipher {
    let mut configs = [Config::required(), Config::required()];
    for (side, config) in configs.iter_mut().enumerate() {
        config.ciphers = ciphers(choices[side], in_hardware[side]);
        config.features = features(OffloadSet::NONE, in_hardware[side]);
    }
    configs[1].knows_endpoint = false;
    let mut world = World::started(6, configs);
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    world.assert_same_epoch();
    world.status(0).unwrap().epoch.unwrap().cipher
}

#[test]
fn aes_is_taken_if_and_only_if_both_ends_have_it_in_hardware() {
    let auto = [CipherChoice::Auto; 2];
    for (in_hardware, expected) in [
        ([true, true], Cipher::Aes256Gcm),
        ([true, false], Cipher::ChaCha20Poly1305),
        ([false, true], Cipher::ChaCha20Poly1305),
        ([false, false], Cipher::ChaCha20Poly1305),
    ] {
        assert_eq!(cipher_between(auto, in_hardware), expected, "{in_hardware:?}");
        for cipher in [Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305] {
            let only = CipherChoice::Only(cipher);
            assert_eq!(cipher_between([only, CipherChoice::Auto], in_hardware), cipher, "{in_hardware:?}");
            assert_eq!(cipher_between([CipherChoice::Auto, only], in_hardware), cipher, "{in_hardware:?}");
        }
    }
}

#[test]
fn the_interface_is_told_what_the_peer_takes_while_there_is_a_session() {
    let mut configs = [Config::required(), Config::required()];
    configs[1].inner_mtu = 1300;
    let mut world = World::started(8, configs);
    assert!(world.nodes[0].inner_mtus.is_empty(), "as configured until a session says otherwise");
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    world.run_for(seconds(30));
    assert_eq!(world.nodes[0].inner_mtus, [1300], "once, whatever is rekeyed");
    assert!(world.nodes[1].inner_mtus.is_empty(), "its own is the smaller");
    world.command(1, Command::Stop);
    world.kill(1);
    world.run_to("HOLDING", seconds(1), |w| w.state(0) == Some(State::Holding));
    assert_eq!(world.nodes[0].inner_mtus, [1300, 1420]);
}

#[test]
fn a_psk_is_on_the_chain_and_a_wrong_one_keeps_everyone_out() {
    let mut config = Config::required();
    config.psk = [7; 32];
    let mut world = World::started(7, [config.clone(), config.clone()]);
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    assert!(world.status(0).unwrap().epoch.unwrap().psk);

    let mut other = config.clone();
    other.psk = [8; 32];
    let mut world = World::started(7, [config, other]);
    world.run_for(seconds(60));
    assert!(world.status(0).unwrap().epoch.is_none() && world.status(1).unwrap().epoch.is_none());
    assert!(world.kme.issued.is_empty(), "no KME is asked for a stranger");
    let alarm = plait::engine::output::Alarm::PskOrIdentity;
    assert!((0..2).any(|side| world.told(side, |e| *e == EventKind::Alarm(alarm.clone())) > 0));
}

#[test]
fn off_at_both_ends_asks_nobody_and_says_so() {
    let mut config = Config::required();
    config.policy.qkd = QkdPolicy::Off;
    config.policy.min_sources = 0;
    let mut world = World::started(8, [config.clone(), config]);
    world.run_to("OFF", seconds(1), |w| w.both(State::Off));
    world.run_for(seconds(60));
    assert!(world.both(State::Off));
    assert!(world.nodes.iter().all(|node| node.requests.is_empty()));
    assert!(world.status(0).unwrap().handshakes.fast >= 5);
}

#[test]
fn the_stricter_policy_holds_at_both_ends() {
    let strict = Config::required();
    for lax in [QkdPolicy::Preferred, QkdPolicy::Off] {
        let mut other = Config::required();
        other.policy.qkd = lax;
        other.policy.min_sources = u8::from(lax != QkdPolicy::Off);
        for configs in [[strict.clone(), other.clone()], [other.clone(), strict.clone()]] {
            let mut world = World::started(9, configs);
            world.run_to("HYBRID", seconds(8), |w| w.both(State::Hybrid));
            for side in [0, 1] {
                assert_eq!(world.status(side).unwrap().effective_qkd, Some(QkdPolicy::Required));
                assert!(world.told(side, |e| *e == EventKind::PolicyDiffers) > 0);
            }
        }
    }
}

#[test]
fn an_operator_can_rekey_from_either_end() {
    use plait::engine::output::Command;
    let mut world = World::started(10, [Config::required(), Config::required()]);
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    for side in [0, 1] {
        let before = world.status(0).unwrap().epoch.unwrap().number;
        let now = world.clock();
        world.nodes[side].engine.as_mut().unwrap().handle_command(now, Command::Rekey(None));
        world.run_to("a new epoch", seconds(1), |w| w.status(0).unwrap().epoch.unwrap().number > before);
    }
}
