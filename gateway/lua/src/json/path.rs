//! JSONPath over the text of a body.
//!
//! Children by name and place, `[*]`, `..`, unions, slices, filters (`filter.rs`) and `length()` are understood, with the meaning
//! they have in the library that API Gateway uses (Jayway JsonPath, "Path Examples"): a path that may lead to several places
//! gives the list of all it matches. Other functions, and scripts, are refused with an error that says so.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::filter::{self, Filter};
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
    /// The path may lead to several places: the list of all values is in the output. So is a value that the path computes.
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
#[derive(Clone, Debug)]
pub(super) enum Step<'path> {
    Member(Cow<'path, [u8]>),
    Element(i64),
    Any,
    Descendants,
    /// `['a','b']`
    Members(Vec<Cow<'path, [u8]>>),
    /// `[0,2]`
    Elements(Vec<i64>),
    /// `[1:3]`
    Slice(Option<i64>, Option<i64>),
    Filter(Box<Filter<'path>>),
    /// `length()`
    Length,
}

/// The steps of a path that are still to go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps<'path> {
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
            Some(Step::Length) => {
                write_length(text, at, out)?;
                steps.check_end()?;
                return Ok(Found::Many);
            }
            Some(Step::Members(names)) if steps.is_at_end() => {
                write_members(&names, text, at, out)?;
                return Ok(Found::Many);
            }
            Some(
                Step::Any
                | Step::Descendants
                | Step::Members(_)
                | Step::Elements(_)
                | Step::Slice(..)
                | Step::Filter(_),
            ) => {
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
        Some(Step::Members(names)) => {
            for name in &names {
                if let Some(value) = lazy::member(text, at, name)? {
                    collect(steps, text, value.start, out, stop, depth + 1)?;
                }
            }
            return steps.check();
        }
        Some(Step::Elements(indexes)) => {
            for index in indexes {
                if let Some(value) = lazy::element(text, at, index)? {
                    collect(steps, text, value.start, out, stop, depth + 1)?;
                }
            }
            return steps.check();
        }
        Some(Step::Slice(from, to)) => {
            let mut children = lazy::Children::of(text, at);
            if !children.is_list() {
                return steps.check();
            }
            let mut counting = children.clone();
            let mut length = 0;
            while counting.next()?.is_some() {
                length += 1;
            }
            let from = from.map_or(0, |from| place(from, length));
            let to = to.map_or(length, |to| place(to, length));
            let mut index = 0;
            while let Some((_, value)) = children.next()? {
                if (from..to).contains(&index) {
                    collect(steps, text, value.start, out, stop, depth + 1)?;
                }
                index += 1;
            }
            return steps.check();
        }
        Some(Step::Filter(filter)) => {
            let mut children = lazy::Children::of(text, at);
            if children.is_map() && filter.accepts(text, at)? {
                return collect(steps, text, at, out, stop, depth + 1);
            }
            while children.is_list()
                && let Some((_, value)) = children.next()?
            {
                if filter.accepts(text, value.start)? {
                    collect(steps, text, value.start, out, stop, depth + 1)?;
                }
            }
            return steps.check();
        }
        Some(Step::Length) => {
            write_length(text, at, out)?;
            out.push(b',');
            return steps.check_end();
        }
        Some(Step::Descendants) => {
            let mut after = steps;
            if let Some(Step::Filter(filter)) = after.next()? {
                return collect_matching(&filter, after, text, at, out, stop, depth + 1);
            }
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

/// The same behind `..[?()]`: every object and every element of a list below `at` is asked once.
fn collect_matching(
    filter: &Filter<'_>,
    steps: Steps<'_>,
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
    let mut children = lazy::Children::of(text, at);
    let is_list = children.is_list();
    while let Some((_, value)) = children.next()? {
        if (is_list || text.get(value.start) == Some(&b'{')) && filter.accepts(text, value.start)? {
            collect(steps, text, value.start, out, stop, depth + 1)?;
        }
        collect_matching(filter, steps, text, value.start, out, stop, depth + 1)?;
    }
    steps.check()
}

/// How many elements or members the value at a place has, or characters; nothing for other values.
fn write_length(text: &[u8], at: usize, out: &mut Vec<u8>) -> Result<(), Error> {
    let mut children = lazy::Children::of(text, at);
    let mut count = 0_usize;
    if children.is_list() || children.is_map() {
        while children.next()?.is_some() {
            count += 1;
        }
    } else {
        let end = scan::skip(text, at)?;
        let Ok(characters) = serde_json::from_slice::<String>(&text[at..end]) else {
            out.extend_from_slice(b"null");
            return Ok(());
        };
        count = characters.encode_utf16().count();
    }
    out.extend_from_slice(count.to_string().as_bytes());
    Ok(())
}

/// The named members of an object, as an object.
fn write_members(names: &[Cow<'_, [u8]>], text: &[u8], at: usize, out: &mut Vec<u8>) -> Result<(), Error> {
    let base = out.len();
    out.push(b'{');
    for name in names {
        let Some(range) = lazy::member(text, at, name)? else { continue };
        if out.len() > base + 1 {
            out.push(b',');
        }
        let name = String::from_utf8_lossy(name);
        out.extend_from_slice(serde_json::Value::from(&*name).to_string().as_bytes());
        out.push(b':');
        out.extend_from_slice(&text[range]);
    }
    out.push(b'}');
    Ok(())
}

/// The place of an element counted from either end.
fn place(index: i64, length: i64) -> i64 {
    if index < 0 { index + length } else { index }
}

impl<'path> Steps<'path> {
    /// The steps of a path whose `$` or `@` has been read.
    pub(super) fn behind_root(rest: &'path [u8]) -> Self {
        Self { rest, takes_bare_name: false }
    }

    fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn check_end(&self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::Path("`length()` is the end of a path")) }
    }

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

    pub(super) fn next(&mut self) -> Result<Option<Step<'path>>, Error> {
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
        if matches!(name, b"length()" | b"size()") {
            self.rest = rest;
            return Ok(Step::Length);
        }
        if name.is_empty() {
            return Err(Error::Path("expected a name in the path"));
        }
        if name.iter().any(|byte| matches!(byte, b'(' | b')' | b']' | b'\'' | b'"' | b'?' | b' ')) {
            return Err(Error::Path(
                "functions but `length()` are not supported in paths, and unusual names are written ['in quotes']",
            ));
        }
        self.rest = rest;
        Ok(Step::Member(Cow::Borrowed(name)))
    }

    fn bracket(&mut self, rest: &'path [u8]) -> Result<Step<'path>, Error> {
        let rest = rest.trim_ascii_start();
        let (step, rest) = match rest {
            [b'*', rest @ ..] => (Step::Any, rest),
            [quote @ (b'\'' | b'"'), rest @ ..] => names(*quote, rest)?,
            [b'?', rest @ ..] => {
                let (filter, rest) = filter::read(rest)?;
                (Step::Filter(Box::new(filter)), rest)
            }
            [b'(', ..] => return Err(Error::Path("scripts (`[()]`) are not supported in paths")),
            _ => indexes(rest)?,
        };
        match rest.trim_ascii_start() {
            [b']', rest @ ..] => {
                self.rest = rest;
                Ok(step)
            }
            _ => Err(Error::Path("expected `]` in the path")),
        }
    }
}

/// One name in quotes or several.
fn names(quote: u8, text: &[u8]) -> Result<(Step<'_>, &[u8]), Error> {
    let (first, mut rest) = quoted(quote, text)?;
    let mut names = vec![first];
    while let [b',', after @ ..] = rest.trim_ascii_start() {
        let [quote @ (b'\'' | b'"'), after @ ..] = after.trim_ascii_start() else {
            return Err(Error::Path("expected a name in quotes in the path"));
        };
        let (name, after) = quoted(*quote, after)?;
        names.push(name);
        rest = after;
    }
    let step = if names.len() == 1 { Step::Member(names.swap_remove(0)) } else { Step::Members(names) };
    Ok((step, rest))
}

/// A name up to its closing quote. A backslash takes the next character as it is.
pub(super) fn quoted(quote: u8, text: &[u8]) -> Result<(Cow<'_, [u8]>, &[u8]), Error> {
    let mut name = Cow::Borrowed(&text[..0]);
    let mut from = 0;
    loop {
        let found =
            memchr::memchr2(quote, b'\\', &text[from..]).ok_or(Error::Path("expected a closing quote in the path"))?;
        let end = from + found;
        if text[end] == quote && from == 0 {
            return Ok((Cow::Borrowed(&text[..end]), &text[end + 1..]));
        }
        name.to_mut().extend_from_slice(&text[from..end]);
        if text[end] == quote {
            return Ok((name, &text[end + 1..]));
        }
        let escaped = *text.get(end + 1).ok_or(Error::Path("expected a closing quote in the path"))?;
        name.to_mut().push(escaped);
        from = end + 2;
    }
}

/// One place, several, or a range of them.
fn indexes(text: &[u8]) -> Result<(Step<'_>, &[u8]), Error> {
    let (first, mut rest) = index(text)?;
    if let [b':', after @ ..] = rest.trim_ascii_start() {
        let (to, rest) = index(after.trim_ascii_start())?;
        return Ok((Step::Slice(first, to), rest));
    }
    let expected = Error::Path("expected a number, a name in quotes or `*` in the path");
    let mut indexes = vec![first.ok_or(expected)?];
    while let [b',', after @ ..] = rest.trim_ascii_start() {
        let (index, after) = index(after.trim_ascii_start())?;
        indexes.push(index.ok_or(expected)?);
        rest = after;
    }
    let step = if let [index] = indexes[..] { Step::Element(index) } else { Step::Elements(indexes) };
    Ok((step, rest))
}

/// A number, or `None` where there is none.
fn index(text: &[u8]) -> Result<(Option<i64>, &[u8]), Error> {
    let end = text.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'-')).unwrap_or(text.len());
    if end == 0 {
        return Ok((None, text));
    }
    let digits = std::str::from_utf8(&text[..end]).ok().and_then(|digits| digits.parse().ok());
    let index: i64 = digits.ok_or(Error::Path("expected a number, a name in quotes or `*` in the path"))?;
    // So that counting from the end cannot overflow.
    Ok((Some(index.clamp(-(1 << 40), 1 << 40)), &text[end..]))
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
            ("$.items[0,2]", Some(r#"[{"name": "a", "n": 1},3]"#)),
            ("$.items[1:3]", Some(r#"[{"name": "b"},3]"#)),
            ("$.items[-1:]", Some("[[4, 5]]")),
            ("$.items[:1].name", Some(r#"["a"]"#)),
            ("$.customer['name','nobody']", Some(r#"{"name":"Ann"}"#)),
            ("$.items[3].length()", Some("2")),
            ("$.customer.name.length()", Some("3")),
            ("$.id.length()", Some("null")),
            ("$.items[?(@.n)].name", Some(r#"["a"]"#)),
            ("$.items[?(@.name == 'b')]", Some(r#"[{"name": "b"}]"#)),
            ("$.items[?(@.name != 'b' && @.n >= 1)].n", Some("[1]")),
            ("$.items[?(!(@.name == \"a\") || @.n > 7)].name", Some(r#"["b"]"#)),
            ("$.items[?(@.name =~ /A/i)].n", Some("[1]")),
            ("$.items[?(@.name in ['a', 'x'])].name", Some(r#"["a"]"#)),
            ("$.items[?(@.n < $.id)].n", Some("[1]")),
            ("$.items[?(@[0] == 4)][1]", Some("[5]")),
            ("$.items[?(@ == 3)]", Some("[3]")),
            ("$.customer[?(@.name == 'Ann')].address.city", Some(r#"["Bonn"]"#)),
            ("$..[?(@.name == 'home')].city", Some(r#"["Bonn"]"#)),
            ("$..[?(@.name)].name", Some(r#"["Ann","home","a","b"]"#)),
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
            ("$[1:2:3]", "expected `]`"),
            ("$[1,]", "expected a number"),
            ("$['a',b]", "name in quotes"),
            ("$[?(@.n > )]", "cannot be read"),
            ("$[?@.n]", "cannot be read"),
            ("$.nobody[?(@.n > 1]", "cannot be read"),
            ("$[?(@..n)]", "names and places only"),
            ("$[?(@.n =~ /(?=x)/)]", "pattern"),
            ("$.length().x", "end of a path"),
            ("$.nobody.min()", "functions"),
            ("$[(@.length-1)]", "scripts"),
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
