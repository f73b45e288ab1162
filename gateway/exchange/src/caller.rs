//! Who calls, as the authorize stage found out.

use std::sync::Arc;

use indexmap::IndexMap;

/// The caller of a request.
///
/// Only the authorize stage makes one, and later stages take it as an argument: that they run after it is checked by the
/// compiler.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The principal an authorizer named (`context.authorizer.principalId`).
    pub principal: Option<Arc<str>>,
    /// What an authorizer said about the caller (`context.authorizer.NAME`).
    pub context: Arc<IndexMap<Box<str>, Scalar>>,
    /// The API key's id, where one was shown and accepted. Never the key itself.
    pub api_key_id: Option<Arc<str>>,
}

/// A value an authorizer may put into its context: flat, as in AWS.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// A text.
    Text(Box<str>),
    /// A number.
    Number(f64),
    /// True or false.
    Bool(bool),
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Bool(truth) => write!(f, "{truth}"),
        }
    }
}
