//! F10, the command line.
