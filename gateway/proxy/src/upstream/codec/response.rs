//! An answer's head, and how its body is delimited (RFC 9112 sections 4, 5 and 6).

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use memchr::memchr_iter;

use crate::fields;

/// Largest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 128 * 1024;

/// Most fields of an answer. Servers send a dozen; whoever needs more than this is broken or hostile.
const FIELDS_MAX: usize = 256;

/// An answer's head. Fields that belong to the connection are not in it, except `Upgrade` of a 101.
#[derive(Debug)]
pub(in crate::upstream) struct Head {
    pub(in crate::upstream) status: StatusCode,
    pub(in crate::upstream) fields: HeaderMap,
    pub(in crate::upstream) body: AnswerBody,
    /// Whether the upstream will take another request on this connection.
    pub(in crate::upstream) is_persistent: bool,
}

/// How an answer's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upstream) enum AnswerBody {
    /// There is none, whatever the fields say.
    None,
    /// That many bytes, at least one.
    Length(u64),
    /// Chunks.
    Chunked,
    /// All until the connection ends.
    UntilClose,
}

/// Why an answer's head is not taken: the client gets 502.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::upstream) enum HeadError {
    #[error("its head is not HTTP/1: {0}")]
    Syntax(httparse::Error),
    #[error("its head is larger than {HEAD_BYTES_MAX} bytes")]
    TooLarge,
    #[error("its head has a field value that holds control characters")]
    FieldValue,
    #[error("its status code is not between 100 and 999")]
    Status,
    #[error("its Content-Length is not one decimal number")]
    ContentLength,
    #[error("it has both Content-Length and Transfer-Encoding")]
    TwoLengths,
    #[error("its Transfer-Encoding is not `chunked`")]
    TransferEncoding,
}

/// Finds the end of a head in what has arrived so far, looking at every byte once.
#[derive(Debug, Default)]
pub(in crate::upstream) struct HeadReader {
    /// Up to here no head ends.
    searched: usize,
}

impl HeadReader {
    /// Reads a head from the start of what has arrived. Gives it and its length in bytes, or `None` while it is not complete.
    ///
    /// # Errors
    ///
    /// See [`HeadError`]: the connection is of no more use.
    pub(in crate::upstream) fn read(
        &mut self,
        received: &[u8],
        answers_head: bool,
    ) -> Result<Option<(Head, usize)>, HeadError> {
        let Some(end) = self.end(received) else {
            return if received.len() > HEAD_BYTES_MAX { Err(HeadError::TooLarge) } else { Ok(None) };
        };
        self.searched = 0;
        if end > HEAD_BYTES_MAX {
            return Err(HeadError::TooLarge);
        }
        parse(&received[..end], answers_head).map(|head| Some((head, end)))
    }

    /// Where the empty line ends. A lone LF ends a line too (RFC 9112 section 2.2): some servers write nothing else, and what
    /// clients get is written anew.
    fn end(&mut self, received: &[u8]) -> Option<usize> {
        for at in memchr_iter(b'\n', received.get(self.searched..)?) {
            let at = self.searched + at;
            let line = &received[..at];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() || line.ends_with(b"\n") {
                return Some(at + 1);
            }
        }
        self.searched = received.len();
        None
    }
}

fn parse(head: &[u8], answers_head: bool) -> Result<Head, HeadError> {
    // One allocation that all values are slices of.
    let head = Bytes::copy_from_slice(head);
    let mut lines = [const { std::mem::MaybeUninit::uninit() }; FIELDS_MAX];
    let mut answer = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut answer, &head, &mut lines)
        .map_err(HeadError::Syntax)?;
    // The end was found by other means: both must agree.
    let (httparse::Status::Complete(length), Some(version), Some(code)) = (parsed, answer.version, answer.code) else {
        return Err(HeadError::Syntax(httparse::Error::NewLine));
    };
    if length != head.len() {
        return Err(HeadError::Syntax(httparse::Error::NewLine));
    }
    let status = StatusCode::from_u16(code).map_err(|_| HeadError::Status)?;
    let mut fields = HeaderMap::with_capacity(answer.headers.len());
    let mut framing = Framing { is_persistent: version == 1, ..Framing::default() };
    for line in answer.headers.iter() {
        let name =
            HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| HeadError::Syntax(httparse::Error::HeaderName))?;
        let value = HeaderValue::from_maybe_shared(head.slice_ref(line.value)).map_err(|_| HeadError::FieldValue)?;
        if framing.takes(&name, &value)? || fields::is_of_connection(&name) {
            if name == UPGRADE && status == StatusCode::SWITCHING_PROTOCOLS {
                fields.append(name, value);
            }
            continue;
        }
        fields.append(name, value);
    }
    for name in framing.named {
        fields.remove(name);
    }
    let has_no_body = answers_head
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let body = match (framing.length, framing.is_chunked) {
        (Some(_), true) => return Err(HeadError::TwoLengths),
        // RFC 9112 section 6.1: an HTTP/1.0 sender cannot mean it.
        (None, true) if version == 0 => return Err(HeadError::TransferEncoding),
        _ if has_no_body => AnswerBody::None,
        (Some(0), false) => AnswerBody::None,
        (Some(length), false) => AnswerBody::Length(length),
        (None, true) => AnswerBody::Chunked,
        (None, false) => AnswerBody::UntilClose,
    };
    let is_persistent = framing.is_persistent && body != AnswerBody::UntilClose;
    Ok(Head { status, fields, body, is_persistent })
}

/// What the fields say about the connection and the body.
#[derive(Default)]
struct Framing {
    length: Option<u64>,
    is_chunked: bool,
    is_persistent: bool,
    named: Vec<HeaderName>,
}

impl Framing {
    /// Reads a field if it is one of those; says whether it was one that is not passed on.
    fn takes(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<bool, HeadError> {
        if *name == CONTENT_LENGTH {
            let length = content_length(value.as_bytes()).ok_or(HeadError::ContentLength)?;
            // Said twice alike is harmless (RFC 9112 section 6.3); said in two ways it is an attack.
            if self.length.replace(length).is_some_and(|before| before != length) {
                return Err(HeadError::ContentLength);
            }
            return Ok(false);
        }
        if *name == TRANSFER_ENCODING {
            // Other codings would have to be undone here; nobody sends them.
            if self.is_chunked || !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
                return Err(HeadError::TransferEncoding);
            }
            self.is_chunked = true;
            return Ok(true);
        }
        if *name == CONNECTION {
            for token in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                if token.eq_ignore_ascii_case(b"close") {
                    self.is_persistent = false;
                } else if token.eq_ignore_ascii_case(b"keep-alive") {
                    self.is_persistent = true;
                } else if let Ok(named) = HeaderName::from_bytes(token)
                    && fields::is_nameable(&named)
                {
                    self.named.push(named);
                }
            }
            return Ok(true);
        }
        Ok(false)
    }
}

/// Digits only (RFC 9110 section 8.6): no sign, no list, nothing that does not fit.
fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = std::str::from_utf8(value).ok()?;
    digits.parse().ok().filter(|length| *length <= i64::MAX as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> Result<Option<(Head, usize)>, HeadError> {
        HeadReader::default().read(head.as_bytes(), false)
    }

    #[test]
    fn the_body_is_delimited_as_the_head_says() {
        type Want = Result<(AnswerBody, bool), HeadError>;
        let cases: [(&str, Want); 22] = [
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", Ok((AnswerBody::Length(5), true))),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Ok((AnswerBody::None, true))),
            ("HTTP/1.1 200\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n", Ok((AnswerBody::Length(5), true))),
            ("HTTP/1.1 200 \r\ntransfer-encoding: Chunked\r\n\r\n", Ok((AnswerBody::Chunked, true))),
            ("HTTP/1.1 200 OK\r\n\r\n", Ok((AnswerBody::UntilClose, false))),
            ("HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", Ok((AnswerBody::None, true))),
            ("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", Ok((AnswerBody::None, true))),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: x, Close\r\n\r\n",
                Ok((AnswerBody::Length(5), false)),
            ),
            ("HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\n", Ok((AnswerBody::Length(5), false))),
            (
                "HTTP/1.0 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\n",
                Ok((AnswerBody::Length(5), true)),
            ),
            ("HTTP/1.1 200 OK\ncontent-length: 5\n\n", Ok((AnswerBody::Length(5), true))),
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n", Err(HeadError::TwoLengths)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n", Err(HeadError::ContentLength)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\n", Err(HeadError::ContentLength)),
            ("HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\n", Err(HeadError::ContentLength)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n", Err(HeadError::ContentLength)),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n", Err(HeadError::TransferEncoding)),
            ("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", Err(HeadError::TransferEncoding)),
            ("HTTP/1.1 099 ?\r\n\r\n", Err(HeadError::Status)),
            ("HTTP/2.0 200 OK\r\n\r\n", Err(HeadError::Syntax(httparse::Error::Version))),
            ("HTTP/1.1 200 OK\r\na : b\r\n\r\n", Err(HeadError::Syntax(httparse::Error::HeaderName))),
            ("HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n", Err(HeadError::Syntax(httparse::Error::HeaderName))),
        ];
        for (text, want) in cases {
            let got = read(text).map(|read| {
                let (head, length) = read.expect("complete");
                assert_eq!(length, text.len(), "{text:?}");
                (head.body, head.is_persistent)
            });
            assert_eq!(got, want, "{text:?}");
        }
        let asked_head = HeadReader::default().read(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", true);
        assert_eq!(asked_head.expect("valid").expect("complete").0.body, AnswerBody::None);
    }

    #[test]
    fn a_head_may_come_byte_by_byte_and_ends_before_the_body() {
        let wire = b"HTTP/1.1 200 OK\r\nx: 1\r\ncontent-length: 2\r\n\r\nok";
        let mut reader = HeadReader::default();
        let whole = wire.len() - 2;
        for end in 0..whole {
            assert!(reader.read(&wire[..end], false).expect("valid so far").is_none(), "{end}");
        }
        let (head, length) = reader.read(wire, false).expect("valid").expect("complete");
        assert_eq!((length, head.fields.get("x")), (whole, Some(&HeaderValue::from_static("1"))));
    }

    #[test]
    fn fields_of_the_connection_are_left_out() {
        let text = "HTTP/1.1 200 OK\r\nconnection: x-mine, keep-alive, content-type\r\nx-mine: 1\r\nkeep-alive: 5\r\n\
                    upgrade: h2c\r\ncontent-type: a/b\r\ncontent-length: 1\r\nset-cookie: a\r\nset-cookie: b\r\n\r\n";
        let (head, _) = read(text).expect("valid").expect("complete");
        let mut names: Vec<&str> = head.fields.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-length", "set-cookie", "set-cookie"]);
    }

    #[test]
    fn a_head_has_bounds() {
        let long = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(HEAD_BYTES_MAX));
        assert_eq!(read(&long).err(), Some(HeadError::TooLarge));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(FIELDS_MAX + 1));
        assert_eq!(read(&many).err(), Some(HeadError::Syntax(httparse::Error::TooManyHeaders)));
    }
}
