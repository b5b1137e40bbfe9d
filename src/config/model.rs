//! The configuration resolved: defaults filled in, bounds checked, names looked up.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::error::{ConfigError, Place};
use crate::etsi014::v1::pin::Pin;
use crate::etsi014::v1::url::BaseUrl;
use crate::types::id::{SaeId, SourceId};
use crate::types::offload::OffloadSet;
use crate::types::policy::{Cipher, QkdPolicy, RatchetPolicy};
use crate::types::prefix::Prefix;

/// One interface with its peers.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// This end.
    pub interface: Interface,
    /// `[policy]`, before a peer overrides it.
    pub policy: Policy,
    /// The other ends, in the order of the file: the index is the `PeerId`. At least one.
    pub peers: Vec<Peer>,
    /// `[status] listen`: where the status page is; none: nowhere.
    pub status_listen: Option<SocketAddr>,
    /// What is allowed and probably not meant, to be said aloud.
    pub warnings: Vec<ConfigError>,
}

/// This end.
#[derive(Clone, Debug, PartialEq)]
pub struct Interface {
    /// Stem of the file name: 1..=15 characters.
    pub name: String,
    /// Secret file.
    pub private_key_file: FileRef,
    /// UDP address.
    pub listen: SocketAddr,
    /// Addresses of the interface, no two equal.
    pub addresses: Vec<InterfaceAddress>,
    /// Inner MTU.
    pub mtu: Mtu,
    /// Where routes go.
    pub table: RouteTable,
    /// TUN backend.
    pub backend: Backend,
    /// Kinds of help from the kernel that may be used.
    pub offload: OffloadSet,
    /// TUN queues, each with its socket and its lane: 1..=7.
    pub queues: usize,
    /// Record of what protected the traffic.
    pub audit: AuditMode,
    /// Whether a firewall beside the tunnel keeps `allowed_ips` in, and stays when the daemon ends.
    pub kill_switch: bool,
}

/// A file named by the configuration, as written, with the place to report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRef {
    /// As written: relative to the configuration file or to `$CREDENTIALS_DIRECTORY`.
    pub path: PathBuf,
    /// Of the value.
    pub place: Place,
    /// The key.
    pub key: &'static str,
}

/// `10.99.0.1/30`: an address and the prefix of its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The address.
    pub address: IpAddr,
    /// Bits of the link's prefix.
    pub length: u8,
}

/// `mtu`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mtu {
    /// 1420: fits IPv6 outside and a path of 1500 (PROTOCOL 2.9).
    Auto,
    /// Bytes.
    Fixed(u16),
}

impl Mtu {
    /// Bytes of the largest inner packet.
    pub fn bytes(self) -> u16 {
        match self {
            Self::Auto => 1420,
            Self::Fixed(bytes) => bytes,
        }
    }
}

/// `table`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteTable {
    /// Routes for all `allowed_ips` in the main table.
    Auto,
    /// No routes.
    Off,
    /// Routes in this table.
    Number(u32),
}

/// `backend`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `tun-rs`.
    TunRs,
    /// `tun-tap`, if built in.
    TunTap,
}

/// `audit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditMode {
    /// Not written.
    Off,
    /// Written; a disk that refuses it is told of.
    On,
    /// Written, or no new keys are made.
    Required,
}

/// One other end.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    /// Unique.
    pub name: String,
    /// Public file.
    pub public_key_file: FileRef,
    /// Configured address; none: the peer calls us.
    pub endpoint: Option<SocketAddr>,
    /// Inner addresses behind it; no overlap with another peer's.
    pub allowed_ips: Vec<Prefix>,
    /// Data cipher.
    pub cipher: CipherChoice,
    /// Interval of keepalives; none: off.
    pub keepalive: Option<Duration>,
    /// Pre-shared key.
    pub psk_file: Option<FileRef>,
    /// Use of the ratchet: never `RequireOpen`, which is a state and no setting.
    pub ratchet: RatchetPolicy,
    /// Whether the endpoint stays as configured.
    pub pin_endpoint: bool,
    /// `[policy]` with this peer's overrides.
    pub policy: Policy,
    /// Key sources of this peer, ascending by id.
    pub sources: Vec<Source>,
}

/// `cipher`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CipherChoice {
    /// Both, in the order that suits the processor.
    Auto,
    /// This one only.
    Only(Cipher),
}

/// The QKD policy as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What may happen without QKD.
    pub qkd: QkdPolicy,
    /// Distinct sources that must be mixed; 0 with policy off, else 1..=6.
    pub min_sources: u8,
    /// Time without QKD under `required`; none: not set.
    pub hold_last: Option<Duration>,
    /// Time without QKD under `preferred`; none: unlimited or not set.
    pub degrade_for: Option<Duration>,
    /// Interval of fast rekeys; the longest with `rekey = "auto"`.
    pub rekey: Duration,
    /// With `rekey = "auto"`: the shortest.
    pub rekey_min: Option<Duration>,
    /// Interval of full handshakes.
    pub full: Duration,
}

/// One ETSI GS QKD 014 source of one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The same number at both sites.
    pub id: SourceId,
    /// Unique in the file.
    pub name: String,
    /// Of the KME.
    pub url: BaseUrl,
    /// Our SAE id.
    pub local_sae: SaeId,
    /// The peer's SAE id.
    pub remote_sae: SaeId,
    /// Who signs the KME's certificate.
    pub ca_file: FileRef,
    /// Our client certificate.
    pub cert_file: FileRef,
    /// Its key.
    pub key_file: FileRef,
    /// Password of a PKCS#12 file in `cert_file` or `key_file`.
    pub key_password_file: Option<FileRef>,
    /// Expected name of the KME; none: the host of the URL.
    pub server_name: Option<String>,
    /// The KME's certificate or public key: replaces chain and name.
    pub pin_sha256: Option<Pin>,
    /// Of one request.
    pub timeout: Duration,
    /// What TLS must negotiate.
    pub kme_tls: KmeTls,
    /// How keys are asked for.
    pub method: HttpMethod,
}

/// `kme_tls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KmeTls {
    /// Any key exchange that the TLS library accepts.
    Any,
    /// A post-quantum one, or no connection.
    PostQuantum,
}

/// `method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMethod {
    /// `number` and `size` in a body.
    Post,
    /// For KMEs that serve only simple requests.
    Get,
}
