//! One question to one server: over UDP, and over TCP where the answer did not fit.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::upstream::dns::message::{self, Kind, MessageError, Reply};

/// Why a server gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransportError {
    /// It said nothing in time.
    #[error("no answer in time")]
    TimedOut,
    /// It cannot be reached.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What it said over TCP is no answer, or the name cannot be asked for.
    #[error(transparent)]
    Message(#[from] MessageError),
}

/// Asks a server.
///
/// # Errors
///
/// See [`TransportError`]. Datagrams that are not the answer to this very question are passed over until the time is up: whoever
/// guesses must guess the port and the id.
pub(super) async fn ask(
    server: SocketAddr,
    name: &str,
    kind: Kind,
    patience: Duration,
) -> Result<Reply, TransportError> {
    let id = random();
    let question = message::question(id, name, kind)?;
    let whole = async {
        let reply = over_udp(server, &question, id, name, kind).await?;
        if reply.is_truncated { over_tcp(server, &question, id, name, kind).await } else { Ok(reply) }
    };
    timeout(patience, whole).await.unwrap_or(Err(TransportError::TimedOut))
}

async fn over_udp(
    server: SocketAddr,
    question: &[u8],
    id: u16,
    name: &str,
    kind: Kind,
) -> Result<Reply, TransportError> {
    // A socket of its own for every question: the system chooses its port by chance (RFC 5452 section 9.2).
    let any = if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind::<SocketAddr>(any).await?;
    // Connected, so that the system drops what others send.
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = [0_u8; message::UDP_BYTES_MAX as usize];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match message::reply(&buffer[..length], id, name, kind) {
            Ok(reply) => return Ok(reply),
            Err(error) => tracing::debug!(%server, name, %error, "datagram passed over"),
        }
    }
}

async fn over_tcp(
    server: SocketAddr,
    question: &[u8],
    id: u16,
    name: &str,
    kind: Kind,
) -> Result<Reply, TransportError> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(|_| MessageError::Name)?;
    // Length and message in one write (RFC 7766 section 8).
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    let reply = message::reply(&answer, id, name, kind)?;
    if reply.is_truncated {
        return Err(MessageError::Malformed.into());
    }
    Ok(reply)
}

/// An id that nobody can guess: a keyed hash of the time, with a fresh key from the operating system's generator.
fn random() -> u16 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u128(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos()));
    hasher.finish() as u16
}
