//! Slow heads, slow bodies, slow readers: two hundred of each at once (the attacks known as Slowloris, R.U.D.Y. and slow read).

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use moongate_tests::wire::Framing;
use moongate_tests::{Gateway, Upstream};
use socket2::{Domain, Socket, Type};

use crate::floods::Neighbour;

/// How many clients are slow at once.
const SLOW_CLIENTS: usize = 200;

/// What a slow client has time for, in the gateways of these tests.
const DEADLINE: Duration = Duration::from_millis(500);

/// By when the gateway must have got rid of all: twice the deadline (less than 1 KiB may have been taken in the one, and less again in
/// the next), what slow readers' sockets take before anything is slow, and what a busy machine adds.
const GONE_BY: Duration = Duration::from_secs(10);

/// What slow readers ask for, in bytes: more than the sockets' buffers hold.
const ANSWER_BYTES: u64 = 6 * 1024 * 1024;

/// Pause between the bytes of a slow client.
const DRIP: Duration = Duration::from_millis(25);

/// A slow reader's receive buffer, in bytes.
const RECEIVE_BUFFER_BYTES: usize = 4 * 1024;

fn gateway(upstream: &Upstream) -> Gateway {
    let api = format!(
        "api: w
routes:
  - match: $default
    upstream: {}
  - match: GET /mock
    integration: {{ type: mock, responses: [{{ status_code: 200 }}] }}
",
        upstream.url()
    );
    let milliseconds = DEADLINE.as_millis();
    let settings = format!(
        "workers: 2
access_log: none
limits: {{ head_timeout_ms: {milliseconds}, idle_timeout_ms: {milliseconds}, stall_timeout_ms: {milliseconds} }}
"
    );
    Gateway::builder().file("moongate.yaml", &settings).file("apis/w.yaml", &api).start()
}

/// What a slow client does in each step after its first bytes.
#[derive(Clone, Copy, Debug)]
enum Slowness {
    /// Sends a byte.
    Drips(u8),
    /// Sends a chunk of one byte.
    DripsChunks,
    /// Sends nothing.
    Waits,
    /// Takes a byte of what it is sent.
    Sips,
}

/// Opens slow clients, lets them be slow together, and waits until the gateway has ended them all.
#[track_caller]
fn besiege(name: &str, gateway: &Gateway, first: &str, slowness: Slowness) {
    let neighbour = Neighbour::start(gateway, "/w/mock");
    let start = Instant::now();
    let is_reader = matches!(slowness, Slowness::Sips);
    let mut clients: Vec<TcpStream> =
        (0..SLOW_CLIENTS).map(|_| slow_client(gateway.address(), first, slowness)).collect();
    let mut answers = Vec::new();
    loop {
        clients.retain_mut(|client| goes_on(client, slowness, &mut answers));
        // A reader cannot see the end behind what it has not read: the gateway has to say that it is gone. The neighbour has a
        // connection of its own.
        let left = gateway.metric("gateway_connections", &[]) as usize;
        let has_begun = !is_reader || answers.len() >= 10 * SLOW_CLIENTS;
        if has_begun && left <= 1 && (is_reader || clients.is_empty()) {
            break;
        }
        let waited = start.elapsed();
        assert!(waited < GONE_BY, "{name}: {left} of {SLOW_CLIENTS} are still there after {waited:?}");
        thread::sleep(DRIP);
    }
    assert!(start.elapsed() >= DEADLINE, "{name}: gone after {:?} already", start.elapsed());
    neighbour.expect_unharmed(name);
    let answers = String::from_utf8_lossy(&answers);
    let timeouts = answers.matches("HTTP/1.1 408").count();
    if matches!(slowness, Slowness::Sips) {
        assert_eq!(timeouts, 0, "{name}");
    } else if !first.is_empty() {
        // A client that went on sending may have its answer destroyed by a reset.
        assert!(timeouts > SLOW_CLIENTS / 2, "{name}: {timeouts} clients were told why");
    }
}

fn slow_client(address: SocketAddr, first: &str, slowness: Slowness) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    if matches!(slowness, Slowness::Sips) {
        // Before connecting: the window is agreed on then.
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES).expect("a small receive buffer");
    }
    socket.connect(&address.into()).expect("the gateway listens");
    let mut client = TcpStream::from(socket);
    client.write_all(first.as_bytes()).expect("a fresh connection takes bytes");
    client.set_nonblocking(true).expect("a socket of ours");
    client
}

/// One step of a slow client; false when the gateway has ended its connection.
fn goes_on(client: &mut TcpStream, slowness: Slowness, answers: &mut Vec<u8>) -> bool {
    let sent = match slowness {
        Slowness::Drips(byte) => client.write(&[byte]),
        Slowness::DripsChunks => client.write(b"1\r\nx\r\n"),
        Slowness::Waits | Slowness::Sips => Ok(0),
    };
    let mut space = [0; 1024];
    let space = if matches!(slowness, Slowness::Sips) { &mut space[..1] } else { &mut space[..] };
    match client.read(space) {
        Ok(0) => false,
        Ok(length) => {
            answers.extend_from_slice(&space[..length]);
            true
        }
        Err(error) => error.kind() == ErrorKind::WouldBlock && sent.is_ok(),
    }
}

#[test]
fn slow_heads_are_gone_by_the_deadline() {
    let upstream = Upstream::text("ok");
    let gateway = gateway(&upstream);
    besiege("a head byte by byte", &gateway, "GET /w/ HTTP/1.1\r\nHost: h\r\nX-Slow: ", Slowness::Drips(b'x'));
    besiege("a head that stops", &gateway, "GET /w/ HTTP/1.1\r\nHost: h\r\n", Slowness::Waits);
    besiege("empty lines", &gateway, "\r\n", Slowness::Drips(b'\n'));
    besiege("nothing at all", &gateway, "", Slowness::Waits);
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn slow_bodies_are_gone_by_the_deadline() {
    let upstream = Upstream::text("ok");
    let gateway = gateway(&upstream);
    let sized = "POST /w/ HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n";
    let chunked = "POST /w/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    besiege("a body byte by byte", &gateway, sized, Slowness::Drips(b'x'));
    besiege("a body that stops", &gateway, &format!("{sized}hello"), Slowness::Waits);
    besiege("a body of small chunks", &gateway, chunked, Slowness::DripsChunks);
    besiege("a chunk's size that stops", &gateway, &format!("{chunked}5"), Slowness::Waits);
    assert!(upstream.requests().iter().all(|request| !request.is_complete), "a part was taken for the whole");
}

#[test]
fn slow_readers_are_gone_by_the_deadline() {
    let upstream = Upstream::download(ANSWER_BYTES, Framing::Length(0));
    let gateway = gateway(&upstream);
    let before = gateway.rss_kib();
    besiege("an answer byte by byte", &gateway, "GET /w/ HTTP/1.1\r\nHost: h\r\n\r\n", Slowness::Sips);
    let grown = gateway.process().rss_peak_kib().saturating_sub(before);
    assert!(grown < 160 * 1024, "{grown} KiB for {SLOW_CLIENTS} slow readers");
    upstream.wait_for_closed(upstream.connections());
}

#[test]
fn idle_connections_end_whatever_was_asked_before() {
    let upstream = Upstream::text("ok");
    let gateway = gateway(&upstream);
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
    let cases = [
        ("nothing", String::new(), vec![]),
        ("a mock", get("/w/mock"), vec!["GET"]),
        ("an upstream", get("/w/"), vec!["GET"]),
        ("no route", get("/nowhere"), vec!["GET"]),
        ("HEAD", "HEAD /w/ HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), vec!["HEAD"]),
        ("a body", "POST /w/ HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi".to_owned(), vec!["POST"]),
        (
            "chunks",
            "POST /w/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n".to_owned(),
            vec!["POST"],
        ),
        ("several", format!("{}{}{}", get("/w/mock"), get("/w/"), get("/w/mock")), vec!["GET"; 3]),
        ("HTTP/1.0", "GET /w/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_owned(), vec!["GET"]),
    ];
    let start = Instant::now();
    let connections = cases.iter().map(|(name, bytes, methods)| {
        let mut connection = gateway.client().timeout(GONE_BY).connect();
        connection.send(bytes).expect("sent");
        for method in methods {
            connection.response_to(method).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        (name, connection)
    });
    for (name, mut connection) in connections.collect::<Vec<_>>() {
        assert!(connection.is_closed_by_peer(), "{name}: still open after {:?}", start.elapsed());
        assert!(start.elapsed() >= DEADLINE, "{name}: closed after {:?} already", start.elapsed());
    }
}
