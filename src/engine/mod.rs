//! F6, the engine: all peers as one value that is fed and drained.
