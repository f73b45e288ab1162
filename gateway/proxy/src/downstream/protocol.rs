//! Which HTTP a connection speaks, and speaking it.
//!
//! Over TLS the handshake has settled it (ALPN). On plain TCP a client may start with HTTP/2's preface (RFC 9113 section 3.4): the
//! first bytes tell, and as soon as they differ from the preface it is HTTP/1, so that a short request is not kept waiting for
//! more. The first bytes have the idle deadline, the rest of a preface the head's.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::service::service_fn;
use moongate_exchange::Connection;
use pingora_core::protocols::{ALPN, Stream};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::downstream::io::ClientStream;
use crate::downstream::state::ConnectionState;
use crate::downstream::{Engine, service};
use crate::upstream::Spawn;

/// HTTP/2's connection preface (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How often an HTTP/2 client is asked whether it is still there, and how long it has to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves a connection to its end.
pub(super) async fn serve(engine: &Arc<Engine>, mut stream: Stream, connection: Arc<Connection>) {
    let state = Arc::new(ConnectionState::default());
    let (prefix, is_http2) = match stream.selected_alpn_proto() {
        Some(ALPN::H2) => (Bytes::new(), true),
        _ => match first_bytes(engine, &mut stream).await {
            Some(found) => found,
            None => return,
        },
    };
    let io = ClientStream::new(stream, prefix, !is_http2, Arc::clone(&state), Arc::clone(&engine.shared));
    if is_http2 {
        http2(engine, io, connection, state).await;
    } else {
        http1(engine, io, connection, state).await;
    }
}

/// Reads until the protocol is known. `None` when the client left, or was too slow.
async fn first_bytes(engine: &Engine, stream: &mut Stream) -> Option<(Bytes, bool)> {
    let limits = engine.shared.limits;
    let mut buffer = BytesMut::with_capacity(4 * 1024);
    let mut deadline = limits.idle;
    loop {
        let length = timeout(deadline, stream.read_buf(&mut buffer)).await.ok()?.ok()?;
        if length == 0 {
            return None;
        }
        let known = buffer.len().min(PREFACE.len());
        if buffer[..known] != PREFACE[..known] {
            return Some((buffer.freeze(), false));
        }
        if known == PREFACE.len() {
            return Some((buffer.freeze(), true));
        }
        deadline = limits.head;
    }
}

async fn http1(engine: &Arc<Engine>, io: ClientStream, connection: Arc<Connection>, state: Arc<ConnectionState>) {
    let limits = engine.shared.limits;
    let service = service_fn(|request| {
        let answer = service::answer(Arc::clone(engine), Arc::clone(&connection), Arc::clone(&state), request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    // The stream keeps the head's deadline. Pipelined requests are answered one after the other.
    builder
        .header_read_timeout(None)
        .max_header_size(limits.head_bytes_max)
        .max_buf_size(limits.head_bytes_max.max(128 * 1024));
    let mut served = pin!(builder.serve_connection(io, service));
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

async fn http2(engine: &Arc<Engine>, io: ClientStream, connection: Arc<Connection>, state: Arc<ConnectionState>) {
    let limits = engine.shared.limits;
    let service = service_fn(|request| {
        let answer = service::answer(Arc::clone(engine), Arc::clone(&connection), Arc::clone(&state), request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut builder = hyper::server::conn::http2::Builder::new(Spawn);
    builder
        .timer(hyper_util::rt::TokioTimer::new())
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let mut served = pin!(builder.serve_connection(io, service));
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
