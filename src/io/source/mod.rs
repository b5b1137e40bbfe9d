//! Key sources: what fetches QKD keys for the engine, and what `status` shows of it.
//!
//! A source speaks only `KeyRequest` and `DeliveredKey` (`keys::request`): the rest of the daemon never sees TLS, HTTP or
//! JSON. It may be slow, wrong or gone; it answers each request once, with a key or a reason, within its deadline.

pub mod asked;
pub mod etsi014;
pub mod figures;
pub mod held;
pub mod key_source;
pub mod setup;

pub use self::asked::{Asked, Stock};
pub use self::etsi014::Etsi014Source;
pub use self::figures::{SourceFigures, SourceSnapshot, SourceState};
pub use self::held::HeldFiles;
pub use self::key_source::{KeySource, STATUS_INTERVAL};
pub use self::setup::SourceSetup;
