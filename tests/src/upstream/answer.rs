//! What an upstream answers.

use std::time::Duration;

use serde_json::Value;

use crate::wire::chunk;

/// A response to send.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
    pub(super) trailers: Vec<(String, String)>,
    /// What is sent behind it unasked, and how long after it.
    pub(super) late: Option<(Duration, Vec<u8>)>,
    /// How long it is held back.
    pub(super) after: Duration,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    /// None, and no word about its length: 204, 304.
    Nothing,
    /// With `Content-Length`.
    Sized(Vec<u8>),
    /// In chunks.
    Chunked(Vec<Vec<u8>>),
    /// Ended by closing.
    UntilClose(Vec<u8>),
    /// The whole response, head included, as bytes.
    Raw(Vec<u8>),
}

impl Answer {
    /// 200 with a text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(200, Body::Sized(text.into().into_bytes())).header("content-type", "text/plain")
    }

    /// 200 with JSON.
    pub fn json(value: &Value) -> Self {
        Self::new(200, Body::Sized(value.to_string().into_bytes())).header("content-type", "application/json")
    }

    /// 200 with bytes.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(200, Body::Sized(bytes.into()))
    }

    /// 200 in chunks, each its own on the wire.
    pub fn chunked<const N: usize>(chunks: [&str; N]) -> Self {
        Self::new(200, Body::Chunked(chunks.iter().map(|chunk| chunk.as_bytes().to_vec()).collect()))
    }

    /// 200 in pieces of bytes, each a chunk on the wire.
    pub fn pieces(pieces: Vec<Vec<u8>>) -> Self {
        Self::new(200, Body::Chunked(pieces))
    }

    /// 200 whose body, of bytes, ends with the connection.
    pub fn bytes_until_close(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(200, Body::UntilClose(bytes.into()))
    }

    /// 200 whose body ends with the connection.
    pub fn until_close(text: &str) -> Self {
        Self::new(200, Body::UntilClose(text.as_bytes().to_vec()))
    }

    /// A status without body or length.
    pub fn empty(status: u16) -> Self {
        Self::new(status, Body::Nothing)
    }

    /// A response as bytes, head included. The connection stays open.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(0, Body::Raw(bytes.into()))
    }

    fn new(status: u16, body: Body) -> Self {
        Self { status, headers: Vec::new(), body, trailers: Vec::new(), late: None, after: Duration::ZERO }
    }

    /// The same with another status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same with a field more.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with a trailer field more (chunked and HTTP/2 only).
    #[must_use]
    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same, and bytes that follow it after a pause, whatever the peer does in between (HTTP/1 only).
    #[must_use]
    pub fn then(mut self, pause: Duration, bytes: impl Into<Vec<u8>>) -> Self {
        self.late = Some((pause, bytes.into()));
        self
    }

    /// The same, but only after a while.
    #[must_use]
    pub fn after(mut self, pause: Duration) -> Self {
        self.after = pause;
        self
    }

    /// Waits for as long as the answer is held back.
    pub(super) fn pause(&self) {
        if !self.after.is_zero() {
            std::thread::sleep(self.after);
        }
    }

    /// Whether the connection must close behind it.
    pub(super) fn closes(&self) -> bool {
        let says_close = |(name, value): &(String, String)| name.eq_ignore_ascii_case("connection") && value == "close";
        matches!(self.body, Body::UntilClose(_)) || self.headers.iter().any(says_close)
    }

    /// The response on the wire, to a request with a method.
    pub(super) fn to_bytes(&self, method: &str) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut body = Vec::new();
        match &self.body {
            Body::Raw(bytes) => return bytes.clone(),
            Body::Nothing => {}
            Body::Sized(bytes) => {
                head.push_str(&format!("Content-Length: {}\r\n", bytes.len()));
                body.extend_from_slice(bytes);
            }
            Body::UntilClose(bytes) => body.extend_from_slice(bytes),
            Body::Chunked(chunks) => {
                head.push_str("Transfer-Encoding: chunked\r\n");
                chunks.iter().for_each(|data| body.extend(chunk(data)));
                body.extend_from_slice(b"0\r\n");
                for (name, value) in &self.trailers {
                    body.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
                }
                body.extend_from_slice(b"\r\n");
            }
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        if method != "HEAD" {
            bytes.append(&mut body);
        }
        bytes
    }

    /// The body without framing.
    pub(super) fn body_bytes(&self) -> Vec<u8> {
        match &self.body {
            Body::Nothing | Body::Raw(_) => Vec::new(),
            Body::Sized(bytes) | Body::UntilClose(bytes) => bytes.clone(),
            Body::Chunked(chunks) => chunks.concat(),
        }
    }
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Whatever")
}
