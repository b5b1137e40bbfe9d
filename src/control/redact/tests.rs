//! Redaction: what must go goes in every form, what helps stays.

use serde_json::json;

use super::*;

fn rules(with_addresses: bool) -> Redaction {
    let inner = ["10.20.0.0/16", "10.99.0.1/30", "fd20::/48"].map(|prefix| prefix.parse().unwrap());
    Redaction::new(inner.to_vec(), vec!["kme-a.example".to_owned()], with_addresses)
}

#[test]
fn addresses_go_in_every_form() {
    for (text, closed, open) in [
        ("198.51.100.7", "(address)", "198.51.100.7"),
        ("198.51.100.7:51900", "(address):51900", "198.51.100.7:51900"),
        ("to 198.51.100.7, then", "to (address), then", "to 198.51.100.7, then"),
        ("at 198.51.100.7.", "at (address).", "at 198.51.100.7."),
        ("peer 198.51.100.7: no", "peer (address): no", "peer 198.51.100.7: no"),
        ("KME-A=198.51.100.7", "KME-A=(address)", "KME-A=198.51.100.7"),
        ("x198.51.100.7y", "x(address)y", "x198.51.100.7y"),
        ("https://198.51.100.7:8443/x", "https://(address):8443/x", "https://198.51.100.7:8443/x"),
        ("[2001:db8::7]:51900", "[(address)]:51900", "[2001:db8::7]:51900"),
        ("10.20.3.4", "(inner)", "(inner)"),
        ("10.20.0.0/16 and 10.99.0.2/30", "(inner) and (inner)", "(inner) and (inner)"),
        ("fd20::/48", "(inner)", "(inner)"),
        ("fd20::1%eth0", "(inner)%eth0", "(inner)%eth0"),
        ("::ffff:10.20.3.4", "(inner)", "(inner)"),
        ("10.20.0.1-10.20.0.9", "(inner)-(inner)", "(inner)-(inner)"),
        ("10.20.0.1:10.20.0.2", "(inner):(inner)", "(inner):(inner)"),
        ("192.0.2.0/24", "(address)", "192.0.2.0/24"),
        (
            "kme-a.example:8443 and xkme-a.example",
            "(host):8443 and xkme-a.example",
            "kme-a.example:8443 and xkme-a.example",
        ),
    ] {
        assert_eq!(rules(false).text(text), closed);
        assert_eq!(rules(true).text(text), open);
    }
}

#[test]
fn what_is_no_address_stays() {
    for text in [
        "2026-11-24T09:00:00.250Z",
        "08:49:12 a session stands: HOLDING is HYBRID",
        "std::io and dead::beef_x",
        "plait 0.1.0, Linux 6.1.0-18",
        "[::]:51900, 0.0.0.0:51900, 127.0.0.1:9596",
        "and/or 3/4",
        "",
        "...",
        ":",
        "key_ID 4f1c...e2",
        "7f2c-91aa",
    ] {
        assert_eq!(rules(false).text(text), text);
    }
}

#[test]
fn what_may_be_a_key_is_shortened_and_a_fingerprint_is_not() {
    let closed = |text: &str| rules(true).text(text);
    assert_eq!(closed("key 4f1c2a9e-8d7b-4c1e-9a55-0b6f3d2a91e2."), "key 4f1c...e2.");
    let base64 = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=";
    assert_eq!(closed(&format!("secret: {base64}")), "secret: q83v...k=");
    assert_eq!(closed(&"ab".repeat(32)), "abab...ab");
    let fingerprint = ["QH3F"; 13].join("-");
    assert_eq!(closed(&fingerprint), fingerprint);
    assert_eq!(closed(&"QH3F".repeat(16)), "QH3F...3F");
}

#[test]
fn json_keeps_its_form() {
    let mut value = json!({"endpoint": "198.51.100.7:51900", "allowed_ips": ["10.20.0.0/16", "fd20::/48"], "n": 7,
        "fingerprint": "QH3F-7KRA", "key_ids": [{"source": "fibre-1", "key_id": "key-1234567"}, {"key_id": "k1"}],
        "texts": ["10.20.1.1 asks", null, true]});
    rules(false).json(&mut value);
    assert_eq!(
        value,
        json!({"endpoint": "(address):51900", "allowed_ips": ["(inner)", "(inner)"], "n": 7,
        "fingerprint": "QH3F-7KRA", "key_ids": [{"source": "fibre-1", "key_id": "key-...67"}, {"key_id": "(left out)"}],
        "texts": ["(inner) asks", null, true]})
    );
}

#[test]
fn of_a_configuration_only_what_is_known_is_shown() {
    let text = r#"
        pass = "hunter2" # and hunter3
        [interface]
        private_key_file = "/etc/plait/hq.key"
        listen = "192.0.2.1:51900"
        address = ["10.99.0.1/30"]
        mtu = 1400
        pin = 1234
        [[qkd]]
        url = "https://kme-a.example:8443/x"
        local_sae = "SAE-A"
        [[peer]]
        name = "dc"
        endpoint = "198.51.100.7:51900"
        allowed_ips = ["10.20.0.0/16"]
        policy = { qkd = "required", words = ["hunter4"] }
    "#;
    let mut table: toml::Table = text.parse().unwrap();
    rules(false).config(&mut table);
    let shown = toml::to_string(&table).unwrap();
    for gone in ["hunter", "192.0.2.1", "10.", "198.51", "1234", "/etc", "kme-a"] {
        assert!(!shown.contains(gone), "{gone} in {shown}");
    }
    for kept in ["\"hq.key\"", "mtu = 1400", "\"(address):51900\"", "\"https://(host):8443/x\"", "SAE-A", "required"] {
        assert!(shown.contains(kept), "no {kept} in {shown}");
    }
}
