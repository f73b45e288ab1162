//! What templates change beside the body: `context.requestOverride` and `context.responseOverride`.

use http::StatusCode;
use indexmap::IndexMap;

/// Overrides written by templates (source: API Gateway, "Use a mapping template to override an API's request and response
/// parameters and status codes").
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// `requestOverride.header.NAME`.
    pub request_headers: IndexMap<Box<str>, Box<str>>,
    /// `requestOverride.querystring.NAME`.
    pub request_query: IndexMap<Box<str>, Box<str>>,
    /// `requestOverride.path.NAME`.
    pub request_path: IndexMap<Box<str>, Box<str>>,
    /// `responseOverride.header.NAME`.
    pub response_headers: IndexMap<Box<str>, Box<str>>,
    /// `responseOverride.status`; values outside 100..=599 are ignored.
    pub response_status: Option<StatusCode>,
}
