//! F5, packets: pure functions over a published snapshot (PROTOCOL 2.9).
