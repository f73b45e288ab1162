//! New connections to upstreams: TCP, TLS, and which HTTP is spoken.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use moongate_config::integration::HttpVersion;
use moongate_runtime::upstream::Target;
use moongate_runtime::{UpstreamError, UpstreamTls};
use parking_lot::Mutex;
use pingora_core::connectors::TransportConnector;
use pingora_core::protocols::{ALPN, Stream};
use pingora_core::tls::pkey::PKey;
use pingora_core::tls::x509::X509;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::utils::tls::CertKey;
use tokio::sync::OwnedSemaphorePermit;

use crate::upstream::chain;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::h1::H1;
use crate::upstream::h2::H2;
use crate::upstream::state::State;

/// Most addresses of a name that are tried for one connection.
const ADDRESSES_MAX: usize = 4;

/// How long one address is waited for before the next is tried beside it (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// A new connection.
pub(super) enum Connected {
    H1(H1),
    H2(H2),
}

/// Makes connections. One for each worker, and one for health checks.
pub(super) struct Connector {
    transport: TransportConnector,
    /// Certificates as OpenSSL has them, by upstream and target: reading PEM takes longer than a handshake's own work.
    trust: Mutex<HashMap<(u64, usize), Trust>>,
}

#[derive(Clone, Default)]
struct Trust {
    authorities: Option<Arc<Box<[X509]>>>,
    client: Option<Arc<CertKey>>,
}

impl Default for Connector {
    fn default() -> Self {
        Self { transport: TransportConnector::new(None), trust: Mutex::default() }
    }
}

impl Connector {
    /// Connects to an address, or to another one of the same name: the next is tried when one fails, or takes too long.
    ///
    /// # Errors
    ///
    /// What was wrong with the last of them.
    pub(super) async fn connect(
        &self,
        state: &State,
        first: &Arc<Endpoint>,
        limit: Duration,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<(Arc<Endpoint>, Connected), UpstreamError> {
        let (endpoint, stream) = match self.others(state, first) {
            others if others.is_empty() => (Arc::clone(first), self.stream(state, first, limit).await?),
            others => self.race(state, first, others, limit).await?,
        };
        let connected = speak(state, &state.spec.targets[endpoint.target], stream, permit).await?;
        Ok((endpoint, connected))
    }

    /// Connects to this very address.
    ///
    /// # Errors
    ///
    /// When that fails.
    pub(super) async fn connect_to(
        &self,
        state: &State,
        endpoint: &Endpoint,
        limit: Duration,
    ) -> Result<Connected, UpstreamError> {
        let stream = self.stream(state, endpoint, limit).await?;
        speak(state, &state.spec.targets[endpoint.target], stream, None).await
    }

    /// Whether this very address takes a connection, TLS included.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub(super) async fn reach(&self, state: &State, endpoint: &Endpoint, limit: Duration) -> Result<(), UpstreamError> {
        self.stream(state, endpoint, limit).await.map(drop)
    }

    /// Lets go of what belongs to upstreams that are no more.
    pub(super) fn forget(&self, is_alive: impl Fn(u64) -> bool) {
        self.trust.lock().retain(|(upstream, _), _| is_alive(*upstream));
    }

    /// Other addresses of the same name that may be tried.
    fn others(&self, state: &State, first: &Arc<Endpoint>) -> Vec<Arc<Endpoint>> {
        if state.spec.targets[first.target].host.parse::<std::net::IpAddr>().is_ok() {
            return Vec::new();
        }
        let endpoints = state.endpoints();
        let is_other =
            |other: &&Arc<Endpoint>| other.target == first.target && !Arc::ptr_eq(other, first) && other.is_available();
        endpoints.list.iter().filter(is_other).take(ADDRESSES_MAX - 1).cloned().collect()
    }

    async fn race(
        &self,
        state: &State,
        first: &Arc<Endpoint>,
        others: Vec<Arc<Endpoint>>,
        limit: Duration,
    ) -> Result<(Arc<Endpoint>, Stream), UpstreamError> {
        type Attempt<'a> = Pin<Box<dyn Future<Output = Result<(Arc<Endpoint>, Stream), UpstreamError>> + Send + 'a>>;
        let begin = |endpoint: Arc<Endpoint>| -> Attempt<'_> {
            Box::pin(async move { self.stream(state, &endpoint, limit).await.map(|stream| (endpoint, stream)) })
        };
        let mut waiting = others.into_iter();
        let mut attempts = vec![begin(Arc::clone(first))];
        loop {
            let any = poll_fn(|cx| {
                for (index, attempt) in attempts.iter_mut().enumerate() {
                    if let Poll::Ready(outcome) = attempt.as_mut().poll(cx) {
                        return Poll::Ready((index, outcome));
                    }
                }
                Poll::Pending
            });
            let failure =
                if waiting.len() == 0 { Some(any.await) } else { tokio::time::timeout(STAGGER, any).await.ok() };
            match failure {
                Some((_, Ok(connected))) => return Ok(connected),
                Some((index, Err(error))) => {
                    drop(attempts.swap_remove(index));
                    match waiting.next() {
                        Some(next) => attempts.push(begin(next)),
                        None if attempts.is_empty() => return Err(error),
                        None => {}
                    }
                }
                None => attempts.extend(waiting.next().map(begin)),
            }
        }
    }

    async fn stream(&self, state: &State, endpoint: &Endpoint, limit: Duration) -> Result<Stream, UpstreamError> {
        let target = &state.spec.targets[endpoint.target];
        if target.reach.as_ref().is_some_and(|reach| !reach.allows(endpoint.address.ip())) {
            return Err(connect_error(target, "scripts may not reach its address".to_owned()));
        }
        let peer = self.peer(state, endpoint, limit)?;
        match self.transport.new_stream(&peer).await {
            Ok(stream) => {
                endpoint.connected();
                Ok(stream)
            }
            Err(error) => {
                endpoint.connect_failed();
                Err(connect_error(&state.spec.targets[endpoint.target], chain(&*error)))
            }
        }
    }

    /// What Pingora is told about an address. Always an address: with a name its peers resolve blocking, and panic when that fails.
    fn peer(&self, state: &State, endpoint: &Endpoint, limit: Duration) -> Result<HttpPeer, UpstreamError> {
        let target = &state.spec.targets[endpoint.target];
        let server_name = target.tls.as_ref().map_or("", |tls| &*tls.server_name);
        let mut peer = HttpPeer::new(endpoint.address, target.tls.is_some(), server_name.to_owned());
        peer.options.connection_timeout = Some(limit);
        peer.options.total_connection_timeout = Some(limit);
        peer.options.alpn = match state.spec.version {
            HttpVersion::Auto => ALPN::H2H1,
            HttpVersion::Http11 => ALPN::H1,
            HttpVersion::Http2 => ALPN::H2,
        };
        if let Some(tls) = &target.tls {
            peer.options.verify_cert = !tls.accepts_any_certificate;
            peer.options.verify_hostname = !tls.accepts_any_certificate;
            let trust = self.trust(state.id, endpoint.target, tls).map_err(|reason| connect_error(target, reason))?;
            peer.options.ca = trust.authorities;
            peer.client_cert_key = trust.client;
        }
        Ok(peer)
    }

    fn trust(&self, upstream: u64, target: usize, tls: &UpstreamTls) -> Result<Trust, String> {
        if tls.ca_pem.is_none() && tls.client.is_none() {
            return Ok(Trust::default());
        }
        if let Some(known) = self.trust.lock().get(&(upstream, target)) {
            return Ok(known.clone());
        }
        let certificates = |pem: &[u8]| match X509::stack_from_pem(pem) {
            Ok(certificates) if certificates.is_empty() => Err("no certificate in PEM form".to_owned()),
            Ok(certificates) => Ok(certificates),
            Err(error) => Err(chain(&error)),
        };
        let authorities = tls.ca_pem.as_deref().map(certificates).transpose()?;
        let client = match &tls.client {
            None => None,
            Some(client) => {
                let chain = certificates(&client.chain_pem)?;
                let key = PKey::private_key_from_pem(&client.key_pem)
                    .map_err(|_| "no unencrypted private key in PEM form".to_owned())?;
                let belongs = chain[0].public_key().is_ok_and(|public| public.public_eq(&key));
                if !belongs {
                    return Err("the private key does not belong to the client's certificate".to_owned());
                }
                Some(Arc::new(CertKey::new(chain, key)))
            }
        };
        let trust = Trust { authorities: authorities.map(|list| Arc::new(list.into_boxed_slice())), client };
        self.trust.lock().insert((upstream, target), trust.clone());
        Ok(trust)
    }
}

fn connect_error(target: &Target, reason: String) -> UpstreamError {
    UpstreamError::Connect { address: format!("{}:{}", target.host, target.port).into(), reason: reason.into() }
}

async fn speak(
    state: &State,
    target: &Target,
    stream: Stream,
    permit: Option<OwnedSemaphorePermit>,
) -> Result<Connected, UpstreamError> {
    let is_http2 = match (state.spec.version, &target.tls) {
        (HttpVersion::Http11, _) => false,
        // Prior knowledge (RFC 9113 section 3.3).
        (HttpVersion::Http2, None) => true,
        (HttpVersion::Http2, Some(_)) => match stream.selected_alpn_proto() {
            Some(ALPN::H2) => true,
            _ => return Err(connect_error(target, "the upstream does not offer HTTP/2".to_owned())),
        },
        (HttpVersion::Auto, _) => matches!(stream.selected_alpn_proto(), Some(ALPN::H2)),
    };
    if is_http2 {
        let made = H2::new(stream, permit).await;
        made.map(Connected::H2).map_err(|error| UpstreamError::Exchange { reason: chain(&error).into() })
    } else {
        Ok(Connected::H1(H1::new(stream, permit)))
    }
}
