//! An HTTP/1.1 client that sends exactly the bytes it is given.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::fields::Fields;
use crate::wait::SOON;
use crate::wire::{BodyReader, Framing, Wire, split_head};

/// Who talks to one address.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    address: SocketAddr,
    timeout: Duration,
}

/// A final response, complete.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// The header fields.
    pub headers: Fields,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// The trailer fields.
    pub trailers: Fields,
    /// Statuses of the informational responses before it.
    pub informational: Vec<u16>,
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in the body `{}`", self.text()))
    }

    /// The value of a header field.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The response again, after checking its status.
    ///
    /// # Panics
    ///
    /// When the status is another one; the message holds the whole response.
    #[track_caller]
    pub fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}\nbody: {}", self.text());
        self
    }
}

impl Client {
    /// A client of an address.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, timeout: SOON }
    }

    /// The same, waiting at most so long for each read and write.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Opens a connection.
    ///
    /// # Panics
    ///
    /// When nobody listens.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        self.try_connect().unwrap_or_else(|error| panic!("cannot connect to {}: {error}", self.address))
    }

    /// Opens a connection.
    ///
    /// # Errors
    ///
    /// When nobody listens.
    pub fn try_connect(&self) -> io::Result<Connection> {
        let socket = TcpStream::connect_timeout(&self.address, self.timeout)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(self.timeout))?;
        socket.set_write_timeout(Some(self.timeout))?;
        let wire = Wire::new(socket.try_clone()?);
        Ok(Connection { socket, wire, address: self.address })
    }

    /// `GET` on a connection of its own.
    #[track_caller]
    pub fn get(&self, target: &str) -> Response {
        self.request("GET", target, &[], b"")
    }

    /// One request on a connection of its own. `host` and, for a body, `content-length` are added unless given.
    #[track_caller]
    pub fn request(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.connect().request(method, target, headers, body)
    }

    /// Sends bytes on a connection of its own and reads one response.
    ///
    /// # Errors
    ///
    /// Where the connection broke or stayed silent.
    pub fn send_raw(&self, bytes: impl AsRef<[u8]>) -> io::Result<Response> {
        let mut connection = self.try_connect()?;
        // A peer that refuses may close before it has read everything: what it said is still there to be read.
        let sent = connection.send(bytes);
        connection.response_to("GET").map_err(|error| sent.err().unwrap_or(error))
    }
}

/// One connection, kept open.
pub struct Connection {
    socket: TcpStream,
    wire: Wire,
    address: SocketAddr,
}

impl Connection {
    /// Sends bytes as they are.
    ///
    /// # Errors
    ///
    /// When the peer has gone or does not read.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.wire.send(bytes)
    }

    /// Sends a request; see [`Client::request`].
    ///
    /// # Errors
    ///
    /// As [`Connection::send`].
    pub fn send_request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<()> {
        let given = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let mut bytes = format!("{method} {target} HTTP/1.1\r\n");
        if !given("host") {
            bytes.push_str(&format!("Host: {}\r\n", self.address));
        }
        for (name, value) in headers {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        let expects_body = !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH");
        if expects_body && !given("content-length") && !given("transfer-encoding") {
            bytes.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        bytes.push_str("\r\n");
        let mut bytes = bytes.into_bytes();
        bytes.extend_from_slice(body);
        self.send(bytes)
    }

    /// Sends a request and reads its response.
    ///
    /// # Panics
    ///
    /// When there is no whole response.
    #[track_caller]
    pub fn request(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let sent = self.send_request(method, target, headers, body);
        match self.response_to(method) {
            Ok(response) => response,
            Err(error) => panic!("no response to {method} {target}: {error} (sending: {sent:?})"),
        }
    }

    /// Reads one informational response (RFC 9110 section 15.2), and only that; its status.
    ///
    /// # Errors
    ///
    /// As [`Connection::response_to`].
    pub fn interim_status(&mut self) -> io::Result<u16> {
        let head = self.wire.head()?.unwrap_or_default();
        let (line, _) = split_head(&head);
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("status line `{line}`")))
    }

    /// Reads the response to a request with a method.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when it was cut off, `ConnectionAborted` when the peer closed without one, `TimedOut`, ...
    pub fn response_to(&mut self, method: &str) -> io::Result<Response> {
        let (mut response, mut body) = self.response_head_to(method)?;
        while let Some(piece) = body.next(&mut self.wire)? {
            response.body.extend_from_slice(piece);
        }
        response.trailers = body.trailers;
        Ok(response)
    }

    /// Reads the head of a response, and what reads its body with [`Connection::piece`].
    ///
    /// # Errors
    ///
    /// As [`Connection::response_to`].
    pub fn response_head_to(&mut self, method: &str) -> io::Result<(Response, BodyReader)> {
        let mut informational = Vec::new();
        loop {
            let Some(head) = self.wire.head()? else {
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the peer closed without a response"));
            };
            let (line, headers) = split_head(&head);
            let mut parts = line.splitn(3, ' ').map(str::to_owned);
            let (version, status) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let invalid = || io::Error::new(io::ErrorKind::InvalidData, format!("status line `{line}`"));
            let status: u16 = status.parse().map_err(|_| invalid())?;
            if (100..200).contains(&status) && status != 101 {
                informational.push(status);
                continue;
            }
            let framing = match status {
                101 | 204 | 304 => Framing::Empty,
                _ if method == "HEAD" => Framing::Empty,
                _ => Framing::of(&headers, Framing::UntilClose)?,
            };
            let reason = parts.next().unwrap_or_default();
            let response = Response { version, status, reason, headers, informational, ..Response::default() };
            return Ok((response, BodyReader::new(framing)));
        }
    }

    /// The next bytes of a body.
    ///
    /// # Errors
    ///
    /// As [`BodyReader::next`].
    pub fn piece(&mut self, body: &mut BodyReader) -> io::Result<Option<&[u8]>> {
        body.next(&mut self.wire)
    }

    /// Reads everything up to the end of the connection.
    ///
    /// # Errors
    ///
    /// `TimedOut` when the peer keeps it open.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        self.wire.rest()
    }

    /// Whether the peer ends the connection, by closing or by a reset, before the timeout and without another byte.
    pub fn is_closed_by_peer(&mut self) -> bool {
        match self.wire.some(1) {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    ///
    /// Whatever the socket says.
    pub fn finish_sending(&mut self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// The socket, for what else a test wants to do to it (writing from another thread, a reset).
    ///
    /// # Errors
    ///
    /// When the system has no descriptors left.
    pub fn socket(&self) -> io::Result<TcpStream> {
        self.socket.try_clone()
    }

    /// Changes how long reads and writes may take.
    ///
    /// # Errors
    ///
    /// Whatever the socket says.
    pub fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.socket.set_read_timeout(Some(timeout))?;
        self.socket.set_write_timeout(Some(timeout))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Bytes that were never read would turn the close into a reset, which some tests' upstreams would take for an abort.
        drop(self.socket.set_nonblocking(true));
        let mut unread = [0; 4096];
        while matches!(self.socket.read(&mut unread), Ok(1..)) {}
    }
}
