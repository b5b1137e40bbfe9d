//! F1, ETSI GS QKD 014: the formats, one module per edition of the standard; used by client and server.
