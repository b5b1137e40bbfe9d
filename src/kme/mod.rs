//! F2, a simulated pair of key management entities and the quantum link between them: pure rules.
//!
//! `link` makes secret key in blocks (at a fixed rate, or by `bb84`), `stock` keeps what was made, `issued` what was handed
//! to a master and waits for its slave; `pair` owns the three, and `api` answers the requests of ETSI GS QKD 014 from them.
//! `catalogue` names all that a KME can do wrong or otherwise: `fault` keeps what was ordered and spoils keys, `spoil` bodies, and
//! `delivery` the way of an answer. `file` reads `pair.toml`, `order` the words that steer a running pair. Time and
//! randomness are passed in.

pub mod api;
pub mod bb84;
pub mod catalogue;
pub mod delivery;
pub mod fault;
pub mod file;
pub mod issued;
pub mod link;
pub mod order;
pub mod pair;
pub mod spoil;
pub mod stock;
