//! Request smuggling: whatever a client sends, the gateway and the upstream behind it agree about where each request ends.
//!
//! Every case is some bytes and what may come of them. It is sent twice: with a canary request right behind it in the same write, and
//! with the canary sent when the first answer is there. Afterwards:
//!
//! - what reached the upstream was well-formed for a strict reader of its own ([`moongate_tests::strict`]);
//! - a request that was accepted reached the upstream exactly once, with the body it should have; one that was refused did not;
//! - nothing hidden in a body, a field or behind a refused request reached the upstream as a request;
//! - the canary was answered as itself, or the connection was closed.
//!
//! The same from the upstream's side is in [`answers`]: an upstream that lies about where an answer ends never gets one client's
//! bytes to another.

mod answers;
mod chunks;
mod codings;
mod fields;
mod hosts;
mod http2;
mod lengths;
mod lines;
mod sequences;
mod versions;

use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

use moongate_tests::client::{Connection, Response};
use moongate_tests::strict::{Seen, StrictUpstream, shown};
use moongate_tests::{Client, Gateway};

/// Statuses that refuse a request: the client's mistakes, and what the gateway does not do.
const REFUSALS: [u16; 13] = [400, 404, 405, 408, 411, 413, 414, 417, 421, 426, 431, 501, 505];

/// How many connections send cases at once.
const SENDERS: usize = 8;

/// Short deadlines, so that cases which leave the gateway waiting are over soon.
const SETTINGS: &str =
    "workers: 2\nlimits: { head_timeout_ms: 300, idle_timeout_ms: 300, stall_timeout_ms: 300 }\naccess_log: none\n";

/// A request that is hidden somewhere, and must not reach the upstream. Digits stand for the case's number.
pub(crate) const HIDDEN: &str = "GET /s/hidden000 HTTP/1.1\r\nHost: h\r\n\r\n";

/// What may come of a case.
#[derive(Clone, Debug)]
pub(crate) enum Want {
    /// A refusal, or the end of the connection.
    Refused,
    /// The upstream gets it with this body.
    Passed(Vec<u8>),
    /// One of both: recipients may be strict or lenient, as long as all read the same.
    Either(Vec<u8>),
    /// As `Passed`, and what follows it is no request.
    PassedThenJunk(Vec<u8>),
    /// The gateway answers with this status by itself.
    Answered(u16),
}

/// Bytes, and what may come of them.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    bytes: Vec<u8>,
    want: Want,
}

impl Case {
    pub(crate) fn new(bytes: impl Into<Vec<u8>>, want: Want) -> Self {
        Self { bytes: bytes.into(), want }
    }
}

pub(crate) fn refused(bytes: impl Into<Vec<u8>>) -> Case {
    Case::new(bytes, Want::Refused)
}

pub(crate) fn passed(bytes: impl Into<Vec<u8>>, body: &str) -> Case {
    Case::new(bytes, Want::Passed(body.into()))
}

pub(crate) fn either(bytes: impl Into<Vec<u8>>, body: &str) -> Case {
    Case::new(bytes, Want::Either(body.into()))
}

/// A POST with fields, each with its CRLF, and a body as it stands on the wire.
pub(crate) fn post(fields: &str, body: &str) -> String {
    format!("POST /s/case000 HTTP/1.1\r\nHost: h\r\n{fields}\r\n{body}")
}

/// A GET with fields, each with its CRLF.
pub(crate) fn get(fields: &str) -> String {
    format!("GET /s/case000 HTTP/1.1\r\nHost: h\r\n{fields}\r\n")
}

/// The same of bytes that are no text: `field` is put in place.
pub(crate) fn get_with(field: &[u8]) -> Vec<u8> {
    [b"GET /s/case000 HTTP/1.1\r\nHost: h\r\n", field, b"\r\n\r\n"].concat()
}

/// A gateway before a strict upstream.
pub(crate) struct Stage {
    pub(crate) upstream: StrictUpstream,
    pub(crate) gateway: Gateway,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let upstream = StrictUpstream::default();
        let api = format!(
            "api: s
routes:
  - match: $default
    upstream: {url}
  - match: ANY /mock
    integration: {{ type: mock, responses: [{{ status_code: 200 }}] }}
",
            url = upstream.url()
        );
        let only_get = format!(
            "api: only\nroutes:\n  - match: GET /get\n    integration: {{ type: http_proxy, uri: \"{}/get\" }}\n",
            upstream.url()
        );
        let small = format!(
            "api: small\nlimits: {{ request_body_bytes_max: 10 }}\nroutes:\n  - match: POST /body\n    upstream: {}\n",
            upstream.url()
        );
        let gateway = Gateway::builder()
            .file("moongate.yaml", SETTINGS)
            .file("apis/small.yaml", &small)
            .file("apis/s.yaml", &api)
            .file("apis/only.yaml", &only_get)
            .start();
        Self { upstream, gateway }
    }

    /// Runs cases, several at once, each in both ways; fails with all that went wrong.
    #[track_caller]
    pub(crate) fn run(&self, cases: &[Case]) {
        assert!(cases.len() < 500, "the numbers of cases have three digits");
        let client = self.gateway.client().timeout(Duration::from_secs(15));
        let failures: Vec<String> = thread::scope(|scope| {
            let senders: Vec<_> = (0..SENDERS)
                .map(|sender| {
                    scope.spawn(move || {
                        let mine = cases.iter().enumerate().skip(sender).step_by(SENDERS);
                        let mut failures = Vec::new();
                        for (index, case) in mine {
                            for is_pipelined in [true, false] {
                                let number = 2 * index + usize::from(is_pipelined);
                                if let Err(reason) = self.run_one(client, case, number, is_pipelined) {
                                    let way = if is_pipelined { "pipelined" } else { "one by one" };
                                    failures.push(format!("{}\n  {way}: {reason}", shown(&case.bytes)));
                                }
                            }
                        }
                        failures
                    })
                })
                .collect();
            senders.into_iter().flat_map(|sender| sender.join().expect("no sender panics")).collect()
        });
        let violations = self.upstream.violations();
        assert!(
            failures.is_empty() && violations.is_empty(),
            "{} cases went wrong:\n{}\nwhat the upstream could not read: {violations:#?}",
            failures.len(),
            failures.join("\n")
        );
    }

    fn run_one(&self, client: Client, case: &Case, number: usize, is_pipelined: bool) -> Result<(), String> {
        let bytes = numbered(&case.bytes, number);
        let canary = format!("GET /s/canary{number:03} HTTP/1.1\r\nHost: h\r\n\r\n");
        let mut connection = client.try_connect().map_err(|error| error.to_string())?;
        let method =
            String::from_utf8_lossy(bytes.trim_ascii_start().split(|byte| *byte == b' ').next().unwrap_or_default())
                .into_owned();
        let sent = if is_pipelined { [bytes.as_slice(), canary.as_bytes()].concat() } else { bytes };
        // A gateway that has refused may close before everything is sent.
        drop(connection.send(sent));
        let first = answer(&mut connection, &method)?;
        let mut second = None;
        if first.as_ref().is_some_and(|response| !says_close(response)) {
            if !is_pipelined {
                drop(connection.send(&canary));
            }
            second = answer(&mut connection, "GET")?;
        } else if first.is_some() && !connection.is_closed_by_peer() {
            return Err("the connection goes on after `Connection: close`".to_owned());
        }
        self.judge(case, number, first.as_ref(), second.as_ref())
    }

    /// What is wrong with what came of a case.
    fn judge(
        &self,
        case: &Case,
        number: usize,
        first: Option<&Response>,
        second: Option<&Response>,
    ) -> Result<(), String> {
        let hidden = self.upstream.seen(&format!("hidden{number:03}"));
        if !hidden.is_empty() {
            return Err(format!("the hidden request reached the upstream: {hidden:?}"));
        }
        let reached = self.upstream.seen(&format!("case{number:03}"));
        let status = first.map(|response| response.status);
        let is_refusal = status.is_none_or(|status| REFUSALS.contains(&status));
        match (&case.want, status) {
            (Want::Passed(body) | Want::PassedThenJunk(body) | Want::Either(body), Some(200)) => {
                as_wanted(first, &reached, &numbered(body, number))?;
            }
            (Want::Refused | Want::Either(_), _) if is_refusal => none(&reached)?,
            (Want::Answered(want), Some(got)) if *want == got => none(&reached)?,
            (want, _) => return Err(format!("{want:?}, but the answer is {first:?}; upstream: {reached:?}")),
        }
        let canaries = self.upstream.seen(&format!("canary{number:03}"));
        let is_junk_refused = matches!(case.want, Want::PassedThenJunk(_))
            && second.is_some_and(|response| REFUSALS.contains(&response.status));
        match second {
            None => none(&canaries).map_err(|reason| format!("the canary got no answer, but {reason}")),
            Some(_) if is_junk_refused => none(&canaries),
            Some(response) if response.status == 200 => {
                as_wanted(second, &canaries, b"")?;
                let want = format!("GET /canary{number:03}");
                if response.text() == want {
                    Ok(())
                } else {
                    Err(format!("the canary was answered {:?}", response.text()))
                }
            }
            Some(response) => Err(format!("the canary was answered {response:?} {}", response.text())),
        }
    }
}

/// The bytes of a case with its number in place of zeros.
fn numbered(bytes: &[u8], number: usize) -> Vec<u8> {
    let digits = format!("{number:03}");
    let mut numbered = bytes.to_vec();
    for name in [&b"case000"[..], b"hidden000"] {
        let places: Vec<usize> =
            bytes.windows(name.len()).enumerate().filter(|(_, part)| *part == name).map(|(at, _)| at).collect();
        for at in places {
            let end = at + name.len();
            numbered[end - 3..end].copy_from_slice(digits.as_bytes());
        }
    }
    numbered
}

/// The next answer; `None` when the connection ended instead.
fn answer(connection: &mut Connection, method: &str) -> Result<Option<Response>, String> {
    match connection.response_to(method) {
        Ok(response) => Ok(Some(response)),
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => Ok(None),
        Err(error) => Err(format!("neither an answer nor the end of the connection: {error}")),
    }
}

fn says_close(response: &Response) -> bool {
    response.headers.all("connection").iter().any(|value| value.eq_ignore_ascii_case("close"))
}

/// The request reached the upstream once, with a body, and the answer is the upstream's to it.
fn as_wanted(response: Option<&Response>, reached: &[Seen], body: &[u8]) -> Result<(), String> {
    let [seen] = reached else { return Err(format!("it reached the upstream {} times: {reached:?}", reached.len())) };
    if seen.request.body != body {
        return Err(format!("the upstream got the body {}", shown(&seen.request.body)));
    }
    let serial = response.and_then(|response| response.headers.all("x-serial").first().map(ToString::to_string));
    if serial != Some(seen.serial.to_string()) {
        return Err(format!("the answer is to request {serial:?}, not {}", seen.serial));
    }
    Ok(())
}

fn none(reached: &[Seen]) -> Result<(), String> {
    if reached.is_empty() { Ok(()) } else { Err(format!("it reached the upstream: {reached:?}")) }
}
