//! The command line of `plait kme` against a pair that it serves itself.
