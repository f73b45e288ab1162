//! What answers a route, ready to call.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use moongate_config::integration::{ContentHandling, PassthroughBehavior, PayloadFormat};
use moongate_function::local::Functions;
use moongate_lua::ScriptId;

use crate::plan::call::CallPlan;
use crate::plan::mapping::{Mapping, TemplateSet};
use crate::plan::response::Responses;

/// What answers a route.
#[derive(Debug)]
pub enum IntegrationPlan {
    /// An HTTP upstream; messages pass as they are, apart from mapped parameters.
    HttpProxy(HttpPlan),
    /// An HTTP upstream; messages are mapped.
    Http(HttpPlan),
    /// No upstream.
    Mock(MockPlan),
    /// A function.
    Function(FunctionPlan),
    /// The declared integration cannot answer in this build or configuration: requests get 500.
    Unavailable {
        /// Why, for the log.
        reason: Box<str>,
        /// What it names, stage variables filled in, for the trace.
        uri: Option<Box<str>>,
    },
}

/// An HTTP upstream and how requests and responses are mapped for it.
#[derive(Debug)]
pub struct HttpPlan {
    /// Whom to ask, and how.
    pub call: Box<CallPlan>,
    /// The path and query to ask for.
    pub uri: UriPlan,
    /// The method to ask with; `None` is the client's.
    pub method: Option<Method>,
    /// Parameters to set.
    pub parameters: Box<[Mapping]>,
    /// A header field that AWS refuses to have mapped: under its habits every request gets 500.
    pub refused_field: Option<Box<str>>,
    /// What builds the body.
    pub templates: TemplateSet,
    /// What happens to a body without a template.
    pub passthrough: PassthroughBehavior,
    /// How the request's body is converted.
    pub content: Option<ContentHandling>,
    /// How answers are mapped. Empty for `HttpProxy`.
    pub responses: Responses,
    /// Changes to answers that pass, by status.
    pub changes: Changes,
    /// Longest wait for the answer's head, over all attempts.
    pub timeout: Duration,
}

/// Changes to answers that pass, each status with its own.
pub type Changes = Box<[(u16, Box<[Mapping]>)]>;

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

/// A function and how it is spoken to.
#[derive(Debug)]
pub struct FunctionPlan {
    /// What runs it.
    pub runner: FunctionRunner,
    /// A header field that AWS refuses to have mapped, or another reason for which it answers 500.
    pub refused: Option<Box<str>>,
    /// What it is given and what its result means.
    pub form: FunctionForm,
}

/// What runs a function.
#[derive(Debug)]
pub enum FunctionRunner {
    /// A script, in the gateway.
    Script(ScriptId),
    /// A process of this machine.
    Process(ProcessPlan),
}

/// A function that runs as a process.
#[derive(Debug)]
pub struct ProcessPlan {
    /// The functions of this machine.
    pub functions: Functions,
    /// Its name among them.
    pub name: Arc<str>,
    /// Longest wait for its result; the function's own timeout is another.
    pub timeout: Duration,
}

/// What a function is given and what its result means.
#[derive(Debug)]
pub enum FunctionForm {
    /// The request as an event of this format; the result describes the answer.
    Proxy(PayloadFormat),
    /// What the request's template made; the result is a body to map, and an error it raises selects the mapping by its text.
    Mapped {
        /// What builds the event.
        templates: TemplateSet,
        /// What happens to a body without a template.
        passthrough: PassthroughBehavior,
        /// How the request's body is converted.
        content: Option<ContentHandling>,
        /// How results are mapped.
        responses: Responses,
    },
}

impl HttpPlan {
    /// The changes to an answer of a status.
    pub fn changes_for(&self, status: u16) -> &[Mapping] {
        self.changes.iter().find(|(known, _)| *known == status).map_or(&[], |(_, changes)| &**changes)
    }
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
