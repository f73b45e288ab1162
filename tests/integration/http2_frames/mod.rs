//! HTTP/2 frame by frame: what RFC 9113 and RFC 7541 say a server does with every frame, right or wrong.
//!
//! A table per section: what is sent, and what may come of it. The subjects are those of h2spec, the conformance suite of the field
//! (its `generic`, `http2` and `hpack` groups), and some more. Sections are those of RFC 9113; where it has done away with something
//! that RFC 7540 had, such as priorities, both behaviours are right.

mod blocks;
mod connection;
mod control;
mod flow;
mod messages;
mod streams;

use std::time::{Duration, Instant};

use moongate_tests::frames::{FrameConnection, Heard, code, flag, headers, hpack, kind, ping};
use moongate_tests::{Answer, Gateway, Upstream};

/// How long anything that must come may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Says that everything before it was looked at.
const SYNC: [u8; 8] = *b"in order";

/// Bytes of the answer to `/large`: more than an initial window.
const LARGE_BYTES: usize = 100_000;

/// One thing to do.
enum Step {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Waits until a stream's answer is complete.
    Answered(u32),
    /// Waits until the peer has looked at everything so far.
    Sync,
}

/// What may come of a case.
enum Want {
    /// GOAWAY with one of these codes; or the end of the connection.
    Connection(&'static [u32]),
    /// RST_STREAM with one of these codes; or GOAWAY with one of them, or the end of the connection.
    Stream(u32, &'static [u32]),
    /// The stream is answered with this status, completely.
    Answer(u32, u16),
    /// The request is malformed (section 8.1.1): an error of the stream, or 400.
    Malformed(u32),
    /// The stream is not answered with anything but a refusal.
    Refused(u32),
    /// One of both: as RFC 9113 or as RFC 7540 has it.
    AnswerOr(u32, &'static [u32]),
    /// Whatever the check says.
    Check(fn(&mut FrameConnection) -> Result<(), String>),
}

/// A case of a section.
struct Case {
    section: &'static str,
    name: &'static str,
    settings: Vec<(u16, u32)>,
    steps: Vec<Step>,
    want: Want,
}

/// A case that sends bytes on a connection that has exchanged settings.
fn case(section: &'static str, name: &'static str, bytes: Vec<u8>, want: Want) -> Case {
    steps(section, name, vec![Step::Send(bytes)], want)
}

/// A case of several steps.
fn steps(section: &'static str, name: &'static str, steps: Vec<Step>, want: Want) -> Case {
    Case { section, name, settings: Vec::new(), steps, want }
}

impl Case {
    /// The same with settings of the client's.
    fn settings(self, settings: &[(u16, u32)]) -> Self {
        Self { settings: settings.to_vec(), ..self }
    }
}

/// The block of a GET.
fn get() -> Vec<u8> {
    hpack::request("GET", "/f/get", "h")
}

/// The block of a POST.
fn post() -> Vec<u8> {
    hpack::request("POST", "/f/post", "h")
}

/// The HEADERS of a whole GET.
fn get_on(stream: u32) -> Vec<u8> {
    headers(stream, flag::END, &get())
}

/// The HEADERS of a POST whose body follows.
fn post_on(stream: u32) -> Vec<u8> {
    headers(stream, flag::END_HEADERS, &post())
}

fn join(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

/// A gateway before an upstream that answers `hello` to all but `/large`.
struct Stage {
    gateway: Gateway,
    _upstream: Upstream,
}

impl Stage {
    fn new() -> Self {
        let upstream = Upstream::recording(|request| match request.target.as_str() {
            "/large" => Answer::bytes(vec![b'x'; LARGE_BYTES]),
            "/length" => Answer::text(request.body.len().to_string()),
            _ => Answer::text("hello"),
        });
        let api = format!("api: f\nroutes:\n  - match: $default\n    upstream: {}\n", upstream.url());
        let gateway = Gateway::builder().file("moongate.yaml", "access_log: none\n").file("apis/f.yaml", &api).start();
        Self { gateway, _upstream: upstream }
    }
}

/// Runs a table on one gateway, each case on a connection of its own; fails with all that went wrong.
#[track_caller]
fn run(cases: Vec<Case>) {
    let stage = Stage::new();
    let mut failures = Vec::new();
    for case in &cases {
        if let Err(reason) = run_one(&stage, case) {
            failures.push(format!("{} {}: {reason}", case.section, case.name));
        }
    }
    assert!(failures.is_empty(), "{} of {} cases went wrong:\n{}", failures.len(), cases.len(), failures.join("\n"));
    // Whatever was done to other connections, new ones are served.
    let mut connection = FrameConnection::open(stage.gateway.address());
    connection.send(get_on(1)).expect("sent");
    assert_eq!(connection.response(1, PATIENCE).map(|response| response.status), Some(200));
}

fn run_one(stage: &Stage, case: &Case) -> Result<(), String> {
    let mut connection = FrameConnection::open_with(stage.gateway.address(), &case.settings);
    for step in &case.steps {
        match step {
            // A connection that the gateway has ended takes nothing: what was heard decides.
            Step::Send(bytes) => drop(connection.send(bytes)),
            Step::Answered(stream) => {
                connection.response(*stream, PATIENCE).ok_or_else(|| format!("no answer on stream {stream}"))?;
            }
            Step::Sync => {
                let _ = connection.send(ping(SYNC));
                let is_in_order =
                    connection.hear_until(PATIENCE, |frame| frame.kind == kind::PING && frame.payload == SYNC);
                if !is_in_order {
                    return Err(format!("no answer to a PING halfway: {:?}", brief(&connection)));
                }
            }
        }
    }
    judge(&mut connection, &case.want).map_err(|reason| format!("{reason}; heard {:?}", brief(&connection)))?;
    well_formed(&connection)
}

fn judge(connection: &mut FrameConnection, want: &Want) -> Result<(), String> {
    match want {
        Want::Connection(codes) => match error(connection, None) {
            Some(Failure::Connection(code)) if may_be(codes, code) => Ok(()),
            Some(Failure::Closed) => Ok(()),
            other => Err(format!("wanted an error of the connection, {codes:?}, got {other:?}")),
        },
        Want::Stream(stream, codes) => match error(connection, Some(*stream)) {
            Some(Failure::Connection(code) | Failure::Stream(code)) if may_be(codes, code) => Ok(()),
            Some(Failure::Closed) => Ok(()),
            other => Err(format!("wanted an error of stream {stream}, {codes:?}, got {other:?}")),
        },
        Want::Answer(stream, status) => match connection.response(*stream, PATIENCE) {
            Some(response) if response.status == *status => Ok(()),
            other => Err(format!("wanted {status} on stream {stream}, got {other:?}")),
        },
        Want::Malformed(stream) => match error(connection, Some(*stream)) {
            Some(
                Failure::Connection(code::PROTOCOL_ERROR) | Failure::Stream(code::PROTOCOL_ERROR) | Failure::Closed,
            ) => Ok(()),
            Some(Failure::Answered(400)) => Ok(()),
            other => Err(format!("wanted a refusal, got {other:?}")),
        },
        Want::Refused(stream) => match error(connection, Some(*stream)) {
            Some(Failure::Answered(status)) if status < 400 => Err(format!("answered {status}")),
            Some(_) => Ok(()),
            None => Err("wanted a refusal, got nothing".to_owned()),
        },
        Want::AnswerOr(stream, codes) => match error(connection, Some(*stream)) {
            Some(Failure::Answered(200) | Failure::Closed) => Ok(()),
            Some(Failure::Connection(code) | Failure::Stream(code)) if may_be(codes, code) => Ok(()),
            other => Err(format!("wanted an answer or {codes:?}, got {other:?}")),
        },
        Want::Check(check) => check(connection),
    }
}

/// Whether an error may have this code: PROTOCOL_ERROR can always stand for a more specific one (section 5.4).
fn may_be(codes: &[u32], code: u32) -> bool {
    code == code::PROTOCOL_ERROR || codes.contains(&code)
}

/// How a connection or one of its streams ended.
#[derive(Debug)]
enum Failure {
    Connection(u32),
    Stream(u32),
    Closed,
    /// Not at all: the stream was answered.
    Answered(u16),
}

/// What was heard of a failure so far.
fn found(connection: &FrameConnection, stream: Option<u32>) -> Option<Failure> {
    connection.frames().iter().find_map(|frame| match frame.kind {
        kind::GOAWAY => Some(Failure::Connection(frame.number_at(4))),
        kind::RST_STREAM if Some(frame.stream) == stream => Some(Failure::Stream(frame.number_at(0))),
        _ => None,
    })
}

/// Hears until the connection ends, or the stream.
fn error(connection: &mut FrameConnection, stream: Option<u32>) -> Option<Failure> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(failure) = found(connection, stream) {
            return Some(failure);
        }
        // An answer may come before a reset that is on its way; it decides when everything was looked at, and what that set off
        // has come.
        if let Some((response, true)) = stream.and_then(|stream| connection.response_so_far(stream)) {
            let answered = Failure::Answered(response.status);
            let is_alive = connection.is_alive(PATIENCE) && connection.is_alive(PATIENCE);
            return if is_alive { found(connection, stream).or(Some(answered)) } else { error(connection, None) };
        }
        match connection.hear(until) {
            Heard::Frame(_) => {}
            Heard::Closed => return Some(Failure::Closed),
            Heard::Nothing => return None,
        }
    }
}

/// What the gateway must never send, whatever it is sent.
fn well_formed(connection: &FrameConnection) -> Result<(), String> {
    for frame in connection.frames() {
        if frame.payload.len() > 16_384 {
            return Err(format!("a frame of {} bytes", frame.payload.len()));
        }
        let may_be_on_0 = matches!(frame.kind, kind::SETTINGS | kind::PING | kind::GOAWAY | kind::WINDOW_UPDATE);
        let must_be_on_0 = matches!(frame.kind, kind::SETTINGS | kind::PING | kind::GOAWAY);
        if frame.kind > kind::CONTINUATION || frame.kind == kind::PUSH_PROMISE || frame.stream >> 31 != 0 {
            return Err(format!("a frame that a server must not send: {frame:?}"));
        }
        if (frame.stream == 0 && !may_be_on_0) || (frame.stream != 0 && must_be_on_0) {
            return Err(format!("a frame on the wrong stream: {frame:?}"));
        }
    }
    Ok(())
}

/// The frames that were heard, in few words.
fn brief(connection: &FrameConnection) -> Vec<String> {
    let name = |kind: u8| {
        let names = ["DATA", "HEADERS", "PRIORITY", "RST", "SETTINGS", "PUSH", "PING", "GOAWAY", "WINDOW", "CONT"];
        names.get(usize::from(kind)).copied().unwrap_or("?")
    };
    let frames = connection.frames().iter().skip(2);
    let brief = |frame: &moongate_tests::frames::Frame| {
        let code = match frame.kind {
            kind::GOAWAY => format!(" code {}", frame.number_at(4)),
            kind::RST_STREAM => format!(" code {}", frame.number_at(0)),
            _ => String::new(),
        };
        format!("{}({}){code} {} bytes", name(frame.kind), frame.stream, frame.payload.len())
    };
    frames.map(brief).collect()
}
