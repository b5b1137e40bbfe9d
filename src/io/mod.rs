//! F8, the machine's edges: clock, entropy, sockets, TUN, files, TLS.

pub mod audit_file;
pub mod clock;
mod cmsg;
pub mod confinement;
pub mod control_client;
pub mod control_socket;
#[cfg(test)]
pub(crate) mod doubles;
pub mod entropy;
pub mod event_file;
pub mod fork;
mod http_date;
pub mod https;
pub mod identity;
pub mod keeper_link;
pub mod keyfile;
pub mod keyfile_error;
pub mod kme_client;
pub mod kme_server;
mod last_words;
pub mod lock;
pub mod path_probe;
pub mod pki;
pub mod refusal;
pub mod replace;
pub mod sandbox;
pub mod secret_memory;
pub mod self_test;
pub mod source;
pub mod state;
pub mod status_http;
pub mod system;
pub mod thread;
pub mod tls;
pub mod tun;
pub mod udp;
pub mod wait;
