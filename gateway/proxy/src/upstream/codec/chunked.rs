//! The chunked transfer coding (RFC 9112 section 7.1): read incrementally, written piece by piece.

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::fields;

/// Most bytes of chunk extensions in one body: nobody uses them, and they are not counted as body.
const EXTENSION_BYTES_MAX: usize = 16 * 1024;
/// Largest trailer section, in bytes.
const TRAILER_BYTES_MAX: usize = 16 * 1024;
/// Most fields of a trailer section.
const TRAILER_FIELDS_MAX: usize = 64;
/// A chunk's size in at most as many digits: 2^60 bytes are enough for everyone.
const SIZE_DIGITS_MAX: u8 = 15;

/// What ends a chunked body without trailers.
pub(in crate::upstream) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Why a chunked body is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::upstream) enum ChunkError {
    #[error("a chunk's size is not a hexadecimal number of at most {SIZE_DIGITS_MAX} digits")]
    Size,
    #[error("a chunk's line is not ended by CR LF")]
    LineEnd,
    #[error("the chunk extensions are larger than {EXTENSION_BYTES_MAX} bytes")]
    Extensions,
    #[error("the trailer section is larger than {TRAILER_BYTES_MAX} bytes")]
    TrailersTooLarge,
    #[error("the trailer section is malformed")]
    Trailers,
}

/// Where a chunked body is.
#[derive(Debug)]
pub(in crate::upstream) struct Chunked {
    state: State,
    extension_bytes: usize,
    trailers: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size { size: u64, digits: u8 },
    Extension { size: u64 },
    SizeLf { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    Trailers,
    Over,
}

/// What could be read.
#[derive(Debug, PartialEq)]
pub(in crate::upstream) enum Decoded {
    /// A piece of the body, not empty.
    Data(Bytes),
    /// The trailer section, not empty; the body is over.
    Trailers(HeaderMap),
    /// The body is over.
    End,
    /// All input is used up.
    More,
}

impl Default for Chunked {
    fn default() -> Self {
        Self { state: State::Size { size: 0, digits: 0 }, extension_bytes: 0, trailers: Vec::new() }
    }
}

impl Chunked {
    /// Reads on; takes what it has read off the front of `input`.
    ///
    /// # Errors
    ///
    /// See [`ChunkError`]: where the body ends cannot be known any more.
    pub(in crate::upstream) fn decode(&mut self, input: &mut Bytes) -> Result<Decoded, ChunkError> {
        loop {
            if let State::Data { left } = self.state
                && !input.is_empty()
            {
                let data = input.split_to(input.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
                let left = left - data.len() as u64;
                self.state = if left == 0 { State::DataCr } else { State::Data { left } };
                return Ok(Decoded::Data(data));
            }
            if self.state == State::Over {
                return Ok(Decoded::End);
            }
            if self.state == State::Trailers {
                return self.read_trailers(input);
            }
            let Some(&byte) = input.first() else { return Ok(Decoded::More) };
            input.advance(1);
            self.state = self.step(byte)?;
        }
    }

    /// One byte outside of data and trailers.
    fn step(&mut self, byte: u8) -> Result<State, ChunkError> {
        Ok(match (self.state, byte) {
            (State::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < SIZE_DIGITS_MAX => {
                let digit = (byte as char).to_digit(16).map_or(0, u64::from);
                State::Size { size: size * 16 + digit, digits: digits + 1 }
            }
            (State::Size { size, digits: 1.. }, b'\r') => State::SizeLf { size },
            // White space before an extension is bad, but read by everyone (RFC 9112 section 7.1.1).
            (State::Size { size, digits: 1.. }, b';' | b' ' | b'\t') => State::Extension { size },
            (State::Size { .. }, _) => return Err(ChunkError::Size),
            (State::Extension { size }, b'\r') => State::SizeLf { size },
            (State::Extension { .. }, b'\n') => return Err(ChunkError::LineEnd),
            (State::Extension { size }, _) => {
                self.extension_bytes += 1;
                if self.extension_bytes > EXTENSION_BYTES_MAX {
                    return Err(ChunkError::Extensions);
                }
                State::Extension { size }
            }
            (State::SizeLf { size: 0 }, b'\n') => State::Trailers,
            (State::SizeLf { size }, b'\n') => State::Data { left: size },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { size: 0, digits: 0 },
            (State::SizeLf { .. } | State::DataCr | State::DataLf, _) => return Err(ChunkError::LineEnd),
            (state @ (State::Data { .. } | State::Trailers | State::Over), _) => state,
        })
    }

    /// Collects the trailer section up to its empty line.
    fn read_trailers(&mut self, input: &mut Bytes) -> Result<Decoded, ChunkError> {
        while let Some(&byte) = input.first() {
            input.advance(1);
            self.trailers.push(byte);
            if self.trailers.len() > TRAILER_BYTES_MAX {
                return Err(ChunkError::TrailersTooLarge);
            }
            if self.trailers == b"\r\n" {
                self.state = State::Over;
                return Ok(Decoded::End);
            }
            if self.trailers.ends_with(b"\r\n\r\n") {
                self.state = State::Over;
                return parse_trailers(&self.trailers).map(Decoded::Trailers);
            }
        }
        Ok(Decoded::More)
    }
}

/// Trailers that say something about framing or the connection, which no trailer may (RFC 9110 section 6.5.1), are left out.
fn parse_trailers(section: &[u8]) -> Result<HeaderMap, ChunkError> {
    let mut lines = [httparse::EMPTY_HEADER; TRAILER_FIELDS_MAX];
    let parsed = httparse::parse_headers(section, &mut lines).map_err(|_| ChunkError::Trailers)?;
    let httparse::Status::Complete((length, lines)) = parsed else { return Err(ChunkError::Trailers) };
    if length != section.len() {
        return Err(ChunkError::Trailers);
    }
    let mut trailers = HeaderMap::with_capacity(lines.len());
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| ChunkError::Trailers)?;
        let value = HeaderValue::from_bytes(line.value).map_err(|_| ChunkError::Trailers)?;
        if fields::is_trailer(&name) {
            trailers.append(name, value);
        }
    }
    Ok(trailers)
}

/// Writes what stands before a chunk of `bytes` bytes; CR LF follows it.
pub(in crate::upstream) fn write_chunk_head(wire: &mut Vec<u8>, bytes: usize) {
    let mut digits = [0; 16];
    let mut at = digits.len();
    let mut left = bytes;
    loop {
        at -= 1;
        digits[at] = b"0123456789abcdef"[left & 15];
        left >>= 4;
        if left == 0 {
            break;
        }
    }
    wire.extend_from_slice(&digits[at..]);
    wire.extend_from_slice(b"\r\n");
}

/// Writes the end of a body that has trailers.
pub(in crate::upstream) fn write_trailers(wire: &mut Vec<u8>, trailers: &HeaderMap) {
    wire.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.iter().filter(|(name, _)| fields::is_trailer(name)) {
        wire.extend_from_slice(name.as_str().as_bytes());
        wire.extend_from_slice(b": ");
        wire.extend_from_slice(value.as_bytes());
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Body, names of trailers, and what is left over.
    type Read = (Vec<u8>, Vec<String>, Vec<u8>);

    /// What is read of a wire that is given in pieces of `step` bytes.
    fn decode(wire: &[u8], step: usize) -> Result<Read, ChunkError> {
        let mut chunked = Chunked::default();
        let (mut body, mut trailers) = (Vec::new(), Vec::new());
        for (number, piece) in wire.chunks(step).enumerate() {
            let mut input = Bytes::copy_from_slice(piece);
            loop {
                match chunked.decode(&mut input)? {
                    Decoded::Data(data) => body.extend_from_slice(&data),
                    Decoded::Trailers(fields) => trailers = fields.keys().map(ToString::to_string).collect(),
                    Decoded::More => break,
                    Decoded::End => {
                        let mut rest = input.to_vec();
                        rest.extend_from_slice(&wire[((number + 1) * step).min(wire.len())..]);
                        return Ok((body, trailers, rest));
                    }
                }
            }
        }
        panic!("not complete: {wire:?}");
    }

    #[test]
    fn chunks_are_read_however_they_are_cut() {
        type Case = (&'static [u8], &'static [u8], &'static [&'static str], &'static [u8]);
        let cases: [Case; 6] = [
            (b"0\r\n\r\n", b"", &[], b""),
            (b"5\r\nhello\r\n0\r\n\r\nHTTP", b"hello", &[], b"HTTP"),
            (b"5\r\nhello\r\nA;x=\"1\"\r\n0123456789\r\n00\r\n\r\n", b"hello0123456789", &[], b""),
            (b"1 \r\na\r\n0\r\nx-sum: 1\r\ncontent-length: 9\r\n\r\n", b"a", &["x-sum"], b""),
            (b"000000000000001\r\na\r\n0\r\n\r\n", b"a", &[], b""),
            (b"1;ext\r\na\r\n0;last\r\n\r\n", b"a", &[], b""),
        ];
        for (wire, body, trailers, rest) in cases {
            for step in 1..=wire.len() {
                let (got, names, left) = decode(wire, step).expect("valid");
                assert_eq!((&*got, &*left), (body, rest), "{wire:?} by {step}");
                assert_eq!(names, trailers, "{wire:?} by {step}");
            }
        }
    }

    #[test]
    fn broken_chunks_are_refused() {
        let long = [b"1;".as_slice(), &b"x".repeat(EXTENSION_BYTES_MAX + 1)].concat();
        let trailers = [b"0\r\n".as_slice(), &b"x: y\r\n".repeat(TRAILER_BYTES_MAX / 6 + 1)].concat();
        let cases: [(&[u8], ChunkError); 14] = [
            (b"\r\n", ChunkError::Size),
            (b"-1\r\n", ChunkError::Size),
            (b"+1\r\n", ChunkError::Size),
            (b" 1\r\n", ChunkError::Size),
            (b"0x1\r\n", ChunkError::Size),
            (b"g\r\n", ChunkError::Size),
            (b"0000000000000001\r\na", ChunkError::Size),
            (b"1\na\r\n", ChunkError::Size),
            (b"1\ra\r\n", ChunkError::LineEnd),
            (b"1;x\na", ChunkError::LineEnd),
            (b"1\r\nab\r\n", ChunkError::LineEnd),
            (b"0\r\nno colon\r\n\r\n", ChunkError::Trailers),
            (&long, ChunkError::Extensions),
            (&trailers, ChunkError::TrailersTooLarge),
        ];
        for (wire, want) in cases {
            for step in [1, 2, wire.len()] {
                assert_eq!(decode(wire, step), Err(want), "{:?}", String::from_utf8_lossy(&wire[..wire.len().min(40)]));
            }
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        for size in [1, 9, 10, 15, 16, 255, 256, 65_536] {
            let mut wire = Vec::new();
            write_chunk_head(&mut wire, size);
            assert_eq!(wire, format!("{size:x}\r\n").as_bytes());
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        trailers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
        let mut wire = Vec::new();
        write_trailers(&mut wire, &trailers);
        assert_eq!(wire, b"0\r\ngrpc-status: 0\r\n\r\n");
        assert_eq!(decode(&wire, 3).expect("valid").1, ["grpc-status"]);
    }
}
