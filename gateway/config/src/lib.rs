//! What users declare: APIs, stages, domains, upstreams, authorizers, integrations, as plain data.
//!
//! Nothing here does I/O and nothing here is read on the request path. A project's texts go in as [`Sources`]; out come
//! typed documents ([`Project`]) and *every* problem found in them as [`Issue`]s with file, line and column.
//!
//! The way of a document: text -> [`source`] (a tree with positions) -> [`openapi`] turns an OpenAPI file into the native
//! shape, positions kept -> [`decode`] (typed values, all problems at once) -> [`check`] (names that refer to nothing,
//! two routes that match the same request). Compiling what comes out into something that runs is `moongate-runtime`'s work.

#![forbid(unsafe_code)]

pub mod api;
pub mod authorizer;
pub mod check;
pub mod cors;
pub mod decode;
pub mod digest;
pub mod domain;
pub mod function;
pub mod gateway_response;
pub mod ids;
pub mod integration;
pub mod issue;
pub mod limits;
pub mod model;
pub mod openapi;
pub mod plugin;
pub mod policy;
pub mod project;
pub mod revision;
pub mod route;
pub mod schema;
pub mod script;
pub mod source;
pub mod stage;
pub mod suggest;
pub mod upstream;
pub mod usage_plan;

pub use api::{ApiConfig, Compat, Protocol};
pub use digest::Digest;
pub use ids::{ApiId, StageName, UpstreamName};
pub use issue::{Issue, Severity};
pub use project::{Project, Sources};
pub use revision::{Deployment, Manifest};
pub use route::RouteConfig;
pub use stage::StageConfig;
pub use upstream::UpstreamConfig;
