//! Requests of third-party clients at our KME, byte for byte as they send them, and what no client should send.

use serde_json::Value;

use crate::pki::Pki;
use crate::raw::Raw;
use crate::world::{STILL, serve};

const ENC: &str = "POST /api/v1/keys/SAE-B/enc_keys";
const JSON: &str = "content-type: application/json\r\naccept: */*\r\n";

fn json(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn a_client_that_sends_sizes_and_foreign_members_is_served() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "").await;
    let mut a = Raw::connect(&pki, server.addresses()[0][0], "SAE-A").await;
    let mut b = Raw::connect(&pki, server.addresses()[1][0], "SAE-B").await;
    let (code, head, body) = a.request("GET /api/v1/keys/SAE-B/status", "accept: */*\r\n", "").await;
    assert_eq!((code, json(&body).as_object().unwrap().len()), (200, 11));
    assert!(head.contains("content-type: application/json"));
    let (code, _, body) = a.request(ENC, JSON, r#"{"number":2,"size":256,"additional_target_sae_ids":[]}"#).await;
    assert_eq!(code, 200);
    let keys = json(&body);
    let id = keys["keys"][0]["key_ID"].as_str().unwrap().to_uppercase();
    let ask = format!(r#"{{"key_IDs":[{{"key_ID":"{id}"}}]}}"#);
    let (code, _, body) = b.request("POST /api/v1/keys/SAE-A/dec_keys", JSON, &ask).await;
    assert_eq!((code, &json(&body)["keys"][0]["key"]), (200, &keys["keys"][0]["key"]));
    let members: Vec<&String> = keys["keys"][0].as_object().unwrap().keys().collect();
    assert_eq!(members, ["key", "key_ID"], "a strict parser refuses further members");
}

#[tokio::test]
async fn a_client_that_asks_by_get_and_wants_gzip_is_served() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "").await;
    let mut a = Raw::connect(&pki, server.addresses()[0][0], "SAE-A").await;
    let python = "user-agent: python-requests/2.32.3\r\naccept-encoding: gzip, deflate\r\naccept: */*\r\n\
                  connection: keep-alive\r\n";
    let (code, head, body) = a.request("GET /api/v1/keys/SAE-B/enc_keys", python, "").await;
    assert_eq!((code, json(&body)["keys"].as_array().unwrap().len()), (200, 1));
    assert!(!head.contains("content-encoding"));
    let body = r#"{"number": 1, "size": 128, "additional_slave_SAE_IDs": [], "extension_mandatory": [],
                   "extension_optional": []}"#;
    let (code, _, body) = a.request(ENC, &format!("{python}content-type: application/json\r\n"), body).await;
    assert_eq!((code, json(&body)["keys"][0]["key"].as_str().unwrap().len()), (200, 24));
    let (code, _, body) = a.request("GET /api/v1/keys/SAE-B/enc_keys?number=3&size=256", python, "").await;
    assert_eq!((code, json(&body)["keys"].as_array().unwrap().len()), (200, 3));
    let (code, _, _) = a.request(ENC, JSON, "").await;
    assert_eq!(code, 200, "an empty body asks for one key");
}

#[tokio::test]
async fn every_error_has_a_json_body_with_a_message() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "").await;
    let mut a = Raw::connect(&pki, server.addresses()[0][0], "SAE-A").await;
    let mut x = Raw::connect(&pki, server.addresses()[0][0], "SAE-X").await;
    let refused = |(code, head, body): (u16, String, String)| {
        assert!(head.contains("content-type: application/json"), "{head}");
        assert!(json(&body)["message"].is_string(), "{body}");
        code
    };
    assert_eq!(refused(x.request("GET /api/v1/keys/SAE-B/status", "", "").await), 401);
    assert_eq!(refused(a.request("GET /", "", "").await), 404);
    assert_eq!(refused(a.request("GET /api/v1/keys/..%2f..%2fetc/status", "", "").await), 400);
    assert_eq!(refused(a.request("PUT /api/v1/keys/SAE-B/enc_keys", "", "").await), 405);
    assert_eq!(refused(a.request("TRACE /api/v1/keys/SAE-B/enc_keys", "", "").await), 405);
    assert_eq!(refused(a.request(ENC, JSON, "{").await), 400);
    assert_eq!(refused(a.request(ENC, JSON, "[1]").await), 400);
    assert_eq!(refused(a.request(ENC, JSON, &"[".repeat(50_000)).await), 400);
    assert_eq!(refused(a.request(ENC, JSON, "\u{feff}{}").await), 400);
    assert_eq!(refused(a.request(ENC, JSON, r#"{"number":1e999}"#).await), 400);
    assert_eq!(refused(a.request(ENC, JSON, r#"{"number":101}"#).await), 503);
    assert_eq!(refused(a.request("POST /api/v1/keys/SAE-B/dec_keys", JSON, r#"{"key_IDs":["a"]}"#).await), 400);
    assert_eq!(
        refused(a.request("POST /api/v1/keys/SAE-B/dec_keys", JSON, r#"{"key_IDs":[{"key_ID":"a"}]}"#).await),
        400
    );
    let (code, _, body) = a.request(ENC, JSON, &format!("{{\"x\":\"{}\"}}", "x".repeat(70_000))).await;
    assert_eq!((code, json(&body)["message"].is_string()), (413, true));
}

#[tokio::test]
async fn a_sae_cannot_ask_for_the_keys_of_another() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "").await;
    let mut a = Raw::connect(&pki, server.addresses()[0][0], "SAE-A").await;
    let mut b_at_a = Raw::connect(&pki, server.addresses()[0][0], "SAE-B").await;
    let mut a_at_b = Raw::connect(&pki, server.addresses()[1][0], "SAE-A").await;
    let (_, _, body) = a.request(ENC, JSON, "{}").await;
    let id = json(&body)["keys"][0]["key_ID"].as_str().unwrap().to_owned();
    let ask = format!(r#"{{"key_IDs":[{{"key_ID":"{id}"}}]}}"#);
    let dec = "POST /api/v1/keys/SAE-A/dec_keys";
    let forged = format!("{JSON}x-sae-id: SAE-B\r\nx-client-dn: CN=SAE-B\r\n");
    assert_eq!(a_at_b.request(dec, &forged, &ask).await.0, 401, "headers prove nothing");
    assert_eq!(b_at_a.request(dec, JSON, &ask).await.0, 401);
    assert_eq!(
        a.request("POST /api/v1/keys/SAE-B/dec_keys", JSON, &ask).await.0,
        401,
        "the master does not fetch twice"
    );
    let mut b = Raw::connect(&pki, server.addresses()[1][0], "SAE-B").await;
    assert_eq!(b.request(dec, JSON, &ask).await.0, 200);
}
