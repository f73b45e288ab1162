//! Built-in policies: checks on requests that come with the gateway.
//!
//! A policy acts in one stage of the pipeline. A [`Guard`] decides in the *guard* stage, before anybody asks who calls; an
//! [`Authorize`] decides in the *authorize* stage and adds what it found out to the [`Caller`]. [`registry::POLICIES`] lists
//! all of them; schemas, manual pages and "unknown policy" messages come from that list.
//!
//! A policy is a folder:
//!
//! | File | Holds |
//! |---|---|
//! | `mod.rs` | its [`Definition`](registry::Definition): name, stage, one line of summary |
//! | `config.rs` | what users write: serde and JSON Schema from the same struct, whose comments are the manual |
//! | `compile.rs` | every check, all problems at once: settings in, policy out |
//! | `policy.rs` | what runs: compiled values only, nothing is parsed or checked twice |
//! | `tests.rs` | settings that are refused, requests that pass, requests that do not |
//! | `README.md` | how to use it, with an example |
//!
//! To add one, copy a folder and add a line to the list. Beside the policies stand what several of them need:
//! [`secret`] (values that are named, never written down), [`cidr`] (networks), and [`iam`], the policy documents that
//! authorizers return.

#![forbid(unsafe_code)]

pub mod api_key;
pub mod codes;
pub mod context;
pub mod iam;
pub mod ip_access;
pub mod registry;
pub mod secret;

#[cfg(test)]
mod testing;

use std::fmt;
use std::sync::Arc;

use http::HeaderName;
use moongate_exchange::{Caller, Exchange, Rejection};

pub use moongate_exchange::cidr;

pub use context::CompileContext;
pub use secret::{LocalSecrets, Secret, SecretError, Secrets};

/// A policy of the guard stage: it looks at a request before anybody asks who calls.
pub trait Guard: Send + Sync + fmt::Debug {
    /// Lets a request pass, or says why not. Runs on every request: no I/O, no waiting, microseconds.
    ///
    /// # Errors
    ///
    /// The rejection that ends the request.
    fn check(&self, exchange: &Exchange) -> Result<(), Rejection>;
}

/// A policy of the authorize stage: it finds out something about who calls.
pub trait Authorize: Send + Sync + fmt::Debug {
    /// Takes the caller found so far and returns it with what this policy adds, or says why the request ends here. Runs on
    /// every request: no I/O, no waiting, microseconds.
    ///
    /// # Errors
    ///
    /// The rejection that ends the request.
    fn authorize(&self, exchange: &Exchange, caller: Caller) -> Result<Caller, Rejection>;

    /// Header fields that carry a credential, for logs and traces to leave out.
    fn sensitive_headers(&self) -> &[HeaderName] {
        &[]
    }
}

/// A policy that is ready to run, by the stage it runs in.
#[derive(Clone, Debug)]
pub enum Compiled {
    /// Runs in the guard stage.
    Guard(Arc<dyn Guard>),
    /// Runs in the authorize stage.
    Authorize(Arc<dyn Authorize>),
}
