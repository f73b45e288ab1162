//! What a process can be.

pub(crate) mod admin;
pub(crate) mod proxy;
