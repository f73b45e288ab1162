//! What a process can be.

pub(crate) mod proxy;
