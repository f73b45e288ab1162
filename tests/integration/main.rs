//! Moongate tested as its users meet it: a real process, real sockets, files on disk.
//!
//! One binary, so that it links once. `harness_self` checks the tools the others rely on.

#![forbid(unsafe_code)]

mod aborts;
mod bad_input;
mod canary;
mod clients;
mod command_line;
mod control_plane;
mod credentials;
mod dependencies;
mod differential;
mod examples;
mod exchange;
mod floods;
mod follow;
mod functions;
mod fuzzing;
mod hardening;
mod harness_self;
mod health;
mod http2_frames;
mod huge_specs;
mod lua;
mod management;
mod petstore;
mod plugins;
mod protocols;
mod proxying;
mod readme;
mod reload;
mod resting;
mod routing;
mod slow_and_broken;
mod smuggling;
mod streaming;
mod tls;
mod upstream_faults;
mod upstreams;
mod validate;
mod validation;
mod vtl;
