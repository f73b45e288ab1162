//! HTTP/2 upstreams that do not take every request, frame by frame (RFC 9113 section 8.7).

use std::io;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::server::Connection;
use super::{Recorded, Upstream};
use crate::fields::Fields;

/// How a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// RST_STREAM with REFUSED_STREAM.
    Stream,
    /// GOAWAY with a last stream before this one.
    GoAway,
    /// RST_STREAM with INTERNAL_ERROR: it may have been processed.
    Broken,
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const DATA: u8 = 0;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// Length of the connection preface (RFC 9113 section 3.4).
const PREFACE_BYTES: usize = 24;

impl Upstream {
    /// Refuses so many requests in one way, over all connections, and answers `ok` to those after them. What is recorded has
    /// neither method nor fields: only that a request came, refused or not.
    pub fn h2c_refusing(count: usize, refusal: Refusal) -> Self {
        let seen = AtomicUsize::new(0);
        Self::plain(move |connection| serve(connection, &seen, count, refusal))
    }
}

fn serve(connection: &mut Connection, seen: &AtomicUsize, count: usize, refusal: Refusal) -> io::Result<()> {
    let mut socket: TcpStream = connection.socket.try_clone()?;
    read(&mut socket, PREFACE_BYTES)?;
    send(&mut socket, SETTINGS, 0, 0, &[])?;
    loop {
        let head = read(&mut socket, 9)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let (kind, flags, stream) = (head[3], head[4], u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]));
        read(&mut socket, length)?;
        if kind == SETTINGS && flags & ACK == 0 {
            send(&mut socket, SETTINGS, ACK, 0, &[])?;
        }
        if kind != HEADERS {
            continue;
        }
        connection.record(Recorded { headers: Fields::default(), ..Recorded::default() });
        if seen.fetch_add(1, Ordering::SeqCst) >= count {
            // `:status: 200` is the static table's entry 8 (RFC 7541 appendix A).
            send(&mut socket, HEADERS, END_HEADERS, stream, &[0x88])?;
            send(&mut socket, DATA, END_STREAM, stream, b"ok")?;
            continue;
        }
        match refusal {
            Refusal::Stream => send(&mut socket, RST_STREAM, 0, stream, &7_u32.to_be_bytes())?,
            Refusal::Broken => send(&mut socket, RST_STREAM, 0, stream, &2_u32.to_be_bytes())?,
            Refusal::GoAway => {
                send(&mut socket, GOAWAY, 0, 0, &[0; 8])?;
                // Until the peer has seen it and closes.
                while !read(&mut socket, 1)?.is_empty() {}
            }
        }
    }
}

fn read(socket: &mut TcpStream, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    io::Read::read_exact(socket, &mut bytes)?;
    Ok(bytes)
}

fn send(socket: &mut TcpStream, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    io::Write::write_all(socket, &frame)
}
