//! Chunked bodies: sizes, extensions, ends and trailers (RFC 9112 section 7.1).

use crate::smuggling::{Case, HIDDEN, Stage, either, passed, post, refused};

fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", body)
}

/// A body whose first chunk's size line is given, without its end.
fn sized(line: &str) -> String {
    chunked(&format!("{line}\r\nhello\r\n0\r\n\r\n"))
}

#[test]
fn sizes_that_are_none_are_refused() {
    let lines = [
        "0x5", "0X5", "x5", "+5", "-5", " 5", "\t5", "5 5", "5.0", "5,5", "5h", "g", "G5", "five", "", ";5", ";", "=5",
        "5:", "5_", "\"5\"", "'5'", "%35", "\u{665}", "5\0", "\x005", "5\u{b}", "\u{b}5", "5\u{c}", "\u{a0}5",
        "5\u{7f}", "5\r", "\r5", "5\r\r", "\n5", "\r\n5", "-0", "5\\",
    ];
    let mut cases: Vec<Case> = lines.iter().map(|line| refused(sized(line))).collect();
    // Sizes beyond what is counted with: cut to 32 or 64 bits they would be 5.
    for size in [
        "100000005",
        "10000000000000005",
        "1000000000000000000000005",
        "FFFFFFFFFFFFFFFF",
        "FFFFFFFFFFFFFFFB",
        "8000000000000000",
        "7FFFFFFFFFFFFFFF",
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF",
    ] {
        cases.push(refused(sized(size)));
    }
    Stage::new().run(&cases);
}

#[test]
fn sizes_are_read_as_everybody_reads_them() {
    let letters = chunked("a\r\n0123456789\r\nB\r\n0123456789x\r\n0\r\n\r\n");
    Stage::new().run(&[
        passed(sized("5"), "hello"),
        passed(sized("05"), "hello"),
        either(sized("0000000005"), "hello"),
        either(sized("00000000000000005"), "hello"),
        either(sized(&format!("{}5", "0".repeat(1_000))), "hello"),
        passed(letters, "01234567890123456789x"),
        passed(chunked("1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n"), "abc"),
        passed(chunked("0\r\n\r\n"), ""),
        either(chunked("000\r\n\r\n"), ""),
        either(chunked(&format!("{}\r\n\r\n", "0".repeat(30))), ""),
        passed(chunked(&format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len())), HIDDEN),
        either(sized("5 "), "hello"),
        either(sized("5\t"), "hello"),
        either(chunked("5\r\nhello\r\n0 \r\n\r\n"), "hello"),
    ]);
}

#[test]
fn extensions_are_dropped_or_refused() {
    let long = "x".repeat(8 * 1024);
    let endless = "x".repeat(100 * 1024);
    let many: String = (0..200).map(|_| format!("1;{}\r\na\r\n", "y".repeat(1_000))).collect();
    let hidden = HIDDEN.replace("\r\n", "");
    Stage::new().run(&[
        either(sized("5;a"), "hello"),
        either(sized("5;a=b"), "hello"),
        either(sized("5; a = b"), "hello"),
        either(sized("5 ;a=b"), "hello"),
        either(sized("5;a=\"b;c\""), "hello"),
        either(sized("5;"), "hello"),
        either(sized("5;;;;"), "hello"),
        either(sized("5;a=\"\\\"\""), "hello"),
        either(sized(&format!("5;{hidden}")), "hello"),
        either(sized(&format!("5;{long}")), "hello"),
        either(chunked("5\r\nhello\r\n0;a=b\r\n\r\n"), "hello"),
        refused(sized(&format!("5;{endless}"))),
        refused(chunked(&format!("{many}0\r\n\r\n"))),
        // Ends of lines inside an extension: where some read on, others read the chunk.
        refused(sized("5;a\nb")),
        refused(sized("5;\n")),
        refused(sized("5;\nhello\r\n0\r\n\r\n")),
        refused(sized("5;a=\"\r\n\"")),
        refused(sized("5;a\rb")),
        refused(sized("5;\r")),
        refused(sized("5;a\r\r")),
        refused(chunked(&format!("2;\nxx\r\n{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len()))),
        either(sized("5;a\0b"), "hello"),
        either(sized("5;a\u{b}b"), "hello"),
        either(sized("5;a\u{7f}"), "hello"),
    ]);
}

#[test]
fn chunks_end_with_crlf_and_nothing_else() {
    let tails = [
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\r\r\n0\r\n\r\n",
        "5\r\nhello\n\n0\r\n\r\n",
        "5\r\nhello\r\n\r\n0\r\n\r\n",
        "5\r\nhell\r\n0\r\n\r\n",
        "5\r\nhelloo\r\n0\r\n\r\n",
        "5\r\nhello \r\n0\r\n\r\n",
        "5\r\nhello\0\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\n",
        "5\r\nhello\r\n0\r\r",
        "5\r\nhello\r\n0\n\r\n",
        "5\r\nhello\r\n-0\r\n\r\n",
        "5\r\nhello\r\n0x0\r\n\r\n",
        "5\r\nhello\r\n\r\n\r\n",
        "5\r\nhello\r\n;\r\n\r\n",
    ];
    let mut cases: Vec<Case> = tails.iter().map(|body| refused(chunked(body))).collect();
    // A last line that ends with a bare LF: a trailer section that is not over yet, or a mistake.
    cases.push(either(chunked("5\r\nhello\r\n0\r\n\n"), "hello"));
    cases.push(refused(chunked("5\r\nhello\r\n0\r\n\r")));
    cases.push(refused(chunked(&format!("5\r\nhello\r\n0\r\n\rX{HIDDEN}"))));
    Stage::new().run(&cases);
}

#[test]
fn trailers_do_not_change_a_request() {
    let trailer = |lines: &str| chunked(&format!("5\r\nhello\r\n0\r\n{lines}\r\n\r\n"));
    let huge = "x".repeat(256 * 1024);
    let many: String = (0..5_000).map(|number| format!("X-{number}: 1\r\n")).collect();
    Stage::new().run(&[
        passed(trailer("X-Check: 1"), "hello"),
        passed(trailer("X-Check: 1\r\nX-Other: 2"), "hello"),
        either(trailer("Content-Length: 5"), "hello"),
        either(trailer("Content-Length: 500"), "hello"),
        either(trailer("Transfer-Encoding: chunked"), "hello"),
        either(trailer("Transfer-Encoding: identity"), "hello"),
        either(trailer("Host: other"), "hello"),
        either(trailer("Authorization: Bearer x"), "hello"),
        either(trailer("Connection: close"), "hello"),
        either(trailer("Trailer: X"), "hello"),
        either(trailer("TE: trailers"), "hello"),
        either(trailer("Cookie: a=b"), "hello"),
        either(trailer("X-Forwarded-For: 10.0.0.1"), "hello"),
        refused(trailer("X : y")),
        refused(trailer("X\t: y")),
        refused(trailer("No colon")),
        refused(trailer(": no name")),
        refused(trailer("X: a\0b")),
        refused(trailer("X: a\rb")),
        refused(trailer("X: y\r\n folded")),
        refused(trailer(" X: y")),
        refused(trailer("X(: y")),
        refused(trailer("GET /s/hidden000 HTTP/1.1\r\nHost: h")),
        refused(trailer(&format!("X: {huge}"))),
        refused(trailer(many.trim_end())),
        either(trailer("X: y\nY: z"), "hello"),
    ]);
}
