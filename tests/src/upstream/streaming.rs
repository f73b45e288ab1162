//! Upstreams for bodies of any size: downloads, uploads, events, and both directions at once.

use std::io;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use super::Upstream;
use super::server::Connection;
use crate::wire::{Framing, chunk};

/// Length of the repeated pattern, in bytes. A prime, so that lost or doubled blocks of any usual size shift it.
const PATTERN_BYTES: usize = 65_521;

/// Head of an event stream, without its framing.
const EVENT_STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n";

/// A long body that is the same everywhere: bytes by position, cheap to make and to check.
pub struct Pattern(Vec<u8>);

impl Default for Pattern {
    fn default() -> Self {
        let mut state = 0x9e37_79b9_u32;
        let period = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[0]
        });
        let period: Vec<u8> = period.take(PATTERN_BYTES).collect();
        Self(period.repeat(3))
    }
}

impl Pattern {
    /// Up to 128 KiB of the body from a position on.
    pub fn at(&self, position: u64, bytes_max: u64) -> &[u8] {
        let start = (position % PATTERN_BYTES as u64) as usize;
        let bytes = bytes_max.min(2 * PATTERN_BYTES as u64) as usize;
        &self.0[start..start + bytes]
    }

    /// Whether a piece of the body at a position is what it should be.
    pub fn matches(&self, position: u64, piece: &[u8]) -> bool {
        let mut position = position;
        piece.chunks(PATTERN_BYTES).all(|part| {
            let is_right = self.at(position, part.len() as u64) == part;
            position += part.len() as u64;
            is_right
        })
    }
}

impl Upstream {
    /// Answers every request with so many bytes of [`Pattern`], with `Content-Length` or chunked.
    pub fn download(bytes: u64, framing: Framing) -> Self {
        let pattern = Pattern::default();
        Self::plain(move |connection| {
            while connection.request()?.is_some() {
                send_pattern(connection, &pattern, bytes, framing)?;
            }
            Ok(())
        })
    }

    /// Reads bodies without keeping them and answers with their length as text.
    pub fn upload_sink() -> Self {
        Self::plain(|connection| {
            while let Some((request, mut body)) = connection.request_head()? {
                connection.record(request);
                let before = connection.body_bytes();
                connection.count_body(&mut body)?;
                let text = (connection.body_bytes() - before).to_string();
                connection.wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()))?;
            }
            Ok(())
        })
    }

    /// Sends events as `text/event-stream`, with a pause before each, then ends the response.
    pub fn sse(events: impl IntoIterator<Item = &'static str>, pause: Duration) -> Self {
        let events: Vec<&str> = events.into_iter().collect();
        Self::plain(move |connection| {
            while connection.request()?.is_some() {
                connection.wire.send(format!("{EVENT_STREAM}Transfer-Encoding: chunked\r\n\r\n"))?;
                for event in &events {
                    thread::sleep(pause);
                    connection.wire.send(event_chunk(event))?;
                }
                connection.wire.send("0\r\n\r\n")?;
            }
            Ok(())
        })
    }

    /// Sends an event for each text put into the channel, to the first request; the response ends when the sender is dropped.
    ///
    /// With it a test proves that events are not held back without measuring time: it asks for the next event only when it
    /// has the one before.
    pub fn sse_on_demand() -> (Self, Sender<String>) {
        let (sender, events): (Sender<String>, Receiver<String>) = channel();
        let events = Mutex::new(events);
        let upstream = Self::plain(move |connection| {
            if connection.request()?.is_none() {
                return Ok(());
            }
            connection.wire.send(format!("{EVENT_STREAM}Transfer-Encoding: chunked\r\n\r\n"))?;
            let events = events.lock().map_err(|_| io::Error::other("an earlier connection failed"))?;
            for event in events.iter() {
                connection.wire.send(event_chunk(&event))?;
            }
            connection.wire.send("0\r\n\r\n")
        });
        (upstream, sender)
    }

    /// Answers at once and sends back every piece of the body as it comes: both directions at the same time.
    pub fn echo() -> Self {
        Self::plain(|connection| {
            while let Some((request, mut body)) = connection.request_head()? {
                connection.record(request);
                connection.wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                while let Some(piece) = body.next(&mut connection.wire)? {
                    let echoed = chunk(piece);
                    connection.wire.send(echoed)?;
                }
                connection.wire.send("0\r\n\r\n")?;
            }
            Ok(())
        })
    }
}

fn event_chunk(event: &str) -> Vec<u8> {
    chunk(format!("data: {event}\n\n").as_bytes())
}

fn send_pattern(connection: &mut Connection, pattern: &Pattern, bytes: u64, framing: Framing) -> io::Result<()> {
    let is_chunked = framing == Framing::Chunked;
    let length = if is_chunked { "Transfer-Encoding: chunked".to_owned() } else { format!("Content-Length: {bytes}") };
    connection.wire.send(format!("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n{length}\r\n\r\n"))?;
    let mut position = 0;
    while position < bytes {
        let piece = pattern.at(position, bytes - position);
        position += piece.len() as u64;
        if is_chunked { connection.wire.send(chunk(piece))? } else { connection.wire.send(piece)? }
    }
    if is_chunked { connection.wire.send("0\r\n\r\n") } else { Ok(()) }
}
