//! Parameters and bodies of an operation: what its request validator checks.

use indexmap::IndexMap;

use crate::issue::Span;
use crate::source::{Node, Value};

use super::codes;
use super::context::{At, Import, Version};
use super::models::Models;
use super::tree::{self, Map};

/// What an operation says of its requests.
pub(super) struct Request<'a> {
    /// Native `request_parameters` and where each is declared.
    parameters: IndexMap<String, (Span, bool)>,
    /// Schemas of bodies by media type, with where the type is written.
    bodies: IndexMap<&'a str, (Span, &'a Node)>,
}

impl<'a> Request<'a> {
    /// Reads a path's and an operation's parameters and the operation's body. The operation's parameters replace the
    /// path's of the same place and name.
    pub(super) fn read(
        import: &mut Import<'a>,
        item: &'a Node,
        operation: &'a Node,
        at: &At<'_>,
        item_at: &At<'_>,
    ) -> Self {
        let mut request = Self { parameters: IndexMap::new(), bodies: IndexMap::new() };
        for (node, at) in [(item, item_at), (operation, at)] {
            if let Some(parameters) = tree::get(node, "parameters") {
                request.read_parameters(import, parameters, operation, &at.key("parameters"));
            }
        }
        if let Some(body) = tree::get(operation, "requestBody").filter(|_| import.version != Version::Swagger2) {
            request.read_body(import, body, &at.key("requestBody"));
        }
        request
    }

    /// Native `request_parameters`.
    pub(super) fn parameters(&self, span: Span) -> Option<Node> {
        let mut map = Map::default();
        for (name, &(span, is_required)) in &self.parameters {
            map.put(name, tree::flag(span, is_required));
        }
        map.into_some(span)
    }

    /// Native `request_models`; schemas written in place become models named after the operation.
    pub(super) fn models(
        &self,
        import: &mut Import<'a>,
        models: &mut Models<'a>,
        operation: &str,
        span: Span,
        at: &At<'_>,
    ) -> Option<Node> {
        let mut map = Map::default();
        for (media_type, &(type_span, schema)) in &self.bodies {
            if let Some(name) = models.of_body(import, schema, operation, at) {
                map.put_at(type_span, media_type, Node::string(schema.span, name));
            }
        }
        map.into_some(span)
    }

    fn read_parameters(&mut self, import: &mut Import<'a>, parameters: &'a Node, operation: &'a Node, at: &At<'_>) {
        for (i, parameter) in import.sequence(parameters, at).unwrap_or_default().iter().enumerate() {
            let at = at.index(i);
            let Some(parameter) = import.follow(parameter, &at) else { continue };
            if import.mapping(parameter, &at).is_none() {
                continue;
            }
            let place = tree::get(parameter, "in").and_then(Node::as_str);
            let place = match place {
                Some("path") => "path",
                Some("query") => "querystring",
                Some("header") => "header",
                // AWS has no cookie and form parameters; `querystring` is OpenAPI 3.2's whole query.
                Some("cookie" | "formData" | "querystring") => continue,
                Some("body") => {
                    self.read_swagger_body(import, parameter, operation);
                    continue;
                }
                _ => {
                    let message = "a parameter needs `in`: `path`, `query`, `header` or `cookie`";
                    import.push(import.error(codes::SHAPE, &at.key("in"), parameter.span, message));
                    continue;
                }
            };
            let Some(name) = tree::get(parameter, "name") else {
                import.push(import.error(codes::SHAPE, &at, parameter.span, "a parameter needs a `name`"));
                continue;
            };
            let Some(text) = import.text(name, &at.key("name")) else { continue };
            let is_required = place == "path" || tree::get(parameter, "required").and_then(Node::as_bool) == Some(true);
            self.parameters.insert(format!("method.request.{place}.{text}"), (name.span, is_required));
        }
    }

    fn read_body(&mut self, import: &mut Import<'a>, body: &'a Node, at: &At<'_>) {
        let Some(body) = import.follow(body, at) else { return };
        if import.mapping(body, at).is_none() {
            return;
        }
        let Some(content) = tree::get(body, "content") else { return };
        for (key, media) in import.mapping(content, &at.key("content")).unwrap_or_default() {
            if let Some(schema) = tree::get(media, "schema").filter(|_| is_json(&key.text)) {
                self.bodies.insert(&key.text, (key.span, schema));
            }
        }
    }

    fn read_swagger_body(&mut self, import: &Import<'a>, parameter: &'a Node, operation: &'a Node) {
        let Some(schema) = tree::get(parameter, "schema") else { return };
        let consumes = [operation, import.root].into_iter().find_map(|node| tree::get(node, "consumes"));
        match consumes.map(Node::items) {
            Some(types) => self.bodies.extend(types.iter().filter_map(|media_type| match &media_type.value {
                Value::String(text) if is_json(text) => Some((&**text, (media_type.span, schema))),
                _ => None,
            })),
            None => {
                self.bodies.insert("application/json", (schema.span, schema));
            }
        }
    }
}

/// Whether bodies of a media type are JSON, which is all that a JSON Schema can judge: a form or an XML body would never match.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some((_, subtype)) = essence.split_once('/') else {
        return essence == "$default";
    };
    subtype == "json" || subtype.ends_with("+json") || subtype.starts_with("x-amz-json-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_media_types_are_known() {
        for json in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/hal+json",
            "application/x-amz-json-1.1",
        ] {
            assert!(is_json(json), "{json}");
        }
        for other in ["application/xml", "multipart/form-data", "*/*", "json", ""] {
            assert!(!is_json(other), "{other}");
        }
    }
}
