//! Upstreams that misbehave, each in one way.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::server::{Connection, Server, Shared};
use crate::wire::chunk;

/// One way to misbehave. Unless said otherwise the whole request is read (and recorded) first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Waits so long before it answers.
    SlowHead(Duration),
    /// Sends a head and then chunks of so many bytes, ten in all, with a pause before each.
    SlowBody {
        /// Bytes of a chunk.
        chunk: usize,
        /// The pause.
        pause: Duration,
    },
    /// Reads the request and never answers, until the peer closes.
    NeverAnswer,
    /// Closes instead of answering.
    CloseBeforeResponse,
    /// Closes in the middle of the head.
    CloseMidHead,
    /// Closes after 100 of 1,000 bytes.
    CloseMidBody,
    /// Closes in the middle of a chunk.
    CloseMidChunk,
    /// Closes after a whole chunk, without the last one.
    CloseBeforeLastChunk,
    /// Answers with keep-alive, then ends its sending side and goes on reading.
    HalfClose,
    /// Sends bytes that are no HTTP.
    Garbage,
    /// Sends a field of so many bytes.
    HugeHeader(usize),
    /// Sends so many fields.
    ManyHeaders(usize),
    /// Resets the connection as soon as it is accepted, before the request is read.
    ResetAfterAccept,
    /// Resets the connection after 100 of 1,000 bytes.
    ResetMidBody,
    /// Sends a chunk whose size is no number.
    BadChunk,
    /// States two lengths that differ.
    DuplicateContentLength,
    /// States a length and `chunked`.
    LengthAndChunked,
    /// Sends so many informational responses before the answer.
    InformationalFlood(usize),
    /// Sends chunks until the peer has enough.
    EndlessBody,
    /// States no length and closes at the end.
    NoLength,
    /// Answers as an HTTP/1.0 server does.
    Http10,
    /// Answers with keep-alive, then closes when the connection was idle so long.
    StaleKeepAlive(Duration),
    /// Its backlog is full: connecting takes for ever.
    AcceptNever,
}

/// What a fault's answer says, where it says anything.
pub(super) const TEXT: &str = "from the faulty upstream";

/// Serves one connection wrongly.
pub(super) fn misbehave(fault: Fault, connection: &mut Connection) -> io::Result<()> {
    if fault == Fault::ResetAfterAccept {
        return connection.reset();
    }
    while connection.request()?.is_some() {
        if respond(fault, connection)? == Next::End {
            break;
        }
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Next {
    Request,
    End,
}

fn respond(fault: Fault, connection: &mut Connection) -> io::Result<Next> {
    let proper = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{TEXT}", TEXT.len());
    let tenth_of_body = format!("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{}", "x".repeat(100));
    let wire = &mut connection.wire;
    match fault {
        Fault::ResetAfterAccept | Fault::AcceptNever => unreachable!("no request is read"),
        Fault::SlowHead(pause) => {
            thread::sleep(pause);
            wire.send(proper)?;
            return Ok(Next::Request);
        }
        Fault::SlowBody { chunk: bytes, pause } => {
            wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            for _ in 0..10 {
                thread::sleep(pause);
                wire.send(chunk(&vec![b'x'; bytes]))?;
            }
            wire.send("0\r\n\r\n")?;
            return Ok(Next::Request);
        }
        Fault::NeverAnswer => connection.wait_for_close()?,
        Fault::CloseBeforeResponse => {}
        Fault::CloseMidHead => wire.send("HTTP/1.1 200 OK\r\nContent-Le")?,
        Fault::CloseMidBody => wire.send(tenth_of_body)?,
        Fault::CloseMidChunk => {
            wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nonly the start")?;
        }
        Fault::CloseBeforeLastChunk => {
            wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n")?;
        }
        Fault::HalfClose => {
            wire.send(proper)?;
            connection.socket.shutdown(Shutdown::Write)?;
            connection.wait_for_close()?;
        }
        Fault::Garbage => wire.send([0x16, 0x03, 0x01, 0x00, 0xff, b'\r', b'\n', b'\r', b'\n', 0x00, 0x80])?,
        Fault::HugeHeader(bytes) => {
            wire.send(format!("HTTP/1.1 200 OK\r\nX-Huge: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(bytes)))?;
        }
        Fault::ManyHeaders(count) => {
            let fields: String = (0..count).map(|index| format!("X-{index}: {index}\r\n")).collect();
            wire.send(format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n"))?;
        }
        Fault::ResetMidBody => {
            wire.send(tenth_of_body)?;
            connection.reset()?;
        }
        Fault::BadChunk => {
            wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nwhat\r\n0\r\n\r\n")?;
            connection.wait_for_close()?;
        }
        Fault::DuplicateContentLength => {
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde")?;
            connection.wait_for_close()?;
        }
        Fault::LengthAndChunked => {
            wire.send(
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
            )?;
            connection.wait_for_close()?;
        }
        Fault::InformationalFlood(count) => {
            for _ in 0..count {
                wire.send("HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")?;
            }
            wire.send(proper)?;
            return Ok(Next::Request);
        }
        Fault::EndlessBody => {
            wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            let data = chunk(&[b'x'; 16 * 1024]);
            loop {
                wire.send(&data)?;
            }
        }
        Fault::NoLength => wire.send(format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n{TEXT}"))?,
        Fault::Http10 => wire.send(format!("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n{TEXT}"))?,
        Fault::StaleKeepAlive(idle) => {
            wire.send(proper)?;
            connection.socket.set_read_timeout(Some(idle))?;
            return Ok(Next::Request);
        }
    }
    Ok(Next::End)
}

/// A port whose backlog is full.
pub(super) fn accept_never() -> Server {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
    socket.listen(0).expect("a bound socket can listen");
    let address =
        socket.local_addr().ok().and_then(|address| address.as_socket()).expect("a bound socket has an address");
    let mut kept: Vec<Box<dyn Send + Sync>> = vec![Box::new(socket)];
    loop {
        match TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            Ok(filler) => kept.push(Box::new(filler)),
            Err(error) if error.kind() == ErrorKind::TimedOut => break,
            Err(error) => panic!("cannot fill the backlog: {error}"),
        }
    }
    Server { address, shared: Arc::new(Shared::default()), kept }
}
