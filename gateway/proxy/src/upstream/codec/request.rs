//! A request's head on the wire (RFC 9112 section 3).

use http::header::{CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method};
use moongate_exchange::Headers;

/// How a request's body is delimited. Decided by what the body is, never by what a field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upstream) enum RequestBody {
    /// No body. Methods whose requests usually have one say `Content-Length: 0` (RFC 9110 section 8.6).
    None,
    /// That many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// Writes the request line and the fields; `target` is in normal form. `Host` comes first (RFC 9110 section 7.2); lengths that stand in `fields` are left out.
pub(in crate::upstream) fn write_head(
    wire: &mut Vec<u8>,
    method: &Method,
    target: &str,
    fields: &Headers,
    body: RequestBody,
) {
    wire.extend_from_slice(method.as_str().as_bytes());
    wire.push(b' ');
    wire.extend_from_slice(target.as_bytes());
    wire.extend_from_slice(b" HTTP/1.1\r\n");
    if let Some(host) = fields.get(HOST) {
        write_field(wire, b"host", host);
    }
    for (name, value) in fields.iter() {
        if !is_framing(name) {
            write_field(wire, name.as_str().as_bytes(), value);
        }
    }
    match body {
        RequestBody::None if matches!(*method, Method::POST | Method::PUT | Method::PATCH) => {
            wire.extend_from_slice(b"content-length: 0\r\n");
        }
        RequestBody::None => {}
        RequestBody::Length(bytes) => {
            let mut digits = itoa::Buffer::new();
            wire.extend_from_slice(b"content-length: ");
            wire.extend_from_slice(digits.format(bytes).as_bytes());
            wire.extend_from_slice(b"\r\n");
        }
        RequestBody::Chunked => wire.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    wire.extend_from_slice(b"\r\n");
}

/// Fields that are written here or not at all: trailers are taken whether they were asked for or not.
fn is_framing(name: &HeaderName) -> bool {
    *name == HOST || *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING || *name == TE
}

/// `HeaderValue` holds no CR, LF or NUL: a value cannot end its line.
fn write_field(wire: &mut Vec<u8>, name: &[u8], value: &HeaderValue) {
    wire.reserve(name.len() + value.len() + 4);
    wire.extend_from_slice(name);
    wire.extend_from_slice(b": ");
    wire.extend_from_slice(value.as_bytes());
    wire.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_framed_by_its_body_alone() {
        let mut fields = Headers::new();
        fields.set("accept", HeaderValue::from_static("*/*"));
        fields.set("content-length", HeaderValue::from_static("77"));
        fields.set("transfer-encoding", HeaderValue::from_static("gzip"));
        fields.append("x-two", HeaderValue::from_static("1"));
        fields.append("x-two", HeaderValue::from_static("2"));
        fields.set("host", HeaderValue::from_static("up.example:81"));
        let head = "host: up.example:81\r\naccept: */*\r\nx-two: 1\r\nx-two: 2\r\n";
        let cases = [
            (Method::GET, RequestBody::None, ""),
            (Method::DELETE, RequestBody::None, ""),
            (Method::POST, RequestBody::None, "content-length: 0\r\n"),
            (Method::POST, RequestBody::Length(12), "content-length: 12\r\n"),
            (Method::PUT, RequestBody::Chunked, "transfer-encoding: chunked\r\n"),
        ];
        for (method, body, framing) in cases {
            let mut wire = Vec::new();
            write_head(&mut wire, &method, "/a?b=c", &fields, body);
            let want = format!("{method} /a?b=c HTTP/1.1\r\n{head}{framing}\r\n");
            assert_eq!(String::from_utf8_lossy(&wire), want);
        }
    }
}
