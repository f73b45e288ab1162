//! The sockets of an HTTP/1.1 upstream: one thread accepts, one thread per connection serves.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use openssl::ssl::SslAcceptor;
use socket2::SockRef;

use super::recorded::Recorded;
use crate::wire::{BodyReader, Framing, Wire, split_head};

/// What serves a connection to its end. Errors are the peer's doing, or the test's: they end the connection.
pub(super) type Handler = Arc<dyn Fn(&mut Connection) -> io::Result<()> + Send + Sync>;

/// A listening socket and whatever keeps it served.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) shared: Arc<Shared>,
    /// Held until the upstream is dropped: fillers of a backlog, a runtime.
    pub(super) kept: Vec<Box<dyn Send + Sync>>,
}

/// What the threads of one upstream know together.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) requests: Mutex<Vec<Recorded>>,
    sockets: Mutex<HashMap<usize, TcpStream>>,
    is_stopping: AtomicBool,
    accepted: AtomicUsize,
    closed: AtomicUsize,
    body_bytes: AtomicU64,
    late: AtomicUsize,
}

impl Shared {
    pub(super) fn record(&self, request: Recorded) {
        self.requests.lock().expect("no test panics while it records").push(request);
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(super) fn closed(&self) -> usize {
        self.closed.load(Ordering::SeqCst)
    }

    pub(super) fn body_bytes(&self) -> u64 {
        self.body_bytes.load(Ordering::SeqCst)
    }

    pub(super) fn late(&self) -> usize {
        self.late.load(Ordering::SeqCst)
    }

    /// Counts a connection; its number, from 0.
    pub(super) fn accept(&self) -> usize {
        self.accepted.fetch_add(1, Ordering::SeqCst)
    }

    pub(super) fn close(&self) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }
}

impl Server {
    /// Listens on a port that the system chooses.
    pub(super) fn start(tls: Option<SslAcceptor>, handler: Handler) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), tls, handler)
    }

    /// Listens on an address.
    pub(super) fn start_at(address: SocketAddr, tls: Option<SslAcceptor>, handler: Handler) -> Self {
        let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("cannot listen on {address}: {error}"));
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || accept_loop(&listener, tls.as_ref(), &handler, &for_thread));
        Self { address, shared, kept: Vec::new() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        self.kept.clear();
        // Wakes the accept loop. When nobody accepts (any more) there is nobody to wake.
        drop(TcpStream::connect(self.address));
        for (_, socket) in self.shared.sockets.lock().expect("no thread panics with the list").drain() {
            drop(socket.shutdown(Shutdown::Both));
        }
    }
}

fn accept_loop(listener: &TcpListener, tls: Option<&SslAcceptor>, handler: &Handler, shared: &Arc<Shared>) {
    for socket in listener.incoming() {
        let (false, Ok(socket)) = (shared.is_stopping.load(Ordering::SeqCst), socket) else { return };
        let (tls, handler, shared) = (tls.cloned(), Arc::clone(handler), Arc::clone(shared));
        let index = shared.accept();
        thread::spawn(move || {
            // A test sees a broken connection at the other end of it.
            drop(serve_connection(socket, tls, &handler, &shared, index));
            shared.close();
        });
    }
}

fn serve_connection(
    socket: TcpStream,
    tls: Option<SslAcceptor>,
    handler: &Handler,
    shared: &Arc<Shared>,
    index: usize,
) -> io::Result<()> {
    socket.set_nodelay(true)?;
    shared.sockets.lock().expect("no thread panics with the list").insert(index, socket.try_clone()?);
    let wire = match tls {
        None => Wire::new(socket.try_clone()?),
        Some(tls) => Wire::new(tls.accept(socket.try_clone()?).map_err(|error| io::Error::other(error.to_string()))?),
    };
    let mut connection = Connection { wire, socket, index, is_reset: false, shared: Arc::clone(shared) };
    let served = handler(&mut connection);
    if !connection.is_reset {
        drop(connection.socket.shutdown(Shutdown::Both));
    }
    // A reset is sent when the last descriptor closes, so that the list's goes first and the connection's at the end.
    shared.sockets.lock().expect("no thread panics with the list").remove(&index);
    served
}

/// An accepted connection.
pub(super) struct Connection {
    pub(super) wire: Wire,
    pub(super) socket: TcpStream,
    index: usize,
    is_reset: bool,
    shared: Arc<Shared>,
}

impl Connection {
    /// Makes the connection end with a reset instead of a proper close.
    pub(super) fn reset(&mut self) -> io::Result<()> {
        self.is_reset = true;
        SockRef::from(&self.socket).set_linger(Some(Duration::ZERO))
    }

    /// Reads a whole request and records it. `None` when the peer is done.
    pub(super) fn request(&mut self) -> io::Result<Option<Recorded>> {
        let Some((mut request, mut body)) = self.request_head()? else { return Ok(None) };
        let read = loop {
            match body.next(&mut self.wire) {
                Ok(Some(piece)) => request.body.extend_from_slice(piece),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        request.is_complete = read.is_ok();
        request.trailers = body.trailers;
        self.record(request.clone());
        read.map(|()| Some(request))
    }

    /// Reads a request's head, without recording it, and says what reads its body.
    pub(super) fn request_head(&mut self) -> io::Result<Option<(Recorded, BodyReader)>> {
        let Some(head) = self.wire.head()? else { return Ok(None) };
        let (line, headers) = split_head(&head);
        let parts: Vec<&str> = line.split(' ').collect();
        let [method, target, version] = parts[..] else {
            return Err(io::Error::new(ErrorKind::InvalidData, format!("request line `{line}`")));
        };
        let body = BodyReader::new(Framing::of(&headers, Framing::Empty)?);
        if headers.get("expect").is_some() {
            self.wire.send("HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let (method, target, version) = (method.to_owned(), target.to_owned(), version.to_owned());
        let connection = self.index;
        Ok(Some((Recorded { method, target, version, headers, head, connection, ..Recorded::default() }, body)))
    }

    pub(super) fn record(&self, request: Recorded) {
        self.shared.record(request);
    }

    /// Sends bytes that nobody asked for, and counts that, whether they were taken or not.
    pub(super) fn send_late(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = self.wire.send(bytes);
        self.shared.late.fetch_add(1, Ordering::SeqCst);
        sent
    }

    /// Reads a body to its end without keeping it.
    pub(super) fn count_body(&mut self, body: &mut BodyReader) -> io::Result<()> {
        while let Some(piece) = body.next(&mut self.wire)? {
            self.shared.body_bytes.fetch_add(piece.len() as u64, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Bytes of bodies that this upstream has counted so far.
    pub(super) fn body_bytes(&self) -> u64 {
        self.shared.body_bytes()
    }

    /// Waits until the peer closes, throwing away what it sends.
    pub(super) fn wait_for_close(&mut self) -> io::Result<()> {
        while !self.wire.some(u64::MAX)?.is_empty() {}
        Ok(())
    }
}
