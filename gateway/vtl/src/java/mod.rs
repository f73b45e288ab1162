//! What templates know of Java's own library.
//!
//! Used by the evaluator and, while requests are handled, by the functions that translated templates call: everything here is
//! bounded by its arguments and linear in them. Sources: the Java SE API's documentation of the classes named at each item.

mod format;
mod number;
mod regex;
mod string;

pub use self::format::format;
pub use self::number::{calculate, double_to_string};
pub use self::regex::{PatternError, Patterns, pattern};
pub use self::string::{is_string_method, string_method};

/// Longest text that is made, in bytes (source: API Gateway quotas, payload size 10 MB).
pub const TEXT_BYTES_MAX: usize = 10 * 1024 * 1024;

/// A value without parts.
#[derive(Clone, Debug, PartialEq)]
pub enum Plain {
    /// No value.
    Null,
    /// `java.lang.Boolean`
    Boolean(bool),
    /// `java.lang.Integer` or `Long`
    Integer(i64),
    /// `java.lang.Double`
    Double(f64),
    /// `java.lang.String`
    Text(String),
    /// An array of strings.
    Texts(Vec<String>),
}

/// Why a method has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A regular expression that is none, or needs what cannot be done in linear time.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// The result would be too long.
    #[error("the text would be longer than {TEXT_BYTES_MAX} bytes")]
    TooLong,
    /// A format that is none, or does not fit its arguments.
    #[error("the format `{0}` does not fit its arguments")]
    Format(String),
}

impl Plain {
    /// The value as it prints; nothing for null.
    pub fn to_text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Boolean(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Double(value) => double_to_string(*value),
            Self::Text(text) => text.clone(),
            Self::Texts(texts) => format!("[{}]", texts.join(", ")),
        }
    }
}
