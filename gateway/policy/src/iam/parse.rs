//! From JSON to a policy document, strictly.

use serde_json::{Map, Value};

use super::condition::Condition;
use super::pattern::Patterns;
use super::{DOCUMENT_BYTES_MAX, Effect, PolicyDocument, Statement, Truth};

/// Deepest nesting of a document: document, statements, statement, condition, operator, values, value.
const DEPTH_MAX: u8 = 7;

/// Why a value is no policy document. The request is answered with `AUTHORIZER_CONFIGURATION_ERROR`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Larger than [`DOCUMENT_BYTES_MAX`] or nested deeper than any policy.
    #[error("the policy has more than {DOCUMENT_BYTES_MAX} bytes of JSON, or is nested too deeply")]
    TooLarge,
    /// Not an object.
    #[error("the policy is not an object")]
    NotAnObject,
    /// A version of the policy language that does not exist.
    #[error("`Version` of the policy is neither `2012-10-17` nor `2008-10-17`")]
    Version,
    /// `Statement` is missing, empty, or neither an object nor a list of objects.
    #[error("the policy has no `Statement`")]
    NoStatement,
    /// `Effect` is missing or misspelled.
    #[error("`Effect` of statement {index} is neither `Allow` nor `Deny`")]
    Effect {
        /// Which statement, from 0.
        index: usize,
    },
    /// Of an element and its negation there must be exactly one.
    #[error("statement {index} must have either `{name}` or `Not{name}`")]
    ExactlyOne {
        /// Which statement, from 0.
        index: usize,
        /// `Action` or `Resource`.
        name: &'static str,
    },
    /// Something else than a text or a list of texts, or an empty list.
    #[error("`{name}` of statement {index} is neither a text nor a list of texts")]
    NotTexts {
        /// Which statement, from 0.
        index: usize,
        /// The element.
        name: &'static str,
    },
    /// A value of `IpAddress` or `NotIpAddress` is no network.
    #[error("a condition of statement {index} names something else than a network")]
    NotANetwork {
        /// Which statement, from 0.
        index: usize,
    },
    /// An element that statements do not have.
    #[error("statement {index} has an element {name:?}, which policies do not have")]
    UnknownElement {
        /// Which statement, from 0.
        index: usize,
        /// The element.
        name: Box<str>,
    },
}

impl PolicyDocument {
    /// Reads a policy document.
    ///
    /// # Errors
    ///
    /// When the value is no policy document, or one that is too large. See [`PolicyError`].
    pub fn parse(document: &Value) -> Result<Self, PolicyError> {
        measure(document, DOCUMENT_BYTES_MAX, DEPTH_MAX).ok_or(PolicyError::TooLarge)?;
        let Value::Object(document) = document else { return Err(PolicyError::NotAnObject) };
        match document.get("Version") {
            None => {}
            Some(Value::String(version)) if version == "2012-10-17" || version == "2008-10-17" => {}
            Some(_) => return Err(PolicyError::Version),
        }
        let statements = match document.get("Statement") {
            Some(Value::Array(statements)) if !statements.is_empty() => statements.as_slice(),
            Some(statement @ Value::Object(_)) => std::slice::from_ref(statement),
            _ => return Err(PolicyError::NoStatement),
        };
        let statements = statements.iter().enumerate().map(|(index, statement)| match statement {
            Value::Object(elements) => Elements { index, elements }.statement(),
            _ => Err(PolicyError::NoStatement),
        });
        Ok(Self { statements: statements.collect::<Result<_, _>>()? })
    }
}

/// The elements of one statement.
struct Elements<'a> {
    index: usize,
    elements: &'a Map<String, Value>,
}

impl Elements<'_> {
    fn statement(&self) -> Result<Statement, PolicyError> {
        const KNOWN: [&str; 9] = [
            "Sid",
            "Effect",
            "Principal",
            "NotPrincipal",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Condition",
        ];
        let index = self.index;
        if let Some(name) = self.elements.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            return Err(PolicyError::UnknownElement { index, name: name.as_str().into() });
        }
        let effect = match self.elements.get("Effect").and_then(Value::as_str) {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            _ => return Err(PolicyError::Effect { index }),
        };
        Ok(Statement {
            effect,
            principal: self.principal(),
            actions: self.patterns("Action", "NotAction")?,
            resources: self.patterns("Resource", "NotResource")?,
            conditions: self.conditions()?,
        })
    }

    /// Everybody, or nobody we could tell: callers here are not principals of AWS.
    fn principal(&self) -> Truth {
        let is_everybody = |value: &Value| match value {
            Value::String(name) => name == "*",
            Value::Array(names) => names.iter().any(|name| name == "*"),
            _ => false,
        };
        match (self.elements.get("Principal"), self.elements.get("NotPrincipal")) {
            (None, None) => Truth::Yes,
            (Some(Value::Object(kinds)), None) if kinds.get("AWS").is_some_and(is_everybody) => Truth::Yes,
            (Some(everybody), None) if everybody == "*" => Truth::Yes,
            _ => Truth::Unknown,
        }
    }

    fn patterns(&self, name: &'static str, negation: &'static str) -> Result<Patterns, PolicyError> {
        let (name, value, is_negated) = match (self.elements.get(name), self.elements.get(negation)) {
            (Some(value), None) => (name, value, false),
            (None, Some(value)) => (negation, value, true),
            _ => return Err(PolicyError::ExactlyOne { index: self.index, name }),
        };
        Ok(Patterns::new(self.texts(name, value)?, is_negated))
    }

    fn conditions(&self) -> Result<Vec<Condition>, PolicyError> {
        const NAME: &str = "Condition";
        let not_texts = || PolicyError::NotTexts { index: self.index, name: NAME };
        let Some(operators) = self.elements.get(NAME) else { return Ok(Vec::new()) };
        let mut conditions = Vec::new();
        for (operator, keys) in operators.as_object().ok_or_else(not_texts)? {
            for (key, value) in keys.as_object().ok_or_else(not_texts)? {
                let condition = Condition::new(operator, key, self.texts(NAME, value)?);
                conditions.push(condition.ok_or(PolicyError::NotANetwork { index: self.index })?);
            }
        }
        Ok(conditions)
    }

    /// One text or a list of some. Conditions may write truth values and numbers without quotes.
    fn texts(&self, name: &'static str, value: &Value) -> Result<Vec<Box<str>>, PolicyError> {
        let text = |value: &Value| match value {
            Value::String(text) => Ok(text.as_str().into()),
            Value::Bool(_) | Value::Number(_) if name == "Condition" => Ok(value.to_string().into()),
            _ => Err(PolicyError::NotTexts { index: self.index, name }),
        };
        match value {
            // An empty list of what something is *not* would be everything.
            Value::Array(values) if values.is_empty() => Err(PolicyError::NotTexts { index: self.index, name }),
            Value::Array(values) => values.iter().map(text).collect(),
            value => text(value).map(|text| vec![text]),
        }
    }
}

/// Takes the size of a value's compact JSON, escapes not counted, off the bytes that are left. `None` when they do not
/// suffice, or the value is nested too deeply; so the cost is bounded by what is left, whatever the value.
fn measure(value: &Value, bytes_left: usize, depth_left: u8) -> Option<usize> {
    let inner_depth = depth_left.checked_sub(1)?;
    match value {
        Value::Null | Value::Bool(_) => bytes_left.checked_sub("true".len()),
        Value::Number(_) => bytes_left.checked_sub(1),
        Value::String(text) => bytes_left.checked_sub(text.len() + 2),
        Value::Array(values) => values
            .iter()
            .try_fold(bytes_left.checked_sub(2)?, |left, value| measure(value, left.checked_sub(1)?, inner_depth)),
        Value::Object(fields) => fields.iter().try_fold(bytes_left.checked_sub(2)?, |left, (name, value)| {
            measure(value, left.checked_sub(name.len() + 4)?, inner_depth)
        }),
    }
}
