//! Where requests begin and end among the bytes of an HTTP/1 client.
//!
//! The codec reads ahead: what a client has pipelined would be in its buffer before anybody could look at it, and what it drops from
//! a head (Content-Length beside Transfer-Encoding) nobody would ever see. So the codec is given one request at a time. This is
//! not a second parser: the end of a head is its empty line, the length of a body is what the codec has found, and of chunks
//! only the frame is followed. Whatever looks odd here is handed on as it is, for the codec to refuse, and ends the connection.

use std::mem;

use memchr::memchr_iter;

use crate::downstream::state::ConnectionState;

/// The field that must not stand beside Transfer-Encoding.
const CONTENT_LENGTH: &[u8] = b"content-length";

/// How the end of a request's body is known (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// A number of bytes; 0 is no body.
    Bytes(u64),
    /// Chunks up to an empty one.
    Chunked,
}

/// Follows a client's bytes.
#[derive(Debug)]
pub(super) struct Framing {
    phase: Phase,
    head: Head,
    /// How many requests had begun when the last head was complete.
    begun_seen: u32,
    head_bytes_max: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// A head comes, or is awaited.
    Head,
    /// A head is complete, and the codec has not said yet what follows.
    HeadIsWhole,
    /// So many bytes of a body are missing.
    Bytes(u64),
    /// Chunks.
    Chunked(Chunks),
    /// The request is whole and not answered yet.
    Whole,
    /// Not followed any more: everything is handed on, and the connection ends with the exchange.
    Lost,
}

impl Framing {
    /// Starts before the first byte. Heads longer than `head_bytes_max` are not followed: the codec refuses them.
    pub(super) fn new(head_bytes_max: usize) -> Self {
        Self { phase: Phase::Head, head: Head::default(), begun_seen: 0, head_bytes_max }
    }

    /// Takes note of what the codec and the service have done since. True when the next head is awaited from now on.
    pub(super) fn follow(&mut self, state: &ConnectionState) -> bool {
        if self.phase == Phase::HeadIsWhole {
            let begun = state.begun();
            if begun == self.begun_seen {
                // The codec wants more of a head that ended: it reads it differently.
                self.lose(state);
                return false;
            }
            self.begun_seen = begun;
            self.phase = match state.length() {
                Length::Bytes(0) => Phase::Whole,
                Length::Bytes(bytes) => Phase::Bytes(bytes),
                Length::Chunked => Phase::Chunked(Chunks::default()),
            };
        }
        if self.phase == Phase::Whole && state.is_idle() {
            self.phase = Phase::Head;
            return true;
        }
        false
    }

    /// Whether a head is awaited or has begun.
    pub(super) fn is_at_head(&self) -> bool {
        self.phase == Phase::Head
    }

    /// Whether the request is whole, so that what comes belongs to the next one.
    pub(super) fn is_whole(&self) -> bool {
        self.phase == Phase::Whole
    }

    /// Takes bytes of the request, at least one; how many of them belong to it. Not to be asked when the request is whole.
    pub(super) fn accept(&mut self, bytes: &[u8], state: &ConnectionState) -> usize {
        match &mut self.phase {
            Phase::Head => match self.head.end(bytes) {
                Some(end) => {
                    state.head_is_whole(mem::take(&mut self.head.scan).has_length);
                    self.begun_seen = state.begun();
                    self.phase = Phase::HeadIsWhole;
                    end
                }
                None => {
                    if self.head.partial.len() > self.head_bytes_max {
                        self.lose(state);
                    }
                    bytes.len()
                }
            },
            Phase::Bytes(left) => {
                let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= taken as u64;
                if *left == 0 {
                    self.phase = Phase::Whole;
                }
                taken
            }
            Phase::Chunked(chunks) => match chunks.end(bytes) {
                Ok(Some(end)) => {
                    self.phase = Phase::Whole;
                    end
                }
                Ok(None) => bytes.len(),
                Err(Odd) => {
                    self.lose(state);
                    bytes.len()
                }
            },
            Phase::HeadIsWhole | Phase::Whole | Phase::Lost => bytes.len(),
        }
    }

    fn lose(&mut self, state: &ConnectionState) {
        self.head = Head::default();
        self.phase = Phase::Lost;
        // Nothing is known about the next head: it may have both lengths.
        state.head_is_whole(true);
        state.must_close();
    }
}

/// A head that may come in several pieces.
#[derive(Debug, Default)]
struct Head {
    partial: Vec<u8>,
    scan: Scan,
}

/// How far a head was looked through.
#[derive(Debug, Default)]
struct Scan {
    /// Where the line begins that is not complete yet.
    line: usize,
    /// Up to where no line feed is.
    searched: usize,
    /// Whether there was a line that is not empty: empty ones before a request line are skipped (RFC 9112 section 2.2).
    has_lines: bool,
    /// Whether there is a Content-Length.
    has_length: bool,
}

impl Head {
    /// Where in these bytes the head ends. What came before is kept only when it does not end here.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.partial.is_empty() {
            let end = self.scan.end(bytes);
            if end.is_none() {
                self.partial.extend_from_slice(bytes);
            }
            return end;
        }
        let before = self.partial.len();
        self.partial.extend_from_slice(bytes);
        let end = self.scan.end(&self.partial)?;
        self.partial = Vec::new();
        Some(end - before)
    }
}

impl Scan {
    /// Where a head ends, of which these are all the bytes so far.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        for found in memchr_iter(b'\n', &bytes[self.searched..]) {
            let feed = self.searched + found;
            let line = &bytes[self.line..feed];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            self.line = feed + 1;
            if !line.is_empty() {
                self.has_lines = true;
                self.has_length |= is_content_length(line);
            } else if self.has_lines {
                return Some(feed + 1);
            }
        }
        self.searched = bytes.len();
        None
    }
}

fn is_content_length(line: &[u8]) -> bool {
    line.split_at_checked(CONTENT_LENGTH.len()).is_some_and(|(name, rest)| {
        name.eq_ignore_ascii_case(CONTENT_LENGTH) && matches!(rest.first(), Some(b':' | b' ' | b'\t'))
    })
}

/// The frame of a chunked body (RFC 9112 section 7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Chunks {
    /// Before a chunk's size.
    #[default]
    Start,
    /// In a chunk's size.
    Size(u64),
    /// Behind a chunk's size.
    Extension(u64),
    /// Before the line feed behind a chunk's size.
    SizeFeed(u64),
    /// In a chunk.
    Data(u64),
    /// Behind a chunk.
    DataReturn,
    /// Before the line feed behind a chunk.
    DataFeed,
    /// Before a trailer line, or the end.
    Trailer,
    /// In a trailer line.
    TrailerLine,
    /// Before a trailer line's feed.
    TrailerFeed,
    /// Before the last line feed.
    LastFeed,
}

/// Bytes that cannot be chunks.
struct Odd;

impl Chunks {
    /// Where in these bytes the body ends.
    fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Odd> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            at += 1;
            *self = match (*self, byte) {
                (Self::Data(left), _) => {
                    // `at` is one byte into what is left of the chunk.
                    let rest = usize::try_from(left - 1).map_or(bytes.len() - at, |rest| rest.min(bytes.len() - at));
                    at += rest;
                    match left - 1 - rest as u64 {
                        0 => Self::DataReturn,
                        left => Self::Data(left),
                    }
                }
                (Self::Start, byte) => Self::Size(u64::from(digit(byte).ok_or(Odd)?)),
                (Self::Size(size), b'\r') | (Self::Extension(size), b'\r') => Self::SizeFeed(size),
                (Self::Size(size), b';' | b' ' | b'\t') | (Self::Extension(size), _) => Self::Extension(size),
                (Self::Size(size), byte) => {
                    let digit = digit(byte).ok_or(Odd)?;
                    Self::Size(size.checked_mul(16).ok_or(Odd)? + u64::from(digit))
                }
                (Self::SizeFeed(0), b'\n') => Self::Trailer,
                (Self::SizeFeed(size), b'\n') => Self::Data(size),
                (Self::DataReturn, b'\r') => Self::DataFeed,
                (Self::DataFeed, b'\n') => Self::Start,
                (Self::Trailer, b'\r') => Self::LastFeed,
                (Self::TrailerLine, b'\r') => Self::TrailerFeed,
                // The codec takes it for the end of a line, others for a part of it.
                (Self::Trailer | Self::TrailerLine, b'\n') => return Err(Odd),
                (Self::Trailer | Self::TrailerLine, _) => Self::TrailerLine,
                (Self::TrailerFeed, b'\n') => Self::Trailer,
                (Self::LastFeed, b'\n') => return Ok(Some(at)),
                _ => return Err(Odd),
            };
        }
        Ok(None)
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Feeds bytes in pieces and answers every request at once; what each request was given, and whether its head has a length.
    fn requests(bytes: &[u8], piece: usize, lengths: &[Length]) -> (Vec<Vec<u8>>, Vec<bool>, bool) {
        let state = Arc::new(ConnectionState::default());
        let mut framing = Framing::new(1024);
        let (mut given, mut has_length) = (vec![Vec::new()], Vec::new());
        let mut lengths = lengths.iter();
        for mut rest in bytes.chunks(piece) {
            while !rest.is_empty() {
                framing.follow(&state);
                let taken = framing.accept(rest, &state);
                assert!(taken > 0, "no progress at {:?}", rest.escape_ascii().to_string());
                given.last_mut().expect("a request").extend_from_slice(&rest[..taken]);
                rest = &rest[taken..];
                if framing.phase == Phase::HeadIsWhole {
                    has_length.push(state.head_has_content_length());
                    drop(state.request_begins(*lengths.next().expect("another request")));
                    if framing.follow(&state) {
                        given.push(Vec::new());
                    }
                } else if framing.phase == Phase::Whole {
                    given.push(Vec::new());
                }
            }
        }
        (given, has_length, framing.phase == Phase::Lost)
    }

    #[test]
    fn pipelined_requests_are_taken_apart_wherever_the_pieces_end() {
        let parts: [&[u8]; 5] = [
            b"\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n",
            b"POST /b HTTP/1.1\r\nHost: h\r\nCONTENT-length: 5\r\n\r\nhello",
            b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n0A\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n",
            b"GET /d HTTP/1.1\nHost: h\n\n",
            b"POST /e HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        ];
        let lengths = [Length::Bytes(0), Length::Bytes(5), Length::Chunked, Length::Bytes(0), Length::Chunked];
        let all = parts.concat();
        for piece in [1, 2, 3, 7, 16, 50, all.len()] {
            let (given, has_length, is_lost) = requests(&all, piece, &lengths);
            assert_eq!(given[..5], parts, "pieces of {piece}");
            assert_eq!(has_length, [false, true, false, false, true], "pieces of {piece}");
            assert!(!is_lost);
        }
    }

    #[test]
    fn a_length_is_looked_for_in_the_head_only_and_by_its_whole_name() {
        let cases: [(&[u8], bool); 5] = [
            (b"GET / HTTP/1.1\r\nContent-Length : 1\r\n\r\n", true),
            (b"GET / HTTP/1.1\r\ncontent-length:\r\n\r\n", true),
            (b"GET / HTTP/1.1\r\nContent-Length-Hint: 1\r\n\r\n", false),
            (b"GET /content-length:1 HTTP/1.1\r\nX: content-length: 1\r\n\r\n", false),
            (b"content-length: / HTTP/1.1\r\n\r\n", true),
        ];
        for (head, want) in cases {
            let (_, has_length, _) = requests(head, head.len(), &[Length::Bytes(0)]);
            assert_eq!(has_length, [want], "{}", head.escape_ascii());
        }
    }

    #[test]
    fn what_is_no_chunk_is_handed_on_and_ends_the_connection() {
        let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        for chunks in [
            "zz\r\n",
            "\r\n",
            "3\nabc",
            "3\r\nabcX",
            "3\r\nabc\rX",
            "0\r\nX: 1\rX",
            "11111111111111111\r\n",
            "0\r\n\rX",
            "0\r\n\n",
            "0\r\nX: 1\n\n",
        ] {
            let bytes = [head, chunks.as_bytes()].concat();
            let (given, _, is_lost) = requests(&bytes, bytes.len(), &[Length::Chunked]);
            assert!(is_lost, "{chunks:?}");
            assert_eq!(given.concat(), bytes, "{chunks:?}");
        }
    }

    #[test]
    fn a_head_without_end_is_not_kept() {
        let bytes = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 4096]].concat();
        let (given, _, is_lost) = requests(&bytes, 100, &[]);
        assert!(is_lost);
        assert_eq!(given.concat(), bytes);
    }
}
