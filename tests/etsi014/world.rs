//! A pair of KMEs at work and the sources of both sites.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use plait::config::HttpMethod;
use plait::etsi014::v1::url::BaseUrl;
use plait::io::kme_client::methods::KmeClient;
use plait::io::kme_client::registry::{KmeClients, Reach};
use plait::io::kme_server::PairServer;
use plait::io::source::{Etsi014Source, KeySource, SourceSetup};
use plait::keys::request::{DeliveredKey, KeyRequestKind, SourceFailure};
use plait::kme::file;
use plait::types::id::{KeyId, SaeId};

use crate::pki::Pki;

/// Text of a `pair.toml` on ports chosen by the system; `link` are further lines of its section.
pub(crate) fn pair_text(dir: &Path, link: &str, kme_a: &str) -> String {
    let kme = |id: &str, sae: &str, more: &str| {
        let dir = dir.display();
        format!(
            "[[kme]]\nid = \"{id}\"\nlisten = [\"127.0.0.1:0\"]\ncert_file = \"{dir}/{id}.pem\"\n\
             key_file = \"{dir}/{id}.key\"\nca_file = \"{dir}/ca.pem\"\nsaes = [\"{sae}\"]\n{more}\n"
        )
    };
    let (a, b) = (kme("KME-A", "SAE-A", kme_a), kme("KME-B", "SAE-B", ""));
    format!("name = \"pair\"\n[link]\n{link}\n{a}{b}")
}

/// A link that makes nothing by itself, over a stock of 100 keys.
pub(crate) const STILL: &str = "key_rate = 0\nblock_bits = 256\nstock_start = 100";

pub(crate) async fn serve(pki: &Pki, link: &str, kme_a: &str) -> PairServer {
    let file = file::read(&pair_text(pki.dir(), link, kme_a), Path::new("/")).unwrap();
    PairServer::start(file, None).await.unwrap()
}

/// Site A or B of a running pair.
pub(crate) fn site(pki: &Pki, server: &PairServer, side: usize) -> SourceSetup {
    let (own, other) = if side == 0 { ("SAE-A", "SAE-B") } else { ("SAE-B", "SAE-A") };
    setup(pki, server.addresses()[side][0], own, other)
}

pub(crate) fn setup(pki: &Pki, at: SocketAddr, own: &str, other: &str) -> SourceSetup {
    SourceSetup {
        name: "fibre-1".to_owned(),
        reach: Reach {
            url: BaseUrl::parse(&format!("https://{at}")).unwrap(),
            ca_file: pki.file("ca.pem"),
            cert_file: pki.file(&format!("{own}.pem")),
            key_file: pki.file(&format!("{own}.key")),
            key_password_file: None,
            server_name: None,
            pin_sha256: None,
            is_pq_only: false,
        },
        local_sae: SaeId::new(own).unwrap(),
        remote_sae: SaeId::new(other).unwrap(),
        timeout: Duration::from_secs(10),
        method: HttpMethod::Post,
    }
}

pub(crate) fn source(setup: SourceSetup) -> Etsi014Source {
    Etsi014Source::new(setup, &mut KmeClients::default()).unwrap()
}

pub(crate) fn client(setup: SourceSetup) -> KmeClient {
    let https = KmeClients::default().client(&setup.reach).unwrap();
    KmeClient { https, local_sae: setup.local_sae, remote_sae: setup.remote_sae, method: setup.method }
}

/// A key with its material laid open, for comparing.
pub(crate) type Opened = Result<(KeyId, Vec<u8>), SourceFailure>;

pub(crate) fn open(key: Result<DeliveredKey, SourceFailure>) -> Opened {
    key.map(|key| (key.key_id, key.material.expose().to_vec()))
}

/// A new key of 256 bits.
pub(crate) async fn new_key(source: &mut Etsi014Source) -> Opened {
    fetch(source, KeyRequestKind::New { bits: 256 }, Duration::from_secs(10)).await
}

/// The key of that id, which is there.
pub(crate) async fn key_by_id(source: &mut Etsi014Source, key_id: &KeyId) -> Opened {
    fetch(source, KeyRequestKind::ById { key_id: key_id.clone() }, Duration::from_secs(5)).await
}

/// The key of an id that is not there: asked for not so long.
pub(crate) async fn no_key_by_id(source: &mut Etsi014Source, key_id: &KeyId) -> Opened {
    fetch(source, KeyRequestKind::ById { key_id: key_id.clone() }, Duration::from_secs(1)).await
}

pub(crate) async fn fetch(source: &mut Etsi014Source, kind: KeyRequestKind, deadline: Duration) -> Opened {
    open(source.fetch(&kind, deadline).await.result)
}
