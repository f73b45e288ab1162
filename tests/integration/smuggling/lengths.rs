//! Content-Length in every spelling that some recipient reads differently (RFC 9110 section 8.6, RFC 9112 section 6.3).

use crate::smuggling::{Case, HIDDEN, Stage, either, get, passed, post, refused};

/// Values that are no length, each before a body that somebody might take for one.
const NO_LENGTHS: [&str; 39] = [
    "+5",
    "-5",
    "-0",
    "--5",
    "0x5",
    "0X5",
    "0b101",
    "0o5",
    "5 5",
    "5\t5",
    "5;",
    "5;q=1",
    "5.",
    "5.0",
    "5e0",
    ".5",
    "5,6",
    "5, 6",
    "6, 5",
    "5,",
    ",5",
    "5, ,6",
    "five",
    "NaN",
    "inf",
    "",
    " ",
    "\t",
    "\"5\"",
    "'5'",
    "5_0",
    "1_000",
    "5u",
    "5L",
    "%35",
    "\u{665}",
    "\u{ff15}",
    "5\u{a0}",
    "\u{feff}5",
];

/// Numbers that do not fit.
const TOO_LARGE: [&str; 7] = [
    "18446744073709551615",
    "18446744073709551616",
    "18446744073709551621",
    "9223372036854775808",
    "99999999999999999999",
    "340282366920938463463374607431768211461",
    "100000000000000000000000000000000000000000000000000000000000000000000005",
];

#[test]
fn what_is_no_length_is_refused() {
    let values = NO_LENGTHS.iter().chain(&TOO_LARGE);
    let mut cases: Vec<Case> =
        values.map(|value| refused(post(&format!("Content-Length: {value}\r\n"), "hello"))).collect();
    for bytes in
        [&b"5\x0b"[..], b"\x0b5", b"5\x0c", b"\x0c5", b"5\0", b"\x005", b"5\x1f", b"5\x7f", b"5\r", b"\r5", b"5\xa0"]
    {
        let head = [b"POST /s/case000 HTTP/1.1\r\nHost: h\r\nContent-Length: ", bytes, b"\r\n\r\nhello"].concat();
        cases.push(refused(head));
    }
    Stage::new().run(&cases);
}

#[test]
fn a_length_is_read_as_everybody_reads_it() {
    let long_zeros = format!("Content-Length: {}5\r\n", "0".repeat(100));
    Stage::new().run(&[
        passed(post("Content-Length: 5\r\n", "hello"), "hello"),
        passed(post("content-length:5\r\n", "hello"), "hello"),
        passed(post("CONTENT-LENGTH:   5  \r\n", "hello"), "hello"),
        passed(post("Content-Length:\t5\t\r\n", "hello"), "hello"),
        passed(post("Content-Length: 0\r\n", ""), ""),
        passed(post("", ""), ""),
        either(post("Content-Length: 005\r\n", "hello"), "hello"),
        either(post("Content-Length: 00\r\n", ""), ""),
        either(post(&long_zeros, "hello"), "hello"),
        passed(get("Content-Length: 0\r\n"), ""),
        passed(format!("{}hello", get("Content-Length: 5\r\n")), "hello"),
        passed("DELETE /s/case000 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "hello"),
        passed("OPTIONS /s/case000 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "hello"),
        passed("HEAD /s/case000 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "hello"),
        passed("QUERY /s/case000 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "hello"),
        // A whole request as a body stays a body.
        passed(post(&format!("Content-Length: {}\r\n", HIDDEN.len()), HIDDEN), HIDDEN),
        passed(format!("{}{HIDDEN}", get(&format!("Content-Length: {}\r\n", HIDDEN.len()))), HIDDEN),
    ]);
}

#[test]
fn several_lengths_are_one_or_none() {
    let both =
        |first: &str, second: &str| post(&format!("Content-Length: {first}\r\nContent-Length: {second}\r\n"), "hello!");
    let hidden = |first: usize, second: usize| {
        post(&format!("Content-Length: {first}\r\nContent-Length: {second}\r\n"), &format!("hello{HIDDEN}"))
    };
    let same = post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello");
    Stage::new().run(&[
        refused(both("5", "6")),
        refused(both("6", "5")),
        refused(both("0", "6")),
        refused(both("6", "0")),
        refused(both("6", "")),
        refused(both("", "6")),
        refused(both("6", "+6")),
        refused(both("6", "0x6")),
        refused(both("6", "6, 5")),
        refused(post("Content-Length: 5\r\ncontent-length: 6\r\n", "hello!")),
        refused(post("Content-Length: 5\r\nX: y\r\nCONTENT-LENGTH: 6\r\n", "hello!")),
        refused(post("Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 6\r\n", "hello!")),
        refused(hidden(5, 5 + HIDDEN.len())),
        refused(hidden(5 + HIDDEN.len(), 5)),
        refused(hidden(0, 5 + HIDDEN.len())),
        either(same, "hello"),
        either(post("Content-Length: 5, 5\r\n", "hello"), "hello"),
        either(post("Content-Length: 5,5,5\r\n", "hello"), "hello"),
        either(post("Content-Length: 5\r\nContent-Length: 05\r\n", "hello"), "hello"),
    ]);
}

#[test]
fn fields_that_look_like_a_length_are_none() {
    let bad_names = [
        "Content-Length : 5",
        "Content-Length\t: 5",
        "Content Length: 5",
        "Content-Length\0: 5",
        "Content-Length\u{b}: 5",
        "Content-Length\r: 5",
        "\u{ef}Content-Length: 5",
        "Content-\r\n Length: 5",
        "X: y\rContent-Length: 5",
        "X: y\r\rContent-Length: 5",
        "Content-Length\r\n: 5",
        "Content-Length\n: 5",
        "Content-Length:\r\n 5",
        "Content-Length: 5\r\n 6",
        "Content-Length: 5\r\n\t",
        "[Content-Length]: 5",
        "Content-Length(x): 5",
        "\"Content-Length\": 5",
        "Content-Length; x: 5",
    ];
    let mut cases: Vec<Case> = bad_names.iter().map(|field| refused(post(&format!("{field}\r\n"), "hello"))).collect();
    // The first field line begins with a blank: nothing it could belong to (RFC 9112 section 2.2).
    for blank in [" ", "\t", "\r\n "] {
        cases.push(refused(format!("POST /s/case000 HTTP/1.1\r\n{blank}Content-Length: 5\r\nHost: h\r\n\r\nhello")));
    }
    // Other names, that some servers fold into this one. What follows is no part of the request then.
    let hidden = HIDDEN.len();
    for name in ["Content_Length", "Content.Length", "X-Content-Length", "Content-Length-", "Content--Length"] {
        cases.push(either(post(&format!("{name}: {hidden}\r\nContent-Length: 0\r\n"), ""), ""));
        cases.push(either(post(&format!("{name}: 0\r\nContent-Length: {hidden}\r\n"), HIDDEN), HIDDEN));
    }
    cases.push(either(post("X: y\nContent-Length: 5\r\n", "hello"), "hello"));
    Stage::new().run(&cases);
}

#[test]
fn a_body_that_is_shorter_than_its_length_is_no_request() {
    // The canary becomes part of the body when it comes at once; the gateway cannot know better.
    let canary_bytes = "GET /s/canary000 HTTP/1.1\r\nHost: h\r\n\r\n".len();
    Stage::new().run(&[
        refused(post(&format!("Content-Length: {}\r\n", canary_bytes + 100), "hello")),
        refused(post(&format!("Content-Length: {}\r\n", 1_u64 << 40), "hello")),
        refused(get("Content-Length: 100\r\n")),
    ]);
}
