//! Clients over TLS: the right certificate for each name, HTTP/2 and HTTP/1.1 by ALPN, and who is who for the upstream.

use std::process::Command;

use moongate_tests::certificates::Authority;
use moongate_tests::http2::Http2Client;
use moongate_tests::{Answer, Gateway, Upstream};

/// A gateway with certificates for two names, both of one authority; the first is the default.
fn gateway(authority: &Authority, upstream: &Upstream) -> Gateway {
    let (first, second) =
        (authority.certificate(&["localhost", "*.example.org"]), authority.certificate(&["api.example.com"]));
    let settings = "tls:
  listen: 127.0.0.1:0
  certificates:
    - { certificate_file: tls/first.pem, key_file: tls/first.key }
    - { certificate_file: tls/second.pem, key_file: tls/second.key }
";
    Gateway::builder()
        .file("moongate.yaml", settings)
        .file("tls/first.pem", &first.pem())
        .file("tls/first.key", &first.key_pem())
        .file("tls/second.pem", &second.pem())
        .file("tls/second.key", &second.key_pem())
        .file("tls/ca.pem", &authority.pem())
        .file("apis/p.yaml", &format!("api: p\nroutes:\n  - match: $default\n    upstream: {}\n", upstream.url()))
        .start()
}

/// Runs curl against the TLS listener under a name; what it prints, or its complaint.
fn curl(gateway: &Gateway, name: &str, arguments: &[&str]) -> Result<String, String> {
    let port = gateway.tls_address().port();
    let output = Command::new("curl")
        .args(["-sS", "--resolve", &format!("{name}:{port}:127.0.0.1"), "--cacert"])
        .arg(gateway.project().join("tls/ca.pem"))
        .args(arguments)
        .arg(format!("https://{name}:{port}/p/x"))
        .output()
        .expect("curl runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[test]
fn each_name_gets_its_certificate() {
    let authority = Authority::default();
    let upstream = Upstream::text("over TLS");
    let gateway = gateway(&authority, &upstream);
    for name in ["localhost", "shop.example.org", "api.example.com"] {
        assert_eq!(curl(&gateway, name, &[]), Ok("over TLS".to_owned()), "{name}");
    }
    assert!(curl(&gateway, "other.example.com", &[]).is_err());
    let request = upstream.last_request();
    assert_eq!(request.header("x-forwarded-proto"), Some("https"));
}

#[test]
fn the_protocol_is_settled_by_alpn() {
    let authority = Authority::default();
    let upstream = Upstream::recording(|request| Answer::text(request.text()));
    let gateway = gateway(&authority, &upstream);
    let format = ["-o", "/dev/null", "-w", "%{http_version}"];
    assert_eq!(curl(&gateway, "localhost", &[&format[..], &["--http2"]].concat()), Ok("2".to_owned()));
    assert_eq!(curl(&gateway, "localhost", &[&format[..], &["--http1.1"]].concat()), Ok("1.1".to_owned()));
    assert_eq!(curl(&gateway, "localhost", &[&format[..], &["--no-alpn"]].concat()), Ok("1.1".to_owned()));
    let mut client = Http2Client::tls(gateway.tls_address(), "localhost", &authority);
    assert_eq!(client.request("POST", "/p/", &[], b"body").expect_status(200).text(), "body");
}

#[test]
fn old_protocol_versions_and_plain_requests_are_refused() {
    let authority = Authority::default();
    let upstream = Upstream::text("never");
    let gateway = gateway(&authority, &upstream);
    let old = curl(&gateway, "localhost", &["--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"]);
    assert!(old.is_err(), "TLS 1.1 was taken: {old:?}");
    let plain = moongate_tests::Client::new(gateway.tls_address()).send_raw("GET /p/ HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(!plain.is_ok_and(|response| response.status == 200));
    assert!(upstream.requests().is_empty());
    // Neither kept the listener from serving others.
    assert_eq!(curl(&gateway, "localhost", &[]), Ok("never".to_owned()));
}
