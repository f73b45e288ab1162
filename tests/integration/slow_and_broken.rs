//! Clients that are slow on purpose or by nature, and upstreams that break under one request: who waits how long, and for whom.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use moongate_tests::client::Connection;
use moongate_tests::wait::{SOON, wait_until};
use moongate_tests::wire::{BodyReader, chunk};
use moongate_tests::{Answer, Fault, Gateway, Upstream};
use socket2::SockRef;

/// Size of the answer that a template makes, in bytes: more than the sockets' buffers hold.
const MAPPED_BYTES: usize = 6_000_000;

/// Connections to the upstream that are kept before it breaks.
const KEPT: usize = 8;

/// A client's receive buffer, in bytes: small, so that what it has not read stays with the gateway.
const RECEIVE_BUFFER_BYTES: usize = 64 * 1024;

/// A gateway whose `GET /m/large` is answered with [`MAPPED_BYTES`] made by a template.
fn mapping_gateway(upstream: &Upstream, settings: &str) -> Gateway {
    let api = format!(
        "api: m
routes:
  - match: GET /large
    integration:
      type: http
      uri: {}/
      responses:
        - status_code: 200
          response_templates: {{ application/json: {{ file: lua/large.lua }} }}
",
        upstream.url()
    );
    Gateway::builder()
        .file("moongate.yaml", settings)
        .file("apis/m.yaml", &api)
        .file("lua/large.lua", &format!("return string.rep(\"x\", {MAPPED_BYTES})\n"))
        .start()
}

/// Asks for the large answer and reads its head.
fn ask_for_large(gateway: &Gateway) -> (Connection, BodyReader) {
    let mut connection = gateway.client().connect();
    let socket = connection.socket().expect("a socket");
    SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER_BYTES).expect("a small receive buffer");
    connection.send_request("GET", "/m/large", &[], b"").expect("sent");
    let (response, body) = connection.response_head_to("GET").expect("a head");
    assert_eq!(response.status, 200);
    (connection, body)
}

/// Reads a body to its end, pausing after every `step_bytes`; how many bytes there were.
fn read_slowly(connection: &mut Connection, body: &mut BodyReader, step_bytes: usize, pause: Duration) -> usize {
    let mut bytes = 0;
    let mut next_pause = step_bytes;
    loop {
        match connection.piece(body) {
            Ok(Some(piece)) => {
                assert!(piece.iter().all(|byte| *byte == b'x'), "other bytes near {bytes}");
                bytes += piece.len();
            }
            Ok(None) => return bytes,
            Err(error) => panic!("the answer broke off after {bytes} of {MAPPED_BYTES} bytes: {error}"),
        }
        if bytes >= next_pause {
            thread::sleep(pause);
            next_pause += step_bytes;
        }
    }
}

#[test]
fn a_request_that_kills_its_upstream_is_tried_twice_at_most() {
    let all_have_arrived = Barrier::new(KEPT);
    let upstream = Upstream::recording(move |request| match request.target.as_str() {
        // Nothing, and the end of the connection.
        "/fatal" => Answer::raw([]).header("connection", "close"),
        "/together" => {
            all_have_arrived.wait();
            Answer::text("ok")
        }
        _ => Answer::text("ok"),
    });
    let api = format!("api: p\nroutes:\n  - match: $default\n    upstream: {}\n", upstream.url());
    // Kept connections belong to a worker: with one worker all are within reach of the fatal request.
    let gateway = Gateway::builder().file("moongate.yaml", "workers: 1\n").file("apis/p.yaml", &api).start();
    let mut clients: Vec<Connection> = (0..KEPT)
        .map(|_| {
            let mut connection = gateway.client().connect();
            connection.send_request("GET", "/p/together", &[], b"").expect("sent");
            connection
        })
        .collect();
    for client in &mut clients {
        client.response_to("GET").expect("an answer").expect_status(200);
    }
    assert_eq!(upstream.connections(), KEPT);
    upstream.forget();

    gateway.get("/p/fatal").expect_status(502);
    let tries = upstream.requests();
    assert!(tries[0].connection < KEPT, "the first try was not made on a kept connection: {tries:#?}");
    assert!(tries.len() <= 2, "{} tries", tries.len());
    gateway.get("/p/other").expect_status(200);
}

#[test]
fn a_mapped_answer_reaches_a_slow_reader_beyond_the_idle_deadline() {
    let upstream = Upstream::text("small");
    let gateway = mapping_gateway(&upstream, "limits: { idle_timeout_ms: 500, stall_timeout_ms: 1500 }\n");
    let (mut connection, mut body) = ask_for_large(&gateway);
    let start = Instant::now();
    let bytes = read_slowly(&mut connection, &mut body, 500_000, Duration::from_millis(200));
    assert_eq!(bytes, MAPPED_BYTES);
    assert!(start.elapsed() > Duration::from_millis(1000), "read too fast to prove anything: {:?}", start.elapsed());
}

#[test]
fn a_drain_waits_for_an_answer_that_is_being_read() {
    let upstream = Upstream::text("small");
    let gateway = mapping_gateway(&upstream, "limits: { idle_timeout_ms: 500, stall_timeout_ms: 1500 }\n");
    let (mut connection, mut body) = ask_for_large(&gateway);
    let read = connection.piece(&mut body).expect("a part").expect("no end yet").len();
    gateway.process().signal("TERM");
    wait_until("the listeners to close", SOON, || gateway.client().try_connect().is_err());
    let rest = read_slowly(&mut connection, &mut body, 1_000_000, Duration::from_millis(200));
    assert_eq!(read + rest, MAPPED_BYTES);
    // Still open at this end: the gateway closes it by itself. `CONT` does nothing to a running process.
    let ended = gateway.stop("CONT");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// An HTTP/2 frame (RFC 9113 section 4.1), for payloads below 256 bytes.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a short payload");
    let mut bytes = vec![0, 0, length, kind, flags, 0, 0, 0, stream];
    bytes.extend_from_slice(payload);
    bytes
}

/// The frame of a whole `GET` request: fields of the static table, values as literals (RFC 7541 section 6.2.2).
fn get_frame(stream: u8, path: &str, authority: &str) -> Vec<u8> {
    let literal = |index: u8, value: &str| {
        let length = u8::try_from(value.len()).expect("a short value");
        [&[index, length], value.as_bytes()].concat()
    };
    // `:method: GET` and `:scheme: http`, then `:path` and `:authority`; END_STREAM and END_HEADERS.
    let fields = [vec![0x82, 0x86], literal(0x04, path), literal(0x01, authority)].concat();
    frame(0x1, 0x5, stream, &fields)
}

/// The next frame of a connection: type, flags, stream and payload.
fn read_frame(socket: &mut TcpStream) -> (u8, u8, u8, Vec<u8>) {
    let mut head = [0; 9];
    socket.read_exact(&mut head).expect("a frame's head");
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).expect("a short frame")];
    socket.read_exact(&mut payload).expect("a frame's payload");
    (head[3], head[4], head[8], payload)
}

#[test]
fn an_http2_client_that_opens_no_window_loses_its_streams_and_nothing_else() {
    let upstream = Upstream::text("small");
    let gateway = mapping_gateway(&upstream, "limits: { stall_timeout_ms: 1000 }\n");
    gateway.get("/m/large").expect_status(200);
    let authority = gateway.address().to_string();
    // SETTINGS_INITIAL_WINDOW_SIZE (4) of 0: no answer's body may be sent.
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(0x4, 0, 0, &[0, 4, 0, 0, 0, 0]));
    for stream in [1, 3, 5] {
        bytes.extend(get_frame(stream, "/m/large", &authority));
    }
    let mut connection = gateway.client().connect();
    connection.set_timeout(Duration::from_secs(4)).expect("a timeout");
    let start = Instant::now();
    connection.send(bytes).expect("sent");
    wait_until("the requests to be in flight", SOON, || gateway.metric("gateway_requests_in_flight", &[]) >= 3.0);
    let mut socket = connection.socket().expect("a socket");
    let (mut answered, mut reset) = (Vec::new(), Vec::new());
    while reset.len() < 3 {
        match read_frame(&mut socket) {
            (0x1, _, stream, _) => answered.push(stream),
            (0x3, _, stream, _) => reset.push(stream),
            (0x0, ..) => panic!("bytes of a body without a window"),
            _ => {}
        }
    }
    assert!((800..4000).contains(&start.elapsed().as_millis()), "it took {:?}", start.elapsed());
    answered.sort_unstable();
    reset.sort_unstable();
    assert_eq!((answered, reset), (vec![1, 3, 5], vec![1, 3, 5]));
    wait_until("no request in flight", Duration::from_secs(2), || {
        gateway.metric("gateway_requests_in_flight", &[]) == 0.0
    });
    // The connection goes on: a window for the next stream, and its answer comes.
    let next = [get_frame(7, "/nowhere", &authority), frame(0x8, 0, 7, &65_535_u32.to_be_bytes())].concat();
    socket.write_all(&next).expect("sent");
    loop {
        match read_frame(&mut socket) {
            (0x0, flags, 7, body) if flags & 1 == 1 => {
                break assert!(String::from_utf8_lossy(&body).contains("no_route"));
            }
            (0x3 | 0x7, ..) => panic!("the connection was ended"),
            _ => {}
        }
    }
    gateway.get("/m/large").expect_status(200);
}

/// Reads until the gateway ends the connection; how many bytes it took.
fn read_to_the_end(socket: &mut TcpStream) {
    let mut buffer = [0; 64 * 1024];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => return,
            Err(error) => panic!("not ended: {error}"),
        }
    }
}

#[test]
fn http2_floods_end_their_connection_and_nothing_else() {
    let upstream = Upstream::faulty(Fault::SlowHead(Duration::from_millis(200)));
    let gateway = Gateway::builder()
        .file("moongate.yaml", "workers: 1\n")
        .file("apis/p.yaml", &format!("api: p\nroutes:\n  - match: $default\n    upstream: {}\n", upstream.url()))
        .start();
    let authority = gateway.address().to_string();
    let before = gateway.rss_kib();
    let ping = frame(0x6, 0, 0, &[1; 8]);
    let settings = frame(0x4, 0, 0, &[]);
    let empty_data = frame(0x0, 0, 1, &[]);
    let continuation = frame(0x9, 0, 1, &[]);
    let open_headers = frame(0x1, 0x0, 1, &[0x82, 0x86]);
    let cases: [(&str, Vec<u8>, Vec<u8>); 4] = [
        ("PING", Vec::new(), ping),
        ("SETTINGS", Vec::new(), settings),
        (
            "empty DATA",
            get_frame(1, "/p/", &authority)
                .into_iter()
                .enumerate()
                .map(|(at, byte)| if at == 4 { 0x4 } else { byte })
                .collect(),
            empty_data,
        ),
        ("CONTINUATION", open_headers, continuation),
    ];
    for (name, first, flood) in cases {
        let connection = gateway.client().connect();
        let mut socket = connection.socket().expect("a socket");
        let mut writer = connection.socket().expect("a socket");
        let start = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(0x4, 0, 0, &[]), first].concat();
        let flooding = thread::spawn(move || {
            let many = flood.repeat(1000);
            // At most four million frames.
            writer.write_all(&start).expect("sent");
            (0..4_000).find(|_| writer.write_all(&many).is_err()).map_or(4_000, |thousands| thousands)
        });
        read_to_the_end(&mut socket);
        drop(socket.shutdown(std::net::Shutdown::Both));
        let thousands = flooding.join().expect("no panic");
        assert!(thousands < 4_000, "{name}: nothing ended it");
    }
    // Requests that are cancelled as soon as they are made (CVE-2023-44487), few at a time.
    let connection = gateway.client().connect();
    let mut socket = connection.socket().expect("a socket");
    let mut writer = connection.socket().expect("a socket");
    let rapid = thread::spawn(move || {
        writer
            .write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(0x4, 0, 0, &[])].concat())
            .expect("sent");
        for round in 0..3_000_u32 {
            let id = (round * 2 + 1).to_be_bytes();
            let mut pair = [get_frame(1, "/p/", &authority), frame(0x3, 0, 1, &[0, 0, 0, 8])].concat();
            let second = pair.len() - 13;
            pair[5..9].copy_from_slice(&id);
            pair[second + 5..second + 9].copy_from_slice(&id);
            if writer.write_all(&pair[..second]).is_err() {
                return round;
            }
            thread::sleep(Duration::from_micros(300));
            if writer.write_all(&pair[second..]).is_err() {
                return round;
            }
        }
        3_000
    });
    read_to_the_end(&mut socket);
    drop(socket.shutdown(std::net::Shutdown::Both));
    assert!(rapid.join().expect("no panic") < 3_000);
    assert!(gateway.rss_kib().saturating_sub(before) < 32 * 1024, "memory grew");
    gateway.get("/p/").expect_status(200);
    wait_until("no request in flight", SOON, || gateway.metric("gateway_requests_in_flight", &[]) == 0.0);
}

#[test]
fn an_http2_client_that_reads_slowly_gets_all_of_an_answer() {
    const STEP: u32 = 500_000;
    let upstream = Upstream::text("small");
    let gateway = mapping_gateway(&upstream, "limits: { idle_timeout_ms: 500, stall_timeout_ms: 2000 }\n");
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(0x4, 0, 0, &[]));
    bytes.extend(get_frame(1, "/m/large", &gateway.address().to_string()));
    let mut connection = gateway.client().connect();
    connection.send(bytes).expect("sent");
    let mut socket = connection.socket().expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    let mut received = 0;
    let mut buffer = vec![0; 256 * 1024];
    while received < MAPPED_BYTES {
        match socket.read(&mut buffer) {
            Ok(0) => panic!("cut off after {received} bytes"),
            Ok(length) => received += length,
            // The window is used up: WINDOW_UPDATE for the stream and the connection.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let update = [frame(0x8, 0, 0, &STEP.to_be_bytes()), frame(0x8, 0, 1, &STEP.to_be_bytes())].concat();
                socket.write_all(&update).expect("sent");
            }
            Err(error) => panic!("cut off after {received} bytes: {error}"),
        }
    }
}

/// Uploads `pieces` of ten bytes with a pause before each, on two connections at once: one states the length, one sends chunks.
fn upload_slowly(gateway: &Gateway, target: &str, pieces: usize, pause: Duration) -> [Connection; 2] {
    let piece = [b'x'; 10];
    let mut connections = [gateway.client().connect(), gateway.client().connect()];
    let framings = [format!("Content-Length: {}", pieces * piece.len()), "Transfer-Encoding: chunked".to_owned()];
    for (connection, framing) in connections.iter_mut().zip(framings) {
        connection.send(format!("POST {target} HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n")).expect("sent");
    }
    let [sized, chunked] = &mut connections;
    for _ in 0..pieces {
        thread::sleep(pause);
        sized.send(piece).expect("sent");
        chunked.send(chunk(&piece)).expect("sent");
    }
    chunked.send("0\r\n\r\n").expect("sent");
    connections
}

#[test]
fn an_upload_may_take_longer_than_the_integration_timeout() {
    let answering = Upstream::recording(|request| Answer::text(request.body.len().to_string()));
    let silent = Upstream::faulty(Fault::NeverAnswer);
    let gateway = Gateway::with_api(&format!(
        "api: u
routes:
  - match: POST /answering
    integration: {{ type: http_proxy, uri: \"{}/\", timeout_ms: 500 }}
  - match: POST /silent
    integration: {{ type: http_proxy, uri: \"{}/\", timeout_ms: 500 }}
",
        answering.url(),
        silent.url()
    ));
    for connection in &mut upload_slowly(&gateway, "/u/answering", 15, Duration::from_millis(100)) {
        assert_eq!(connection.response_to("POST").expect("an answer").expect_status(200).text(), "150");
    }

    let mut connections = upload_slowly(&gateway, "/u/silent", 7, Duration::from_millis(100));
    let start = Instant::now();
    for connection in &mut connections {
        let response = connection.response_to("POST").expect("an answer").expect_status(504);
        assert_eq!(response.json()["error"], "upstream_timeout");
    }
    assert!(start.elapsed() < Duration::from_millis(1500), "it took {:?}", start.elapsed());
    let requests = silent.requests();
    assert_eq!(requests.len(), 2, "{requests:#?}");
    assert!(requests.iter().all(|request| request.is_complete && request.body.len() == 70), "{requests:#?}");
}

#[test]
fn an_upstream_that_takes_nothing_of_an_upload_is_late() {
    const UPLOAD_BYTES: usize = 64 * 1024 * 1024;
    // Connections are made by the system and never accepted: nobody reads.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = deaf.local_addr().expect("a bound socket has an address");
    let gateway = Gateway::with_api(&format!(
        "api: u
routes:
  - match: POST /
    integration: {{ type: http_proxy, uri: \"http://{address}/\", timeout_ms: 500 }}
"
    ));
    let mut connection = gateway.client().connect();
    connection.send(format!("POST /u/ HTTP/1.1\r\nHost: h\r\nContent-Length: {UPLOAD_BYTES}\r\n\r\n")).expect("sent");
    let mut socket = connection.socket().expect("a socket");
    let sender = thread::spawn(move || {
        // Ends with an error when the gateway gives the request up.
        let _ = socket.write_all(&vec![b'x'; UPLOAD_BYTES]);
    });
    connection.response_to("POST").expect("an answer").expect_status(504);
    drop(connection);
    sender.join().expect("no panic");
}
