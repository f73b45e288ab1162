//! What an authorizer decided.

use std::sync::Arc;

use indexmap::IndexMap;
use moongate_exchange::Scalar;

use crate::json::{Stop, encode};
use crate::stack::{StackFull, Table, Value};

/// Most an authorizer may say, in bytes of keys and texts (source: API Gateway quotas, authorizer result 8 KB).
const RESULT_BYTES_MAX: usize = 8 * 1024;

/// What an authorizer decided about a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Authorization {
    /// Whether the request goes on.
    pub decision: Decision,
    /// Who calls.
    pub principal: Option<Arc<str>>,
    /// What later stages find in `context.authorizer`.
    pub context: IndexMap<Box<str>, Scalar>,
    /// The API key to count the request under, where the API takes keys from authorizers.
    pub usage_identifier_key: Option<Box<str>>,
}

/// Whether a request goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// It does.
    Allow,
    /// It does not.
    Deny,
    /// An IAM policy document says, which the caller has to evaluate.
    Policy(serde_json::Value),
}

impl Authorization {
    fn bare(decision: Decision) -> Self {
        Self { decision, principal: None, context: IndexMap::new(), usage_identifier_key: None }
    }

    /// Reads what an authorizer returned: a boolean, or one of the two tables that API Gateway takes (source: "Output from an
    /// API Gateway Lambda authorizer", and the simple response of HTTP APIs).
    pub(crate) fn read(value: Value<'_>, stop: &impl Stop) -> Result<Self, BadResult> {
        let table = match value {
            Value::Boolean(true) => return Ok(Self::bare(Decision::Allow)),
            Value::Boolean(false) => return Ok(Self::bare(Decision::Deny)),
            Value::Table(table) => table,
            other => {
                return Err(BadResult(format!(
                    "an authorizer returns a boolean or a table, not {}",
                    other.type_name()
                )));
            }
        };
        let mut reader = Reader { decision: None, result: Self::bare(Decision::Deny), bytes: 0 };
        table.for_each(|key, value| match key {
            Value::Text(b"isAuthorized") => reader.is_authorized(value),
            Value::Text(b"policyDocument") => reader.policy(value, stop),
            Value::Text(b"principalId") => {
                reader.result.principal = reader.optional_text("principalId", value)?;
                Ok(())
            }
            Value::Text(b"usageIdentifierKey") => {
                reader.result.usage_identifier_key = reader.optional_text("usageIdentifierKey", value)?;
                Ok(())
            }
            Value::Text(b"context") => reader.context(value),
            _ => Ok(()),
        })?;
        let Some(decision) = reader.decision else {
            return Err(BadResult("the authorizer's table has neither `isAuthorized` nor `policyDocument`".to_owned()));
        };
        Ok(Self { decision, ..reader.result })
    }
}

/// Why a result cannot be used.
#[derive(Debug)]
pub(crate) struct BadResult(pub(crate) String);

impl From<StackFull> for BadResult {
    fn from(StackFull: StackFull) -> Self {
        Self("the Lua stack is full".to_owned())
    }
}

struct Reader {
    decision: Option<Decision>,
    result: Authorization,
    bytes: usize,
}

impl Reader {
    fn is_authorized(&mut self, value: Value<'_>) -> Result<(), BadResult> {
        let Value::Boolean(is_authorized) = value else {
            return Err(BadResult(format!("`isAuthorized` must be a boolean, not {}", value.type_name())));
        };
        self.decide(if is_authorized { Decision::Allow } else { Decision::Deny })
    }

    fn policy(&mut self, value: Value<'_>, stop: &impl Stop) -> Result<(), BadResult> {
        let Value::Table(_) = value else {
            return Err(BadResult(format!("`policyDocument` must be a table, not {}", value.type_name())));
        };
        let mut text = Vec::new();
        encode::write(value, &mut text, stop).map_err(|why| BadResult(format!("`policyDocument` holds {why}")))?;
        self.count(text.len())?;
        let policy = serde_json::from_slice(&text).map_err(|why| BadResult(format!("`policyDocument`: {why}")))?;
        self.decide(Decision::Policy(policy))
    }

    fn decide(&mut self, decision: Decision) -> Result<(), BadResult> {
        if self.decision.replace(decision).is_some() {
            return Err(BadResult("the authorizer's table has both `isAuthorized` and `policyDocument`".to_owned()));
        }
        Ok(())
    }

    fn context(&mut self, value: Value<'_>) -> Result<(), BadResult> {
        let table: Table<'_> = match value {
            Value::Table(table) => table,
            Value::Null => return Ok(()),
            other => return Err(BadResult(format!("`context` must be a table, not {}", other.type_name()))),
        };
        table.for_each(|key, value| {
            let Value::Text(key) = key else {
                return Err(BadResult(format!("a key of `context` must be a string, not {}", key.type_name())));
            };
            let name: Box<str> = self.text("a key of `context`", key)?;
            let scalar = match value {
                Value::Boolean(truth) => Scalar::Bool(truth),
                Value::Number(number) if number.is_finite() => Scalar::Number(number),
                Value::Text(text) => Scalar::Text(self.text("a value of `context`", text)?),
                other => {
                    let got = other.type_name();
                    return Err(BadResult(format!(
                        "`context.{name}` must be a string, a number or a boolean, not {got}"
                    )));
                }
            };
            self.result.context.insert(name, scalar);
            Ok(())
        })
    }

    fn optional_text<T: for<'text> From<&'text str>>(
        &mut self,
        name: &str,
        value: Value<'_>,
    ) -> Result<Option<T>, BadResult> {
        match value {
            Value::Text(text) => self.text(name, text).map(Some),
            Value::Null => Ok(None),
            other => Err(BadResult(format!("`{name}` must be a string, not {}", other.type_name()))),
        }
    }

    fn text<T: for<'text> From<&'text str>>(&mut self, name: &str, text: &[u8]) -> Result<T, BadResult> {
        self.count(text.len())?;
        let text = std::str::from_utf8(text).map_err(|_| BadResult(format!("{name} is not UTF-8")))?;
        Ok(text.into())
    }

    fn count(&mut self, bytes: usize) -> Result<(), BadResult> {
        self.bytes += bytes;
        if self.bytes > RESULT_BYTES_MAX {
            return Err(BadResult(format!("the authorizer's result is larger than {RESULT_BYTES_MAX} bytes")));
        }
        Ok(())
    }
}
