//! JSONPath over the text of a body.
//!
//! Children by name and place, `[*]` and `..` are understood, with the meaning they have in the library that API Gateway
//! uses (Jayway JsonPath, "Path Examples"): a path with a wildcard gives the list of all places it matches. Filters, slices,
//! unions and functions are refused with an error that says so.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::lazy::Index;
use super::scan::{self, Fault};
use super::{DEPTH_MAX, Stop, TEXT_BYTES_MAX, lazy};

/// Longest path, in bytes.
const PATH_BYTES_MAX: usize = 4 * 1024;

/// How far [`collect`] may call itself: the depth of a body and the steps of a sensible path.
const RECURSION_MAX: usize = DEPTH_MAX + 32;

/// What a path found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No such value.
    Nothing,
    /// One value: where it is in the text.
    One(Range<usize>),
    /// The path has a wildcard: the list of all values is in the output.
    Many,
}

/// Why a path found nothing that could be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// The path is none, or asks for what is not supported.
    Path(&'static str),
    /// The text is no JSON.
    Text(Fault),
    /// What it found is too large, nested too deep, or the run was stopped.
    Limit(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(what) | Self::Limit(what) => f.write_str(what),
            Self::Text(fault) => fault.fmt(f),
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Text(fault)
    }
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step<'path> {
    Member(Cow<'path, [u8]>),
    Element(i64),
    Any,
    Descendants,
}

/// The steps of a path that are still to go.
#[derive(Clone, Copy, Debug)]
struct Steps<'path> {
    rest: &'path [u8],
    /// Whether a name may follow without a dot: at the start of a path without `$`, and behind `..`.
    takes_bare_name: bool,
}

/// Follows `path` through `text`. `out` is written only for [`Found::Many`].
pub(crate) fn follow(path: &[u8], text: &[u8], out: &mut Vec<u8>, stop: &impl Stop) -> Result<Found, Error> {
    follow_indexed(path, text, &mut Index::default(), out, stop)
}

/// The same, with an index that belongs to the text and is filled on the way.
pub(crate) fn follow_indexed(
    path: &[u8],
    text: &[u8],
    index: &mut Index,
    out: &mut Vec<u8>,
    stop: &impl Stop,
) -> Result<Found, Error> {
    let mut steps = Steps::of(path)?;
    let start = scan::space(text, 0);
    let mut here: Option<Range<usize>> = None;
    loop {
        if stop.is_due() {
            return Err(Error::Limit("the run was stopped"));
        }
        let at = here.as_ref().map_or(start, |range| range.start);
        let before = steps;
        let next = match steps.next()? {
            None => break,
            Some(Step::Member(name)) if here.is_none() => index.member(text, at, &name)?,
            Some(Step::Member(name)) => lazy::member(text, at, &name)?,
            Some(Step::Element(index)) => lazy::element(text, at, index)?,
            Some(Step::Any | Step::Descendants) => {
                let base = out.len();
                out.push(b'[');
                collect(before, text, at, out, stop, 0)?;
                if out.len() > base + 1 {
                    out.pop();
                }
                out.push(b']');
                return Ok(Found::Many);
            }
        };
        match next {
            Some(range) => here = Some(range),
            None => {
                steps.check()?;
                return Ok(Found::Nothing);
            }
        }
    }
    match here {
        Some(range) => Ok(Found::One(range)),
        None => {
            let end = scan::skip(text, start)?;
            let rest = scan::space(text, end);
            if rest < text.len() {
                return Err(Fault::new(rest, "text behind the value").into());
            }
            Ok(Found::One(start..end))
        }
    }
}

/// Appends every value that the steps lead to from the value at `at`, each followed by a comma.
fn collect(
    mut steps: Steps<'_>,
    text: &[u8],
    at: usize,
    out: &mut Vec<u8>,
    stop: &impl Stop,
    depth: usize,
) -> Result<(), Error> {
    if depth > RECURSION_MAX {
        return Err(Error::Limit("values nested too deep for `..`"));
    }
    if stop.is_due() {
        return Err(Error::Limit("the run was stopped"));
    }
    let before = steps;
    let next = match steps.next()? {
        None => {
            let end = scan::skip(text, at)?;
            if out.len() + (end - at) > TEXT_BYTES_MAX {
                return Err(Error::Limit("the path finds more than 10 MiB"));
            }
            out.extend_from_slice(&text[at..end]);
            out.push(b',');
            return Ok(());
        }
        Some(Step::Member(name)) => lazy::member(text, at, &name)?,
        Some(Step::Element(index)) => lazy::element(text, at, index)?,
        Some(Step::Any) => {
            let mut children = lazy::Children::of(text, at);
            while let Some((_, value)) = children.next()? {
                collect(steps, text, value.start, out, stop, depth + 1)?;
            }
            return Ok(());
        }
        Some(Step::Descendants) => {
            collect(steps, text, at, out, stop, depth + 1)?;
            let mut children = lazy::Children::of(text, at);
            while let Some((_, value)) = children.next()? {
                collect(before, text, value.start, out, stop, depth + 1)?;
            }
            return Ok(());
        }
    };
    match next {
        Some(range) => collect(steps, text, range.start, out, stop, depth + 1),
        None => steps.check(),
    }
}

impl<'path> Steps<'path> {
    fn of(path: &'path [u8]) -> Result<Self, Error> {
        if path.len() > PATH_BYTES_MAX {
            return Err(Error::Path("the path is longer than 4096 bytes"));
        }
        match path.strip_prefix(b"$") {
            Some(rest) => Ok(Self { rest, takes_bare_name: false }),
            None if path.is_empty() => Err(Error::Path("the path is empty")),
            None => Ok(Self { rest: path, takes_bare_name: true }),
        }
    }

    /// Reads the rest, so that errors in a path do not depend on the body.
    fn check(mut self) -> Result<(), Error> {
        while self.next()?.is_some() {}
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Step<'path>>, Error> {
        let takes_bare_name = std::mem::take(&mut self.takes_bare_name);
        match self.rest {
            [] if takes_bare_name => Err(Error::Path("the path ends behind `..`")),
            [] => Ok(None),
            [b'[', rest @ ..] => self.bracket(rest).map(Some),
            [b'.', ..] if takes_bare_name => Err(Error::Path("expected a name in the path")),
            [b'.', b'.', rest @ ..] => {
                *self = Self { rest, takes_bare_name: true };
                Ok(Some(Step::Descendants))
            }
            [b'.', rest @ ..] => self.name(rest).map(Some),
            rest if takes_bare_name => self.name(rest).map(Some),
            _ => Err(Error::Path("expected `.` or `[` in the path")),
        }
    }

    fn name(&mut self, rest: &'path [u8]) -> Result<Step<'path>, Error> {
        if let [b'*', rest @ ..] = rest {
            self.rest = rest;
            return Ok(Step::Any);
        }
        let end = rest.iter().position(|byte| matches!(byte, b'.' | b'[')).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        if name.is_empty() {
            return Err(Error::Path("expected a name in the path"));
        }
        if name.iter().any(|byte| matches!(byte, b'(' | b')' | b']' | b'\'' | b'"' | b'?' | b' ')) {
            return Err(Error::Path(
                "functions are not supported in paths, and unusual names are written ['in quotes']",
            ));
        }
        self.rest = rest;
        Ok(Step::Member(Cow::Borrowed(name)))
    }

    fn bracket(&mut self, rest: &'path [u8]) -> Result<Step<'path>, Error> {
        let rest = rest.trim_ascii_start();
        let (step, rest) = match rest {
            [b'*', rest @ ..] => (Step::Any, rest),
            [quote @ (b'\'' | b'"'), rest @ ..] => quoted(*quote, rest)?,
            [b'?', ..] => return Err(Error::Path("filters (`[?()]`) are not supported in paths")),
            [b'(', ..] => return Err(Error::Path("scripts (`[()]`) are not supported in paths")),
            _ => index(rest)?,
        };
        match rest.trim_ascii_start() {
            [b']', rest @ ..] => {
                self.rest = rest;
                Ok(step)
            }
            [b':', ..] => Err(Error::Path("slices (`[1:2]`) are not supported in paths")),
            [b',', ..] => Err(Error::Path("unions (`[1,2]`) are not supported in paths")),
            _ => Err(Error::Path("expected `]` in the path")),
        }
    }
}

fn quoted(quote: u8, text: &[u8]) -> Result<(Step<'_>, &[u8]), Error> {
    let mut name = Cow::Borrowed(&text[..0]);
    let mut from = 0;
    loop {
        let found =
            memchr::memchr2(quote, b'\\', &text[from..]).ok_or(Error::Path("expected a closing quote in the path"))?;
        let end = from + found;
        if text[end] == quote && from == 0 {
            return Ok((Step::Member(Cow::Borrowed(&text[..end])), &text[end + 1..]));
        }
        name.to_mut().extend_from_slice(&text[from..end]);
        if text[end] == quote {
            return Ok((Step::Member(name), &text[end + 1..]));
        }
        let escaped = *text.get(end + 1).ok_or(Error::Path("expected a closing quote in the path"))?;
        name.to_mut().push(escaped);
        from = end + 2;
    }
}

fn index(text: &[u8]) -> Result<(Step<'_>, &[u8]), Error> {
    if let [b':', ..] = text {
        return Err(Error::Path("slices (`[1:2]`) are not supported in paths"));
    }
    let end = text.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'-')).unwrap_or(text.len());
    let digits = std::str::from_utf8(&text[..end]).ok().and_then(|digits| digits.parse().ok());
    let index = digits.ok_or(Error::Path("expected a number, a name in quotes or `*` in the path"))?;
    Ok((Step::Element(index), &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{
        "id": 7,
        "customer": {"name": "Ann", "address": {"city": "Bonn", "name": "home"}},
        "items": [{"name": "a", "n": 1}, {"name": "b"}, 3, [4, 5]],
        "c d": true, "it's": 1, "none": null
    }"#;

    struct Never;

    impl Stop for Never {
        fn is_due(&self) -> bool {
            false
        }
    }

    fn found(path: &str, text: &str) -> Result<Option<String>, Error> {
        let mut out = Vec::new();
        Ok(match follow(path.as_bytes(), text.as_bytes(), &mut out, &Never)? {
            Found::Nothing => None,
            Found::One(range) => Some(text[range].to_owned()),
            Found::Many => Some(String::from_utf8(out).expect("text")),
        })
    }

    #[test]
    fn paths_find_what_they_say() {
        let cases = [
            ("$.id", Some("7")),
            ("$['id']", Some("7")),
            ("$[\"id\"]", Some("7")),
            ("id", Some("7")),
            ("$.customer.address.city", Some("\"Bonn\"")),
            ("customer.name", Some("\"Ann\"")),
            ("$.customer['address'].city", Some("\"Bonn\"")),
            ("$.items[0].n", Some("1")),
            ("$.items[-1][ 1 ]", Some("5")),
            ("$['c d']", Some("true")),
            ("$['it\\'s']", Some("1")),
            ("$.none", Some("null")),
            ("$.nobody", None),
            ("$.id.x", None),
            ("$.items[9]", None),
            ("$.items.name", None),
            ("$.customer[0]", None),
            ("$.items[*].name", Some(r#"["a","b"]"#)),
            ("$.items[*]", Some(r#"[{"name": "a", "n": 1},{"name": "b"},3,[4, 5]]"#)),
            ("$.customer.*", Some(r#"["Ann",{"city": "Bonn", "name": "home"}]"#)),
            ("$..name", Some(r#"["Ann","home","a","b"]"#)),
            ("$..items[0].n", Some("[1]")),
            ("$.items..[1]", Some(r#"[{"name": "b"},5]"#)),
            ("$..nobody", Some("[]")),
            ("$.items[3].*", Some("[4,5]")),
            ("$.id[*]", Some("[]")),
        ];
        for (path, want) in cases {
            assert_eq!(found(path, BODY), Ok(want.map(str::to_owned)), "{path}");
        }
        assert_eq!(found("$", " [1, 2] "), Ok(Some("[1, 2]".to_owned())));
    }

    #[test]
    fn paths_that_are_none_are_refused_whatever_the_body() {
        let cases = [
            ("", "the path is empty"),
            ("$x", "expected `.` or `[`"),
            ("$.", "expected a name"),
            ("$.a.", "expected a name"),
            ("$..", "ends behind `..`"),
            ("$...a", "expected a name"),
            ("$[", "expected a number"),
            ("$[a]", "expected a number"),
            ("$[1", "expected `]`"),
            ("$['a", "closing quote"),
            ("$['a\\", "closing quote"),
            ("$['a'", "expected `]`"),
            ("$[1:2]", "slices"),
            ("$[:2]", "slices"),
            ("$[1,2]", "unions"),
            ("$['a','b']", "unions"),
            ("$[?(@.n > 1)]", "filters"),
            ("$.nobody[?(@.n > 1)]", "filters"),
            ("$[(@.length-1)]", "scripts"),
            ("$.items.length()", "functions"),
            ("$[99999999999999999999]", "expected a number"),
        ];
        for (path, want) in cases {
            let Err(Error::Path(what)) = found(path, BODY) else { panic!("{path} was taken") };
            assert!(what.contains(want), "{path}: {what}");
        }
        assert!(matches!(found(&"$.a".repeat(2000), BODY), Err(Error::Path(_))));
    }

    #[test]
    fn bodies_that_are_no_json_are_faults() {
        for (path, text) in [("$.a", "{\"a\":1"), ("$", "{} {}"), ("$", ""), ("$..a", "[{]"), ("$.a", "{\"a\":1}}")] {
            assert!(matches!(found(path, text), Err(Error::Text(_))), "{path} in {text}");
        }
    }

    #[test]
    fn deep_bodies_and_long_paths_are_bounded() {
        let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
        assert!(matches!(found("$..x", &deep), Err(Error::Limit(_))));
        assert_eq!(found(&format!("${}", "[0]".repeat(300)), &deep).map(|found| found.is_some()), Ok(true));
        let many = format!("[{}0]", "[0],".repeat(50));
        assert!(matches!(found(&format!("${}", "..*".repeat(1000)), &many), Ok(Some(_)) | Err(Error::Limit(_))));
    }
}
