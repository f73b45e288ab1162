//! Fuzz target of a whole gateway: bytes of a client in, requests at a strict upstream out; see `tests/fuzz/README.md`.
//!
//! Nothing is known of the bytes but what a strict reader makes of them. What reaches the upstream must be well-formed whatever they are,
//! each request must have been answered once, and where the strict reader sees exactly one request that any recipient reads alike,
//! the gateway must have passed on that one.

use std::cell::Cell;
use std::time::Duration;

use moongate_fuzz::{Fuzz, behaviour};
use moongate_tests::Gateway;
use moongate_tests::strict::{StrictUpstream, request, shown};

/// Deadlines that are over soon: half of the inputs are not complete.
const SETTINGS: &str = "workers: 1\naccess_log: none\nlimits: { head_timeout_ms: 500, idle_timeout_ms: 500, stall_timeout_ms: 500, half_close_timeout_ms: 100 }\n";

/// Longest wait for the end of a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many inputs a short run tries.
const EXECUTIONS: u64 = 2_000;

#[test]
fn fuzz_request() {
    let upstream = StrictUpstream::default();
    let api = format!("api: s\nroutes:\n  - match: $default\n    upstream: {}\n", upstream.url());
    let gateway = Gateway::builder().file("moongate.yaml", SETTINGS).file("apis/s.yaml", &api).start();
    let client = gateway.client().timeout(PATIENCE);
    let seen_before = Cell::new(0);
    let tokens = &[
        "GET /s/a HTTP/1.1\r\n",
        "POST /s/b HTTP/1.1\r\n",
        "Host: h\r\n",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\r",
        "Content-Length: ",
        "content-length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "chunked",
        "identity",
        ", ",
        "5\r\nhello\r\n",
        "0\r\n\r\n",
        ";x=\"y\"",
        "Connection: close\r\n",
        "Connection: ",
        "keep-alive",
        "host",
        "Expect: 100-continue\r\n",
        "Upgrade: h2c\r\n",
        "HTTP/1.0\r\n",
        "HTTP/2.0",
        "http://h/s/a",
        " ",
        "\t",
        "\0",
        "\u{b}",
        "X: y\r\n",
        "Trailer: x\r\n",
        "TE: trailers\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "/../",
        "%2f",
        "%00",
        "hello",
    ];
    Fuzz::new("request").tokens(tokens).executions(EXECUTIONS).run(|bytes| {
        let mut connection = client.connect();
        // A gateway that refuses may close before it has everything.
        drop(connection.send(bytes));
        drop(connection.finish_sending());
        let answers = match connection.rest() {
            Ok(answers) => answers,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Vec::new(),
            Err(error) => panic!("the connection does not end: {error}"),
        };
        let violations = upstream.violations();
        assert!(violations.is_empty(), "{violations:?}");
        let serials = upstream.count() - seen_before.replace(upstream.count());
        let answered = answers.windows(10).filter(|part| part == b"x-serial: ").count();
        assert!(answered <= serials, "{answered} answers to {serials} requests: {}", shown(&answers));
        if let Ok(Some((sent, length))) = request(bytes)
            && length == bytes.len()
            && let Some(target) = sent.target.strip_prefix("/s/").filter(|target| is_plain(target))
            && is_simple(&sent.method)
            && is_simple_head(&sent)
        {
            let seen = upstream.seen(&format!("/{target}"));
            let last = seen.last().map(|seen| (&seen.request.method, &seen.request.body, &seen.request.target));
            assert_eq!(last, Some((&sent.method, &sent.body, &format!("/{target}"))), "{}", shown(&answers));
        }
        let status = answers.get(9..12).map(<[u8]>::to_vec);
        behaviour(&(
            status,
            serials.min(4),
            answered.min(4),
            answers.windows(9).filter(|part| part == b"HTTP/1.1 ").count().min(4),
        ))
    });
}

/// A target that is its own normal form.
fn is_plain(target: &str) -> bool {
    !target.is_empty() && target.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A method that has no meaning of its own for a gateway.
fn is_simple(method: &str) -> bool {
    ["GET", "POST", "PUT", "DELETE", "PATCH"].contains(&method)
}

/// Whether nothing in a head asks for more than passing it on.
fn is_simple_head(sent: &moongate_tests::strict::Request) -> bool {
    let asks = ["connection", "expect", "upgrade", "te", "trailer", "max-forwards"];
    sent.trailers.is_empty()
        && sent.fields.len() < 50
        && !sent.fields.iter().any(|(name, _)| asks.contains(&name.as_str()))
}
