//! Filters of paths: `[?(@.price < 10 && @.name =~ /a.*/)]`.
//!
//! Source: Jayway JsonPath, "Filter Operators". What a filter asks about is each element of a list, or an object
//! itself; paths in it begin with `@`, which is that, or `$`, the whole text, and have names and places only.

use std::ops::Range;

use moongate_vtl::java;
use serde_json::Value;

use super::path::{Error, Steps};
use super::{lazy, path, scan};

/// How deep a filter may nest.
const NESTING_MAX: usize = 16;

/// A condition.
#[derive(Clone, Debug)]
pub(super) enum Filter<'path> {
    Any(Vec<Filter<'path>>),
    All(Vec<Filter<'path>>),
    Not(Box<Filter<'path>>),
    Exists(Operand<'path>),
    Compare(Operand<'path>, Comparison, Operand<'path>),
    Matches(Operand<'path>, Box<regex::Regex>),
}

#[derive(Clone, Debug)]
pub(super) enum Operand<'path> {
    Value(Value),
    /// A path from the element on.
    Here(Steps<'path>),
    /// A path from the outermost value on.
    Root(Steps<'path>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
    Contains,
    Size,
    Empty,
}

/// Operators. A sign that begins another one stands behind it.
const COMPARISONS: [(&str, Comparison); 11] = [
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
    ("in ", Comparison::In),
    ("nin ", Comparison::NotIn),
    ("contains ", Comparison::Contains),
    ("size ", Comparison::Size),
    ("empty ", Comparison::Empty),
];

const NO_FILTER: Error = Error::Path("the filter (`[?()]`) cannot be read");

/// Reads the filter behind `?`, and its parentheses. The answer holds what is left.
pub(super) fn read(text: &[u8]) -> Result<(Filter<'_>, &[u8]), Error> {
    let text = text.trim_ascii_start().strip_prefix(b"(").ok_or(NO_FILTER)?;
    let mut reader = Reader { rest: text, depth: 0 };
    let filter = reader.any()?;
    if !reader.eat(")") {
        return Err(NO_FILTER);
    }
    Ok((filter, reader.rest))
}

struct Reader<'path> {
    rest: &'path [u8],
    depth: usize,
}

impl<'path> Reader<'path> {
    fn eat(&mut self, sign: &str) -> bool {
        self.rest = self.rest.trim_ascii_start();
        match self.rest.strip_prefix(sign.as_bytes()) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn any(&mut self) -> Result<Filter<'path>, Error> {
        let mut filters = vec![self.all()?];
        while self.eat("||") {
            filters.push(self.all()?);
        }
        Ok(Filter::Any(filters))
    }

    fn all(&mut self) -> Result<Filter<'path>, Error> {
        let mut filters = vec![self.one()?];
        while self.eat("&&") {
            filters.push(self.one()?);
        }
        Ok(Filter::All(filters))
    }

    fn one(&mut self) -> Result<Filter<'path>, Error> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(Error::Path("the filter is nested too deep"));
        }
        let filter = if self.eat("!") {
            Filter::Not(Box::new(self.one()?))
        } else if self.eat("(") {
            let inner = self.any()?;
            if !self.eat(")") {
                return Err(NO_FILTER);
            }
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn comparison(&mut self) -> Result<Filter<'path>, Error> {
        let left = self.operand()?;
        if self.eat("=~") {
            return Ok(Filter::Matches(left, Box::new(self.pattern()?)));
        }
        match COMPARISONS.into_iter().find(|(sign, _)| self.eat(sign)) {
            Some((_, comparison)) => Ok(Filter::Compare(left, comparison, self.operand()?)),
            None => Ok(Filter::Exists(left)),
        }
    }

    fn operand(&mut self) -> Result<Operand<'path>, Error> {
        if self.eat("@") {
            return Ok(Operand::Here(self.steps()?));
        }
        if self.eat("$") {
            return Ok(Operand::Root(self.steps()?));
        }
        let (value, rest) = literal(self.rest.trim_ascii_start())?;
        self.rest = rest;
        Ok(Operand::Value(value))
    }

    /// A path of names and places.
    fn steps(&mut self) -> Result<Steps<'path>, Error> {
        let mut end = 0;
        let mut quote = None;
        let mut brackets = 0;
        for (place, byte) in self.rest.iter().enumerate() {
            match (quote, byte) {
                (Some(open), byte) if byte == open => quote = None,
                (Some(_), _) => {}
                (None, b'\'' | b'"') if brackets > 0 => quote = Some(byte),
                (None, b'[') => brackets += 1,
                (None, b']') if brackets > 0 => brackets -= 1,
                (None, _) if brackets > 0 => {}
                (None, byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-') || *byte >= 0x80 => {
                }
                _ => break,
            }
            end = place + 1;
        }
        let (steps, rest) = self.rest.split_at(end);
        self.rest = rest;
        let steps = Steps::behind_root(steps);
        steps.check_definite()?;
        Ok(steps)
    }

    /// `/pattern/` and `/pattern/i`
    fn pattern(&mut self) -> Result<regex::Regex, Error> {
        if !self.eat("/") {
            return Err(NO_FILTER);
        }
        let mut end = 0;
        while end < self.rest.len() && self.rest[end] != b'/' {
            end += if self.rest[end] == b'\\' { 2 } else { 1 };
        }
        let source = self.rest.get(..end).and_then(|source| std::str::from_utf8(source).ok()).ok_or(NO_FILTER)?;
        self.rest = self.rest.get(end + 1..).ok_or(NO_FILTER)?;
        let flags = if self.rest.starts_with(b"i") { "(?i)" } else { "" };
        self.rest = &self.rest[flags.len() / 4..];
        java::pattern(&format!("{flags}^(?:{source})$"))
            .map_err(|_| Error::Path("the pattern in the filter cannot be used"))
    }
}

/// A value of JSON, where texts may stand in single quotes.
fn literal(text: &[u8]) -> Result<(Value, &[u8]), Error> {
    // One level is enough: what is in a list is compared with texts and numbers.
    if let [b'[', rest @ ..] = text {
        let mut items = Vec::new();
        let mut rest = rest.trim_ascii_start();
        while !rest.starts_with(b"]") {
            let (item, after) = scalar(rest.trim_ascii_start())?;
            items.push(item);
            rest = after.trim_ascii_start();
            match rest {
                [b',', after @ ..] => rest = after,
                [b']', ..] => {}
                _ => return Err(NO_FILTER),
            }
        }
        return Ok((Value::Array(items), &rest[1..]));
    }
    scalar(text)
}

fn scalar(text: &[u8]) -> Result<(Value, &[u8]), Error> {
    if let [quote @ (b'\'' | b'"'), ..] = text {
        let (name, rest) = path::quoted(*quote, &text[1..])?;
        let text = std::str::from_utf8(&name).map_err(|_| NO_FILTER)?;
        return Ok((Value::from(text), rest));
    }
    let end = text.iter().position(|byte| b") ,]&|=!<>".contains(byte)).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    serde_json::from_slice(word).map(|value| (value, rest)).map_err(|_| NO_FILTER)
}

impl Filter<'_> {
    /// Whether the value at a place is one the filter lets through.
    pub(super) fn accepts(&self, text: &[u8], at: usize) -> Result<bool, Error> {
        Ok(match self {
            Self::Any(filters) => {
                for filter in filters {
                    if filter.accepts(text, at)? {
                        return Ok(true);
                    }
                }
                false
            }
            Self::All(filters) => {
                for filter in filters {
                    if !filter.accepts(text, at)? {
                        return Ok(false);
                    }
                }
                true
            }
            Self::Not(filter) => !filter.accepts(text, at)?,
            Self::Exists(Operand::Value(value)) => *value != Value::Bool(false) && !value.is_null(),
            Self::Exists(operand) => operand.range(text, at)?.is_some(),
            Self::Matches(operand, pattern) => match operand.value(text, at)? {
                Some(Value::String(text)) => pattern.is_match(&text),
                Some(Value::Null) | None => false,
                Some(other) => pattern.is_match(&other.to_string()),
            },
            Self::Compare(left, comparison, right) => {
                compare(left.value(text, at)?, *comparison, right.value(text, at)?)
            }
        })
    }
}

impl Operand<'_> {
    fn range(&self, text: &[u8], at: usize) -> Result<Option<Range<usize>>, Error> {
        match self {
            Self::Value(_) => Ok(None),
            Self::Here(steps) => steps.definite(text, at),
            Self::Root(steps) => steps.definite(text, scan::space(text, 0)),
        }
    }

    fn value(&self, text: &[u8], at: usize) -> Result<Option<Value>, Error> {
        if let Self::Value(value) = self {
            return Ok(Some(value.clone()));
        }
        let range = self.range(text, at)?;
        Ok(range.and_then(|range| serde_json::from_slice(&text[range]).ok()))
    }
}

fn compare(left: Option<Value>, comparison: Comparison, right: Option<Value>) -> bool {
    let (Some(left), Some(right)) = (left, right) else { return comparison == Comparison::NotEqual };
    let order = match (&left, &right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64().partial_cmp(&right.as_f64()),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => None,
    };
    let is_equal = |left: &Value, right: &Value| match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (left, right) => left == right,
    };
    let length = |value: &Value| match value {
        Value::Array(items) => Some(items.len()),
        Value::String(text) => Some(text.chars().count()),
        Value::Object(members) => Some(members.len()),
        _ => None,
    };
    match comparison {
        Comparison::Equal => is_equal(&left, &right),
        Comparison::NotEqual => !is_equal(&left, &right),
        Comparison::Less => order.is_some_and(std::cmp::Ordering::is_lt),
        Comparison::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
        Comparison::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
        Comparison::GreaterOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
        Comparison::In => right.as_array().is_some_and(|items| items.iter().any(|item| is_equal(&left, item))),
        Comparison::NotIn => !right.as_array().is_some_and(|items| items.iter().any(|item| is_equal(&left, item))),
        Comparison::Contains => match (&left, &right) {
            (Value::Array(items), right) => items.iter().any(|item| is_equal(item, right)),
            (Value::String(left), Value::String(right)) => left.contains(&**right),
            _ => false,
        },
        Comparison::Size => length(&left).is_some_and(|length| right.as_u64() == Some(length as u64)),
        Comparison::Empty => length(&left).is_some_and(|length| right.as_bool() == Some(length == 0)),
    }
}

impl Steps<'_> {
    /// Follows names and places.
    fn definite(&self, text: &[u8], at: usize) -> Result<Option<Range<usize>>, Error> {
        let mut steps = *self;
        let mut here = at..scan::skip(text, at)?;
        loop {
            let found = match steps.next()? {
                None => return Ok(Some(here)),
                Some(path::Step::Member(name)) => lazy::member(text, here.start, &name)?,
                Some(path::Step::Element(index)) => lazy::element(text, here.start, index)?,
                Some(_) => return Err(NO_FILTER),
            };
            match found {
                Some(range) => here = range,
                None => return Ok(None),
            }
        }
    }

    fn check_definite(mut self) -> Result<(), Error> {
        while let Some(step) = self.next()? {
            if !matches!(step, path::Step::Member(_) | path::Step::Element(_)) {
                return Err(Error::Path("a path in a filter has names and places only"));
            }
        }
        Ok(())
    }
}
