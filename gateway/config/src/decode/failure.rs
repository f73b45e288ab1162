//! What serde reports while a value is decoded, in words for people who write configuration.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};

use crate::issue::{codes, quote};
use crate::source::{Node, Value};
use crate::suggest;

/// Why a value could not be decoded.
#[derive(Debug)]
pub(super) enum Failure {
    /// A problem whose place the caller knows and has to record. Boxed: results are passed through many levels.
    Found(Box<Problem>),
    /// A problem that is recorded; the pass only has to end.
    Recorded,
}

/// A problem without its place.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) label: Option<String>,
    pub(super) help: Option<String>,
    /// The field, when the problem is that it is missing.
    pub(super) missing: Option<&'static str>,
}

impl Failure {
    fn new(code: &'static str, message: String) -> Self {
        Self::Found(Box::new(Problem { code, message, label: None, help: None, missing: None }))
    }

    /// A value of another type than expected.
    pub(super) fn wrong_type(expected: &str, node: &Node) -> Self {
        let mut failure = Self::new(codes::WRONG_TYPE, format!("expected {expected}, found {}", found(node)));
        if let Self::Found(problem) = &mut failure {
            problem.label = advice(expected, node).map(str::to_owned);
        }
        failure
    }

    /// A word that is none of the allowed ones.
    pub(super) fn unknown_value(text: &str, allowed: &'static [&'static str]) -> Self {
        let mut failure = Self::new(codes::UNKNOWN_VALUE, format!("unknown value {}", quote(text)));
        if let Self::Found(problem) = &mut failure {
            problem.label =
                suggest::closest(text, allowed.iter().copied()).map(|word| format!("did you mean `{word}`?"));
            problem.help = Some(format!("allowed: {}", list(allowed)));
        }
        failure
    }
}

/// Words in backticks with commas between.
pub(super) fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

fn found(node: &Node) -> String {
    match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("the truth value `{value}`"),
        Value::Integer(value) => format!("the number `{value}`"),
        Value::Float(value) => format!("the number `{value:?}`"),
        Value::String(text) => format!("the text {}", quote(text)),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "a mapping".to_owned(),
    }
}

/// How to write what was probably meant.
fn advice(expected: &str, node: &Node) -> Option<&'static str> {
    match (expected, &node.value) {
        (expected, Value::Bool(_) | Value::Integer(_) | Value::Float(_))
            if expected == TEXT || expected.starts_with(ONE_OF_TEXTS) =>
        {
            Some("put it into quotes")
        }
        (TRUTH, Value::String(text)) => match &*text.to_ascii_lowercase() {
            "yes" | "on" | "true" => Some("write `true`"),
            "no" | "off" | "false" => Some("write `false`"),
            _ => None,
        },
        (LIST, Value::String(_) | Value::Mapping(_)) => Some("write `- ` before each item"),
        (expected, Value::String(text))
            if expected.contains("number") && text.parse::<f64>().is_ok_and(f64::is_finite) =>
        {
            Some("write it without quotes")
        }
        _ => None,
    }
}

pub(super) const TEXT: &str = "a text";
pub(super) const TRUTH: &str = "`true` or `false`";
pub(super) const WHOLE: &str = "a whole number";
pub(super) const NUMBER: &str = "a number";
pub(super) const LIST: &str = "a list";
pub(super) const MAPPING: &str = "a mapping";
pub(super) const ONE_OF_TEXTS: &str = "one of the texts";
pub(super) const NOTHING: &str = "nothing";

/// serde's and its derived visitors' names of what they expect, in our words.
fn plain_expected(expected: &dyn Expected) -> String {
    let expected = expected.to_string();
    let plain = match &*expected {
        "a boolean" => TRUTH,
        "a string" | "a borrowed string" => TEXT,
        "a sequence" => LIST,
        "a map" => MAPPING,
        "f32" | "f64" => NUMBER,
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0",
        "i8" => "a whole number from -128 to 127",
        "i16" => "a whole number from -32768 to 32767",
        "i32" => "a whole number from -2147483648 to 2147483647",
        "i64" | "isize" => WHOLE,
        "unit" => NOTHING,
        other if other.starts_with("struct ") => MAPPING,
        other => return other.replace("a nonzero ", "a number other than 0 of type "),
    };
    plain.to_owned()
}

fn plain_unexpected(unexpected: &Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(value) => format!("the truth value `{value}`"),
        Unexpected::Unsigned(value) => format!("the number `{value}`"),
        Unexpected::Signed(value) => format!("the number `{value}`"),
        Unexpected::Float(value) => format!("the number `{value:?}`"),
        Unexpected::Str(text) => format!("the text {}", quote(text)),
        Unexpected::Unit => "nothing".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a mapping".to_owned(),
        other => other.to_string(),
    }
}

impl Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(codes::REFUSED_VALUE, message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let (expected, found) = (plain_expected(expected), plain_unexpected(&unexpected));
        Self::new(codes::WRONG_TYPE, format!("expected {expected}, found {found}"))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(codes::WRONG_TYPE, format!("expected {}, found {length} items", plain_expected(expected)))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::unknown_value(variant, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        let mut failure = Self::new(codes::MISSING_FIELD, format!("missing field `{field}`"));
        if let Self::Found(problem) = &mut failure {
            problem.missing = Some(field);
        }
        failure
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found(problem) => f.write_str(&problem.message),
            Self::Recorded => f.write_str("the document has problems"),
        }
    }
}
