//! ETSI GS QKD 014 V1.1.1 (2019-02): paths, bodies and texts of the three methods.
//!
//! Reading is tolerant, as KMEs in the field demand (unknown members ignored, `null` is absent, integers may be text);
//! writing is exact. A body that holds keys is read in place and wiped.

pub mod base64;
pub mod container;
pub mod error;
pub mod json;
pub mod path;
pub mod pin;
pub mod request;
pub mod status;
pub mod url;
