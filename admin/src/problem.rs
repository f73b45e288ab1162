//! What the management API answers when it cannot do something: problem details (RFC 9457), with the place of every mistake.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use moongate_admin_store::{Error as StoreError, backup};
use moongate_config::Issue;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// A problem.
#[derive(Debug)]
pub struct Problem {
    /// The status of the answer.
    pub status: StatusCode,
    /// What kind of problem it is, a word that does not change: `conflict`.
    pub code: &'static str,
    /// What is wrong, naming the thing.
    pub detail: String,
    /// Every single mistake.
    pub errors: Vec<FieldError>,
    /// The resource as it is now, where somebody else changed it meanwhile.
    pub current: Option<Box<Value>>,
}

/// One mistake in what was sent.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FieldError {
    /// Where, as a JSON pointer into the body, or `?name` for a query parameter.
    pub pointer: String,
    /// The code that `moongate explain` knows.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The file of the project or deployment that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Whether it stops the change: `error`, or only `warning`.
    pub severity: &'static str,
}

impl Problem {
    /// A problem of a kind.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), errors: Vec::new(), current: None }
    }

    /// There is no such thing.
    pub fn missing(kind: &str, id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no {kind} `{id}`"))
    }

    /// The request cannot be read.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// The request can be read, but not be fulfilled as things stand.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// The caller may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// What was sent has mistakes.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let count = errors.iter().filter(|error| error.severity == "error").count();
        let detail = match errors.first() {
            Some(first) if count == 1 => first.message.clone(),
            _ => format!("{count} mistakes"),
        };
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail) }
    }

    /// What was sent has one mistake.
    pub fn field(pointer: &str, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError {
            pointer: pointer.to_owned(),
            code: "invalid".to_owned(),
            message: message.into(),
            help: None,
            file: None,
            line: None,
            severity: "error",
        }])
    }

    /// The resource was changed by somebody else; `current` is what it is now.
    pub fn precondition(detail: impl Into<String>, current: Option<Value>) -> Self {
        Self {
            current: current.map(Box::new),
            ..Self::new(StatusCode::PRECONDITION_FAILED, "changed_meanwhile", detail)
        }
    }

    /// The problem as a JSON document.
    pub fn to_json(&self) -> Value {
        let mut document = json!({
            "type": format!("urn:moongate:problem:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        if !self.errors.is_empty() {
            document["errors"] = serde_json::to_value(&self.errors).unwrap_or_default();
        }
        if let Some(current) = &self.current {
            document["current"] = (**current).clone();
        }
        document
    }
}

impl FieldError {
    /// A problem of a document, its pointer below `prefix`.
    pub fn of(issue: &Issue, prefix: &str, line: Option<usize>) -> Self {
        Self {
            pointer: format!("{prefix}{}", issue.pointer),
            code: issue.code.to_owned(),
            message: issue.message.clone(),
            help: issue.help.clone(),
            file: (!issue.file.is_empty()).then(|| issue.file.clone()),
            line,
            severity: if issue.is_error() { "error" } else { "warning" },
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        match error {
            StoreError::Missing { .. } => Self::new(StatusCode::NOT_FOUND, "not_found", detail),
            StoreError::Exists { .. } => Self::new(StatusCode::CONFLICT, "exists", detail),
            StoreError::Conflict { .. } => Self::precondition(detail, None),
            other => {
                tracing::error!(error = %chain(&other), "the store failed");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "the store cannot be reached")
            }
        }
    }
}

impl From<backup::Error> for Problem {
    fn from(error: backup::Error) -> Self {
        match error {
            backup::Error::Store(error) => error.into(),
            other => Self::conflict(chain(&other)),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.to_json().to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer realm=\"moongate\""));
        }
        response
    }
}

/// An error and all that caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
