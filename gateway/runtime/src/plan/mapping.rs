//! Parameter mappings and templates, parsed.
//!
//! Source of the expressions: API Gateway, "Parameter mapping reference" (REST) and "Authorizer identity sources" (HTTP APIs).

use bytes::Bytes;
use moongate_lua::ScriptId;

/// One parameter to set on an integration request.
#[derive(Debug)]
pub struct Mapping {
    /// What is set.
    pub place: Place,
    /// Its name, as declared.
    pub name: Box<str>,
    /// Where the value comes from; nothing is set when that is absent.
    pub source: ValueSource,
}

/// Where a parameter goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A hole in the URI.
    Path,
    /// The query.
    Query,
    /// A header field.
    Header,
}

/// Where a mapped value comes from.
#[derive(Debug, PartialEq)]
pub enum ValueSource {
    /// A path parameter of the method request, percent-encoded as it came.
    Path(Box<str>),
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
    /// A stage variable, known when the stage was compiled.
    Text(Box<str>),
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

    /// Whether there are none at all.
    pub fn is_empty(&self) -> bool {
        self.by_type.is_empty() && self.default.is_none()
    }
}
