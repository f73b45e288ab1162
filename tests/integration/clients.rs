//! Who the client is, through load balancers and without, and how many connections it may have.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use moongate_tests::certificates::Authority;
use moongate_tests::client::Connection;
use moongate_tests::wait::{SOON, wait_until};
use moongate_tests::{Answer, Client, Gateway, Upstream};

/// A gateway whose API `p` passes on, says whom it takes for the client at `/p/who`, and keeps 192.0.2.66 out; with TLS.
fn gateway(upstream: &Upstream, authority: &Authority, settings: &str, tls: &str) -> Gateway {
    let certificate = authority.certificate(&["localhost"]);
    let who = "return function(event) return event.requestContext.http.sourceIp end";
    let api = format!(
        "api: p
policies: [{{ policy: ip_access, config: {{ deny: [192.0.2.66] }} }}]
routes:
  - match: GET /who
    integration: {{ type: lua, function: {{ lua: '{who}' }} }}
  - match: $default
    upstream: {}
",
        upstream.url()
    );
    let files = "{ certificate_file: tls/a.pem, key_file: tls/a.key }";
    Gateway::builder()
        .file("moongate.yaml", &format!("{settings}\ntls: {{ listen: 127.0.0.1:0, certificates: [{files}]{tls} }}\n"))
        .file("tls/a.pem", &certificate.pem())
        .file("tls/a.key", &certificate.key_pem())
        .file("apis/p.yaml", &api)
        .start()
}

fn upstream() -> Upstream {
    Upstream::recording(|request| Answer::text(request.line()))
}

/// Whom the gateway takes for the client, judging by its first answer on a connection.
fn who(connection: &mut Connection, headers: &[(&str, &str)]) -> String {
    connection.request("GET", "/p/who", headers, b"").expect_status(200).text()
}

#[test]
fn a_trusted_proxy_says_who_its_client_is_and_nobody_else_does() {
    let (upstream, authority) = (upstream(), Authority::default());
    type Fields = &'static [(&'static str, &'static str)];
    let cases: [(Fields, &str, &str); 4] = [
        (&[], "127.0.0.1", "127.0.0.1"),
        (&[("X-Forwarded-For", "192.0.2.7")], "192.0.2.7", "192.0.2.7, 127.0.0.1"),
        (
            &[("X-Forwarded-For", "192.0.2.66, 192.0.2.7"), ("X-Forwarded-For", "127.0.0.9")],
            "192.0.2.7",
            "192.0.2.66, 192.0.2.7, 127.0.0.9, 127.0.0.1",
        ),
        (&[("Forwarded", "for=\"[2001:db8::7]:80\"")], "2001:db8::7", "127.0.0.1"),
    ];
    let trusting = gateway(&upstream, &authority, "workers: 1\ntrusted_proxies: [127.0.0.0/8]", "");
    let strict = gateway(&upstream, &authority, "workers: 1", "");
    for (headers, client, forwarded) in cases {
        let mut connection = trusting.client().connect();
        assert_eq!(who(&mut connection, headers), client, "{headers:?}");
        connection.request("GET", "/p/x", headers, b"").expect_status(200);
        assert_eq!(upstream.last_request().header("x-forwarded-for"), Some(forwarded), "{headers:?}");
        let mut connection = strict.client().connect();
        assert_eq!(who(&mut connection, headers), "127.0.0.1", "{headers:?}");
        connection.request("GET", "/p/x", headers, b"").expect_status(200);
        let request = upstream.last_request();
        assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"), "{headers:?}");
        assert!(!request.headers.contains("forwarded"), "{headers:?}");
    }
    // Every request on a connection has its own client, and policies and logs go by it.
    let mut connection = trusting.client().connect();
    connection.request("GET", "/p/x", &[("X-Forwarded-For", "192.0.2.66")], b"").expect_status(403);
    let headers = [
        ("X-Forwarded-For", "192.0.2.7"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "shop.example"),
        ("Forwarded", "for=192.0.2.7"),
    ];
    connection.request("GET", "/p/logged", &headers, b"").expect_status(200);
    let request = upstream.last_request();
    let kept = ["x-forwarded-proto", "x-forwarded-host", "forwarded"].map(|name| request.header(name));
    assert_eq!(kept, [Some("https"), Some("shop.example"), Some("for=192.0.2.7, for=127.0.0.1")]);
    let logged = trusting.wait_for_event("the request", |event| event["path"] == "/p/logged");
    assert_eq!(logged["client"], "192.0.2.7");
    strict.client().connect().request("GET", "/p/x", &[("X-Forwarded-For", "192.0.2.66")], b"").expect_status(200);
}

/// A header of version 2 for a client's IPv4 address.
fn version_2(client: [u8; 4]) -> Vec<u8> {
    let addresses = [&client[..], &[127, 0, 0, 1], &4711_u16.to_be_bytes(), &80_u16.to_be_bytes()].concat();
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &addresses].concat()
}

#[test]
fn the_proxy_protocol_names_the_client_on_listeners_that_have_it() {
    let (upstream, authority) = (upstream(), Authority::default());
    let settings = "workers: 1\nproxy_protocol: true\nlimits: { head_timeout_ms: 700 }";
    let gateway = gateway(&upstream, &authority, settings, ", proxy_protocol: true");
    let headers: [(Vec<u8>, &str); 4] = [
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\n".to_vec(), "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 ::1 4711 80\r\n".to_vec(), "2001:db8::7"),
        (version_2([192, 0, 2, 9]), "192.0.2.9"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
    ];
    let request = b"GET /p/who HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (header, client) in &headers {
        let context = header.escape_ascii().to_string();
        // In one piece, and byte by byte.
        for piece in [usize::MAX, 1] {
            let mut connection = gateway.client().connect();
            for part in [&header[..], request].concat().chunks(piece.min(4096)) {
                connection.send(part).expect("sent");
            }
            assert_eq!(
                connection.response_to("GET").expect("an answer").expect_status(200).text(),
                *client,
                "{context}"
            );
            // A client's own word counts for nothing.
            assert_eq!(who(&mut connection, &[("X-Forwarded-For", "203.0.113.9")]), *client, "{context}");
        }
        // In front of TLS.
        let mut socket = TcpStream::connect(gateway.tls_address()).expect("connected");
        socket.write_all(header).expect("sent");
        let mut tls =
            openssl::ssl::SslStream::new(authority.client("localhost", &[b"http/1.1"]), socket).expect("a stream");
        tls.connect().unwrap_or_else(|error| panic!("{context}: {error}"));
        tls.write_all(b"GET /p/who HTTP/1.0\r\n\r\n").expect("sent");
        let mut answer = Vec::new();
        tls.read_to_end(&mut answer).expect("an answer");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.0 200") && answer.ends_with(client), "{context}: {answer}");
    }
    let mut connection = gateway.client().connect();
    connection.send([&version_2([192, 0, 2, 66])[..], request].concat()).expect("sent");
    connection.response_to("GET").expect("an answer").expect_status(403);

    // Whoever does not begin with it gets no answer, and whoever does not get to its end in time neither.
    let refused: [&[u8]; 4] = [request, b"PROXY TCP4 1.2.3.4\r\n", b"PROXY TCP4 192.0.2.7", b"\x16\x03\x01\x02\0"];
    for bytes in refused {
        let start = Instant::now();
        let mut connection = gateway.client().connect();
        connection.send(bytes).expect("sent");
        match connection.rest() {
            Ok(answer) => assert_eq!(answer, b"", "{}", bytes.escape_ascii()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{}", bytes.escape_ascii()),
        }
        assert!(start.elapsed() < Duration::from_secs(3), "{}: {:?}", bytes.escape_ascii(), start.elapsed());
    }
    wait_until("no connection", SOON, || {
        drop(connection.finish_sending());
        gateway.metric("gateway_connections", &[]) == 0.0
    });
}

#[test]
fn only_trusted_proxies_may_use_the_proxy_protocol_where_some_are_named() {
    let (upstream, authority) = (upstream(), Authority::default());
    let settings = "workers: 1\nproxy_protocol: true\ntrusted_proxies: [192.0.2.0/24]";
    let gateway = gateway(&upstream, &authority, settings, "");
    let mut connection = gateway.client().connect();
    drop(connection.send([&version_2([192, 0, 2, 7])[..], b"GET /p/who HTTP/1.1\r\nHost: h\r\n\r\n"].concat()));
    assert!(connection.is_closed_by_peer());
}

#[test]
fn a_listener_has_so_many_connections_and_no_more() {
    let (upstream, authority) = (upstream(), Authority::default());
    let gateway = gateway(&upstream, &authority, "workers: 2\nlimits: { connections_max: 4 }", "");
    wait_until("no connection", SOON, || gateway.metric("gateway_connections", &[]) == 0.0);
    let open = || {
        let mut connection = gateway.client().connect();
        connection.send_request("GET", "/p/who", &[], b"").expect("sent");
        connection.response_to("GET").map(|_| connection)
    };
    let mut kept: Vec<Connection> = (0..4).map(|_| open().expect("an answer")).collect();
    for _ in 0..3 {
        assert!(open().is_err(), "one connection too many was served");
    }
    // Another listener has room of its own.
    let mut tls = openssl_client(&authority, gateway.tls_address()).expect("a handshake");
    tls.write_all(b"GET /p/who HTTP/1.0\r\nHost: h\r\n\r\n").expect("sent");
    let mut answer = Vec::new();
    tls.read_to_end(&mut answer).expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.0 200"), "{}", answer.escape_ascii());
    kept.pop();
    wait_until("a place", SOON, || gateway.metric("gateway_connections", &[]) <= 3.0);
    kept.push(open().expect("the place that became free"));
    drop(kept);
    wait_until("no connection", SOON, || gateway.metric("gateway_connections", &[]) == 0.0);
}

type TlsStream = openssl::ssl::SslStream<TcpStream>;

fn openssl_client(authority: &Authority, address: SocketAddr) -> Result<TlsStream, String> {
    let socket = TcpStream::connect(address).map_err(|error| error.to_string())?;
    socket.set_read_timeout(Some(SOON)).map_err(|error| error.to_string())?;
    let ssl = authority.client("localhost", &[b"http/1.1"]);
    let mut stream = openssl::ssl::SslStream::new(ssl, socket).map_err(|error| error.to_string())?;
    stream.connect().map_err(|error| error.to_string())?;
    Ok(stream)
}

#[test]
fn tls_handshakes_have_a_deadline_and_take_turns() {
    let (upstream, authority) = (upstream(), Authority::default());
    let settings = "workers: 1\nlimits: { handshake_timeout_ms: 1500, handshakes_max: 1 }";
    let gateway = gateway(&upstream, &authority, settings, "");
    // One that says nothing has the only place until its deadline.
    let start = Instant::now();
    let mut silent = Client::new(gateway.tls_address()).connect();
    silent.set_timeout(SOON).expect("a timeout");
    assert!(silent.is_closed_by_peer());
    assert!((1000..4000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    // One that leaves gives it to who waits; plain requests do not wait at all.
    let silent = Client::new(gateway.tls_address()).connect();
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| openssl_client(&authority, gateway.tls_address()).map(drop));
        gateway.get("/p/who").expect_status(200);
        std::thread::sleep(Duration::from_millis(100));
        drop(silent);
        waiting.join().expect("no panic")
    });
    assert_eq!(waiting, Ok(()));
    for _ in 0..20 {
        openssl_client(&authority, gateway.tls_address()).expect("a handshake");
    }
}
