//! Transfer-Encoding in every spelling, with and without Content-Length, on HTTP/1.1 and 1.0 (RFC 9112 section 6.1).

use crate::smuggling::{Case, HIDDEN, Stage, either, get, passed, post, refused};

const CHUNKED_HELLO: &str = "5\r\nhello\r\n0\r\n\r\n";

/// Codings that a gateway which only understands `chunked` must not guess about.
const NOT_UNDERSTOOD: [&str; 33] = [
    "identity",
    "gzip",
    "deflate",
    "cow",
    "chunked, identity",
    "chunked,identity",
    "identity, chunked",
    "chunked, gzip",
    "gzip, chunked",
    "gzip,chunked",
    "chunked, chunked",
    "chunked,chunked",
    "xchunked",
    "chunkedx",
    "x chunked",
    "chunked x",
    "chunk",
    "chunke",
    "chunked;",
    "chunked;q=1",
    "chunked; a=b",
    "\"chunked\"",
    "'chunked'",
    "chunked\"",
    "chunked/1",
    "chunked:",
    "x-chunked",
    "[chunked]",
    "",
    " ",
    ",",
    "\u{212a}hun\u{212a}ed",
    "c\u{202e}hunked",
];

#[test]
fn codings_that_are_not_understood_are_refused() {
    let alone =
        NOT_UNDERSTOOD.iter().map(|value| refused(post(&format!("Transfer-Encoding: {value}\r\n"), CHUNKED_HELLO)));
    // A length beside it must not become the way out.
    let with_length = ["identity", "xchunked", "chunked;q=1", "\"chunked\"", "chunked, identity", ""]
        .map(|value| refused(post(&format!("Transfer-Encoding: {value}\r\nContent-Length: 15\r\n"), CHUNKED_HELLO)));
    let mut cases: Vec<Case> = alone.chain(with_length).collect();
    let odd: [&[u8]; 15] = [
        b"\x0bchunked",
        b"chunked\x0b",
        b"\x0cchunked",
        b"chunked\x0c",
        b"\0chunked",
        b"chunked\0",
        b"chunked\x01",
        b"\x1fchunked",
        b"chunked\x7f",
        b"\xa0chunked",
        b"chunked\xa0",
        b"\x85chunked",
        b"chunked\xff",
        b"chun\0ked",
        b"chunked\r",
    ];
    for value in odd {
        let head = [b"POST /s/case000 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: ", value, b"\r\n\r\n"].concat();
        cases.push(refused([&head, CHUNKED_HELLO.as_bytes()].concat()));
    }
    Stage::new().run(&cases);
}

#[test]
fn chunked_is_understood_in_every_case() {
    let spelled = ["chunked", "Chunked", "CHUNKED", "chUnKed", "  chunked  ", "\tchunked\t"];
    let mut cases: Vec<Case> = spelled
        .iter()
        .map(|value| passed(post(&format!("Transfer-Encoding:{value}\r\n"), CHUNKED_HELLO), "hello"))
        .collect();
    // Empty elements of a list count for nothing (RFC 9110 section 5.6.1.2); whoever counts them refuses.
    for value in ["chunked,", ",chunked", ", chunked", "chunked, ,", ",,chunked,,"] {
        cases.push(either(post(&format!("Transfer-Encoding: {value}\r\n"), CHUNKED_HELLO), "hello"));
    }
    for method in ["GET", "DELETE", "OPTIONS", "HEAD"] {
        let head = format!("{method} /s/case000 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
        cases.push(passed(format!("{head}{CHUNKED_HELLO}"), "hello"));
        cases.push(passed(format!("{head}0\r\n\r\n"), ""));
    }
    // `TE` says what a client takes, nothing about its request.
    cases.push(passed(post(&format!("TE: chunked\r\nContent-Length: {}\r\n", HIDDEN.len()), HIDDEN), HIDDEN));
    cases.push(passed(get("TE: trailers, chunked\r\n"), ""));
    Stage::new().run(&cases);
}

#[test]
fn several_codings_are_refused() {
    let two = |first: &str, second: &str| {
        post(&format!("Transfer-Encoding: {first}\r\nTransfer-Encoding: {second}\r\n"), CHUNKED_HELLO)
    };
    Stage::new().run(&[
        refused(two("chunked", "chunked")),
        refused(two("chunked", "identity")),
        refused(two("identity", "chunked")),
        refused(two("chunked", "gzip")),
        refused(two("gzip", "chunked")),
        refused(two("chunked", "xchunked")),
        refused(two("xchunked", "chunked")),
        refused(two("chunked", "chunked, identity")),
        either(two("chunked", ""), "hello"),
        either(two("", "chunked"), "hello"),
        refused(post("Transfer-Encoding: chunked\r\nX: y\r\ntransfer-encoding: cow\r\n", CHUNKED_HELLO)),
        refused(post("Transfer-Encoding: cow\r\nX: y\r\nTRANSFER-ENCODING: chunked\r\n", CHUNKED_HELLO)),
        refused(post("Transfer-Encoding: chunked\r\n , identity\r\n", CHUNKED_HELLO)),
        refused(post("Transfer-Encoding:\r\n chunked\r\n", CHUNKED_HELLO)),
        refused(post("Transfer-Encoding: \r\n\tchunked\r\n", CHUNKED_HELLO)),
        refused(post("Transfer-Encoding: identity,\r\n chunked\r\n", CHUNKED_HELLO)),
    ]);
}

#[test]
fn a_length_beside_a_coding_is_refused() {
    let hidden_behind_chunks = format!("0\r\n\r\n{HIDDEN}");
    let length = hidden_behind_chunks.len();
    let both = |fields: &str| refused(post(fields, &hidden_behind_chunks));
    Stage::new().run(&[
        both(&format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n")),
        both(&format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n")),
        both("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
        both("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
        both("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        both(&format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n")),
        both(&format!("CONTENT-LENGTH: {length}\r\nX: y\r\nTRANSFER-ENCODING: CHUNKED\r\n")),
        both(&format!("Transfer-Encoding:chunked\r\nX: y\r\nContent-Length:{length}\r\n")),
        both(&format!("Content-Length: {length}\r\nTransfer-Encoding: ,chunked\r\n")),
        both(&format!("Content-Length: {length}\r\nTransfer-Encoding: chunked,\r\n")),
        both("Content-Length: \r\nTransfer-Encoding: chunked\r\n"),
        both("Transfer-Encoding: chunked\r\nContent-Length: nonsense\r\n"),
        both("Transfer-Encoding: chunked\r\nContent-Length: 5, 6\r\n"),
        both(&format!("X: y\nContent-Length: {length}\r\nTransfer-Encoding: chunked\r\n")),
        both(&format!("Content-Length: {length}\r\nX: y\nTransfer-Encoding: chunked\r\n")),
        both(&format!("Content-Length: {length}\r\nConnection: content-length\r\nTransfer-Encoding: chunked\r\n")),
        both(&format!("Content-Length: {length}\r\nConnection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n")),
        refused(format!(
            "{}{hidden_behind_chunks}",
            get(&format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"))
        )),
    ]);
}

#[test]
fn fields_that_look_like_a_coding_are_none() {
    let bad_names = [
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        "Transfer-Encoding\0: chunked",
        "Transfer-Encoding\u{b}: chunked",
        "Transfer Encoding: chunked",
        "Transfer-Encoding\r: chunked",
        "Transfer-Encoding\n: chunked",
        "Transfer-Encoding\r\n : chunked",
        "Transfer\r\n -Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked",
        "X: y\r\rTransfer-Encoding: chunked",
        "Transfer-Encoding;: chunked",
        "Transfer-Encoding chunked",
        "(Transfer-Encoding: chunked",
        "\u{feff}Transfer-Encoding: chunked",
    ];
    let length = HIDDEN.len() + 5;
    let body = format!("0\r\n\r\n{HIDDEN}");
    let mut cases: Vec<Case> = bad_names
        .iter()
        .map(|field| refused(post(&format!("Content-Length: {length}\r\n{field}\r\n"), &body)))
        .collect();
    for blank in [" ", "\t"] {
        let head = format!(
            "POST /s/case000 HTTP/1.1\r\n{blank}Transfer-Encoding: chunked\r\nHost: h\r\nContent-Length: {length}\r\n\r\n"
        );
        cases.push(refused(format!("{head}{body}")));
    }
    for name in
        ["Transfer_Encoding", "Transfer.Encoding", "X-Transfer-Encoding", "Transfer-Encodings", "TransferEncoding"]
    {
        cases.push(either(post(&format!("{name}: chunked\r\nContent-Length: {length}\r\n"), &body), &body));
    }
    cases.push(either(post("X: y\nTransfer-Encoding: chunked\r\n", CHUNKED_HELLO), "hello"));
    Stage::new().run(&cases);
}

#[test]
fn http_1_0_has_no_chunks() {
    let old = |fields: &str, body: &str| format!("POST /s/case000 HTTP/1.0\r\nHost: h\r\n{fields}\r\n{body}");
    let body = format!("0\r\n\r\n{HIDDEN}");
    let length = body.len();
    Stage::new().run(&[
        refused(old("Transfer-Encoding: chunked\r\n", CHUNKED_HELLO)),
        refused(old(&format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"), &body)),
        refused(old(&format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"), &body)),
        refused(old("Transfer-Encoding: identity\r\n", "hello")),
        refused(old("Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n", &body)),
        refused("GET /s/case000 HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        passed(old("Content-Length: 5\r\n", "hello"), "hello"),
        passed(old(&format!("Connection: keep-alive\r\nContent-Length: {length}\r\n"), &body), &body),
    ]);
}
