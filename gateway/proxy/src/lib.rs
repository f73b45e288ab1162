//! The Pingora adapter: everything that touches a socket on the request path.
//!
//! Pingora gives the server (threads, listeners, TLS, signals, connectors); hyper reads and writes HTTP/1.1 and HTTP/2 on Pingora's
//! streams; the pipeline of `moongate-runtime` decides what happens in between and sees neither. [`downstream`] faces clients,
//! [`upstream`] faces what they call, [`server`] puts both on worker threads.
//!
//! One worker is one thread with a runtime, a listening socket (`SO_REUSEPORT`), an upstream pool and Lua machines of its own:
//! a request never changes threads.

#![deny(unsafe_code)]

pub mod downstream;
pub mod health;
pub mod server;
pub mod tls;
pub mod upstream;

mod fields;
#[cfg(test)]
mod fuzz;
mod listeners;

pub use downstream::{Engine, Limits, Listener, TrustedProxies};
pub use server::{Addresses, Listen, Options, Server, ServerError};
pub use upstream::ResolverOptions;
