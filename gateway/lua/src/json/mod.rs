//! JSON for scripts (RFC 8259): reading it into Lua, writing it out of Lua, and reading parts without the rest.
//!
//! - `scan.rs`: tokens, and skipping over values.
//! - `decode.rs`: a whole text as a series of events, which `host/build.rs` turns into Lua values.
//! - `lazy.rs`: one value out of a text; `path.rs`: JSONPath on top of it, `filter.rs`: its conditions.
//! - `lookup.rs`: the same for the gateway's own mappings.
//! - `encode.rs`: Lua values as JSON; `text.rs`: Lua values as AWS's templates print them.
//!
//! Nothing here owns memory while Lua runs or calls into Lua: buffers belong to the machine. What an error of Lua has to
//! unwind through is therefore plain data.

pub(crate) mod decode;
pub(crate) mod encode;
mod filter;
pub(crate) mod lazy;
pub(crate) mod lookup;
pub(crate) mod path;
pub(crate) mod scan;
pub(crate) mod text;

/// How deep values may nest, read and written. Bounds recursion and the Lua stack.
pub(crate) const DEPTH_MAX: usize = 64;

/// Longest text written for a script, in bytes (source: API Gateway quotas, payload size 10 MB).
pub(crate) const TEXT_BYTES_MAX: usize = 10 * 1024 * 1024;

/// How many bytes are worked on between two questions whether to stop.
pub(crate) const BYTES_PER_QUESTION: usize = 64 * 1024;

/// Asks whether the run that the work is for has been condemned. Long work asks now and then.
pub(crate) trait Stop {
    fn is_due(&self) -> bool;
}
