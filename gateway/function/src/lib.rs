//! Lambda-shaped functions: what a function is sent for a request, and what its result means as a response.
//!
//! Whoever runs a function (Lua in the gateway, a process beside it, AWS Lambda far away) writes the event with [`event`] and reads
//! the result with [`result`]; both do no I/O and speak AWS API Gateway's formats, so that functions written for AWS run unchanged.
//! [`local`] runs functions as processes on this machine, behind the Lambda Runtime API.

#![forbid(unsafe_code)]

pub mod event;
pub mod local;
pub mod result;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod vectors;

pub use result::ResultError;
