//! Floods of HTTP/2 frames: those that have names (rapid reset CVE-2023-44487, MadeYouReset CVE-2025-8671, CONTINUATION flood
//! CVE-2024-27316, the eight of CVE-2019-9511 to 9518, HPACK bomb CVE-2016-6581), and their relatives.

use std::io::Write;
use std::time::{Duration, Instant};

use moongate_tests::frames::{Frame, FrameConnection, Heard, code, flag, hpack, kind, setting};
use moongate_tests::frames::{continuation, data, headers, ping, priority, reset, settings, window_update};
use moongate_tests::{Answer, Gateway, Upstream};

use crate::floods::Neighbour;

/// Most that a flood sends, in bytes: several times what ends it.
const FLOOD_BYTES: usize = 6 * 1024 * 1024;

/// Longest that a flood goes on.
const FLOOD_TIME: Duration = Duration::from_millis(1_500);

/// How much memory one hostile connection may cost, in KiB.
const GROWN_KIB_MAX: u64 = 24 * 1024;

/// Longest that a client may take nothing, in the gateways of these tests.
const STALL: Duration = Duration::from_millis(500);

/// By when the gateway must have ended a flood.
const ENDED_BY: Duration = Duration::from_secs(10);

/// Processor time in which a gateway that nobody asks anything of must not go beyond, in [`REST`].
const RESTING: Duration = Duration::from_millis(50);

/// How long the processor time is looked at after a flood.
const REST: Duration = Duration::from_millis(80);

/// What becomes of a flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    /// The gateway ends the connection.
    Ended,
    /// It may go on: each frame is an ordinary one, and answering it costs no more than sending it.
    Borne,
}

struct Flood {
    name: &'static str,
    settings: Vec<(u16, u32)>,
    /// What is sent first.
    first: Vec<u8>,
    /// What is sent again and again.
    again: Box<dyn Fn(u32) -> Vec<u8>>,
    want: Want,
}

fn flood(name: &'static str, first: Vec<u8>, again: impl Fn(u32) -> Vec<u8> + 'static, want: Want) -> Flood {
    Flood { name, settings: Vec::new(), first, again: Box::new(again), want }
}

fn gateway(upstream: &Upstream) -> Gateway {
    let api = format!(
        "api: w
routes:
  - match: $default
    upstream: {}
  - match: ANY /mock
    integration: {{ type: mock, responses: [{{ status_code: 200 }}] }}
",
        upstream.url()
    );
    let milliseconds = STALL.as_millis();
    let settings = format!(
        "workers: 2\naccess_log: none\nlimits: {{ head_timeout_ms: 2000, idle_timeout_ms: 2000, stall_timeout_ms: {milliseconds} }}\n"
    );
    Gateway::builder().file("moongate.yaml", &settings).file("apis/w.yaml", &api).start()
}

fn get_on(stream: u32, target: &str) -> Vec<u8> {
    headers(stream, flag::END, &hpack::request("GET", target, "h"))
}

fn post_on(stream: u32) -> Vec<u8> {
    headers(stream, flag::END_HEADERS, &hpack::request("POST", "/w/body", "h"))
}

fn odd(number: u32) -> u32 {
    2 * number + 1
}

/// Runs floods one after the other on one gateway, each on a connection of its own.
#[track_caller]
fn run(upstream: &Upstream, floods: &[Flood]) {
    let gateway = gateway(upstream);
    // What the first connections and requests cost once is not the floods'.
    let mut warm = FrameConnection::open(gateway.address());
    for number in 0..20 {
        warm.send(get_on(odd(number), "/w/mock")).expect("sent");
        warm.response(odd(number), ENDED_BY).expect("an answer");
    }
    drop(warm);
    for flood in floods {
        let before = gateway.rss_kib();
        gateway.process().reset_rss_peak();
        let neighbour = Neighbour::start(&gateway, "/w/mock");
        let (sent, is_ended) = drown(&gateway, flood);
        neighbour.expect_unharmed(flood.name);
        let grown = gateway.process().rss_peak_kib().saturating_sub(before);
        assert!(grown < GROWN_KIB_MAX, "{}: {grown} KiB more after {sent} bytes", flood.name);
        assert!(is_ended || flood.want == Want::Borne, "{}: goes on after {sent} bytes", flood.name);
        let spent = gateway.process().cpu_time();
        std::thread::sleep(REST);
        let spent = gateway.process().cpu_time() - spent;
        assert!(spent < RESTING, "{}: busy for {spent:?} of {REST:?} after its end", flood.name);
    }
}

/// Sends a flood; how many bytes went, and whether the gateway has ended it.
fn drown(gateway: &Gateway, flood: &Flood) -> (usize, bool) {
    let mut connection = FrameConnection::open_with(gateway.address(), &flood.settings);
    let mut socket = connection.socket().try_clone().expect("a descriptor");
    // A gateway that does not read a flood any more has stopped it.
    socket.set_write_timeout(Some(STALL)).expect("a socket of ours");
    let start = Instant::now();
    let mut sent = 0;
    let mut number = 0;
    let mut pending = flood.first.clone();
    while sent < FLOOD_BYTES && start.elapsed() < FLOOD_TIME {
        while pending.len() < 16 * 1024 {
            pending.extend((flood.again)(number));
            number += 1;
        }
        if socket.write_all(&pending).is_err() {
            break;
        }
        sent += pending.len();
        pending.clear();
    }
    if flood.want == Want::Borne {
        return (sent, false);
    }
    let until = Instant::now() + ENDED_BY;
    let is_ended = loop {
        match connection.hear(until) {
            Heard::Frame(frame) if frame.kind == kind::GOAWAY && frame.number_at(4) != code::NO_ERROR => break true,
            Heard::Frame(_) => {}
            Heard::Closed => break true,
            Heard::Nothing => break false,
        }
    };
    (sent, is_ended)
}

#[test]
fn floods_of_resets_end() {
    let upstream = Upstream::text("ok");
    run(
        &upstream,
        &[
            flood(
                "rapid reset",
                vec![],
                |number| [get_on(odd(number), "/w/reset"), reset(odd(number), code::CANCEL)].concat(),
                Want::Ended,
            ),
            flood(
                "rapid reset of bodies",
                vec![],
                |number| [post_on(odd(number)), data(odd(number), 0, b"x"), reset(odd(number), code::CANCEL)].concat(),
                Want::Ended,
            ),
            flood(
                "resets made by empty window updates",
                vec![],
                |number| [post_on(odd(number)), window_update(odd(number), 0)].concat(),
                Want::Ended,
            ),
            flood(
                "resets made by overflowing windows",
                vec![],
                |number| [post_on(odd(number)), window_update(odd(number), (1 << 31) - 1)].concat(),
                Want::Ended,
            ),
            flood(
                "resets made by data behind the end",
                vec![],
                |number| [get_on(odd(number), "/w/reset"), data(odd(number), 0, b"x")].concat(),
                Want::Ended,
            ),
            flood(
                "malformed requests",
                vec![],
                |number| headers(odd(number), flag::END, &hpack::block(&[(":method", "GET"), ("connection", "x")])),
                Want::Ended,
            ),
            flood("more streams than allowed", vec![], |number| post_on(odd(number)), Want::Ended),
        ],
    );
    let reached = upstream.requests().len();
    assert!(reached < 10_000, "{reached} requests of floods reached the upstream");
}

#[test]
fn floods_of_fields_end() {
    let open = headers(1, flag::END_STREAM, &hpack::request("GET", "/w/mock", "h"));
    let field = hpack::block(&[("x-field", &"y".repeat(1_000))]);
    let crumb = hpack::block(&[("cookie", "a=b")]).repeat(500);
    // An entry of nearly the whole table, and references to it: a byte on the wire for 4 KiB of fields.
    let entry = hpack::indexed_literal(b"x-bomb", &[b'z'; 4_000]);
    let bomb = [hpack::request("GET", "/w/mock", "h"), entry, hpack::indexed(62).repeat(10_000)].concat();
    run(
        &Upstream::text("ok"),
        &[
            flood("CONTINUATION", open.clone(), move |_| continuation(1, 0, &field), Want::Ended),
            flood("empty CONTINUATION", open.clone(), |_| continuation(1, 0, b""), Want::Ended),
            flood("CONTINUATION of a byte", open, |_| continuation(1, 0, &[0x82]), Want::Ended),
            flood(
                "crumbs of cookies",
                vec![],
                move |number| {
                    headers(odd(number), flag::END, &[hpack::request("GET", "/w/mock", "h"), crumb.clone()].concat())
                },
                Want::Borne,
            ),
            flood("HPACK bomb", vec![], move |number| headers(odd(number), flag::END, &bomb), Want::Borne),
            flood(
                "table sizes",
                vec![],
                |number| {
                    headers(
                        odd(number),
                        flag::END,
                        &[hpack::table_size(0), hpack::table_size(4096), hpack::request("GET", "/w/mock", "h")]
                            .concat(),
                    )
                },
                Want::Borne,
            ),
        ],
    );
}

#[test]
fn floods_of_frames_without_content_end() {
    let upload = || post_on(1);
    run(
        &Upstream::text("ok"),
        &[
            flood("PING", vec![], |_| ping([1; 8]), Want::Ended),
            flood("answers to PING", vec![], |_| Frame::new(kind::PING, flag::ACK, 0, [1; 8]).bytes(), Want::Ended),
            flood("SETTINGS", vec![], |_| settings(&[]), Want::Ended),
            flood(
                "SETTINGS that change windows",
                vec![],
                |number| settings(&[(setting::INITIAL_WINDOW_SIZE, number % 1_000_000)]),
                Want::Ended,
            ),
            flood("PRIORITY", vec![], |number| priority(odd(number % 1_000), odd(number % 7), 16), Want::Ended),
            flood("WINDOW_UPDATE", vec![], |_| window_update(0, 1), Want::Ended),
            flood("WINDOW_UPDATE of a stream", upload(), |_| window_update(1, 1), Want::Ended),
            flood("unknown frames", vec![], |_| Frame::new(0x42, 0, 0, [0; 8]).bytes(), Want::Ended),
            flood("empty DATA", upload(), |_| data(1, 0, b""), Want::Ended),
            flood(
                "DATA of padding",
                upload(),
                |_| data(1, flag::PADDED, &[&[200][..], &[0; 200]].concat()),
                Want::Ended,
            ),
            flood(
                "RST_STREAM of closed streams",
                [get_on(1, "/w/mock"), reset(1, code::CANCEL)].concat(),
                |_| reset(1, code::CANCEL),
                Want::Ended,
            ),
            flood("GOAWAY", vec![], |_| Frame::new(kind::GOAWAY, 0, 0, [0; 8]).bytes(), Want::Ended),
        ],
    );
}

#[test]
fn what_nobody_takes_is_not_kept() {
    let large = Upstream::recording(|_| Answer::bytes(vec![b'x'; 200_000]));
    let all_at_once: Vec<u8> = (0..100).flat_map(|number| get_on(odd(number), "/w/large")).collect();
    let mut closed = flood("answers without a window", all_at_once.clone(), |_| ping([1; 8]), Want::Ended);
    closed.settings = vec![(setting::INITIAL_WINDOW_SIZE, 0)];
    let mut drip = flood("windows of a byte", all_at_once, |number| window_update(odd(number % 100), 1), Want::Ended);
    drip.settings = vec![(setting::INITIAL_WINDOW_SIZE, 0)];
    run(&large, &[closed, drip]);
}

#[test]
fn uploads_that_nobody_reads_are_not_kept() {
    // Connections are made by the system and never accepted: nobody reads what the socket does not hold.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = deaf.local_addr().expect("a bound socket has an address");
    let api = format!(
        "api: w
routes:
  - match: POST /body
    integration: {{ type: http_proxy, uri: \"http://{address}/\", timeout_ms: 1000 }}
  - match: ANY /mock
    integration: {{ type: mock, responses: [{{ status_code: 200 }}] }}
"
    );
    let gateway =
        Gateway::builder().file("moongate.yaml", "workers: 2\naccess_log: none\n").file("apis/w.yaml", &api).start();
    let before = gateway.rss_kib();
    let neighbour = Neighbour::start(&gateway, "/w/mock");
    // As small as frames with content get: each is a piece that waits, up to the window.
    let mut connection = FrameConnection::open(gateway.address());
    let mut socket = connection.socket().try_clone().expect("a descriptor");
    socket.set_write_timeout(Some(STALL)).expect("a socket of ours");
    let mut bytes: Vec<u8> = (0..100).flat_map(|number| post_on(odd(number))).collect();
    for piece in 0..600_000_u32 {
        bytes.extend(data(odd(piece % 100), 0, b"x"));
    }
    let _ = socket.write_all(&bytes);
    neighbour.expect_unharmed("DATA of a byte");
    let grown = gateway.process().rss_peak_kib().saturating_sub(before);
    // A piece in memory is an entry of some hundred bytes; the windows let a million of them wait.
    assert!(grown < 160 * 1024, "{grown} KiB more for 600,000 bytes");
    drop(connection.hear(Instant::now()));
}
