//! Which HTTP a connection speaks, and speaking it.
//!
//! Over TLS the handshake has settled it (ALPN). On plain TCP a client may start with HTTP/2's preface (RFC 9113 section 3.4): the
//! first bytes tell, and as soon as they differ from the preface it is HTTP/1, so that a short request is not kept waiting for
//! more. The first byte has the idle deadline; the rest of a preface shares the head's with the head.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use moongate_exchange::Connection;
use pingora_core::protocols::{ALPN, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use crate::downstream::Engine;
use crate::downstream::io::ClientStream;
use crate::downstream::rest::{Place, Wakeful};
use crate::downstream::service::Arrival;
use crate::downstream::state::ConnectionState;
use crate::downstream::streams::Streams;

/// HTTP/2's connection preface (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Smallest buffer for heads that the codec is given, in bytes: it also limits what of an answer waits to be written.
const BUFFER_BYTES_MIN: usize = 128 * 1024;

/// How often an HTTP/2 client is asked whether it is still there, and how long it has to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// What all uploads of an HTTP/2 connection together may have in our memory, in bytes.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// What one upload may have there: half of it, so that one that nobody reads leaves room for the others.
const STREAM_WINDOW_BYTES: u32 = CONNECTION_WINDOW_BYTES / 2;

/// Largest frame that an HTTP/2 client may send, in bytes: the least that must be taken (RFC 9113 section 4.2).
const FRAME_BYTES_MAX: u32 = 16 * 1024;

/// What an HTTP/2 client's header compression may have in our memory, in bytes: RFC 9113's initial value (section 6.5.2).
const HEADER_TABLE_BYTES: u32 = 4 * 1024;

/// How much of an answer may wait in a stream, in bytes: four of the slices that answers are given in.
const SEND_BUFFER_BYTES: usize = 128 * 1024;

/// How many requests that were reset before they could begin may wait to be forgotten: what a client can have in flight on a fast
/// line. More in one go is an attack (CVE-2023-44487) and ends the connection with ENHANCE_YOUR_CALM.
const RESET_STREAMS_MAX: usize = 20;

/// How many streams we may have to reset for a client's errors before its connection ends with ENHANCE_YOUR_CALM (CVE-2025-8671).
const ERROR_STREAMS_MAX: usize = 128;

/// Serves a connection to its end.
pub(super) async fn serve(engine: &Arc<Engine>, mut stream: Stream, connection: Arc<Connection>) {
    let state = Arc::new(ConnectionState::default());
    let (first, is_http2) = match stream.selected_alpn_proto() {
        Some(ALPN::H2) => (First::default(), true),
        _ => match first_bytes(engine, &mut stream).await {
            Some(found) => found,
            None => return,
        },
    };
    let shared = Arc::clone(&engine.shared);
    let stream = ClientStream::new(stream, first.bytes, first.came_at, !is_http2, Arc::clone(&state), shared);
    if is_http2 {
        http2(engine, stream, connection, state).await;
    } else {
        http1(engine, stream, connection, state).await;
    }
}

/// What was read to find out the protocol.
#[derive(Default)]
struct First {
    bytes: BytesMut,
    came_at: Option<Instant>,
}

/// Reads until the protocol is known. `None` when the client left, or was too slow.
async fn first_bytes(engine: &Engine, stream: &mut Stream) -> Option<(First, bool)> {
    let limits = engine.shared.limits;
    let mut first = First { bytes: BytesMut::with_capacity(4 * 1024), came_at: None };
    let mut deadline = Instant::now() + limits.idle;
    loop {
        let length = timeout_at(deadline, stream.read_buf(&mut first.bytes)).await.ok()?.ok()?;
        if length == 0 {
            return None;
        }
        if first.came_at.is_none() {
            let now = Instant::now();
            first.came_at = Some(now);
            deadline = now + limits.head;
        }
        let known = first.bytes.len().min(PREFACE.len());
        if first.bytes[..known] != PREFACE[..known] {
            return Some((first, false));
        }
        if known == PREFACE.len() {
            return Some((first, true));
        }
    }
}

/// HTTP/1: a codec for as long as requests come, none while the connection rests.
async fn http1(
    engine: &Arc<Engine>,
    mut stream: ClientStream,
    connection: Arc<Connection>,
    state: Arc<ConnectionState>,
) {
    let place = Place::default();
    loop {
        http1_awake(engine, Wakeful::new(stream, place.clone()), &connection, &state).await;
        if let Some(tunnel) = state.take_tunnel() {
            // Still the same connection, and counted as one.
            return tunnel.await;
        }
        let Some(resting) = place.take() else { return };
        stream = resting;
        let mut draining = engine.shared.draining.clone();
        let mut drain = pin!(draining.wait_for(|is_draining| *is_draining));
        let is_awake = poll_fn(|cx| match drain.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(false),
            Poll::Pending => stream.poll_awake(cx),
        });
        if !is_awake.await {
            // The client learns that it was closed; whether it has gone itself does not matter any more.
            let _ = stream.shutdown().await;
            return;
        }
    }
}

/// HTTP/1 up to the connection's end, or until it rests.
async fn http1_awake(
    engine: &Arc<Engine>,
    stream: Wakeful,
    connection: &Arc<Connection>,
    state: &Arc<ConnectionState>,
) {
    let limits = engine.shared.limits;
    let service = service_fn(|request| {
        let arrival = Arrival::new(engine, connection, state, request);
        // hyper keeps room for a request's future as long as the connection lasts: boxed, the room is a pointer's while it idles.
        Box::pin(async move { Ok::<_, Infallible>(arrival.answer().await) })
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    // The stream keeps the head's deadline. Pipelined requests are answered one after the other.
    builder
        .header_read_timeout(None)
        .max_header_size(limits.head_bytes_max)
        .max_buf_size(limits.head_bytes_max.max(BUFFER_BYTES_MIN));
    if connection.is_tls {
        // A TLS stream makes a record of every slice: a head and its body shall be one.
        builder.writev(false);
    }
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let mut draining = engine.shared.draining.clone();
    let mut drain = pin!(draining.wait_for(|is_draining| *is_draining));
    let mut is_draining = false;
    let outcome = poll_fn(|cx| {
        if !is_draining && drain.as_mut().poll(cx).is_ready() {
            is_draining = true;
            served.as_mut().graceful_shutdown();
        }
        served.as_mut().poll(cx)
    })
    .await;
    if let Err(error) = outcome {
        tracing::debug!(peer = %connection.peer, %error, "client connection ended");
    }
}

async fn http2(engine: &Arc<Engine>, stream: ClientStream, connection: Arc<Connection>, state: Arc<ConnectionState>) {
    let limits = engine.shared.limits;
    let service = service_fn(|request| {
        let arrival = Arrival::new(engine, &connection, &state, request);
        async move { Ok::<_, Infallible>(arrival.answer().await) }
    });
    let mut builder = hyper::server::conn::http2::Builder::new(Streams { stall: limits.stall });
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
        .header_table_size(HEADER_TABLE_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
        .max_local_error_reset_streams(ERROR_STREAMS_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut draining = engine.shared.draining.clone();
    let mut drain = pin!(draining.wait_for(|is_draining| *is_draining));
    let mut is_draining = false;
    let outcome = poll_fn(|cx| {
        if !is_draining && drain.as_mut().poll(cx).is_ready() {
            is_draining = true;
            served.as_mut().graceful_shutdown();
        }
        served.as_mut().poll(cx)
    })
    .await;
    if let Err(error) = outcome {
        tracing::debug!(peer = %connection.peer, %error, "client connection ended");
    }
}
