//! An HTTP/2 connection of which the test sends the bytes.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::hpack::Decoder;
use super::{Frame, PREFACE, flag, kind, ping, settings, settings_ack};
use crate::client::Response;
use crate::wait::SOON;

/// What answers the question whether the peer is still there.
const ALIVE: [u8; 8] = *b"alive???";

/// A connection, and everything that came on it.
pub struct FrameConnection {
    socket: TcpStream,
    unread: Vec<u8>,
    decoder: Decoder,
    /// A field block that is not complete yet: its stream, whether it ends the stream, its bytes.
    block: Option<(u32, bool, Vec<u8>)>,
    responses: BTreeMap<u32, (Response, bool)>,
    frames: Vec<Frame>,
    is_closed: bool,
}

/// The next thing that is heard from the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A frame.
    Frame(Frame),
    /// The end of the connection.
    Closed,
    /// Nothing for as long as one was ready to wait.
    Nothing,
}

impl FrameConnection {
    /// Connects, and sends nothing.
    ///
    /// # Panics
    ///
    /// When nobody listens.
    #[track_caller]
    pub fn silent(address: SocketAddr) -> Self {
        let socket = TcpStream::connect_timeout(&address, SOON)
            .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        socket
            .set_nodelay(true)
            .and_then(|()| socket.set_write_timeout(Some(SOON)))
            .expect("options of a fresh socket");
        Self {
            socket,
            unread: Vec::new(),
            decoder: Decoder::new(),
            block: None,
            responses: BTreeMap::new(),
            frames: Vec::new(),
            is_closed: false,
        }
    }

    /// Connects and exchanges settings.
    ///
    /// # Panics
    ///
    /// When nobody listens, or nobody speaks HTTP/2.
    #[track_caller]
    pub fn open(address: SocketAddr) -> Self {
        Self::open_with(address, &[])
    }

    /// Connects and exchanges settings, with some of our own.
    ///
    /// # Panics
    ///
    /// As [`FrameConnection::open`].
    #[track_caller]
    pub fn open_with(address: SocketAddr, values: &[(u16, u32)]) -> Self {
        let mut connection = Self::silent(address);
        connection
            .send(PREFACE)
            .and_then(|()| connection.send(settings(values)))
            .expect("a fresh connection takes bytes");
        let (mut is_greeted, mut is_acknowledged) = (false, false);
        let until = Instant::now() + SOON;
        while !(is_greeted && is_acknowledged) {
            match connection.hear(until) {
                Heard::Frame(frame) if frame.kind == kind::SETTINGS => match frame.has(flag::ACK) {
                    true => is_acknowledged = true,
                    false => is_greeted = true,
                },
                Heard::Frame(_) => {}
                other => panic!("no settings were exchanged: {other:?}"),
            }
        }
        connection.send(settings_ack()).expect("a connection that was greeted takes bytes");
        connection
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    ///
    /// When the peer has gone or does not read.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.socket.write_all(bytes.as_ref())
    }

    /// The next frame, waited for until an instant.
    pub fn hear(&mut self, until: Instant) -> Heard {
        loop {
            if let Some(frame) = self.take_frame() {
                self.note(&frame);
                self.frames.push(frame.clone());
                return Heard::Frame(frame);
            }
            if self.is_closed {
                return Heard::Closed;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Heard::Nothing;
            }
            let mut buffer = [0; 16 * 1024];
            let read = self.socket.set_read_timeout(Some(left)).and_then(|()| self.socket.read(&mut buffer));
            match read {
                Ok(0) => self.is_closed = true,
                Ok(length) => self.unread.extend_from_slice(&buffer[..length]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.is_closed = true,
            }
        }
    }

    /// Hears frames until one is looked for, the connection ends, or the time is up; whether it came.
    pub fn hear_until(&mut self, patience: Duration, is_it: impl Fn(&Frame) -> bool) -> bool {
        let until = Instant::now() + patience;
        loop {
            match self.hear(until) {
                Heard::Frame(frame) if is_it(&frame) => return true,
                Heard::Frame(_) => {}
                Heard::Closed | Heard::Nothing => return false,
            }
        }
    }

    /// Hears frames until a stream's response is complete.
    pub fn response(&mut self, stream: u32, patience: Duration) -> Option<Response> {
        let until = Instant::now() + patience;
        loop {
            if let Some((response, true)) = self.responses.get(&stream) {
                return Some(response.clone());
            }
            match self.hear(until) {
                Heard::Frame(_) => {}
                Heard::Closed | Heard::Nothing => return None,
            }
        }
    }

    /// What is known of a stream's response so far, and whether that is all of it.
    pub fn response_so_far(&self, stream: u32) -> Option<(&Response, bool)> {
        self.responses.get(&stream).map(|(response, is_whole)| (response, *is_whole))
    }

    /// Whether the peer answers a PING.
    pub fn is_alive(&mut self, patience: Duration) -> bool {
        self.send(ping(ALIVE)).is_ok()
            && self.hear_until(patience, |frame| {
                frame.kind == kind::PING && frame.has(flag::ACK) && frame.payload == ALIVE
            })
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// All frames so far.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// The socket, for what else a test wants to do to it.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    fn take_frame(&mut self) -> Option<Frame> {
        let head = self.unread.get(..9)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap_or_default());
        let payload = self.unread.get(9..9 + length)?.to_vec();
        self.unread.drain(..9 + length);
        Some(Frame { kind, flags, stream, payload })
    }

    /// Puts responses together.
    fn note(&mut self, frame: &Frame) {
        match frame.kind {
            kind::HEADERS => self.block = Some((frame.stream, frame.has(flag::END_STREAM), frame.payload.clone())),
            kind::CONTINUATION => {
                if let Some((_, _, block)) = &mut self.block {
                    block.extend_from_slice(&frame.payload);
                }
            }
            kind::DATA => {
                let (response, is_whole) = self.responses.entry(frame.stream).or_default();
                response.body.extend_from_slice(&frame.payload);
                *is_whole |= frame.has(flag::END_STREAM);
                return;
            }
            _ => return,
        }
        if !frame.has(flag::END_HEADERS) {
            return;
        }
        let Some((stream, is_last, block)) = self.block.take() else { return };
        let fields = self.decoder.block(&block).unwrap_or_else(|reason| panic!("the peer's field block: {reason}"));
        let (response, is_whole) = self.responses.entry(stream).or_default();
        let is_trailers = response.status >= 200;
        for (name, value) in fields {
            let (name, value) =
                (String::from_utf8_lossy(&name).into_owned(), String::from_utf8_lossy(&value).into_owned());
            match name.as_str() {
                ":status" => response.status = value.parse().unwrap_or_default(),
                _ if is_trailers => response.trailers.push(name, value),
                _ => response.headers.push(name, value),
            }
        }
        if (100..200).contains(&response.status) {
            let status = response.status;
            *response = Response {
                informational: [response.informational.clone(), vec![status]].concat(),
                ..Response::default()
            };
        }
        response.version = "HTTP/2.0".to_owned();
        *is_whole |= is_last;
    }
}
