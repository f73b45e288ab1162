//! Parameter mappings and templates, parsed.
//!
//! Source of the expressions: API Gateway, "Parameter mapping reference" (REST) and "Authorizer identity sources" (HTTP APIs).

use bytes::Bytes;
use http::HeaderName;
use moongate_lua::ScriptId;

/// One change to a request for an integration, or to its answer.
#[derive(Debug)]
pub struct Mapping {
    /// What is done to it.
    pub action: Action,
    /// What is set.
    pub place: Place,
    /// Its name, as declared; empty where the place has none.
    pub name: Box<str>,
    /// The name as a header field's, for [`Place::Header`]; `None` where it cannot be one.
    pub field: Option<HeaderName>,
    /// Where the value comes from; nothing is set when that is absent.
    pub source: ValueSource,
}

/// What a mapping does (source: API Gateway, "Transform API requests and responses for HTTP APIs"; REST APIs only set).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Adds a value beside those that are there.
    Append,
    /// Replaces what is there.
    Overwrite,
    /// Removes what is there.
    Remove,
}

/// Where a parameter goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A hole in the URI.
    Path,
    /// The route's part of the path as a whole.
    WholePath,
    /// The query.
    Query,
    /// A header field.
    Header,
    /// The answer's status.
    Status,
}

/// Where a mapped value comes from.
#[derive(Debug, PartialEq)]
pub enum ValueSource {
    /// A path parameter of the method request, percent-encoded as it came.
    Path(Box<str>),
    /// The route's part of the path.
    WholePath,
    /// The last value of a query parameter, decoded.
    Query(Box<str>),
    /// All values of a query parameter.
    QueryAll(Box<str>),
    /// The last value of a header.
    Header(Box<str>),
    /// All values of a header, joined with commas.
    HeaderAll(Box<str>),
    /// A header of the integration response.
    ResponseHeader(Box<str>),
    /// All values of a header of the integration response, joined with commas.
    ResponseHeaderAll(Box<str>),
    /// The message's body, or what a JSON path finds in it (`$` is all of it).
    Body(Box<str>),
    /// `$context`.
    Context(Box<str>),
    /// A fixed text, or a stage variable, known when the stage was compiled.
    Text(Box<str>),
    /// Several, one behind the other; those without a value are left out.
    Joined(Box<[ValueSource]>),
}

impl ValueSource {
    /// Whether it needs the message's body in memory.
    pub fn reads_body(&self) -> bool {
        match self {
            Self::Body(_) => true,
            Self::Joined(parts) => parts.iter().any(Self::reads_body),
            _ => false,
        }
    }
}

/// Templates by content type.
#[derive(Debug, Default)]
pub struct TemplateSet {
    /// Media type (lower case, without parameters) to template, in the order declared.
    pub by_type: Box<[(Box<str>, TemplatePlan)]>,
    /// The template for any other type (`$default`).
    pub default: Option<TemplatePlan>,
}

/// What makes a body.
#[derive(Debug)]
pub enum TemplatePlan {
    /// Always the same.
    Text(Bytes),
    /// A Lua script.
    Script(ScriptId),
}

impl TemplateSet {
    /// The template for a media type (lower case, without parameters).
    pub fn find(&self, media_type: &str) -> Option<&TemplatePlan> {
        self.by_type.iter().find(|(known, _)| **known == *media_type).map(|(_, plan)| plan).or(self.default.as_ref())
    }

    /// Whether a script is among them.
    pub fn has_script(&self) -> bool {
        let plans = self.by_type.iter().map(|(_, plan)| plan).chain(&self.default);
        plans.into_iter().any(|plan| matches!(plan, TemplatePlan::Script(_)))
    }

    /// Whether there are none at all.
    pub fn is_empty(&self) -> bool {
        self.by_type.is_empty() && self.default.is_none()
    }
}

/// Media types whose bodies are bytes, not text.
#[derive(Debug, Default)]
pub struct BinaryTypes(Box<[Box<str>]>);

impl BinaryTypes {
    /// The declared types: `image/png`, `image/*`, `*/*`, in any case.
    pub fn new(declared: &[String]) -> Self {
        Self(declared.iter().map(|name| name.trim().to_ascii_lowercase().into()).collect())
    }

    /// Whether bodies of a media type (lower case, without parameters) are bytes.
    pub fn contain(&self, media_type: &str) -> bool {
        let is_one = |known: &str| match known.strip_suffix("/*") {
            Some("*") => true,
            Some(family) => media_type.split_once('/').is_some_and(|(given, _)| given == family),
            None => known == media_type,
        };
        self.0.iter().any(|known| is_one(known))
    }
}
