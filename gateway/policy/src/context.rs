//! Where compiling a policy reports its problems, and what it may ask for.

use moongate_config::Issue;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::codes;
use crate::secret::{Secret, Secrets};

/// What compiling one use of a policy has at hand.
///
/// Problems are collected: compile reports one and goes on, so that users see all of them at once.
pub struct CompileContext<'a> {
    /// The document that uses the policy, relative to the project's folder.
    pub file: &'a str,
    /// Where in the document we are: a JSON pointer (RFC 6901) that problems' own pointers are appended to.
    pub pointer: String,
    /// The problems found so far.
    pub issues: &'a mut Vec<Issue>,
    /// Where secrets are looked up.
    pub secrets: &'a dyn Secrets,
}

impl<'a> CompileContext<'a> {
    /// A context at a place of a document.
    pub fn new(
        file: &'a str,
        pointer: impl Into<String>,
        issues: &'a mut Vec<Issue>,
        secrets: &'a dyn Secrets,
    ) -> Self {
        Self { file, pointer: pointer.into(), issues, secrets }
    }

    /// The same, at a place below: `cx.below("/keys")`.
    pub fn below(&mut self, pointer: &str) -> CompileContext<'_> {
        CompileContext::new(self.file, format!("{}{pointer}", self.pointer), self.issues, self.secrets)
    }

    /// Reports settings that do not fit, at a place below: `cx.issue("/requests_per_second", "must be at least 1")`.
    pub fn issue(&mut self, pointer: &str, message: impl Into<String>) {
        self.report(codes::SETTINGS, pointer, message);
    }

    /// Reports a problem of another kind, and returns it for a label or a help to be added.
    pub fn report(&mut self, code: &'static str, pointer: &str, message: impl Into<String>) -> &mut Issue {
        let pointer = format!("{}{pointer}", self.pointer);
        self.issues.push_mut(Issue::error(code, self.file, pointer, message))
    }

    /// Reports that the policy does nothing as it is set, which is allowed.
    pub fn warn_without_effect(&mut self, message: impl Into<String>) {
        self.issues.push(Issue::warning(codes::WITHOUT_EFFECT, self.file, self.pointer.as_str(), message));
    }

    /// Reads settings into their type. Settings that are left out are read as an empty object.
    ///
    /// Reports the first problem and returns `None` when they do not fit.
    pub fn decode<T: DeserializeOwned>(&mut self, config: &Value) -> Option<T> {
        let empty = Value::Object(serde_json::Map::new());
        let config = if config.is_null() { &empty } else { config };
        match T::deserialize(config) {
            Ok(config) => Some(config),
            Err(error) => {
                self.issue("", without_value(&error.to_string()));
                None
            }
        }
    }

    /// Looks up a secret that a setting names.
    ///
    /// Reports the problem and returns `None` when it is not there.
    pub fn secret(&mut self, pointer: &str, reference: &str) -> Option<Secret> {
        match self.secrets.resolve(reference) {
            Ok(secret) => Some(secret),
            Err(error) => {
                self.report(codes::SECRET, pointer, error.to_string());
                None
            }
        }
    }
}

/// A message of serde without the value it quotes: somebody may have written a secret where its reference belongs.
///
/// `invalid type: string "hunter2", expected a map` becomes `invalid type: string, expected a map`.
fn without_value(message: &str) -> String {
    let quotes = ["invalid type: ", "invalid value: "].iter().any(|start| message.starts_with(start));
    let Some((found, expected)) = message.rsplit_once(", expected ").filter(|_| quotes) else {
        return message.to_owned();
    };
    let kind = found.split(['"', '`']).next().unwrap_or_default().trim_end();
    format!("{kind}, expected {expected}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_do_not_repeat_values() {
        let cases = [
            (r#"invalid type: string "hunter2", expected a map"#, "invalid type: string, expected a map"),
            (r#"invalid type: string "a, expected b", expected a map"#, "invalid type: string, expected a map"),
            ("invalid type: integer `12345`, expected a string", "invalid type: integer, expected a string"),
            ("invalid type: null, expected a string", "invalid type: null, expected a string"),
            ("missing field `keys`", "missing field `keys`"),
            ("unknown field `kyes`, expected `keys`", "unknown field `kyes`, expected `keys`"),
        ];
        for (message, want) in cases {
            assert_eq!(without_value(message), want);
        }
    }
}
