//! Whom a request is for: Host, the absolute form, and both (RFC 9112 section 3.2, RFC 9110 section 7.2).

use crate::smuggling::{Case, Stage, either, passed, refused};

fn host(fields: &str) -> String {
    format!("GET /s/case000 HTTP/1.1\r\n{fields}\r\n")
}

#[test]
fn a_host_is_named_once_and_is_one() {
    let bad = [
        "",
        "Host:\r\n",
        "Host: \r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nHost: b\r\n",
        "Host: a\r\nhost: b\r\n",
        "Host: a\r\nX: y\r\nHOST: b\r\n",
        "Host: a\r\nHost:\r\n",
        "Host:\r\nHost: a\r\n",
        "Host: a b\r\n",
        "Host: a\tb\r\n",
        "Host: a/b\r\n",
        "Host: a\\b\r\n",
        "Host: a?b\r\n",
        "Host: a#b\r\n",
        "Host: u@a\r\n",
        "Host: u:p@a\r\n",
        "Host: a@\r\n",
        "Host: <a>\r\n",
        "Host: a\"b\r\n",
        "Host: a\0b\r\n",
        "Host: a\u{b}\r\n",
        "Host: a\u{7f}\r\n",
        "Host: a^b\r\n",
        "Host: a`b\r\n",
        "Host: a{b}\r\n",
        "Host: a|b\r\n",
        "Host : a\r\n",
        "Host\t: a\r\n",
        " Host: a\r\n",
        "Host: a\r\n b\r\n",
        "Host:\r\n a\r\n",
        "Host: \u{e4}\r\n",
        "Host: a\rHost: b\r\n",
        "Host: http://a\r\n",
        "Host: http://a/\r\n",
        "X-Host: a\r\n",
        "Hos\u{212a}: a\r\n",
        "Host: a:port\r\n",
        "Host: a:80:80\r\n",
        "Host: a:99999\r\n",
        "Host: a:-1\r\n",
        "Host: [::1\r\n",
        "Host: ::1]\r\n",
        "Host: [::1]x\r\n",
        "Host: [zz]\r\n",
        "Host: a,b\r\n",
        "Host: a, b\r\n",
        "Host: a%00\r\n",
        "Host: a%2f\r\n",
        "Host: :80\r\n",
    ];
    let cases: Vec<Case> = bad.iter().map(|fields| refused(host(fields))).collect();
    Stage::new().run(&cases);
}

#[test]
fn hosts_are_understood() {
    let good = [
        "Host: h\r\n",
        "host:h\r\n",
        "HOST:  h  \r\n",
        "Host: h:80\r\n",
        "Host: 127.0.0.1\r\n",
        "Host: 127.0.0.1:8080\r\n",
        "Host: [::1]\r\n",
        "Host: [::1]:8080\r\n",
        "Host: a-b.example.com\r\n",
        "Host: H.EXAMPLE\r\n",
    ];
    let mut cases: Vec<Case> = good.iter().map(|fields| passed(host(fields), "")).collect();
    for fields in
        ["Host: h:\r\n", "Host: a.\r\n", "Host: a..b\r\n", "Host: a_b\r\n", "Host: -a\r\n", "Host: xn--bcher-kva\r\n"]
    {
        cases.push(either(host(fields), ""));
    }
    cases.push(passed("GET /s/case000 HTTP/1.0\r\n\r\n", ""));
    cases.push(passed("GET /s/case000 HTTP/1.0\r\nHost: h\r\n\r\n", ""));
    cases.push(refused("GET /s/case000 HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"));
    // Said in other fields: the upstream is told by the gateway, not by the client.
    for fields in
        ["X-Forwarded-Host: b\r\n", "Forwarded: host=b\r\n", "X-Host: b\r\n", "X-Original-URL: /s/hidden000\r\n"]
    {
        cases.push(passed(host(&format!("Host: h\r\n{fields}")), ""));
    }
    Stage::new().run(&cases);
}

#[test]
fn an_absolute_target_agrees_with_the_host() {
    let absolute = |target: &str, fields: &str| format!("GET {target} HTTP/1.1\r\n{fields}\r\n");
    Stage::new().run(&[
        passed(absolute("http://h/s/case000", "Host: h\r\n"), ""),
        either(absolute("HTTP://h/s/case000", "Host: h\r\n"), ""),
        either(absolute("http://H/s/case000", "Host: h\r\n"), ""),
        either(absolute("http://h:80/s/case000", "Host: h:80\r\n"), ""),
        either(absolute("http://h:80/s/case000", "Host: h\r\n"), ""),
        either(absolute("https://h/s/case000", "Host: h\r\n"), ""),
        refused(absolute("http://a/s/case000", "Host: b\r\n")),
        refused(absolute("http://a:81/s/case000", "Host: a:82\r\n")),
        refused(absolute("http://a/s/case000", "Host: a\r\nHost: b\r\n")),
        refused(absolute("http://u@h/s/case000", "Host: h\r\n")),
        refused(absolute("http://u:p@h/s/case000", "Host: h\r\n")),
        refused(absolute("http://h@a/s/case000", "Host: h\r\n")),
        refused(absolute("http://h\\@a/s/case000", "Host: h\r\n")),
        refused(absolute("http://h#@a/s/case000", "Host: h\r\n")),
        refused(absolute("http://h /s/case000", "Host: h\r\n")),
        refused(absolute("http://[::1/s/case000", "Host: h\r\n")),
        refused(absolute("http://h:port/s/case000", "Host: h\r\n")),
        refused(absolute("http://h%00/s/case000", "Host: h\r\n")),
        refused(absolute("ftp://h/s/case000", "Host: h\r\n")),
        refused(absolute("file:///s/case000", "Host: h\r\n")),
        refused(absolute("javascript:/s/case000", "Host: h\r\n")),
        // No Host beside an absolute target is a mistake too (RFC 9112 section 3.2); its authority would do.
        either(absolute("http://h/s/case000", ""), ""),
        either(absolute("http://h/s/case000", "Host:\r\n"), ""),
        refused("CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n"),
        refused("CONNECT /s/case000 HTTP/1.1\r\nHost: h\r\n\r\n"),
        refused("CONNECT http://h/s/case000 HTTP/1.1\r\nHost: h\r\n\r\n"),
        refused("GET h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n"),
        refused("GET * HTTP/1.1\r\nHost: h\r\n\r\n"),
    ]);
}
