//! OpenAPI 3.0 and 3.1, and Swagger 2.0 as AWS exports it, to the native shape of an API.
//!
//! A transformation of trees: what comes out is the tree that a native file of the same API would have been read to, each
//! node carrying the span of what it came from, so that decoding and checks point into the user's own file. Everything the
//! import cannot carry over is reported; what would make an API more open than its document says is an error.
//!
//! Where things come from: `paths` goes over the operations and asks `security`, `request`, `models`, `integration` (with
//! `vtl` for templates) and `upstream` for the parts of a route; `settings` has what belongs to the whole API. `extensions`
//! lists the extensions, [`codes`] explains the problems; `cloudformation` comes before all of them.
//!
//! Sources: OpenAPI Specification 3.0.3 and 3.1.0; Swagger 2.0; "OpenAPI extensions for API Gateway". As in AWS imports with
//! `basepath=ignore`, base paths and the paths of servers do not become part of routes.

mod authorizer;
mod base_path;
mod cloudformation;
pub mod codes;
mod context;
pub mod export;
mod export_aws;
mod extensions;
pub mod import;
mod integration;
mod models;
mod names;
mod paths;
mod refs;
mod request;
mod responses;
mod security;
mod settings;
mod tree;
mod upstream;
mod vtl;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::ids::ApiId;
use crate::issue::{Issue, Span, quote};
use crate::source::{DEPTH_MAX, Node, Value, locate};

use self::context::{At, Import, Version};
use self::extensions::Bearer;
use self::models::Models;
use self::security::Security;
use self::tree::Map;

/// The id of an API whose title and file name have no letter in them.
const FALLBACK_ID: &str = "api";

/// Document extensions that are native values, with their native names.
const PASSED_THROUGH: [(&str, &str); 6] = [
    ("x-moongate-limits", "limits"),
    ("x-moongate-api-keys", "api_keys"),
    ("x-moongate-policies", "policies"),
    ("x-moongate-plugins", "plugins"),
    ("x-moongate-stages", "stages"),
    ("x-moongate-default-stage", "default_stage"),
];

/// Whether a document says that it is OpenAPI or Swagger.
pub fn is_openapi(document: &Node) -> bool {
    let entries = document.entries();
    entries.iter().any(|(key, _)| matches!(&*key.text, "openapi" | "swagger"))
}

/// The native tree of an OpenAPI document: a mapping as `ApiConfig` has it.
///
/// Problems go to `issues`; their pointers and spans are those of the document. `file` is the document's path, which names
/// the API where nothing else does. `None` when the document is no mapping, is nested deeper than
/// [`DEPTH_MAX`], or is in a version
/// that cannot be read.
pub fn to_native(document: &Node, file: &str, issues: &mut Vec<Issue>) -> Option<Node> {
    to_native_with(document, file, &Options::default(), issues)
}

/// What whoever imports a document decides.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What becomes of the base path.
    pub base_path: BasePath,
    /// Values of what CloudFormation functions name.
    pub parameters: BTreeMap<String, String>,
}

/// What becomes of a document's base path: `basePath`, or the path of the first server (source: API Gateway, "Set the OpenAPI
/// `basePath` property").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BasePath {
    /// Routes begin where the document's paths do.
    #[default]
    Ignore,
    /// It stands before the path of every route.
    Prepend,
    /// Its first segment is left to a domain's mapping, the rest stands before the path of every route.
    Split,
}

/// As [`to_native`], with options.
pub fn to_native_with(document: &Node, file: &str, options: &Options, issues: &mut Vec<Issue>) -> Option<Node> {
    let version = read_version(document, file, issues)?;
    let resolved = cloudformation::resolve(document, &options.parameters, file, issues);
    let document: &Node = &resolved;
    let mut import = Import::new(document, version, file, issues);
    import.prefix = base_path::prefix(&import, options.base_path);
    check_extensions(&mut import);
    let survey = paths::survey(&import);
    let protocol = tree::get(document, "x-moongate-protocol");
    import.is_aws = survey.is_aws;
    import.is_rest = match protocol.and_then(Node::as_str) {
        Some(protocol) => protocol == "rest",
        None => survey.is_rest || version == Version::Swagger2,
    };

    let mut models = Models::read(&mut import);
    let mut security = Security::read(&mut import);
    let routes = paths::routes(&mut import, &mut models, &mut security);
    settings::report_unsupported(&mut import);

    let mut map = Map::default();
    put_identity(&mut import, &mut map, file);
    let protocol_name = if import.is_rest { "rest" } else { "http" };
    let version_span = version_span(document);
    map.put("protocol", protocol.cloned().unwrap_or_else(|| Node::string(version_span, protocol_name)));
    let compat = tree::get(document, "x-moongate-compat").cloned();
    map.put_some("compat", compat.or_else(|| import.is_aws.then(|| Node::string(version_span, "aws"))));
    map.put_some("binary_media_types", settings::binary_media_types(&import));
    map.put_some("cors", settings::cors(&mut import));
    map.put_some("authorizers", security.finish(&mut import));
    let default_authorizer = tree::get(document, "x-moongate-authorizer");
    map.put_some("default_authorizer", default_authorizer.filter(|node| node.as_str() != Some("none")).cloned());
    map.put_some("models", models.finish(&mut import));
    map.put_some("request_validators", settings::request_validators(&mut import));
    map.put_some("gateway_responses", settings::gateway_responses(&mut import));
    for (extension, name) in PASSED_THROUGH {
        map.put_some(name, tree::get(document, extension).cloned());
    }
    map.put("routes", routes);
    if let Some(changes) = tree::get(document, "x-moongate-document") {
        map.change(changes.entries());
    }
    Some(tree::mapping(map, document.span))
}

/// The language of a document. `None`, and a reported problem, when it cannot be imported at all.
fn read_version(document: &Node, file: &str, issues: &mut Vec<Issue>) -> Option<Version> {
    let mut refuse = |code, pointer: &str, span, message: String| {
        issues.push(Issue::error(code, file, pointer, message).at(span));
        None
    };
    if !matches!(document.value, Value::Mapping(_)) {
        let message = format!("an OpenAPI document is a mapping, not {}", tree::kind(document));
        return refuse(codes::NOT_OPENAPI, "", document.span, message);
    }
    if !tree::is_within_depth(document, DEPTH_MAX) {
        let message = format!("the document is nested more than {DEPTH_MAX} deep");
        return refuse(codes::TOO_DEEP, "", locate::shown(document, None), message);
    }
    for (field, supported) in [("openapi", "3.0 and 3.1"), ("swagger", "2.0")] {
        let Some(node) = tree::get(document, field) else { continue };
        let text = tree::scalar_text(node).unwrap_or_default();
        let mut parts = text.split('.').map(|part| part.parse::<u32>().ok());
        return match (field, parts.next().flatten(), parts.next().flatten()) {
            ("openapi", Some(3), Some(0)) => Some(Version::OpenApi30),
            ("openapi", Some(3), Some(1)) => Some(Version::OpenApi31),
            ("openapi", Some(3), Some(minor)) => {
                let message = format!("OpenAPI 3.{minor} is read as 3.1");
                issues.push(Issue::warning(codes::VERSION_NEWER, file, "/openapi", message).at(node.span));
                Some(Version::OpenApi31)
            }
            ("swagger", Some(2), Some(0)) => Some(Version::Swagger2),
            _ => {
                let message = format!("{field} {} cannot be imported; supported are {supported}", quote(&text));
                refuse(codes::VERSION, &format!("/{field}"), locate::shown(node, None), message)
            }
        };
    }
    let message = "an OpenAPI document says `openapi: 3.1.0` or `swagger: \"2.0\"` at its top level";
    refuse(codes::NOT_OPENAPI, "", locate::shown(document, None), message.to_owned())
}

/// Where the language's version is written: what the import decides by itself points there.
fn version_span(document: &Node) -> Span {
    ["openapi", "swagger"]
        .into_iter()
        .find_map(|field| tree::get(document, field))
        .map_or(document.span, |node| node.span)
}

/// Reports misplaced and unknown extensions where no other part of the import looks at the keys.
fn check_extensions(import: &mut Import<'_>) {
    let root = import.root;
    for (key, _) in root.entries() {
        extensions::check(import, Bearer::Document, key, &At::ROOT);
    }
    for section in ["info", "components"] {
        let node = tree::get(root, section).map(Node::entries).unwrap_or_default();
        for (key, _) in node {
            extensions::check(import, Bearer::Other, key, &At::ROOT.key(section));
        }
    }
}

/// `api`, `name`, `description` and `version`.
fn put_identity(import: &mut Import<'_>, map: &mut Map, file: &str) {
    let info = tree::get(import.root, "info");
    let field = |name| info.and_then(|info| tree::get(info, name));
    let title = field("title");
    let api = tree::get(import.root, "x-moongate-api").cloned().unwrap_or_else(|| {
        let from_title = title.and_then(|title| Some((ApiId::from_title(title.as_str()?)?, title.span)));
        let stem = file.rsplit('/').next().unwrap_or_default().split('.').next().unwrap_or_default();
        match from_title {
            Some((id, span)) => Node::string(span, id.as_str()),
            None => {
                let id = ApiId::from_title(stem);
                Node::string(version_span(import.root), id.as_ref().map_or(FALLBACK_ID, ApiId::as_str))
            }
        }
    });
    map.put("api", api);
    map.put_some("name", title.map(as_text));
    map.put_some("description", field("description").map(as_text));
    map.put_some("version", field("version").map(as_text));
}

/// A scalar as a text: YAML reads `version: 1.0` as a number.
fn as_text(node: &Node) -> Node {
    match (&node.value, tree::scalar_text(node)) {
        (Value::String(_), _) | (_, None) => node.clone(),
        (_, Some(text)) => Node::string(node.span, text),
    }
}
