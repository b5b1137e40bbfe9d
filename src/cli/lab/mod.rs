//! What verbs need that play several machines on this one: namespaces, links, children, a folder. All of it goes when dropped.

pub(in crate::cli) mod attend;
pub(in crate::cli) mod children;
pub(in crate::cli) mod folder;
pub(in crate::cli) mod identity;
pub(in crate::cli) mod namespace;
pub(in crate::cli) mod pause;
pub(in crate::cli) mod wires;
