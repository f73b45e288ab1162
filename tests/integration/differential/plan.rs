//! Exchanges made up from a seed: what the client sends, and what the upstream answers.

use std::fmt;

use moongate_tests::Answer;
use moongate_tests::random::Random;

use crate::differential::PLAN;

/// Largest body, in bytes: several of every buffer on the way.
const BODY_BYTES_MAX: usize = 200_000;

/// What names of fields are made of.
const NAME_CHARACTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789-_.!#$%&'*+^`|~";

/// What values of fields are made of.
const VALUE_CHARACTERS: &[u8] =
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 \t!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~";

/// What segments of paths are made of: themselves in normal form.
const SEGMENT_CHARACTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~!$&'()*+,=:@";

/// What queries are made of; anything but blanks and the fragment's sign.
const QUERY_CHARACTERS: &[u8] =
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@/?%[]{}|^`\\";

/// Encoded bytes that stay encoded in a normal path.
const ENCODED: &[&str] = &["%20", "%2F", "%3F", "%25", "%C3%A9", "%5B"];

/// The version that a client speaks to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http10,
    Http11,
    Http2,
}

/// A body, and how it is sent.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// None at all.
    Nothing,
    /// With Content-Length.
    Sized(Vec<u8>),
    /// In pieces of unknown number, with trailers.
    Pieces(Vec<Vec<u8>>, Vec<(String, String)>),
}

/// What a client sends.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) version: Version,
    pub(super) method: &'static str,
    pub(super) target: String,
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Body,
}

/// What the upstream answers.
#[derive(Clone, Debug)]
pub(super) struct AnswerPlan {
    status: u16,
    pub(super) fields: Vec<(String, String)>,
    pub(super) trailers: Vec<(String, String)>,
    framing: Framing,
    pieces: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Nothing,
    Sized,
    Chunked,
    UntilClose,
}

impl Plan {
    /// The `number`th exchange of a seed.
    pub(super) fn of(seed: u64, number: u64) -> Self {
        let random = &mut Random::of_case(seed, 2 * number);
        let version = *random.pick(&[
            Version::Http10,
            Version::Http11,
            Version::Http11,
            Version::Http11,
            Version::Http2,
            Version::Http2,
        ]);
        let methods =
            ["GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "M-SEARCH"];
        let method = *random.pick(&methods);
        let mut fields = fields(random);
        fields.push((PLAN.to_owned(), number.to_string()));
        let has_body = if matches!(method, "POST" | "PUT" | "PATCH") { !random.once_in(6) } else { random.once_in(4) };
        let body = match has_body {
            false => Body::Nothing,
            true if version == Version::Http10 || random.once_in(2) => {
                let length = random.length(BODY_BYTES_MAX);
                Body::Sized(random.bytes(length))
            }
            true => {
                let trailers = if random.once_in(3) { trailers(random) } else { Vec::new() };
                Body::Pieces(pieces(random), trailers)
            }
        };
        if matches!(body, Body::Sized(_)) && version == Version::Http11 && random.once_in(10) {
            fields.push(("expect".to_owned(), "100-continue".to_owned()));
        }
        if version == Version::Http2 || (version == Version::Http11 && random.once_in(2)) {
            fields.push(("te".to_owned(), "trailers".to_owned()));
        }
        Self { version, method, target: target(random), fields, body }
    }

    /// Whether the client understands trailers, and says so.
    pub(super) fn takes_trailers(&self) -> bool {
        self.fields.iter().any(|(name, _)| name == "te")
    }
}

impl AnswerPlan {
    /// The answer to the `number`th exchange of a seed.
    pub(super) fn of(seed: u64, number: u64) -> Self {
        let random = &mut Random::of_case(seed, 2 * number + 1);
        let statuses = [
            200, 200, 200, 200, 201, 202, 203, 204, 206, 299, 301, 302, 304, 308, 400, 401, 403, 404, 409, 418, 422,
            429, 451, 500, 503, 599,
        ];
        let status = *random.pick(&statuses);
        let framing = match status {
            204 | 304 => Framing::Nothing,
            _ => {
                *random.pick(&[Framing::Sized, Framing::Sized, Framing::Chunked, Framing::Chunked, Framing::UntilClose])
            }
        };
        let pieces = if framing == Framing::Nothing { Vec::new() } else { pieces(random) };
        let trailers = if framing == Framing::Chunked && random.once_in(3) { trailers(random) } else { Vec::new() };
        let mut fields = fields(random);
        for number in 0..random.below(4) {
            fields
                .push(("set-cookie".to_owned(), format!("c{number}={}; Path=/", random.text(b"abcdef0123456789", 12))));
        }
        if !trailers.is_empty() {
            let names: Vec<&str> = trailers.iter().map(|(name, _)| name.as_str()).collect();
            fields.push(("trailer".to_owned(), names.join(", ")));
        }
        Self { status, fields, trailers, framing, pieces }
    }

    /// The answer without its fields.
    pub(super) fn to_answer(&self) -> Answer {
        let answer = match self.framing {
            Framing::Nothing => Answer::empty(self.status),
            Framing::Sized => Answer::bytes(self.pieces.concat()),
            Framing::Chunked => Answer::pieces(self.pieces.clone()),
            // Announced, as it must be where there is no body whose end would say so.
            Framing::UntilClose => Answer::bytes_until_close(self.pieces.concat()).header("connection", "close"),
        };
        answer.status(self.status)
    }
}

fn target(random: &mut Random) -> String {
    let mut target = String::new();
    for _ in 0..=random.below(5) {
        target.push('/');
        let length = 1 + random.below(20);
        target.push_str(&random.text(SEGMENT_CHARACTERS, length));
        if random.once_in(6) {
            let encoded: &&str = random.pick(ENCODED);
            target.push_str(encoded);
        }
    }
    if random.once_in(5) {
        target.push('/');
    }
    if random.once_in(2) {
        // An empty one is dropped by the gateway.
        let length = 1 + random.below(80);
        target.push('?');
        target.push_str(&random.text(QUERY_CHARACTERS, length));
    }
    target
}

fn fields(random: &mut Random) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    for _ in 0..random.below(10) {
        let length = 1 + random.below(16);
        let name = format!("x-{}", random.text(NAME_CHARACTERS, length));
        // A name that comes several times keeps the order of its values.
        for _ in 0..1 + random.below(3) * usize::from(random.once_in(3)) {
            fields.push((name.clone(), value(random)));
        }
    }
    for name in
        ["accept", "user-agent", "content-type", "authorization", "cache-control", "cookie", "etag", "accept-encoding"]
    {
        if random.once_in(5) {
            fields.push((name.to_owned(), value(random)));
        }
    }
    fields
}

/// A value without blanks around it: those are no part of it.
fn value(random: &mut Random) -> String {
    let length = if random.once_in(40) { random.below(4_000) } else { random.below(60) };
    random.text(VALUE_CHARACTERS, length).trim_matches([' ', '\t']).to_owned()
}

fn trailers(random: &mut Random) -> Vec<(String, String)> {
    (0..=random.below(3)).map(|number| (format!("x-trailer-{number}"), value(random))).collect()
}

fn pieces(random: &mut Random) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut left = random.length(BODY_BYTES_MAX);
    while left > 0 {
        let length = random.length(left).clamp(1, left).max(left / 50);
        pieces.push(random.bytes(length));
        left -= length;
    }
    pieces
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = match &self.body {
            Body::Nothing => "no body".to_owned(),
            Body::Sized(bytes) => format!("{} bytes", bytes.len()),
            Body::Pieces(pieces, trailers) => {
                format!("pieces of {:?} bytes, trailers {trailers:?}", pieces.iter().map(Vec::len).collect::<Vec<_>>())
            }
        };
        write!(f, "{:?} {} {} {:?}, {body}", self.version, self.method, self.target, self.fields)
    }
}

impl fmt::Display for AnswerPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<usize> = self.pieces.iter().map(Vec::len).collect();
        write!(
            f,
            "answer {} {:?} of {sizes:?} bytes, {:?}, trailers {:?}",
            self.status, self.framing, self.fields, self.trailers
        )
    }
}
