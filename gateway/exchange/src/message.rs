//! A request and a response as the pipeline sees them.

use http::{Method, StatusCode};

use crate::body::Body;
use crate::headers::Headers;
use crate::target::Target;

/// A request: the method request when a client sent it, the integration request when the gateway sends it.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: Target,
    /// Header fields, without those that concern one connection only.
    pub headers: Headers,
    /// The body.
    pub body: Body,
}

/// A response: the integration response when an upstream gave it, the method response when the client gets it.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// Header fields, without those that concern one connection only.
    pub headers: Headers,
    /// The body.
    pub body: Body,
}

impl Response {
    /// A response with a status and nothing else.
    pub fn new(status: StatusCode) -> Self {
        Self { status, headers: Headers::new(), body: Body::Empty }
    }
}
