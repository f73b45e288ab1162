//! What answers a route, ready to call.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use moongate_config::integration::PassthroughBehavior;
use moongate_lua::ScriptId;

use crate::plan::mapping::{Mapping, TemplateSet};
use crate::plan::response::Responses;
use crate::upstream::Upstream;

/// What answers a route.
#[derive(Debug)]
pub enum IntegrationPlan {
    /// An HTTP upstream; messages pass as they are, apart from mapped parameters.
    HttpProxy(HttpPlan),
    /// An HTTP upstream; messages are mapped.
    Http(HttpPlan),
    /// No upstream.
    Mock(MockPlan),
    /// A Lua function.
    Lua(ScriptId),
    /// The declared integration cannot answer in this build or configuration: requests get 500.
    Unavailable(Box<str>),
}

/// An HTTP upstream and how requests and responses are mapped for it.
#[derive(Debug)]
pub struct HttpPlan {
    /// Whom to connect to.
    pub upstream: Arc<Upstream>,
    /// The path and query to ask for.
    pub uri: UriPlan,
    /// The method to ask with; `None` is the client's.
    pub method: Option<Method>,
    /// Parameters to set.
    pub parameters: Box<[Mapping]>,
    /// What builds the body.
    pub templates: TemplateSet,
    /// What happens to a body without a template.
    pub passthrough: PassthroughBehavior,
    /// How answers are mapped. Empty for `HttpProxy`.
    pub responses: Responses,
    /// Longest wait for the answer's head, over all attempts.
    pub timeout: Duration,
}

/// A mock: the request template chooses the status, the response template the body.
#[derive(Debug)]
pub struct MockPlan {
    /// Renders `{"statusCode": 200}`.
    pub templates: TemplateSet,
    /// What happens when no template matches.
    pub passthrough: PassthroughBehavior,
    /// How the status becomes an answer.
    pub responses: Responses,
}

/// The path and query that an upstream is asked for.
#[derive(Debug)]
pub enum UriPlan {
    /// This path, then the route's path and the client's query.
    Append(Box<str>),
    /// This text with its holes filled; the query is added to.
    Template(Box<[UriPart]>),
}

/// A piece of a URI.
#[derive(Debug)]
pub enum UriPart {
    /// Text.
    Text(Box<str>),
    /// `{name}`: a mapped path parameter; stays as it is written when nothing is mapped to it.
    Parameter(Box<str>),
}
