//! What Moongate's black-box tests are made of: real gateways, clients that choose every byte, upstreams that misbehave.
//!
//! A test starts a [`Gateway`] on a project written in place, points it at an [`Upstream`] that records or breaks what it
//! gets, and talks to it with a [`Client`] (raw HTTP/1.1), an [`http2::Http2Client`] or real `curl` ([`console`]). Nothing
//! here links the gateway: the binary under test is the one users run.
//!
//! Everything that waits has a deadline, every port is chosen by the system, and whatever was started ends when its value
//! is dropped. Failures panic with all that is known, because a test is the only caller.

#![forbid(unsafe_code)]

pub mod binary;
pub mod certificates;
pub mod client;
pub mod console;
pub mod control;
pub mod dns;
pub mod fields;
pub mod frames;
pub mod gateway;
pub mod http2;
pub mod load;
pub mod port;
pub mod process;
pub mod project;
pub mod strict;
pub mod upstream;
pub mod vectors;
pub mod wait;
pub mod wire;

pub use moongate_fuzz::random;

pub use client::{Client, Response};
pub use control::{Control, Server};
pub use fields::Fields;
pub use gateway::Gateway;
pub use project::Project;
pub use upstream::{Answer, Fault, Recorded, Upstream};
