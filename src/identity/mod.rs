//! F2, identities: key files, fingerprints, the checks at load (PROTOCOL 2.2).
