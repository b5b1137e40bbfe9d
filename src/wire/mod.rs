//! F1, formats: bytes from the network become values that cannot be wrong, or a [`field::Malformed`].

pub mod control;
pub mod field;
pub mod slots;
pub mod status;
pub mod terms;
