//! `api_key`: callers must show a key that the configuration lists.
//!
//! Stage: authorize. *Reads* one header field or query parameter. *Writes* [`Caller::api_key_id`]. *May end with*
//! `INVALID_API_KEY` (403). *Limits*: keys of 20 to 128 bytes, 10,000 keys. *Source*: API Gateway, "Usage plans and API keys
//! for REST APIs".
//!
//! [`Caller::api_key_id`]: moongate_exchange::Caller::api_key_id

mod compile;
mod config;
mod credentials;
mod policy;
#[cfg(test)]
mod tests;

use crate::registry::{Definition, Stage};

pub use compile::compile_keys;
pub use config::{Config, SourceConfig};
pub use credentials::{Credential, CredentialSet, Credentials, Opened};
pub use policy::{ApiKeyPolicy, KeyHash, Keys, Source};

/// The policy's entry in the registry.
pub const DEFINITION: Definition = Definition {
    name: "api_key",
    stage: Stage::Authorize,
    summary: "callers must show an API key that the configuration lists",
    schema: || schemars::schema_for!(Config).to_value(),
    compile: compile::compile,
    readme: include_str!("README.md"),
};

/// Where callers show their key unless the settings say otherwise (source: API Gateway, API key source `HEADER`).
const DEFAULT_HEADER: &str = "x-api-key";

/// Shortest key, in bytes (source: API Gateway, "API key file format"). Twenty random characters cannot be guessed.
pub const KEY_BYTES_MIN: usize = 20;

/// Longest key, in bytes (source: as above). What is longer is refused before it is hashed.
pub const KEY_BYTES_MAX: usize = 128;

/// Most keys of one policy (source: API Gateway quotas, API keys per account and Region).
pub const KEYS_MAX: usize = 10_000;
