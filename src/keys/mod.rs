//! F2, rules about keys: what is asked, what is accepted, what the policy allows.

pub mod policy;
pub mod request;
