//! A request as an upstream got it.

use serde_json::Value;

use crate::fields::Fields;

/// One request, as it stood on the wire.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// The method.
    pub method: String,
    /// The request target: path and query.
    pub target: String,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// The fields in order, with their case (HTTP/2: lower case, `:authority` as `host`).
    pub headers: Fields,
    /// The head's bytes (HTTP/1 only).
    pub head: Vec<u8>,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// The trailer fields.
    pub trailers: Fields,
    /// Which of the upstream's connections it came on, from 0.
    pub connection: usize,
    /// Whether the request came to its end.
    pub is_complete: bool,
}

impl Recorded {
    /// The value of a header field.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// Method and target, `GET /pets?page=2`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in the body `{}`", self.text()))
    }
}
