//! Path and query of a request, in one normal form.
//!
//! A gateway that reads a path differently from the upstream behind it is a hole: `/admin/..%2Fsecret` must not slip past the
//! rules for `/secret`. So every path is brought into one form, which routes are matched on and which upstreams are sent:
//!
//! - Percent-encodings of unreserved characters are decoded, the others written in upper case (RFC 3986 section 6.2.2);
//!   characters that a path may not hold are encoded. `%2F` stays `%2F`: it is data, never a separator.
//! - `.` and `..` segments are resolved (RFC 3986 section 5.2.4), encoded ones too. A path that climbs above the root is
//!   refused, and so is a segment that would turn into a dot segment if `%2F` or `%5C` were decoded behind the gateway, or what
//!   follows a `;` were cut off.
//! - Several slashes in a row become one. A slash at the end is kept, and ignored by route matching.
//! - A broken percent-encoding, `%00` and other control characters are refused.
//!
//! The query is passed on as it came, apart from bytes beyond ASCII, which are percent-encoded.

use std::fmt::{self, Write as _};

use http::uri::PathAndQuery;

/// Path and query of a request. The path is in the normal form that the module describes, the query as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Target(PathAndQuery);

/// Why a target has no normal form: the request is answered 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// `%` without two hexadecimal digits behind it.
    #[error("the path holds a `%` that is not followed by two hexadecimal digits")]
    BrokenEncoding,
    /// `%00` to `%1F`, `%7F`.
    #[error("the path holds an encoded control character")]
    ControlCharacter,
    /// More `..` than segments before them.
    #[error("the path climbs above its root")]
    AboveRoot,
    /// `..%2F`, `..;` and the like.
    #[error("the path hides a dot segment behind an encoded slash or a semicolon")]
    HiddenDotSegment,
    /// Longer than a target can be.
    #[error("the path is too long")]
    TooLong,
    /// Does not start with a slash.
    #[error("the path does not start with `/`")]
    NotAbsolute,
}

impl Target {
    /// Brings a received path and query into normal form. A path that is in it already (nearly all are) is not copied.
    ///
    /// # Errors
    ///
    /// See [`TargetError`].
    pub fn normalize(received: PathAndQuery) -> Result<Self, TargetError> {
        if !received.path().starts_with('/') {
            return Err(TargetError::NotAbsolute);
        }
        let is_normal = is_normal(received.path().as_bytes()) && received.query().is_none_or(str::is_ascii);
        if is_normal {
            return Ok(Self(received));
        }
        let mut text = normalize_path(received.path())?;
        if let Some(query) = received.query() {
            text.push('?');
            push_query(&mut text, query);
        }
        PathAndQuery::try_from(text).map(Self).map_err(|_| TargetError::TooLong)
    }

    /// Makes a target out of a path in normal form and a query, as the gateway builds them for an upstream.
    ///
    /// # Errors
    ///
    /// When the text is no path and query, or too long for one (65,534 bytes).
    pub fn from_text(text: String) -> Result<Self, TargetError> {
        let parsed = PathAndQuery::try_from(text).map_err(|_| TargetError::TooLong)?;
        Self::normalize(parsed)
    }

    /// Makes a target out of pieces that are in normal form already: declared paths, values taken from a normal path, encoded
    /// values.
    ///
    /// # Errors
    ///
    /// When the pieces make no path and query, or one that is too long (65,534 bytes).
    pub fn from_normal(text: String) -> Result<Self, TargetError> {
        PathAndQuery::try_from(text).map(Self).map_err(|_| TargetError::TooLong)
    }

    /// `/`.
    pub fn root() -> Self {
        Self(PathAndQuery::from_static("/"))
    }

    /// The path.
    pub fn path(&self) -> &str {
        self.0.path()
    }

    /// The query, without its `?`.
    pub fn query(&self) -> Option<&str> {
        self.0.query()
    }

    /// Path and query as they go on the wire.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// For the codec.
    pub fn into_path_and_query(self) -> PathAndQuery {
        self.0
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Unreserved characters, RFC 3986 section 2.3: the same encoded and decoded.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What may stand in a path segment unencoded, RFC 3986 section 3.3 (`pchar`).
fn is_segment_character(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@')
}

fn is_normal(path: &[u8]) -> bool {
    let mut previous = 0;
    for &byte in path {
        let is_plain = is_segment_character(byte) || (byte == b'/' && previous != b'/');
        // Whatever could be a dot segment goes the long way; names such as `.well-known` do too, and come out unchanged.
        if !is_plain || (byte == b'.' && previous == b'/') {
            return false;
        }
        previous = byte;
    }
    true
}

fn normalize_path(path: &str) -> Result<String, TargetError> {
    let mut normal = String::with_capacity(path.len() + 16);
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        let start = normal.len();
        normal.push('/');
        push_segment(&mut normal, segment)?;
        match &normal[start + 1..] {
            "" | "." => normal.truncate(start),
            ".." => {
                normal.truncate(start);
                let parent = normal.rfind('/').ok_or(TargetError::AboveRoot)?;
                normal.truncate(parent);
            }
            other if hides_dot_segment(other) => return Err(TargetError::HiddenDotSegment),
            _ => continue,
        }
        if is_last {
            normal.push('/');
        }
    }
    if normal.is_empty() {
        normal.push('/');
    }
    Ok(normal)
}

fn push_segment(normal: &mut String, segment: &str) -> Result<(), TargetError> {
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let value = if byte == b'%' {
            let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16)).ok_or(TargetError::BrokenEncoding);
            (digit()? * 16 + digit()?) as u8
        } else {
            byte
        };
        if value.is_ascii_control() {
            return Err(TargetError::ControlCharacter);
        }
        if is_unreserved(value) || (byte != b'%' && is_segment_character(value)) {
            normal.push(char::from(value));
        } else {
            push_encoded(normal, value);
        }
    }
    Ok(())
}

fn push_encoded(text: &mut String, byte: u8) {
    write!(text, "%{byte:02X}").expect("writing to a String does not fail");
}

/// Whether decoding `%2F` or `%5C` in a normal segment would give a dot segment, or cutting parameters off behind `;` would, as
/// some servers do (`..;x`).
fn hides_dot_segment(segment: &str) -> bool {
    if !segment.contains(['%', ';']) {
        return false;
    }
    let parts = segment.split("%2F").flat_map(|part| part.split("%5C"));
    parts.map(|part| part.split(';').next().unwrap_or_default()).any(|part| part == "." || part == "..")
}

fn push_query(text: &mut String, query: &str) {
    for byte in query.bytes() {
        if byte.is_ascii() {
            text.push(char::from(byte));
        } else {
            push_encoded(text, byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalize(text: &str) -> Result<String, TargetError> {
        let received = PathAndQuery::try_from(text.to_owned()).expect("a target hyper would accept");
        Target::normalize(received).map(|target| target.as_str().to_owned())
    }

    #[test]
    fn paths_have_one_normal_form() {
        let cases = [
            ("/", "/"),
            ("/pets/1", "/pets/1"),
            ("/pets/", "/pets/"),
            ("//pets///1//", "/pets/1/"),
            ("/a/./b/../c", "/a/c"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/..a/b..", "/..a/b.."),
            ("/.well-known/x", "/.well-known/x"),
            ("/%7Euser/%41", "/~user/A"),
            ("/a%2fb", "/a%2Fb"),
            ("/%2e%2E/x/%2e", "above"),
            ("/x/%2e%2E/y", "/y"),
            ("/a+b%20c@d:e;f=g", "/a+b%20c@d:e;f=g"),
            ("/a%2Bb", "/a%2Bb"),
            ("/caf\u{e9}", "/caf%C3%A9"),
            ("/{id}|\"", "/%7Bid%7D%7C%22"),
            ("/a?b=%zz&c=../d//e", "/a?b=%zz&c=../d//e"),
            ("/a?q=\u{e9}", "/a?q=%C3%A9"),
        ];
        for (received, want) in cases {
            let got = normalize(received);
            if want == "above" {
                assert_eq!(got, Err(TargetError::AboveRoot), "{received}");
            } else {
                assert_eq!(got.as_deref(), Ok(want), "{received}");
                assert_eq!(
                    normalize(want).as_deref(),
                    Ok(want),
                    "the normal form of {received} is its own normal form"
                );
            }
        }
    }

    #[test]
    fn paths_that_could_be_read_two_ways_are_refused() {
        let cases = [
            ("/..", TargetError::AboveRoot),
            ("/a/../../b", TargetError::AboveRoot),
            ("/a%", TargetError::BrokenEncoding),
            ("/a%2", TargetError::BrokenEncoding),
            ("/a%+1", TargetError::BrokenEncoding),
            ("/a%zz", TargetError::BrokenEncoding),
            ("/a%00", TargetError::ControlCharacter),
            ("/a%0d%0aX", TargetError::ControlCharacter),
            ("/a/..%2fb", TargetError::HiddenDotSegment),
            ("/a/%2e%2e%5Cb", TargetError::HiddenDotSegment),
            ("/a/b%2F.", TargetError::HiddenDotSegment),
            ("/a/..;/b", TargetError::HiddenDotSegment),
            ("/a/.;x=1/b", TargetError::HiddenDotSegment),
            ("/a/x%2F..;y/b", TargetError::HiddenDotSegment),
        ];
        for (received, want) in cases {
            assert_eq!(normalize(received), Err(want), "{received}");
        }
    }
}
