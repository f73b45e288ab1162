//! Events: a request as a function receives it, a module per payload format version.

pub mod authorizer;
pub mod v1;
pub mod v2;
