//! `ip_access`: requests pass or not by the address they come from.
//!
//! Stage: guard. *Reads* the client's address. *Writes* nothing. *May end with* `ACCESS_DENIED` (403). *Limits*: 1,000
//! networks in each list. *Source*: RFC 4632 (CIDR), RFC 4291 section 2.5.5.2 (IPv4 addresses in IPv6).

mod compile;
mod config;
mod policy;
#[cfg(test)]
mod tests;

use crate::registry::{Definition, Stage};

pub use config::Config;
pub use policy::IpAccessPolicy;

/// The policy's entry in the registry.
pub const DEFINITION: Definition = Definition {
    name: "ip_access",
    stage: Stage::Guard,
    summary: "requests pass or are refused by the network they come from",
    schema: || schemars::schema_for!(Config).to_value(),
    compile: compile::compile,
    readme: include_str!("README.md"),
};

/// Most networks of one list. They are tried one by one, and a thousand take a few microseconds.
pub const NETWORKS_MAX: usize = 1_000;
