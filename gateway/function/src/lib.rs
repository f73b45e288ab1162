//! Lambda-shaped functions: what a function is sent for a request, and what its result means as a response.
//!
//! Formats only. Whoever runs a function (Lua in the gateway, a process beside it, AWS Lambda far away) writes the event
//! with [`event`] and reads the result with [`result`]; nothing here does I/O. Both speak AWS API Gateway's formats, so
//! that functions written for AWS run unchanged.

#![forbid(unsafe_code)]

pub mod event;
pub mod result;

#[cfg(test)]
mod vectors;

pub use result::ResultError;
