//! What a case expected beside what came.

use std::collections::BTreeMap;

use moongate_exchange::{Body, Caller, Headers, Request, RequestId, Response};
use serde_json::Value;

use crate::spec::case::{ExpectedCaller, ExpectedField, ExpectedRequest, ExpectedResponse};

/// What stands for the request's id in an expected text.
const REQUEST_ID: &str = "{request_id}";

/// Longest text shown of a body or a value, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// Collects differences.
pub(super) struct Comparison {
    /// What `{request_id}` stands for.
    id: RequestId,
    differences: Vec<String>,
}

impl Comparison {
    /// Compares who was found to call.
    pub(super) fn caller(&mut self, want: &ExpectedCaller, got: Option<&Caller>) {
        let principal = got.and_then(|caller| caller.principal.as_deref());
        if want.principal.is_some() && want.principal.as_deref() != principal {
            self.note(format!(
                "caller: expected {:?}, got {principal:?}",
                want.principal.as_deref().unwrap_or_default()
            ));
        }
        for (name, value) in &want.context {
            let found = got.and_then(|caller| caller.context.get(name.as_str())).map(ToString::to_string);
            let wanted = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if found.as_deref() != Some(&wanted) {
                self.note(format!("caller's `{name}`: expected {wanted:?}, got {found:?}"));
            }
        }
    }

    /// Compares what was asked of services.
    pub(super) fn calls(&mut self, want: &[String], got: &[String]) {
        if want != got {
            self.note(format!("calls: expected {want:?}, got {got:?}"));
        }
    }

    pub(super) fn new(id: RequestId) -> Self {
        Self { id, differences: Vec::new() }
    }

    /// Everything that differed, one line each.
    pub(super) fn finish(self) -> Vec<String> {
        self.differences
    }

    /// Notes a difference.
    pub(super) fn note(&mut self, difference: impl Into<String>) {
        self.differences.push(difference.into());
    }

    pub(super) fn request(&mut self, want: &ExpectedRequest, got: &Request) {
        if let Some(method) = &want.method {
            self.text("request method", method, got.method.as_str());
        }
        if let Some(path) = &want.path {
            self.text("request path", path, got.target.as_str());
        }
        self.headers("request", &want.headers, &got.headers);
        self.body("request", want.body.as_ref(), &got.body);
    }

    pub(super) fn response(&mut self, want: &ExpectedResponse, got: &Response, is_exit: bool) {
        if let Some(status) = want.status
            && status != got.status.as_u16()
        {
            self.note(format!("response status: expected {status}, got {}", got.status.as_u16()));
        }
        self.headers("response", &want.headers, &got.headers);
        self.body("response", want.body.as_ref(), &got.body);
        match (want.exit, is_exit) {
            (Some(true), false) => self.note("expected the plugin to answer by itself, but the upstream was asked"),
            (Some(false), true) => self.note("expected the upstream to be asked, but the plugin answered by itself"),
            _ => {}
        }
    }

    /// Whether lines hold the expected texts, in their order.
    pub(super) fn log(&mut self, want: &[String], got: &[String]) {
        let mut rest = got.iter();
        for text in want {
            let text = self.resolved(text);
            if !rest.any(|line| line.contains(&text)) {
                self.note(format!("log: expected a line with {}, got {}", quoted(&text), listed(got)));
                return;
            }
        }
    }

    fn headers(&mut self, message: &str, want: &BTreeMap<String, ExpectedField>, got: &Headers) {
        for (name, want) in want {
            let values: Vec<String> = match name.parse::<http::HeaderName>() {
                Ok(name) => got
                    .get_all(name)
                    .iter()
                    .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                    .collect(),
                Err(_) => {
                    self.note(format!("the expected {message} header `{name}` is not a header name"));
                    continue;
                }
            };
            let place = format!("{message} header `{name}`");
            match want {
                ExpectedField::Is(true) if values.is_empty() => {
                    self.note(format!("{place}: expected any value, got none"));
                }
                ExpectedField::Is(false) if !values.is_empty() => {
                    self.note(format!("{place}: expected none, got {}", listed(&values)));
                }
                ExpectedField::Is(_) => {}
                ExpectedField::One(value) => self.values(&place, std::slice::from_ref(value), &values),
                ExpectedField::Several(wanted) => self.values(&place, wanted, &values),
            }
        }
    }

    fn values(&mut self, place: &str, want: &[String], got: &[String]) {
        let want: Vec<String> = want.iter().map(|value| self.resolved(value)).collect();
        if want != got {
            let got = if got.is_empty() { "none".to_owned() } else { listed(got) };
            self.note(format!("{place}: expected {}, got {got}", listed(&want)));
        }
    }

    fn body(&mut self, message: &str, want: Option<&Value>, got: &Body) {
        let got = match (want, got) {
            (None, _) => return,
            (Some(_), Body::Empty | Body::Duplex(_)) => &[][..],
            (Some(_), Body::Full(bytes)) => bytes,
            (Some(_), Body::Stream(_)) => {
                return self.note(format!("{message} body: it is a stream, which specs cannot compare"));
            }
        };
        let text = String::from_utf8_lossy(got);
        match want {
            Some(Value::String(want)) => self.text(&format!("{message} body"), want, &text),
            Some(want) if serde_json::from_slice::<Value>(got).ok().as_ref() != Some(want) => {
                self.note(format!(
                    "{message} body: expected the JSON {}, got {}",
                    clipped(&want.to_string()),
                    quoted(&text)
                ));
            }
            _ => {}
        }
    }

    fn text(&mut self, place: &str, want: &str, got: &str) {
        let want = self.resolved(want);
        if want != got {
            self.note(format!("{place}: expected {}, got {}", quoted(&want), quoted(got)));
        }
    }

    fn resolved(&self, text: &str) -> String {
        text.replace(REQUEST_ID, self.id.as_str())
    }
}

fn listed(texts: &[String]) -> String {
    texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ")
}

fn quoted(text: &str) -> String {
    format!("{:?}", clipped(text))
}

fn clipped(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}...", &text[..at]),
    }
}
