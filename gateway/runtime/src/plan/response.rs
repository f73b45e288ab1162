//! How answers become the client's: integration responses, and the gateway's own.

use std::collections::HashMap;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use moongate_config::integration::ContentHandling;
use moongate_exchange::Kind;
use regex::Regex;

use crate::plan::mapping::{TemplateSet, ValueSource};

/// Integration responses in declared order, and the default.
#[derive(Debug, Default)]
pub struct Responses {
    /// Those with a pattern: the first whose pattern matches is used.
    pub by_pattern: Box<[(Regex, ResponsePlan)]>,
    /// The one without.
    pub default: Option<ResponsePlan>,
    /// Whether bodies are converted even where no mapping asks for it: under AWS's habits, what is not of a binary media type is
    /// text.
    pub converts_bodies: bool,
}

/// How one class of answers is mapped.
#[derive(Debug)]
pub struct ResponsePlan {
    /// The status the client sees.
    pub status: StatusCode,
    /// Header fields to set.
    pub headers: Box<[(HeaderName, ValueSource)]>,
    /// What builds the body.
    pub templates: TemplateSet,
    /// How the body is converted.
    pub content: Option<ContentHandling>,
}

impl Responses {
    /// The mapping for an integration's status (or a function's error message).
    pub fn select(&self, outcome: &str) -> Option<&ResponsePlan> {
        self.by_pattern
            .iter()
            .find(|(pattern, _)| pattern.is_match(outcome))
            .map(|(_, plan)| plan)
            .or(self.default.as_ref())
    }

    /// Whether any mapping needs the integration's body in memory.
    pub fn reads_body(&self) -> bool {
        let reads = |plan: &ResponsePlan| {
            !plan.templates.is_empty()
                || plan.content.is_some()
                || plan.headers.iter().any(|(_, source)| source.reads_body())
        };
        self.converts_bodies
            || self.by_pattern.iter().any(|(_, plan)| reads(plan))
            || self.default.as_ref().is_some_and(reads)
    }
}

/// The gateway's own answers of an API, where they are changed.
#[derive(Debug, Default)]
pub struct GatewayResponses {
    /// By kind.
    pub by_kind: HashMap<Kind, GatewayResponsePlan>,
    /// For 4xx kinds without one of their own.
    pub default_4xx: Option<GatewayResponsePlan>,
    /// For 5xx kinds without one of their own.
    pub default_5xx: Option<GatewayResponsePlan>,
}

/// A changed gateway response.
#[derive(Debug)]
pub struct GatewayResponsePlan {
    /// The status, where it is changed.
    pub status: Option<StatusCode>,
    /// Header fields to set.
    pub headers: Box<[(HeaderName, ValueSource)]>,
    /// Bodies by media type.
    pub templates: Box<[(HeaderValue, Box<[TextPart]>)]>,
}

/// A piece of a gateway response's body.
#[derive(Debug, PartialEq)]
pub enum TextPart {
    /// Text.
    Text(Bytes),
    /// `$context.NAME`.
    Context(Box<str>),
    /// `$method.request.{path|querystring|header}.NAME`.
    Request(ValueSource),
}

impl GatewayResponses {
    /// What is changed about a kind whose own status is `status`.
    pub fn find(&self, kind: Kind, status: StatusCode) -> Option<&GatewayResponsePlan> {
        self.by_kind.get(&kind).or(if status.is_server_error() {
            self.default_5xx.as_ref()
        } else {
            self.default_4xx.as_ref()
        })
    }
}
