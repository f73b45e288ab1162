//! Fields: names and values of illegal bytes, folding, fields of the connection, floods of them (RFC 9110 section 5, RFC 9112 section 5).

use crate::smuggling::{Case, HIDDEN, Stage, either, get, get_with, passed, post, refused};

#[test]
fn names_are_tokens() {
    let mut cases = Vec::new();
    for byte in (0..=255_u8).filter(|byte| !(byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:\n".contains(byte))) {
        cases.push(refused(get_with(&[b"X-A", &[byte][..], b"B: y"].concat())));
    }
    for field in ["X : y", "X\t: y", ": y", " : y", "X", "X y", "X: y\r\n: z", "=", "GET /s/hidden000 HTTP/1.1"] {
        cases.push(refused(get_with(field.as_bytes())));
    }
    cases.push(passed(get("X:Y: z\r\n"), ""));
    cases.push(passed(get("!#$%&'*+-.^_`|~: y\r\n"), ""));
    cases.push(passed(get("X:\r\n"), ""));
    Stage::new().run(&cases);
}

#[test]
fn values_hold_no_control_characters() {
    let mut cases = Vec::new();
    for byte in (0..32_u8).chain([127]).filter(|byte| !b"\t\n".contains(byte)) {
        cases.push(refused(get_with(&[b"X: a", &[byte][..], b"b"].concat())));
    }
    cases.push(refused(get_with(b"X: \0")));
    cases.push(refused(get_with(b"X: a\r")));
    cases.push(refused(get_with(b"X: a\r\r")));
    cases.push(refused(get_with(b"X: a\rSet: b")));
    cases.push(passed(get("X: a\tb\r\n"), ""));
    cases.push(passed(get_with(b"X: caf\xe9"), ""));
    cases.push(passed(get_with("X: \u{65e5}\u{672c}".as_bytes()), ""));
    Stage::new().run(&cases);
}

#[test]
fn folded_lines_are_refused() {
    let fields = [
        "X: a\r\n b\r\n",
        "X: a\r\n\tb\r\n",
        "X: a\r\n \r\n",
        "X:\r\n a\r\n",
        "X: a\r\n  b\r\n c\r\n",
        "X: a\n b\r\n",
        "X: a\r\n Content-Length: 5\r\n",
        "X: a\r\n Transfer-Encoding: chunked\r\n",
        "X: a\r\n\u{b}b\r\n",
        "X: a\r\n\u{c}b\r\n",
    ];
    let mut cases: Vec<Case> = fields.iter().map(|fields| refused(get(fields))).collect();
    cases.push(refused("GET /s/case000 HTTP/1.1\r\n Host: h\r\nHost: h\r\n\r\n"));
    cases.push(refused("GET /s/case000 HTTP/1.1\r\n\tX: y\r\nHost: h\r\n\r\n"));
    Stage::new().run(&cases);
}

#[test]
fn naming_fields_in_connection_removes_no_protection() {
    let body = "hello";
    let with = |name: &str| post(&format!("Content-Length: 5\r\nConnection: {name}\r\n"), body);
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    let chunked = |name: &str| post(&format!("Transfer-Encoding: chunked\r\nConnection: {name}\r\n"), chunks);
    let mut cases = vec![
        refused(with("content-length")),
        refused(with("Content-Length")),
        refused(with("close, content-length")),
        refused(with("keep-alive, CONTENT-LENGTH")),
        refused(with("content-length, x")),
        refused(with(" content-length ")),
        refused(with(",content-length,")),
        either(chunked("transfer-encoding"), body),
        either(chunked("close, Transfer-Encoding"), body),
        either(chunked("content-length"), body),
        refused(get("Connection: host\r\n")),
        refused(get("Connection: close, Host\r\n")),
        refused(get("Connection: x-forwarded-for\r\n")),
        refused(get("Connection: x-forwarded-for\r\nX-Forwarded-For: 10.0.0.1\r\n")),
        refused(get("Connection: x-forwarded-proto, x-forwarded-host\r\n")),
        either(get("Connection: x-request-id\r\n"), ""),
        either(get("Connection: authorization\r\nAuthorization: Bearer x\r\n"), ""),
        either(get("Connection: cookie\r\nCookie: a=b\r\n"), ""),
        either(get("Connection: connection\r\n"), ""),
        either(get("Connection: close, close, close\r\n"), ""),
        either(get("Connection: \"host\"\r\n"), ""),
        either(get("Connection: ;\r\n"), ""),
        either(get("Connection:\r\n"), ""),
        either(get("Connection: \u{e9}\r\n"), ""),
        either(get("Connection: a b c\r\n"), ""),
        passed(get("Proxy-Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n"), ""),
        passed(get("Proxy-Authorization: Basic eDp5\r\n"), ""),
        passed(get("Trailer: Content-Length\r\n"), ""),
    ];
    cases.push(either(get(&format!("Connection: {}\r\n", "x, ".repeat(2_000))), ""));
    Stage::new().run(&cases);
}

#[test]
fn upgrades_do_not_open_a_way_past_the_gateway() {
    let settings = "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n";
    let behind = |fields: &str| format!("{}{HIDDEN}", get(fields));
    let upgrade = |protocol: &str| get(&format!("Connection: Upgrade\r\nUpgrade: {protocol}\r\n"));
    let mut cases = vec![
        either(get(&format!("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n{settings}")), ""),
        either(get(&format!("Connection: Upgrade\r\nUpgrade: h2c\r\n{settings}")), ""),
        either(get(&format!("Upgrade: h2c\r\n{settings}")), ""),
        either(get(&format!("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n{settings}{settings}")), ""),
        either(upgrade("h2c"), ""),
        either(upgrade("H2C"), ""),
        either(upgrade("h2"), ""),
        either(upgrade("HTTP/2.0"), ""),
        either(upgrade("TLS/1.0"), ""),
        either(upgrade("h2c, websocket"), ""),
        either(upgrade("websocket"), ""),
        either(upgrade("foo"), ""),
        either(get("Upgrade: websocket\r\n"), ""),
        either(get("Connection: Upgrade\r\n"), ""),
    ];
    let length = HIDDEN.len();
    cases.push(either(
        post(&format!("Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: {length}\r\n"), HIDDEN),
        HIDDEN,
    ));
    cases.push(either(
        behind(&format!("Connection: Upgrade\r\nUpgrade: h2c\r\n{settings}Content-Length: {length}\r\n")),
        HIDDEN,
    ));
    Stage::new().run(&cases);
}

#[test]
fn expectations_do_not_move_the_end_of_a_request() {
    let expect = |value: &str| post(&format!("Expect: {value}\r\nContent-Length: 5\r\n"), "hello");
    Stage::new().run(&[
        passed(expect("100-continue"), "hello"),
        passed(expect("100-Continue"), "hello"),
        passed(post("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), "hello"),
        either(expect("200-ok"), "hello"),
        either(expect("100-continue, x"), "hello"),
        either(expect("x 100-continue"), "hello"),
        either(expect(""), "hello"),
        either(post("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n", "hello"), "hello"),
        either(post("Expect: y\r\nExpect: 100-continue\r\nContent-Length: 5\r\n", "hello"), "hello"),
        either(get("Expect: 100-continue\r\n"), ""),
        either(post("Expect: 100-continue\r\nContent-Length: 0\r\n", ""), ""),
        either(
            "POST /s/case000 HTTP/1.0\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
        ),
        passed(post(&format!("Expect: 100-continue\r\nContent-Length: {}\r\n", HIDDEN.len()), HIDDEN), HIDDEN),
    ]);
}

#[test]
fn floods_of_fields_are_refused() {
    let megabyte = "y".repeat(1024 * 1024);
    let many: String = (0..10_000).map(|number| format!("X-{number}: 1\r\n")).collect();
    let same = "X: 1\r\n".repeat(10_000);
    let empty = "a:\r\n".repeat(10_000);
    Stage::new().run(&[
        refused(get(&format!("X: {megabyte}\r\n"))),
        refused(get(&format!("{megabyte}: y\r\n"))),
        refused(get(&format!("Cookie: {megabyte}\r\n"))),
        refused(get(&many)),
        refused(get(&same)),
        refused(get(&empty)),
        passed(get(&"X: 1\r\n".repeat(90)), ""),
    ]);
}
