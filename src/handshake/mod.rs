//! F4, the handshake: I0 to R2 as states that are consumed (PROTOCOL 2.4 to 2.6).

pub mod terms;
