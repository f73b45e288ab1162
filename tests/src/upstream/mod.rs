//! Upstreams: real servers on ports of their own that record what reaches them, or misbehave in one chosen way.
//!
//! - [`Upstream::recording`] (also over TLS, also HTTP/2) answers as told and keeps every request as it came.
//! - [`Upstream::faulty`] breaks off, stalls, lies about lengths and so on: see [`Fault`].
//! - [`streaming`] has those that send or take bodies of any size, event by event, or both ways at once.

mod answer;
mod fault;
mod http2;
mod recorded;
mod refusing;
mod server;
pub mod streaming;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

pub use answer::Answer;
pub use fault::Fault;
pub use recorded::Recorded;
pub use refusing::Refusal;

use crate::certificates::{Authority, Certificate};
use crate::wait::{SOON, wait_for, wait_until};
use server::{Connection, Server, Shared};

/// A running upstream. It stops, and its connections break, when the value is dropped.
pub struct Upstream {
    server: Server,
    scheme: &'static str,
}

impl Upstream {
    /// HTTP/1.1 with keep-alive: reads each request to its end, records it, and answers.
    pub fn recording(answer: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) -> Self {
        Self::plain(move |connection| serve(connection, &answer))
    }

    /// The same on an address of the caller's choice: 127.0.0.2 with the port of another upstream, as when a name moves.
    pub fn recording_at(address: SocketAddr, answer: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) -> Self {
        let handler = Arc::new(move |connection: &mut Connection| serve(connection, &answer));
        Self { server: Server::start_at(address, None, handler), scheme: "http" }
    }

    /// A recording upstream that always gives the same text.
    pub fn text(text: &'static str) -> Self {
        Self::recording(move |_| Answer::text(text))
    }

    /// The same over TLS, HTTP/1.1 only.
    pub fn tls(certificate: &Certificate, answer: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) -> Self {
        let handler = Arc::new(move |connection: &mut Connection| serve(connection, &answer));
        Self { server: Server::start(Some(certificate.acceptor(&[b"http/1.1"])), handler), scheme: "https" }
    }

    /// HTTP/2 without TLS, with prior knowledge (RFC 9113 section 3.3).
    pub fn h2c(answer: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) -> Self {
        Self { server: http2::start(None, Arc::new(answer), None), scheme: "http" }
    }

    /// The same, with at most so many streams at a time on a connection.
    pub fn h2c_limited(streams_max: u32, answer: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) -> Self {
        Self { server: http2::start(None, Arc::new(answer), Some(streams_max)), scheme: "http" }
    }

    /// HTTP/1.1 over TLS that takes only clients who show a certificate of an authority.
    pub fn mutual_tls(
        certificate: &Certificate,
        clients: &Authority,
        answer: impl Fn(&Recorded) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let handler = Arc::new(move |connection: &mut Connection| serve(connection, &answer));
        let acceptor = certificate.acceptor_for(clients, &[b"http/1.1"]);
        Self { server: Server::start(Some(acceptor), handler), scheme: "https" }
    }

    /// HTTP/2 without TLS: answers at once, sends back every message as it comes, and ends with `grpc-status: 0` in trailers.
    pub fn grpc_echo() -> Self {
        Self { server: http2::start_echo(), scheme: "h2c" }
    }

    /// HTTP/2 over TLS, offered through ALPN.
    pub fn h2(certificate: &Certificate, answer: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) -> Self {
        Self { server: http2::start(Some(certificate.acceptor(&[b"h2"])), Arc::new(answer), None), scheme: "https" }
    }

    /// Goes over to the protocol that is asked for: says `first` right behind its 101, then sends back what it gets in upper case,
    /// and ends the connection when it gets `end`. Requests that ask for none are answered with a text.
    pub fn switching(first: &'static str) -> Self {
        Self::plain(move |connection| {
            while let Some((request, mut body)) = connection.request_head()? {
                while body.next(&mut connection.wire)?.is_some() {}
                let protocol = request.headers.get("upgrade").map(str::to_owned);
                connection.record(Recorded { is_complete: true, ..request });
                let Some(protocol) = protocol else {
                    connection.wire.send(Answer::text("not asked").to_bytes("GET"))?;
                    continue;
                };
                let head = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\nSec-WebSocket-Accept: yes\r\n\r\n"
                );
                connection.wire.send(format!("{head}{first}"))?;
                loop {
                    let bytes = connection.wire.some(u64::MAX)?.to_ascii_uppercase();
                    if bytes.is_empty() || bytes.ends_with(b"END") {
                        return Ok(());
                    }
                    connection.wire.send(bytes)?;
                }
            }
            Ok(())
        })
    }

    /// Misbehaves in one way.
    pub fn faulty(fault: Fault) -> Self {
        match fault {
            Fault::AcceptNever => Self { server: fault::accept_never(), scheme: "http" },
            other => Self::plain(move |connection| fault::misbehave(other, connection)),
        }
    }

    /// Answers when it has read the head, before the body, and goes on reading (and counting) the body.
    pub fn early_answer(answer: Answer) -> Self {
        Self::plain(move |connection| {
            let Some((request, mut body)) = connection.request_head()? else { return Ok(()) };
            connection.record(request);
            connection.wire.send(answer.to_bytes("POST"))?;
            connection.count_body(&mut body)
        })
    }

    fn plain(handler: impl Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self { server: Server::start(None, Arc::new(handler)), scheme: "http" }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Its URL without a path: `http://127.0.0.1:PORT`; over TLS the host is `localhost`, which is in the certificate.
    pub fn url(&self) -> String {
        match self.scheme {
            "https" => format!("https://localhost:{}", self.address().port()),
            scheme => format!("{scheme}://{}", self.address()),
        }
    }

    /// What was recorded so far, in the order in which requests were complete.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared().requests.lock().expect("no test panics while it records").clone()
    }

    /// The only request there was.
    ///
    /// # Panics
    ///
    /// When there was none, or several.
    #[track_caller]
    pub fn only_request(&self) -> Recorded {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "not exactly one request: {requests:#?}");
        requests.remove(0)
    }

    /// The latest request.
    ///
    /// # Panics
    ///
    /// When there was none.
    #[track_caller]
    pub fn last_request(&self) -> Recorded {
        self.requests().pop().expect("the upstream was reached")
    }

    /// Waits until there were so many requests.
    #[track_caller]
    pub fn wait_for_requests(&self, count: usize) -> Vec<Recorded> {
        wait_for("requests at the upstream", SOON, || Some(self.requests()).filter(|requests| requests.len() >= count))
    }

    /// Forgets what was recorded.
    pub fn forget(&self) {
        self.shared().requests.lock().expect("no test panics while it records").clear();
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.shared().accepted()
    }

    /// Waits until so many of the accepted connections have ended.
    #[track_caller]
    pub fn wait_for_closed(&self, count: usize) {
        wait_until("closed connections at the upstream", SOON, || self.shared().closed() >= count);
    }

    /// Waits until so many answers were followed by what [`Answer::then`] says.
    #[track_caller]
    pub fn wait_for_late(&self, count: usize) {
        wait_until("what follows answers unasked", SOON, || self.shared().late() >= count);
    }

    /// Bytes of bodies that were read, by the upstreams that do not keep them.
    pub fn body_bytes(&self) -> u64 {
        self.shared().body_bytes()
    }

    fn shared(&self) -> &Shared {
        &self.server.shared
    }
}

/// Reads requests, records them and answers, until either side closes.
fn serve(connection: &mut Connection, answer: &dyn Fn(&Recorded) -> Answer) -> io::Result<()> {
    while let Some(request) = connection.request()? {
        let answer = answer(&request);
        answer.pause();
        connection.wire.send(answer.to_bytes(&request.method))?;
        if let Some((pause, bytes)) = &answer.late {
            thread::sleep(*pause);
            connection.send_late(bytes)?;
        }
        if answer.closes() || request.headers.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
        {
            break;
        }
    }
    Ok(())
}
