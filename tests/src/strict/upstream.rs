//! An upstream that reads strictly, remembers every request, and says in its answers which one it answers.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{Request, head_only, request, shown};

/// The field of its answers that holds [`Seen::serial`].
const SERIAL: &str = "x-serial";

/// A strict upstream. It stops, and its connections break, when the value is dropped.
///
/// It answers 200 with the request's method and target as body. A target that holds `early` is answered when its head is there, and
/// its body is read afterwards; one that holds `unread` is answered, and nothing more is read from its connection.
pub struct StrictUpstream {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// A request that arrived whole.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its number at this upstream.
    pub serial: usize,
    /// The request.
    pub request: Request,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    violations: Mutex<Vec<String>>,
    sockets: Mutex<Vec<TcpStream>>,
    is_stopping: AtomicBool,
}

impl Default for StrictUpstream {
    fn default() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for socket in listener.incoming() {
                let (false, Ok(socket)) = (for_thread.is_stopping.load(Ordering::SeqCst), socket) else { return };
                let shared = Arc::clone(&for_thread);
                thread::spawn(move || {
                    // A broken connection is seen at its other end.
                    drop(shared.serve(socket));
                });
            }
        });
        Self { address, shared }
    }
}

impl StrictUpstream {
    /// Its URL without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests so far whose targets hold a text.
    pub fn seen(&self, target: &str) -> Vec<Seen> {
        let seen = self.shared.seen.lock().expect("no thread panics with the list");
        seen.iter().filter(|seen| seen.request.target.contains(target)).cloned().collect()
    }

    /// How many requests there were.
    pub fn count(&self) -> usize {
        self.shared.seen.lock().expect("no thread panics with the list").len()
    }

    /// What reached it that it could not read, in words.
    pub fn violations(&self) -> Vec<String> {
        self.shared.violations.lock().expect("no thread panics with the list").clone()
    }
}

impl Shared {
    fn serve(&self, mut socket: TcpStream) -> io::Result<()> {
        socket.set_nodelay(true)?;
        self.sockets.lock().expect("no thread panics with the list").push(socket.try_clone()?);
        let mut unread = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        let mut is_answered = false;
        loop {
            loop {
                if !is_answered && let Ok(Some(head)) = head_only(&unread) {
                    let is_early = head.target.contains("early");
                    if is_early || head.target.contains("unread") {
                        let serial = if is_early { "early" } else { "unread" };
                        socket.write_all(&answer(&head, serial))?;
                        is_answered = true;
                        if !is_early {
                            // Held open and never read again: the peer must cope.
                            return Ok(());
                        }
                    }
                }
                match request(&unread) {
                    Ok(None) => break,
                    Ok(Some((request, length))) => {
                        unread.drain(..length);
                        let serial = self.keep(request.clone());
                        if !std::mem::take(&mut is_answered) {
                            socket.write_all(&answer(&request, &serial.to_string()))?;
                        }
                    }
                    Err(reason) => {
                        let message = format!("{reason} in {}", shown(&unread));
                        self.violations.lock().expect("no thread panics with the list").push(message);
                        return socket.shutdown(Shutdown::Both);
                    }
                }
            }
            match socket.read(&mut buffer)? {
                0 => return Ok(()),
                length => unread.extend_from_slice(&buffer[..length]),
            }
        }
    }

    fn keep(&self, request: Request) -> usize {
        let mut seen = self.seen.lock().expect("no thread panics with the list");
        let serial = seen.len();
        seen.push(Seen { serial, request });
        serial
    }
}

fn answer(request: &Request, serial: &str) -> Vec<u8> {
    let body = format!("{} {}", request.method, request.target);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{SERIAL}: {serial}\r\n\r\n", body.len());
    let body = if request.method == "HEAD" { "" } else { &body };
    [head.as_bytes(), body.as_bytes()].concat()
}

impl Drop for StrictUpstream {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        // Wakes the accept loop.
        drop(TcpStream::connect(self.address));
        for socket in self.shared.sockets.lock().expect("no thread panics with the list").drain(..) {
            drop(socket.shutdown(Shutdown::Both));
        }
    }
}
