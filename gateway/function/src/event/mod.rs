//! Events: a request as a function receives it, a module per payload format version.

pub mod v2;
