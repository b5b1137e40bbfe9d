//! F8, the machine's edges: clock, entropy, sockets, TUN, files, TLS.

pub mod source;
