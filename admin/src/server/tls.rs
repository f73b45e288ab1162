//! TLS on the admin listener, for gateways on other machines.

use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use openssl::ssl::{Ssl, SslAcceptor, SslFiletype, SslMethod};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_openssl::SslStream;

use super::Peer;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Handshakes at a time.
const HANDSHAKES_MAX: usize = 64;

/// Why the listener does not serve.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate or its key cannot be used.
    #[error("the admin listener's certificate cannot be used")]
    Certificate(#[from] openssl::error::ErrorStack),
    /// The listener failed.
    #[error("the admin listener failed")]
    Listener(#[from] std::io::Error),
}

/// Accepts TLS connections. Handshakes happen beside each other, so that one slow client keeps nobody waiting.
pub(super) struct Listener {
    connections: mpsc::Receiver<(SslStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl Listener {
    pub(super) fn new(listener: TcpListener, certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        builder.set_certificate_chain_file(certificate)?;
        builder.set_private_key_file(key, SslFiletype::PEM)?;
        builder.check_private_key()?;
        let (acceptor, address) = (builder.build(), listener.local_addr()?);
        let (sender, connections) = mpsc::channel(HANDSHAKES_MAX);
        tokio::spawn(accept(listener, acceptor, sender));
        Ok(Self { connections, address })
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: SslAcceptor,
    sender: mpsc::Sender<(SslStream<TcpStream>, SocketAddr)>,
) {
    let room = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, peer)) = listener.accept().await else {
            // No descriptors, most likely: later there may be some.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(stream) = Ssl::new(acceptor.context()).and_then(|ssl| SslStream::new(ssl, stream)) else { continue };
        let (mut stream, sender) = (stream, sender.clone());
        tokio::spawn(async move {
            let _place = place;
            if let Ok(Ok(())) = tokio::time::timeout(HANDSHAKE, Pin::new(&mut stream).accept()).await {
                // Nobody receives once the server has ended.
                let _ = sender.send((stream, peer)).await;
            }
        });
    }
}

impl axum::serve::Listener for Listener {
    type Io = SslStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.connections.recv().await {
            Some(accepted) => accepted,
            // The accepting task ends with the runtime only.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.address)
    }
}

impl Connected<IncomingStream<'_, Listener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        Self(*stream.remote_addr())
    }
}
