//! F7, the configuration file: as written, then as resolved.
