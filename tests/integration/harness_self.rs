//! The harness checks itself: upstreams do exactly what their names say, and the client sees exactly what is sent.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use moongate_tests::certificates::Authority;
use moongate_tests::client::{Client, Connection};
use moongate_tests::console;
use moongate_tests::http2::Http2Client;
use moongate_tests::load::Load;
use moongate_tests::upstream::streaming::Pattern;
use moongate_tests::wire::{BodyReader, Framing, chunk};
use moongate_tests::{Answer, Fault, Fields, Project, Upstream};

/// A pause that is surely longer than a local round trip, and short enough to wait for.
const PAUSE: Duration = Duration::from_millis(60);

fn client(upstream: &Upstream) -> Client {
    Client::new(upstream.address())
}

/// Sends a plain `GET` and returns what comes back, or the kind of failure.
fn outcome(upstream: &Upstream) -> Result<(u16, String), ErrorKind> {
    // The upstream may be gone before everything is sent, or before the connection was noticed.
    let mut connection = client(upstream).try_connect().map_err(|error| error.kind())?;
    drop(connection.send_request("GET", "/", &[], b""));
    connection.response_to("GET").map(|response| (response.status, response.text())).map_err(|error| error.kind())
}

#[test]
fn a_recording_upstream_keeps_what_came_as_it_came() {
    let upstream =
        Upstream::recording(|request| Answer::text(format!("{} bytes", request.body.len())).header("X-Out", "1"));
    let mut connection = client(&upstream).connect();
    let response = connection.request("PUT", "/a%2Fb?x=1&y", &[("X-MiXed", "One"), ("x-mixed", "two")], b"hello");
    assert_eq!((response.status, response.text().as_str(), response.header("x-out")), (200, "5 bytes", Some("1")));
    connection.send("POST /chunks HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").expect("sent");
    connection.send(chunk(b"abc")).expect("sent");
    connection.send("2;ext=1\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n").expect("sent");
    assert_eq!(connection.response_to("POST").expect("a response").text(), "5 bytes");

    let requests = upstream.requests();
    assert_eq!(requests[0].line(), "PUT /a%2Fb?x=1&y");
    assert_eq!(requests[0].text(), "hello");
    let names: Vec<&str> = requests[0].headers.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["Host", "X-MiXed", "x-mixed", "Content-Length"]);
    assert_eq!(requests[0].headers.all("X-MIXED"), ["One", "two"]);
    assert!(requests[0].head.starts_with(b"PUT /a%2Fb?x=1&y HTTP/1.1\r\nHost: "));
    assert_eq!(requests[1].text(), "abcde");
    assert_eq!(requests[1].trailers, Fields::from([("X-Sum", "5")]));
    assert!(requests.iter().all(|request| request.connection == 0 && request.is_complete));
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn answers_take_every_shape_of_body() {
    let upstream = Upstream::recording(|request| match request.target.as_str() {
        "/chunked" => Answer::chunked(["one", "two"]).trailer("X-End", "yes"),
        "/close" => Answer::until_close("until the end"),
        "/204" => Answer::empty(204),
        "/304" => Answer::empty(304).header("ETag", "\"1\""),
        "/hints" => Answer::raw("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        _ => Answer::text("sized"),
    });
    let mut connection = client(&upstream).connect();
    let chunked = connection.request("GET", "/chunked", &[], b"");
    assert_eq!((chunked.text().as_str(), chunked.trailers.get("x-end")), ("onetwo", Some("yes")));
    let head = connection.request("HEAD", "/", &[], b"");
    assert_eq!((head.header("content-length"), head.body.len()), (Some("5"), 0));
    assert_eq!(connection.request("GET", "/204", &[], b"").status, 204);
    assert_eq!(connection.request("GET", "/304", &[], b"").header("etag"), Some("\"1\""));
    let hints = connection.request("GET", "/hints", &[], b"");
    assert_eq!((hints.informational, hints.body), (vec![103], b"ok".to_vec()));
    assert_eq!(connection.request("GET", "/close", &[], b"").text(), "until the end");
    assert!(connection.is_closed_by_peer());
    upstream.wait_for_closed(1);
}

#[test]
fn expect_continue_is_answered_before_the_body_is_sent() {
    let upstream = Upstream::text("done");
    let mut connection = client(&upstream).connect();
    connection.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").expect("sent");
    assert_eq!(connection.interim_status().expect("an interim response"), 100);
    connection.send("ok").expect("sent");
    assert_eq!(connection.response_to("POST").expect("a response").text(), "done");
}

#[test]
fn faults_that_cut_off_cut_off_where_they_say() {
    let cases = [
        (Fault::CloseBeforeResponse, ErrorKind::ConnectionAborted),
        (Fault::CloseMidHead, ErrorKind::UnexpectedEof),
        (Fault::CloseMidBody, ErrorKind::UnexpectedEof),
        (Fault::CloseMidChunk, ErrorKind::UnexpectedEof),
        (Fault::CloseBeforeLastChunk, ErrorKind::UnexpectedEof),
        (Fault::ResetAfterAccept, ErrorKind::ConnectionReset),
        (Fault::ResetMidBody, ErrorKind::ConnectionReset),
        (Fault::BadChunk, ErrorKind::InvalidData),
        (Fault::Garbage, ErrorKind::InvalidData),
    ];
    for (fault, want) in cases {
        assert_eq!(outcome(&Upstream::faulty(fault)), Err(want), "{fault:?}");
    }
}

#[test]
fn faults_that_answer_answer() {
    let text = "from the faulty upstream".to_owned();
    let cases = [
        (Fault::SlowHead(PAUSE), text.clone()),
        (Fault::SlowBody { chunk: 3, pause: PAUSE / 10 }, "x".repeat(30)),
        (Fault::HalfClose, text.clone()),
        (Fault::HugeHeader(100_000), String::new()),
        (Fault::ManyHeaders(1_000), String::new()),
        (Fault::LengthAndChunked, "abcde".to_owned()),
        (Fault::InformationalFlood(1_000), text.clone()),
        (Fault::NoLength, text.clone()),
        (Fault::Http10, text.clone()),
        (Fault::StaleKeepAlive(PAUSE), text),
    ];
    for (fault, want) in cases {
        let start = Instant::now();
        assert_eq!(outcome(&Upstream::faulty(fault)), Ok((200, want)), "{fault:?}");
        let is_slow = matches!(fault, Fault::SlowHead(_) | Fault::SlowBody { .. });
        assert!(!is_slow || start.elapsed() >= PAUSE, "{fault:?} took {:?}", start.elapsed());
    }
}

#[test]
fn two_lengths_are_sent_as_they_are() {
    let upstream = Upstream::faulty(Fault::DuplicateContentLength);
    let mut connection = client(&upstream).connect();
    connection.send_request("GET", "/", &[], b"").expect("sent");
    let (response, _) = connection.response_head_to("GET").expect("a head");
    assert_eq!(response.headers.all("content-length"), ["3", "5"]);
}

#[test]
fn a_half_closed_upstream_goes_on_reading() {
    let upstream = Upstream::faulty(Fault::HalfClose);
    let mut connection = client(&upstream).connect();
    assert_eq!(connection.request("GET", "/", &[], b"").status, 200);
    assert!(connection.is_closed_by_peer());
    // Were it closed on both sides, the second of these would fail.
    connection.send("more").and_then(|()| connection.send("and more")).expect("still read");
}

#[test]
fn a_stale_connection_is_closed_after_its_idle_time() {
    let upstream = Upstream::faulty(Fault::StaleKeepAlive(PAUSE));
    let mut connection = client(&upstream).connect();
    for _ in 0..2 {
        assert_eq!(connection.request("GET", "/", &[], b"").status, 200);
    }
    let start = Instant::now();
    assert!(connection.is_closed_by_peer());
    assert!(start.elapsed() >= PAUSE / 2, "closed after {:?}", start.elapsed());
}

#[test]
fn an_endless_body_goes_on_until_the_client_has_enough() {
    let upstream = Upstream::faulty(Fault::EndlessBody);
    let mut connection = client(&upstream).connect();
    connection.send_request("GET", "/", &[], b"").expect("sent");
    let (_, mut body) = connection.response_head_to("GET").expect("a head");
    read_bytes(&mut connection, &mut body, 4 * 1024 * 1024);
    drop(connection);
    upstream.wait_for_closed(1);
}

#[test]
fn an_upstream_that_never_answers_notices_that_the_client_left() {
    let upstream = Upstream::faulty(Fault::NeverAnswer);
    let mut connection = client(&upstream).timeout(PAUSE).connect();
    connection.send_request("GET", "/", &[], b"").expect("sent");
    assert_eq!(connection.response_to("GET").err().map(|error| error.kind()), Some(ErrorKind::TimedOut));
    drop(connection);
    upstream.wait_for_closed(1);
}

#[test]
fn a_full_backlog_takes_no_connection() {
    let upstream = Upstream::faulty(Fault::AcceptNever);
    let refused = client(&upstream).timeout(PAUSE).try_connect().err().map(|error| error.kind());
    assert_eq!(refused, Some(ErrorKind::TimedOut));
}

#[test]
fn early_answers_come_before_the_body_is_sent() {
    let upstream = Upstream::early_answer(Answer::text("no").status(413));
    let mut connection = client(&upstream).connect();
    connection.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n").expect("sent");
    assert_eq!(connection.response_to("POST").expect("a response").status, 413);
    connection.send("0123456789").expect("sent");
    upstream.wait_for_closed(1);
    assert_eq!(upstream.body_bytes(), 10);
}

#[test]
fn downloads_and_uploads_are_complete() {
    const BYTES: u64 = 3_000_000;
    let pattern = Pattern::default();
    for framing in [Framing::Length(BYTES), Framing::Chunked] {
        let upstream = Upstream::download(BYTES, framing);
        let response = client(&upstream).get("/");
        assert_eq!(response.body.len() as u64, BYTES, "{framing:?}");
        assert!(pattern.matches(0, &response.body), "{framing:?}");
    }
    let mut shifted = pattern.at(0, 1000).to_vec();
    shifted.remove(500);
    assert!(!pattern.matches(0, &shifted));

    let upstream = Upstream::upload_sink();
    let response = client(&upstream).request("POST", "/", &[], &vec![b'x'; 3_000_000]);
    assert_eq!((response.text().as_str(), upstream.body_bytes()), ("3000000", BYTES));
}

#[test]
fn events_come_one_by_one() {
    let (upstream, events) = Upstream::sse_on_demand();
    let mut connection = client(&upstream).connect();
    connection.send_request("GET", "/", &[], b"").expect("sent");
    let (head, mut body) = connection.response_head_to("GET").expect("a head");
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    for number in 0..3 {
        events.send(number.to_string()).expect("the upstream is there");
        let want = format!("data: {number}\n\n");
        assert_eq!(read_bytes(&mut connection, &mut body, want.len()), want.as_bytes());
    }
    drop(events);
    assert!(connection.piece(&mut body).expect("a proper end").is_none());

    let upstream = Upstream::sse(["a", "b"], PAUSE / 10);
    assert_eq!(client(&upstream).get("/").text(), "data: a\n\ndata: b\n\n");
}

#[test]
fn an_echo_answers_while_the_request_goes_on() {
    let upstream = Upstream::echo();
    let mut connection = client(&upstream).connect();
    connection.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").expect("sent");
    let (_, mut body) = connection.response_head_to("POST").expect("a head before the body");
    for word in ["ping", "pong"] {
        connection.send(chunk(word.as_bytes())).expect("sent");
        assert_eq!(read_bytes(&mut connection, &mut body, 4), word.as_bytes());
    }
    connection.send("0\r\n\r\n").expect("sent");
    assert!(connection.piece(&mut body).expect("a proper end").is_none());
}

#[test]
fn tls_upstreams_show_a_certificate_for_their_names() {
    let authority = Authority::default();
    let certificate = authority.certificate(&["localhost", "127.0.0.1"]);
    let upstream = Upstream::tls(&certificate, |_| Answer::text("over TLS"));
    let project = Project::of([("ca.pem", &authority.pem()), ("key.pem", &certificate.key_pem())]);
    let curl = |url: &str| {
        let ca = project.join("ca.pem");
        std::process::Command::new("curl").arg("-sS").arg("--cacert").arg(ca).arg(url).output().expect("curl runs")
    };
    assert_eq!(curl(&upstream.url()).stdout, b"over TLS");
    let other_name = upstream.url().replace("localhost", "other.localhost");
    assert!(!curl(&other_name).status.success(), "the certificate is not for other.localhost");
    assert_eq!(upstream.only_request().line(), "GET /");
}

#[test]
fn http2_works_both_ways_with_and_without_tls() {
    let authority = Authority::default();
    let certificate = authority.certificate(&["localhost"]);
    let answer = |request: &moongate_tests::Recorded| {
        Answer::text(request.text().to_uppercase()).status(201).header("x-out", "1").trailer("x-end", "yes")
    };
    let plain = Upstream::h2c(answer);
    let tls = Upstream::h2(&certificate, answer);
    let clients = [
        (Http2Client::plain(plain.address()), &plain),
        (Http2Client::tls(tls.address(), "localhost", &authority), &tls),
    ];
    for (mut client, upstream) in clients {
        let response = client.request("POST", "/up?x=1", &[("x-in", "2")], b"shout");
        assert_eq!((response.status, response.text().as_str(), response.header("x-out")), (201, "SHOUT", Some("1")));
        assert_eq!((response.trailers.get("x-end"), response.version.as_str()), (Some("yes"), "HTTP/2.0"));
        let mut exchange = client.start("POST", "/trailers", &[]);
        exchange.send(b"abc");
        exchange.send_trailers(&[("x-sum", "3")]);
        assert_eq!(exchange.response().text(), "ABC");
        let requests = upstream.requests();
        assert_eq!((requests[0].line().as_str(), requests[0].header("x-in")), ("POST /up?x=1", Some("2")));
        assert_eq!(requests[1].trailers.get("x-sum"), Some("3"));
        assert!(requests[0].header("host").is_some_and(|host| host.contains(&upstream.address().port().to_string())));
        assert_eq!(upstream.connections(), 1);
    }
}

#[test]
fn load_counts_what_goes_wrong() {
    let upstream = Upstream::recording(|request| Answer::text(if request.connection == 0 { "bad" } else { "good" }));
    let load = Load::start(client(&upstream), "/", 3, |response| (response.text() == "bad").then(|| response.text()));
    load.wait_for_more(30);
    let report = load.stop();
    assert!(report.completed >= 30 && !report.failures.is_empty(), "{report:?}");
    assert!(report.failures.iter().all(|failure| failure == "bad"));
    assert_eq!(upstream.requests().len(), report.completed);
    assert_eq!(upstream.connections(), 3);
}

#[test]
fn documents_are_read_as_steps() {
    let text = "\
# Tour\n```console\n$ moongate dev\n```\n```sh\n$ not this\n```\n\
```console\n$ curl -s \\\n    http://localhost:8080/\nhello\n…\n\n$ curl -i http://localhost:8080/\nHTTP/1.1 200 OK\n\n```\n";
    let steps = console::steps(text);
    let commands: Vec<(usize, &str)> = steps.iter().map(|step| (step.line, step.command.as_str())).collect();
    let want =
        [(3, "moongate dev"), (9, "curl -s \\\n    http://localhost:8080/"), (14, "curl -i http://localhost:8080/")];
    assert_eq!(commands, want);
    assert_eq!(steps[1].output, ["hello", "…"]);
    assert_eq!(steps[2].output, ["HTTP/1.1 200 OK"]);
}

#[test]
fn printed_lines_are_compared_with_gaps() {
    let cases: [(&[&str], &[&str], bool); 10] = [
        (&["a"], &["a"], true),
        (&["a"], &["a", "b"], false),
        (&["a", "b"], &["a"], false),
        (&["a", "…"], &["a", "b", "c"], true),
        (&["…", "c"], &["a", "b", "c"], true),
        (&["…", "d"], &["a", "b", "c"], false),
        (&["id: …!"], &["id: 17!"], true),
        (&["id: …!"], &["id: 17"], false),
        (&["…b…"], &["abc"], true),
        (&["a…b…c"], &["a1c2b"], false),
    ];
    for (expected, printed, want) in cases {
        assert_eq!(console::matches(expected, printed), want, "{expected:?} and {printed:?}");
    }
}

/// Reads so many bytes of a body, failing at its end.
fn read_bytes(connection: &mut Connection, body: &mut BodyReader, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < count {
        bytes.extend_from_slice(connection.piece(body).expect("more of the body").expect("not the end yet"));
    }
    bytes
}
