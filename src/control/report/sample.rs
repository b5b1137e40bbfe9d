//! One report that tests of this folder share: good as it is, each breaks one thing in it.

use std::collections::BTreeMap;

use super::*;

/// Counts by name.
pub(in crate::control) fn counts(list: &[(&str, u64)]) -> BTreeMap<String, u64> {
    list.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn policy() -> PolicyReport {
    PolicyReport {
        qkd: "required".to_owned(),
        min_sources: 1,
        hold_last_seconds: Some(3600),
        degrade_for_seconds: None,
        rekey_seconds: 60,
        rekey_min_seconds: None,
        rekey_max_seconds: None,
        full_seconds: 600,
    }
}

/// `hq-dc` with one peer and one source, all well.
pub(in crate::control) fn report() -> StatusReport {
    let text = str::to_owned;
    let epoch = EpochReport {
        number: 44,
        age_seconds: 43.1,
        qkd_age_seconds: Some(43.1),
        cipher: text("aes-256-gcm"),
        check_words: text("7f2c-91aa"),
        mixed: ["x25519", "ml-kem-1024", "fibre-1"].map(text).to_vec(),
        key_ids: vec![KeyIdReport { source: text("fibre-1"), key_id: text("4f1c0000-e2") }],
    };
    let peer = PeerReport {
        name: text("dc-east"),
        state: text("HYBRID"),
        fingerprint: text("9XJD-AAAA"),
        endpoint: Some(text("198.51.100.7:51900")),
        allowed_ips: ["10.20.0.0/16", "fd20::/48"].map(text).to_vec(),
        peer_qkd: Some(text("required")),
        effective_qkd: Some(text("required")),
        effective_min_sources: Some(1),
        effective_limit_seconds: Some(3600),
        policy: policy(),
        epoch: Some(epoch),
        over: None,
        deadline_seconds: None,
        handshakes: HandshakeReport {
            full: 3,
            fast: 41,
            failed: 0,
            failed_fast: 0,
            last_full: Some(text("2026-11-24T09:00:00Z")),
        },
        transfer: TransferReport {
            received_bytes: 19_778_324_398,
            sent_bytes: 0,
            received_packets: 9,
            sent_packets: 0,
        },
        drops: counts(&[("replay", 0), ("auth", 0), ("no_epoch", 3), ("tun", 0), ("too_big", 2)]),
        refused: counts(&[]),
    };
    let source = source();
    StatusReport {
        schema: SCHEMA,
        interface: text("hq-dc"),
        state: text("HYBRID"),
        fingerprint: text("QH3F-7KRA"),
        listen: text("[::]:51900"),
        mtu: 1420,
        offload: ["tso", "uso", "gso", "gro"].map(text).to_vec(),
        offload_given_up: Vec::new(),
        uptime_seconds: 2600.0,
        policy: policy(),
        peers: vec![peer],
        sources: vec![source],
        refused: counts(&[]),
        unclaimed: counts(&[("no_route", 0), ("not_ip", 0), ("malformed", 0), ("unknown_index", 0), ("queue", 0)]),
        sandbox: None,
        keys_sandbox: None,
        keys_restarts: None,
    }
}

fn source() -> SourceReport {
    let text = str::to_owned;
    SourceReport {
        name: text("fibre-1"),
        peer: text("dc-east"),
        kind: text("etsi014"),
        state: text("ok"),
        not_used: None,
        stored_keys: Some(812),
        stored_keys_age_seconds: Some(12.5),
        stored_keys_stale: Some(false),
        rate_in_per_second: Some(3.9),
        rate_out_per_second: Some(0.016_667),
        lasts_seconds: None,
        tls: Some(text("TLSv1.3 X25519MLKEM768")),
        keys_used: 44,
        requests_ok: 50,
        requests_failed: 0,
        last_error: None,
        last_error_age_seconds: None,
        certificate_expiry: None,
    }
}
