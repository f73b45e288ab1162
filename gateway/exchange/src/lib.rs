//! One request and its response, from the first byte to the log line.
//!
//! An [`Exchange`] travels through the pipeline. On its way four messages exist, in AWS API Gateway's words: the *method
//! request* (what the client sent, [`Exchange::request`]), the *integration request* (what the upstream is sent), the
//! *integration response* (what it answered) and the *method response* (what the client gets). A stage makes the next one
//! out of the one before and never edits an earlier one.
//!
//! No type of a codec appears here: [`Request`], [`Response`], [`Headers`] and [`Body`] are the gateway's own, so that what
//! reads and writes them on the wire can be replaced.

#![forbid(unsafe_code)]

pub mod body;
pub mod caller;
pub mod cidr;
pub mod client;
pub mod connection;
pub mod context;
pub mod counters;
pub mod exit;
pub mod headers;
pub mod id;
pub mod message;
pub mod overrides;
pub mod query;
pub mod target;
pub mod time;
pub mod upgrade;

mod exchange;

pub use body::{Body, BodyError};
pub use caller::{Caller, Scalar};
pub use cidr::Cidr;
pub use client::ForwardedClient;
pub use connection::Connection;
pub use counters::Counters;
pub use exchange::{AtEnd, Exchange, IntegrationFacts, Matched, Outcome, PathParameters, RouteFacts, StageFacts};
pub use exit::{Exit, Kind, Problem, Rejection};
pub use headers::Headers;
pub use id::RequestId;
pub use message::{Request, Response};
pub use overrides::Overrides;
pub use target::Target;
pub use upgrade::{Duplex, Upgrade, UpgradeLimits};
