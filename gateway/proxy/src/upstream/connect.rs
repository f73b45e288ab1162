//! New connections to upstreams: address, TCP, TLS, and which HTTP is spoken.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use moongate_config::integration::HttpVersion;
use moongate_exchange::Body;
use moongate_runtime::{Upstream, UpstreamError};
use pingora_core::protocols::{ALPN, Stream};
use pingora_core::tls::x509::X509;
use pingora_core::upstreams::peer::HttpPeer;

use crate::upstream::h1::H1;
use crate::upstream::pool::Pool;
use crate::upstream::{Spawn, chain};

/// Longest wait for a TCP connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest wait for TCP and TLS together.
const CONNECT_TOTAL: Duration = Duration::from_secs(10);
/// Most addresses of a name that are tried.
const ADDRESSES_MAX: usize = 4;

/// Windows of an HTTP/2 connection, in bytes: enough for a fast link, far less than an upstream could fill our memory with.
const H2_STREAM_WINDOW: u32 = 1024 * 1024;
const H2_CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// A new connection.
pub(super) enum Connected {
    H1(H1),
    H2(SendRequest<Body>),
}

/// Connects to an upstream, trying its addresses in turn.
pub(super) async fn connect(pool: &Pool, upstream: &Arc<Upstream>) -> Result<Connected, UpstreamError> {
    let resolved = pool.resolver().addresses(&upstream.host, upstream.port).await;
    let addresses = resolved.map_err(|source| UpstreamError::Resolve { host: upstream.host.clone(), source })?;
    let mut failure = None;
    for address in addresses.into_iter().take(ADDRESSES_MAX) {
        let peer = peer(upstream, address)?;
        match pool.connector().new_stream(&peer).await {
            Ok(stream) => return speak(upstream, stream).await,
            Err(error) => failure = Some(connect_error(upstream, chain(&*error))),
        }
    }
    Err(failure.unwrap_or_else(|| connect_error(upstream, "the name has no address".to_owned())))
}

fn connect_error(upstream: &Upstream, reason: String) -> UpstreamError {
    UpstreamError::Connect { address: format!("{}:{}", upstream.host, upstream.port).into(), reason: reason.into() }
}

/// What Pingora is told about an address of an upstream.
fn peer(upstream: &Upstream, address: SocketAddr) -> Result<HttpPeer, UpstreamError> {
    let server_name = upstream.tls.as_ref().map_or("", |tls| &*tls.server_name);
    let mut peer = HttpPeer::new(address, upstream.tls.is_some(), server_name.to_owned());
    peer.options.connection_timeout = Some(CONNECT);
    peer.options.total_connection_timeout = Some(CONNECT_TOTAL);
    peer.options.alpn = match upstream.version {
        HttpVersion::Auto => ALPN::H2H1,
        HttpVersion::Http11 => ALPN::H1,
        HttpVersion::Http2 => ALPN::H2,
    };
    if let Some(tls) = &upstream.tls {
        peer.options.verify_cert = !tls.accepts_any_certificate;
        peer.options.verify_hostname = !tls.accepts_any_certificate;
        if let Some(pem) = &tls.ca_pem {
            let authorities = X509::stack_from_pem(pem).map_err(|error| connect_error(upstream, chain(&error)))?;
            peer.options.ca = Some(Arc::new(authorities.into_boxed_slice()));
        }
    }
    Ok(peer)
}

async fn speak(upstream: &Upstream, stream: Stream) -> Result<Connected, UpstreamError> {
    let is_http2 = match (upstream.version, &upstream.tls) {
        (HttpVersion::Http11, _) => false,
        // Prior knowledge (RFC 9113 section 3.3).
        (HttpVersion::Http2, None) => true,
        (HttpVersion::Http2, Some(_)) => match stream.selected_alpn_proto() {
            Some(ALPN::H2) => true,
            _ => return Err(connect_error(upstream, "the upstream does not offer HTTP/2".to_owned())),
        },
        (HttpVersion::Auto, _) => matches!(stream.selected_alpn_proto(), Some(ALPN::H2)),
    };
    if !is_http2 {
        return Ok(Connected::H1(H1::new(stream)));
    }
    let (sender, driver) = http2::Builder::new(Spawn)
        .timer(TokioTimer::new())
        .initial_stream_window_size(H2_STREAM_WINDOW)
        .initial_connection_window_size(H2_CONNECTION_WINDOW)
        .keep_alive_interval(Some(Duration::from_secs(20)))
        .keep_alive_timeout(Duration::from_secs(10))
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| UpstreamError::Exchange { reason: chain(&error).into() })?;
    tokio::spawn(async move {
        if let Err(error) = driver.await {
            tracing::debug!(error = chain(&error), "upstream connection ended");
        }
    });
    Ok(Connected::H2(sender))
}
