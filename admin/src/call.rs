//! One call of the management API: who calls, with what, and how it is answered.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use moongate_admin_store::records::Role;
use moongate_admin_store::{Expect, now_ms};
use moongate_config::revision::merge_patch;
use moongate_config::{ApiId, StageName, decode, source};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::auth::{Access, EVERY_API};
use crate::control::Control;
use crate::problem::{FieldError, Problem};
use crate::time;

/// Items of a page unless the caller says otherwise.
const PAGE: usize = 100;
/// Most items of a page.
pub(crate) const PAGE_MAX: usize = 500;
/// The name under which problems of a body are found.
const BODY: &str = "body.json";

/// One call.
pub(crate) struct Call {
    pub(crate) control: Control,
    pub(crate) access: Access,
    pub(crate) path: BTreeMap<String, String>,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// What a call is answered with, or why not.
pub(crate) type Outcome = Result<Reply, Problem>;

/// An answer.
pub(crate) struct Reply {
    status: StatusCode,
    body: Option<Value>,
    etag: Option<String>,
    location: Option<String>,
}

impl Reply {
    /// 200 with a document.
    pub(crate) fn ok(body: impl Serialize) -> Outcome {
        let body = serde_json::to_value(body).map_err(|error| {
            tracing::error!(%error, "an answer cannot be written as JSON");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the answer cannot be written")
        })?;
        Ok(Self { status: StatusCode::OK, body: Some(body), etag: None, location: None })
    }

    /// 201 with a document and where it is found from now on.
    pub(crate) fn created(body: impl Serialize, location: String) -> Outcome {
        Ok(Self { status: StatusCode::CREATED, location: Some(location), ..Self::ok(body)? })
    }

    /// 204.
    pub(crate) fn nothing() -> Outcome {
        Ok(Self { status: StatusCode::NO_CONTENT, body: None, etag: None, location: None })
    }

    /// With the version that a change can be made conditional on.
    pub(crate) fn etag(mut self, tag: impl std::fmt::Display) -> Self {
        self.etag = Some(format!("\"{tag}\""));
        self
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.body.map_or_else(Body::empty, |body| Body::from(body.to_string())));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in [(ETAG, self.etag), (LOCATION, self.location)] {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
        if self.status == StatusCode::NO_CONTENT {
            response.headers_mut().remove(CONTENT_TYPE);
        }
        *response.status_mut() = self.status;
        response
    }
}

impl Call {
    /// A parameter of the path.
    pub(crate) fn param(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// The API of the path, which must be well-formed and visible to the caller with a role.
    pub(crate) fn api(&self, role: Role) -> Result<ApiId, Problem> {
        let id = self.param("api");
        self.access.need(id, role)?;
        ApiId::try_from(id.to_owned()).map_err(|_| Problem::missing("API", id))
    }

    /// The stage of the path.
    pub(crate) fn stage(&self) -> Result<StageName, Problem> {
        let name = self.param("stage");
        StageName::try_from(name.to_owned()).map_err(|_| Problem::missing("stage", name))
    }

    /// Checks a role for what belongs to no API.
    pub(crate) fn need(&self, role: Role) -> Result<(), Problem> {
        self.access.need(EVERY_API, role)
    }

    /// The body as a typed document, all mistakes at once.
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        decoded(&self.body)
    }

    /// The body as a typed document, or nothing when there is none.
    pub(crate) fn body_or<T: DeserializeOwned>(&self, default: T) -> Result<T, Problem> {
        if self.body.trim().is_empty() { Ok(default) } else { self.body() }
    }

    /// A document with the body applied as a JSON Merge Patch (RFC 7396).
    pub(crate) fn patched<T: DeserializeOwned>(&self, current: impl Serialize) -> Result<T, Problem> {
        let patch = parsed(&self.body)?;
        if !patch.is_object() {
            return Err(Problem::field("", "a merge patch is an object"));
        }
        let mut value = serde_json::to_value(current).map_err(|error| Problem::malformed(error.to_string()))?;
        merge_patch(&mut value, &patch);
        decoded(&value.to_string())
    }

    /// A query parameter.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// Whether a query parameter says `true`.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.query(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::field(&format!("?{name}"), format!("`{name}` is `true` or `false`"))),
        }
    }

    /// A query parameter that is a number.
    pub(crate) fn number(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Problem> {
        let Some(text) = self.query(name) else { return Ok(None) };
        match text.parse::<u64>() {
            Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(Problem::field(&format!("?{name}"), format!("`{name}` is a number from {least} to {most}"))),
        }
    }

    /// A query parameter that is a time.
    pub(crate) fn moment(&self, name: &str) -> Result<Option<i64>, Problem> {
        let Some(text) = self.query(name) else { return Ok(None) };
        let wrong =
            || Problem::field(&format!("?{name}"), "a time is like `2026-04-09T12:34:56Z` or, relative to now, `-1h`");
        time::parse(text, now_ms()).map(Some).ok_or_else(wrong)
    }

    /// How many items the caller wants on a page.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        let wanted = self.number("limit", 1, PAGE_MAX as u64)?;
        Ok(wanted.and_then(|wanted| usize::try_from(wanted).ok()).unwrap_or(PAGE))
    }

    /// What `If-Match` and `If-None-Match` say about a record's version.
    pub(crate) fn expect(&self) -> Result<Expect, Problem> {
        match self.condition()? {
            Condition::None => Ok(Expect::Anything),
            Condition::Absent => Ok(Expect::Absent),
            Condition::Present => Ok(Expect::Present),
            Condition::Tag(tag) => {
                // A tag that is no version of a record is one that it does not have.
                Ok(Expect::Version(tag.parse().unwrap_or(-1)))
            }
        }
    }

    /// Checks `If-Match` and `If-None-Match` against a thing whose version is a text.
    pub(crate) fn matches(&self, current: Option<(&str, Value)>) -> Result<(), Problem> {
        match (self.condition()?, current) {
            (Condition::Absent, Some((_, current))) => Err(Problem::precondition("it is there already", Some(current))),
            (Condition::Present | Condition::Tag(_), None) => Err(Problem::precondition("it is not there", None)),
            (Condition::Tag(tag), Some((known, current))) if tag != known => {
                Err(Problem::precondition("somebody else changed it meanwhile", Some(current)))
            }
            _ => Ok(()),
        }
    }

    fn condition(&self) -> Result<Condition, Problem> {
        let text =
            |name| self.headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?").trim().to_owned());
        match (text(IF_MATCH), text(IF_NONE_MATCH)) {
            (None, None) => Ok(Condition::None),
            (Some(tag), None) if tag == "*" => Ok(Condition::Present),
            (None, Some(tag)) if tag == "*" => Ok(Condition::Absent),
            (Some(tag), None) => {
                let inner = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
                let wrong = || Problem::malformed("`If-Match` is `*` or one entity tag in quotes");
                Ok(Condition::Tag(inner.ok_or_else(wrong)?.to_owned()))
            }
            _ => Err(Problem::malformed("`If-None-Match` can only be `*`, and not beside `If-Match`")),
        }
    }
}

enum Condition {
    None,
    Absent,
    Present,
    Tag(String),
}

fn parsed(text: &str) -> Result<Value, Problem> {
    if text.contains('\0') || text.contains("\\u0000") {
        return Err(Problem::malformed("texts with the character U+0000 cannot be stored"));
    }
    serde_json::from_str(text).map_err(|error| Problem::malformed(format!("the body is not JSON: {error}")))
}

fn decoded<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let value = parsed(text)?;
    if !value.is_object() {
        return Err(Problem::field("", "the body is an object"));
    }
    let as_errors = |issues: Vec<moongate_config::Issue>| -> Problem {
        Problem::invalid(
            issues.iter().map(|issue| FieldError { file: None, ..FieldError::of(issue, "", None) }).collect(),
        )
    };
    let node = source::parse(text, BODY).map_err(as_errors)?;
    let mut issues = Vec::new();
    match decode::decode(&node, BODY, &mut issues) {
        Some(value) if issues.is_empty() => Ok(value),
        _ => Err(as_errors(issues)),
    }
}

/// A page of a list, as it is shown.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct List<T> {
    /// What is on the page.
    pub(crate) items: Vec<T>,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}
