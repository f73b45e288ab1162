//! The two ways of an exchange: straight to the upstream, and through the gateway in the version of the plan.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use moongate_tests::Client;
use moongate_tests::client::{Connection, Response};
use moongate_tests::frames::{FrameConnection, data, flag, headers, hpack, setting, window_update};
use moongate_tests::random::Random;
use moongate_tests::wait::SOON;
use moongate_tests::wire::chunk;

use crate::differential::plan::{Body, Plan, Version};

/// What came back.
pub(super) type Outcome = Response;

/// Exchanges on an HTTP/2 connection, after which it is replaced: the harness keeps every frame.
const HTTP2_EXCHANGES: u32 = 100;

/// Largest window (RFC 9113 section 6.9.1), in bytes.
const WINDOW: u32 = (1 << 31) - 1;

/// Straight to the upstream, always in HTTP/1.1.
pub(super) struct Direct {
    client: Client,
    connection: Option<Connection>,
}

impl Direct {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { client: Client::new(address), connection: None }
    }

    pub(super) fn exchange(&mut self, plan: &Plan, timing: &mut Random) -> Result<Outcome, String> {
        text_exchange(self.client, &mut self.connection, plan, "", "HTTP/1.1", timing)
    }
}

/// Through the gateway.
pub(super) struct Through {
    address: SocketAddr,
    client: Client,
    connection: Option<Connection>,
    http2: Option<FrameConnection>,
    stream: u32,
}

impl Through {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, client: Client::new(address), connection: None, http2: None, stream: 0 }
    }

    pub(super) fn exchange(&mut self, plan: &Plan, timing: &mut Random) -> Result<Outcome, String> {
        match plan.version {
            Version::Http10 => text_exchange(self.client, &mut None, plan, "/d", "HTTP/1.0", timing),
            Version::Http11 => text_exchange(self.client, &mut self.connection, plan, "/d", "HTTP/1.1", timing),
            Version::Http2 => self.frames_exchange(plan, timing),
        }
    }

    fn frames_exchange(&mut self, plan: &Plan, timing: &mut Random) -> Result<Outcome, String> {
        if self.stream / 2 >= HTTP2_EXCHANGES {
            self.http2 = None;
        }
        let connection = match &mut self.http2 {
            Some(connection) => connection,
            None => {
                self.stream = 1;
                let mut connection =
                    FrameConnection::open_with(self.address, &[(setting::INITIAL_WINDOW_SIZE, WINDOW)]);
                connection.send(window_update(0, WINDOW - 65_535)).map_err(|error| error.to_string())?;
                self.http2.insert(connection)
            }
        };
        let stream = self.stream;
        self.stream += 2;
        send_pieces(&frames(plan, stream, timing), timing, |bytes| connection.send(bytes))
            .map_err(|error| error.to_string())?;
        let response = connection.response(stream, SOON);
        response.ok_or_else(|| {
            format!(
                "no answer on stream {stream}; the last frames: {:?}",
                connection.frames().iter().rev().take(3).collect::<Vec<_>>()
            )
        })
    }
}

/// An exchange in HTTP/1, on a connection that is kept where both sides keep it.
fn text_exchange(
    client: Client,
    kept: &mut Option<Connection>,
    plan: &Plan,
    prefix: &str,
    version: &str,
    timing: &mut Random,
) -> Result<Outcome, String> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => client.try_connect().map_err(|error| error.to_string())?,
    };
    let bytes = text(plan, prefix, version);
    send_pieces(&bytes, timing, |bytes| connection.send(bytes)).map_err(|error| format!("sending: {error}"))?;
    let response = connection.response_to(plan.method).map_err(|error| error.to_string())?;
    let has_end = response.headers.contains("content-length")
        || response.headers.contains("transfer-encoding")
        || plan.method == "HEAD"
        || matches!(response.status, 204 | 304);
    let closes = response.headers.all("connection").iter().any(|value| value.eq_ignore_ascii_case("close"));
    if has_end && !closes && response.version == "HTTP/1.1" {
        *kept = Some(connection);
    }
    Ok(response)
}

/// A request on the wire.
fn text(plan: &Plan, prefix: &str, version: &str) -> Vec<u8> {
    let mut head = format!("{} {prefix}{} {version}\r\nHost: h\r\n", plan.method, plan.target);
    for (name, value) in &plan.fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut body = Vec::new();
    match &plan.body {
        Body::Nothing => {}
        Body::Sized(bytes) => {
            head.push_str(&format!("Content-Length: {}\r\n", bytes.len()));
            body.extend_from_slice(bytes);
        }
        Body::Pieces(pieces, trailers) => {
            head.push_str("Transfer-Encoding: chunked\r\n");
            if !trailers.is_empty() {
                let names: Vec<&str> = trailers.iter().map(|(name, _)| name.as_str()).collect();
                head.push_str(&format!("Trailer: {}\r\n", names.join(", ")));
            }
            pieces.iter().for_each(|piece| body.extend(chunk(piece)));
            body.extend_from_slice(b"0\r\n");
            trailers.iter().for_each(|(name, value)| body.extend(format!("{name}: {value}\r\n").into_bytes()));
            body.extend_from_slice(b"\r\n");
        }
    }
    [head.as_bytes(), b"\r\n", &body].concat()
}

/// A request in frames.
fn frames(plan: &Plan, stream: u32, random: &mut Random) -> Vec<u8> {
    let mut block = hpack::request(plan.method, &format!("/d{}", plan.target), "h");
    let literals = |fields: &[(String, String)]| -> Vec<u8> {
        fields.iter().flat_map(|(name, value)| hpack::literal(name.as_bytes(), value.as_bytes())).collect()
    };
    block.extend(literals(&plan.fields));
    let mut bytes = Vec::new();
    match &plan.body {
        Body::Nothing => bytes.extend(headers_in_frames(stream, flag::END_STREAM, &block)),
        Body::Sized(body) => {
            block.extend(hpack::block(&[("content-length", &body.len().to_string())]));
            bytes.extend(headers_in_frames(stream, 0, &block));
            let mut rest = body.as_slice();
            while !rest.is_empty() {
                let length = (1 + random.below(16_384)).min(rest.len());
                bytes.extend(data(stream, 0, &rest[..length]));
                rest = &rest[length..];
            }
            bytes.extend(data(stream, flag::END_STREAM, b""));
        }
        Body::Pieces(pieces, trailers) => {
            bytes.extend(headers_in_frames(stream, 0, &block));
            for piece in pieces.iter().flat_map(|piece| piece.chunks(16_384)) {
                bytes.extend(data(stream, 0, piece));
            }
            match trailers.is_empty() {
                true => bytes.extend(data(stream, flag::END_STREAM, b"")),
                false => bytes.extend(headers(stream, flag::END, &literals(trailers))),
            }
        }
    }
    bytes
}

/// A block in HEADERS and as many CONTINUATION as it takes.
fn headers_in_frames(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    let pieces: Vec<&[u8]> = block.chunks(16_384).collect();
    let last = pieces.len() - 1;
    let frame = |(number, piece): (usize, &&[u8])| {
        let end = if number == last { flag::END_HEADERS } else { 0 };
        match number {
            0 => headers(stream, flags | end, piece),
            _ => moongate_tests::frames::continuation(stream, end, piece),
        }
    };
    pieces.iter().enumerate().flat_map(frame).collect()
}

/// Sends bytes in writes that end anywhere, now and then with a pause in between.
fn send_pieces(
    bytes: &[u8],
    timing: &mut Random,
    mut send: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut rest = bytes;
    for _ in 0..timing.below(4) {
        let length = timing.below(rest.len().min(2_000) + 1);
        send(&rest[..length])?;
        rest = &rest[length..];
        if timing.once_in(20) {
            // Long enough for the bytes so far to be looked at by themselves.
            thread::sleep(Duration::from_millis(1));
        }
    }
    send(rest)
}
