//! HTTP/1.1 read back byte by byte (RFC 9112), for clients and upstreams alike.
//!
//! This is not a second HTTP stack to check the first one by: it reads what is well formed and fails on the rest, keeping
//! heads, case, order and chunk boundaries as they came.

use std::io::{self, ErrorKind, Read, Write};

use crate::fields::Fields;

/// Longest head or line that is read, in bytes: more than any test sends on purpose.
const HEAD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes asked of the socket at once.
const READ_BYTES: usize = 64 * 1024;

/// What messages travel on: TCP, or TLS over it.
pub trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// A connection with the bytes that were read but not used yet.
pub struct Wire {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Wire {
    /// Starts on a fresh connection.
    pub fn new(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), buffer: vec![0; READ_BYTES], start: 0, end: 0 }
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    ///
    /// Whatever the socket says.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())?;
        self.stream.flush()
    }

    /// Reads a head including its empty line, or `None` when the peer closed before the first byte.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the peer closed in the middle, `TimedOut`, `InvalidData` when the head has no end.
    pub fn head(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut head = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() && head.is_empty() {
                return Ok(None);
            }
            if !line.ends_with(b"\n") {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "the head was cut off"));
            }
            head.extend_from_slice(&line);
            if line == b"\r\n" || line == b"\n" {
                return Ok(Some(head));
            }
            if head.len() > HEAD_BYTES_MAX {
                return Err(io::Error::new(ErrorKind::InvalidData, "the head has no end"));
            }
        }
    }

    /// Reads to the next line feed, included; less only at the end of the connection.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            if self.start == self.end && !self.fill()? {
                return Ok(line);
            }
            let unread = &self.buffer[self.start..self.end];
            let found = unread.iter().position(|byte| *byte == b'\n');
            let taken = found.map_or(unread.len(), |position| position + 1);
            line.extend_from_slice(&unread[..taken]);
            self.start += taken;
            if found.is_some() {
                return Ok(line);
            }
            if line.len() > HEAD_BYTES_MAX {
                return Err(io::Error::new(ErrorKind::InvalidData, "a line has no end"));
            }
        }
    }

    /// Hands out bytes as they come, at most `bytes_max`; empty at the end of the connection.
    ///
    /// # Errors
    ///
    /// `TimedOut`, or whatever the socket says.
    pub fn some(&mut self, bytes_max: u64) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.fill()?;
        }
        let available = self.end - self.start;
        let taken = usize::try_from(bytes_max).map_or(available, |max| max.min(available));
        let piece = &self.buffer[self.start..self.start + taken];
        self.start += taken;
        Ok(piece)
    }

    /// Reads until the peer closes.
    ///
    /// # Errors
    ///
    /// `TimedOut`, or whatever the socket says.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let piece = self.some(u64::MAX)?;
            if piece.is_empty() {
                return Ok(all);
            }
            all.extend_from_slice(piece);
        }
    }

    /// Reads a whole body.
    ///
    /// # Errors
    ///
    /// As [`BodyReader::next`].
    pub fn body(&mut self, framing: Framing) -> io::Result<(Vec<u8>, Fields)> {
        let mut reader = BodyReader::new(framing);
        let mut body = Vec::new();
        while let Some(piece) = reader.next(self)? {
            body.extend_from_slice(piece);
        }
        Ok((body, reader.trailers))
    }

    /// Reads once more from the socket. False at its end.
    fn fill(&mut self) -> io::Result<bool> {
        let read = loop {
            match self.stream.read(&mut self.buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(io::Error::new(ErrorKind::TimedOut, "the peer sent nothing in time"));
                }
                other => break other?,
            }
        };
        (self.start, self.end) = (0, read);
        Ok(read > 0)
    }
}

/// How a body's end is known (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    Empty,
    /// A number of bytes.
    Length(u64),
    /// Chunks up to an empty one.
    Chunked,
    /// Everything up to the end of the connection.
    UntilClose,
}

impl Framing {
    /// The framing that a message's fields state, or `otherwise` when they state none.
    ///
    /// # Errors
    ///
    /// `InvalidData` for a length that is no number.
    pub fn of(fields: &Fields, otherwise: Self) -> io::Result<Self> {
        if fields.all("transfer-encoding").last().is_some_and(|coding| coding.to_ascii_lowercase().ends_with("chunked"))
        {
            return Ok(Self::Chunked);
        }
        let Some(length) = fields.all("content-length").first().copied() else { return Ok(otherwise) };
        let length =
            length.parse().map_err(|_| io::Error::new(ErrorKind::InvalidData, format!("content-length `{length}`")))?;
        Ok(Self::Length(length))
    }
}

/// Reads one body, piece by piece.
#[derive(Debug)]
pub struct BodyReader {
    state: State,
    /// The trailer section, once the body has ended.
    pub trailers: Fields,
}

#[derive(Debug)]
enum State {
    Length(u64),
    ChunkHead,
    Chunk(u64),
    UntilClose,
    Done,
}

impl BodyReader {
    /// Starts on a body.
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Empty | Framing::Length(0) => State::Done,
            Framing::Length(bytes) => State::Length(bytes),
            Framing::Chunked => State::ChunkHead,
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, trailers: Fields::default() }
    }

    /// The next bytes as soon as there are any, never beyond the end of a chunk; `None` after the end.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the peer closed too early, `InvalidData` for bad chunks, `TimedOut`.
    pub fn next<'wire>(&mut self, wire: &'wire mut Wire) -> io::Result<Option<&'wire [u8]>> {
        if matches!(self.state, State::ChunkHead) {
            self.chunk_head(wire)?;
        }
        let left = match self.state {
            State::Length(left) | State::Chunk(left) => left,
            State::UntilClose => u64::MAX,
            State::Done | State::ChunkHead => return Ok(None),
        };
        // Ends are looked for before the piece is lent out: a chunk's CRLF is read at the start of the next call.
        let piece = wire.some(left)?;
        let left = left - piece.len() as u64;
        match self.state {
            State::UntilClose if piece.is_empty() => self.state = State::Done,
            State::UntilClose => {}
            _ if piece.is_empty() => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the body was cut off")),
            State::Length(_) => self.state = if left == 0 { State::Done } else { State::Length(left) },
            _ => self.state = if left == 0 { State::ChunkHead } else { State::Chunk(left) },
        }
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }

    fn chunk_head(&mut self, wire: &mut Wire) -> io::Result<()> {
        let mut line = wire.line()?;
        if line == b"\r\n" {
            line = wire.line()?;
        }
        if line.is_empty() {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "the chunked body was cut off"));
        }
        let text = String::from_utf8_lossy(&line);
        let digits = text.split(';').next().unwrap_or_default().trim();
        let bytes = u64::from_str_radix(digits, 16)
            .map_err(|_| io::Error::new(ErrorKind::InvalidData, format!("chunk size `{}`", text.escape_debug())))?;
        if bytes > 0 {
            self.state = State::Chunk(bytes);
            return Ok(());
        }
        let mut trailers = Vec::new();
        loop {
            let line = wire.line()?;
            if line.is_empty() {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "the trailer section was cut off"));
            }
            if line == b"\r\n" || line == b"\n" {
                break;
            }
            trailers.extend_from_slice(&line);
        }
        self.trailers = Fields::parse(&trailers);
        self.state = State::Done;
        Ok(())
    }
}

/// Writes a chunk (RFC 9112 section 7.1).
pub fn chunk(data: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// The first line and the fields of a head.
pub fn split_head(head: &[u8]) -> (String, Fields) {
    let end = head.iter().position(|byte| *byte == b'\n').map_or(head.len(), |position| position + 1);
    let first = String::from_utf8_lossy(&head[..end]).trim_end().to_owned();
    (first, Fields::parse(&head[end..]))
}
