//! Versions and methods (RFC 9112 sections 2.3 and 3.1, RFC 9110 section 9).

use crate::smuggling::{Case, HIDDEN, Stage, either, passed, refused};

#[test]
fn versions_that_are_none_are_refused() {
    let versions = [
        "HTTP/0.9",
        "HTTP/1.2",
        "HTTP/1.9",
        "HTTP/2.0",
        "HTTP/2",
        "HTTP/3",
        "HTTP/9.9",
        "HTTP/1.",
        "HTTP/1",
        "HTTP/.1",
        "HTTP/11",
        "HTTP/1.10",
        "HTTP/1.01",
        "HTTP/01.1",
        "HTTP/1.1x",
        "HTTP/1.1.1",
        "HTTP/1,1",
        "HTTP/-1.1",
        "HTTP/+1.1",
        "HTTP/1.-1",
        "HTTP 1.1",
        "HTTP//1.1",
        "HTTP\\1.1",
        "http/1.1",
        "Http/1.1",
        "HTTPS/1.1",
        "HTTP1.1",
        "HTP/1.1",
        "ICY/1.1",
        "RTSP/1.0",
        "1.1",
        "",
        "HTTP/1.\u{661}",
        "HTTP/1.1\0",
        "\0HTTP/1.1",
        "HTTP/ 1.1",
        "HTTP /1.1",
        "HTTP/1 .1",
        "\"HTTP/1.1\"",
    ];
    let mut cases: Vec<Case> =
        versions.iter().map(|version| refused(format!("GET /s/case000 {version}\r\nHost: h\r\n\r\n"))).collect();
    // HTTP/0.9: no version, no fields.
    cases.push(refused("GET /s/case000\r\n\r\n"));
    cases.push(refused(format!("GET /s/case000\r\n{HIDDEN}")));
    cases.push(refused("GET /s/case000\n\n"));
    cases.push(refused("GET\r\n\r\n"));
    cases.push(refused("/s/case000 HTTP/1.1\r\nHost: h\r\n\r\n"));
    Stage::new().run(&cases);
}

#[test]
fn methods_are_tokens() {
    let bad: [&[u8]; 14] = [
        b"", b"G(T", b"G@T", b"G,T", b"GET;", b"GET:", b"\"GET\"", b"G\0T", b"G\rT", b"GET\x7f", b"G\xc9T", b"G\x0bT",
        b"[GET]", b"GET/",
    ];
    let mut cases: Vec<Case> =
        bad.iter().map(|method| refused([*method, b" /s/case000 HTTP/1.1\r\nHost: h\r\n\r\n"].concat())).collect();
    for method in [
        "get",
        "Get",
        "GETT",
        "PROPFIND",
        "M-SEARCH",
        "!#$%&'*+-.^_`|~",
        "TRACE",
        "TRACK",
        "DEBUG",
        "X".repeat(100).as_str(),
    ] {
        cases.push(either(format!("{method} /s/case000 HTTP/1.1\r\nHost: h\r\n\r\n"), ""));
    }
    cases.push(either("TRACE /s/case000 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "hello"));
    // A request that begins like HTTP/2's preface and is none.
    cases.push(refused("PRI * HTTP/2.0\r\nHost: h\r\n\r\n"));
    cases.push(refused("PRI * HTTP/1.1\r\nHost: h\r\n\r\n"));
    cases.push(refused("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"));
    cases.push(either("PRI /s/case000 HTTP/1.1\r\nHost: h\r\n\r\n", ""));
    cases.push(passed("OPTIONS /s/case000 HTTP/1.1\r\nHost: h\r\n\r\n", ""));
    cases.push(refused(format!("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}{HIDDEN}")));
    cases.push(refused("PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nGET /s/case000 HTTP/1.1\r\nHost: h\r\n\r\n"));
    cases.push(refused("\r\n\r\n\0\r\nQUIT\n GET /s/case000 HTTP/1.1\r\nHost: h\r\n\r\n"));
    Stage::new().run(&cases);
}
