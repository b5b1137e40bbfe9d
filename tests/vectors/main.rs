//! Replays the published vectors of the protocol, byte for byte, intermediate values too (PROTOCOL 2.11).

mod hex;
mod keys;
