//! The heart of the gateway, without sockets: what a configuration is compiled into, and the path of a request.
//!
//! [`compile`] turns a declared project into a [`Snapshot`]; [`pipeline`] takes a request through it. Who connects to
//! upstreams is behind [`upstream::Upstreams`], so that tests, `test-invoke` and the proxy run the very same stages.

#![forbid(unsafe_code)]

pub mod compile;
pub mod invocation;
pub mod outbound;
pub mod pipeline;
pub mod plan;
pub mod recorder;
pub mod router;
pub mod snapshot;
pub mod upstream;

pub use outbound::Outbound;
pub use snapshot::{Published, Snapshot};
pub use upstream::{Upstream, UpstreamError, UpstreamTls, Upstreams};

/// Tells that this thread is worker number `index` from now on: it uses that worker's virtual machines.
pub fn enter_worker(index: usize) {
    moongate_lua::set_worker(index);
}
