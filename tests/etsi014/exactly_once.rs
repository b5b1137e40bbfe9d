//! Many clients at once: no key goes to two requesters of one side, none is handed out twice.

use std::collections::BTreeSet;
use std::time::Duration;

use plait::etsi014::v1::request::NewKeys;

use crate::pki::Pki;
use crate::world::{client, serve, site};

const CLIENTS: usize = 8;
const ROUNDS: usize = 10;
const EACH: u32 = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_clients_a_side_never_share_a_key() {
    let pki = Pki::new();
    let keys = CLIENTS * ROUNDS * EACH as usize;
    let server = serve(&pki, &format!("key_rate = 0\nstock_start = {keys}\nstock_max = {keys}"), "").await;
    let mut tasks = Vec::new();
    for _ in 0..CLIENTS {
        let (a, b) = (client(site(&pki, &server, 0)), client(site(&pki, &server, 1)));
        tasks.push(tokio::spawn(async move {
            let mut seen = Vec::new();
            for _ in 0..ROUNDS {
                let made = a.enc_keys(Duration::from_secs(10), NewKeys { number: EACH, size: 256 }).await;
                let made = made.result.unwrap();
                let ids: Vec<String> = made.iter().map(|key| key.key_id.as_str().to_owned()).collect();
                let (first, again) = tokio::join!(
                    b.dec_keys(Duration::from_millis(900), &ids),
                    b.dec_keys(Duration::from_millis(40), &ids)
                );
                let fetched = match (first.result, again.result) {
                    (Ok(keys), Err(_)) | (Err(_), Ok(keys)) => keys,
                    (Ok(_), Ok(_)) => panic!("the same keys were handed out twice"),
                    (Err(error), Err(_)) => panic!("the keys were handed to nobody: {error:?}"),
                };
                for (made, fetched) in made.iter().zip(&fetched) {
                    assert!(made.key_id == fetched.key_id && made.material.expose() == fetched.material.expose());
                    seen.push((made.key_id.clone(), made.material.expose().to_vec()));
                }
            }
            seen
        }));
    }
    let (mut ids, mut materials) = (BTreeSet::new(), BTreeSet::new());
    for task in tasks {
        for (id, material) in task.await.unwrap() {
            assert!(ids.insert(id) && materials.insert(material));
        }
    }
    assert_eq!(ids.len(), keys);
}
