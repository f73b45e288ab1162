//! The request line: blanks, ends of lines, targets (RFC 9112 sections 2.2, 3 and 3.2).

use crate::smuggling::{Case, HIDDEN, Stage, either, passed, refused};

fn line(line: &str) -> String {
    format!("{line}\r\nHost: h\r\n\r\n")
}

#[test]
fn blanks_in_a_request_line_are_refused() {
    let lines = [
        "GET  /s/case000 HTTP/1.1",
        "GET /s/case000  HTTP/1.1",
        "GET\t/s/case000 HTTP/1.1",
        "GET /s/case000\tHTTP/1.1",
        "GET /s/case000 HTTP/1.1 ",
        "GET /s/case000 HTTP/1.1\t",
        " GET /s/case000 HTTP/1.1",
        "\tGET /s/case000 HTTP/1.1",
        "GET /s/case000 x HTTP/1.1",
        "GET /s/case000 /s/hidden000 HTTP/1.1",
        "GET /s/case000?a=b c HTTP/1.1",
        "GET\u{a0}/s/case000 HTTP/1.1",
        "GET\u{b}/s/case000 HTTP/1.1",
        "GET\u{c}/s/case000 HTTP/1.1",
        "GET /s/case000\u{b}HTTP/1.1",
        "GET /s/case000\u{c}HTTP/1.1",
        "GET /s/case000\0HTTP/1.1",
        "GET /s/case000\rHTTP/1.1",
        "GET /s/case000 HTTP/1.1 HTTP/1.1",
        "GET /s/case000 HTTP/1.1\r",
        "GET /s/case000 HTTP/1.1\0",
        "\0GET /s/case000 HTTP/1.1",
        "GET /s/case000\r\n HTTP/1.1",
        "GET\r\n /s/case000 HTTP/1.1",
    ];
    let mut cases: Vec<Case> = lines.iter().map(|text| refused(line(text))).collect();
    cases.push(refused("GET /s/case000 HTTP/1.1\r\r\nHost: h\r\n\r\n"));
    cases.push(refused("GET /s/case000 HTTP/1.1\rHost: h\r\n\r\n"));
    cases.push(refused("GET /s/case000 HTTP/1.1\r\nHost: h\r\r\n\r\n"));
    cases.push(refused(format!("GET /s/case000 HTTP/1.1\r\nHost: h\r\n\r\r\n{HIDDEN}")));
    Stage::new().run(&cases);
}

#[test]
fn bare_line_feeds_are_normalized_or_refused() {
    Stage::new().run(&[
        either("GET /s/case000 HTTP/1.1\nHost: h\r\n\r\n", ""),
        either("GET /s/case000 HTTP/1.1\r\nHost: h\n\r\n", ""),
        either("GET /s/case000 HTTP/1.1\nHost: h\n\n", ""),
        either("GET /s/case000 HTTP/1.1\r\nHost: h\r\nX: y\n\r\n", ""),
        either("GET /s/case000 HTTP/1.1\r\nHost: h\r\nX: y\nY: z\r\n\r\n", ""),
        either("POST /s/case000 HTTP/1.1\nHost: h\nContent-Length: 5\n\nhello", "hello"),
        either("POST /s/case000 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\n\nhello", "hello"),
        either("POST /s/case000 HTTP/1.1\r\nHost: h\nTransfer-Encoding: chunked\n\n5\r\nhello\r\n0\r\n\r\n", "hello"),
    ]);
}

#[test]
fn empty_lines_before_a_request_are_skipped_or_refused() {
    let get = "GET /s/case000 HTTP/1.1\r\nHost: h\r\n\r\n";
    Stage::new().run(&[
        passed(format!("\r\n{get}"), ""),
        either(format!("\r\n\r\n{get}"), ""),
        either(format!("{}{get}", "\r\n".repeat(20)), ""),
        either(format!("\n{get}"), ""),
        either(format!("{}{get}", "\n".repeat(20)), ""),
        refused(format!("\r{get}")),
        refused(format!("\r\r\n{get}")),
        refused(format!("{}{get}", "\r\n".repeat(200_000))),
        refused(format!("\0{get}")),
        refused(format!("\r\n {get}")),
        refused(format!("\u{feff}{get}")),
    ]);
}

#[test]
fn targets_are_plain_or_refused() {
    let bad: [&[u8]; 22] = [
        b"s/case000",
        b"",
        b"s",
        b"?/s/case000",
        b"#/s/case000",
        b"\\s\\case000",
        b"/s/case000\x7f",
        b"/s/case000\x01",
        b"/s/case000\x00",
        b"/s/case000\r\nX: y",
        b"/s/case000%0d%0aX:%20y",
        b"/s/case000%00",
        b"/s/../../case000",
        b"/s/case000/../../../x",
        b"/s/..%2fcase000",
        b"/s/%2e%2e%5ccase000",
        b"/s/case000%",
        b"/s/case000%2",
        b"/s/case000%zz",
        b"http:/s/case000",
        b"http://",
        b"http:///s/case000",
    ];
    let mut cases: Vec<Case> =
        bad.iter().map(|target| refused([b"GET ", *target, b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat())).collect();
    let strange: [&[u8]; 9] = [
        b"/s/case000#fragment",
        b"/s/case000?a#b",
        b"/s/case000\xff",
        b"/s/case000\xc3\xa9",
        b"/s/case000?\xff",
        b"/s/case000\"<>",
        b"/s/case000{}|^`",
        b"/s/case000;HTTP/1.1",
        b"//s//case000",
    ];
    for target in strange {
        cases.push(either([b"GET ", target, b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat(), ""));
    }
    Stage::new().run(&cases);
}

#[test]
fn long_lines_are_refused() {
    let megabyte = "a".repeat(1024 * 1024);
    Stage::new().run(&[
        refused(format!("GET /s/case000{megabyte} HTTP/1.1\r\nHost: h\r\n\r\n")),
        refused(format!("GET /s/case000?{megabyte} HTTP/1.1\r\nHost: h\r\n\r\n")),
        refused(format!("{megabyte} /s/case000 HTTP/1.1\r\nHost: h\r\n\r\n")),
        refused(format!("GET /s/case000 HTTP/1.1{megabyte}\r\nHost: h\r\n\r\n")),
        refused(megabyte),
    ]);
}
