//! Responses of an operation: what its answers look like.

use crate::source::{Node, Value};

use super::context::{At, Import, Version};
use super::models::Models;
use super::tree::{self, Map};

/// The native `method_responses`: statuses, header fields, and models where a schema refers to one. Ranges (`4XX`) and `default` have
/// no place in AWS's model and are left out, without a word: they describe and decide nothing.
pub(super) fn method_responses<'a>(
    import: &mut Import<'a>,
    models: &mut Models<'a>,
    operation: &'a Node,
    at: &At<'_>,
) -> Option<Node> {
    let responses = tree::get(operation, "responses")?;
    let at = at.key("responses");
    let mut map = Map::default();
    for (key, response) in responses.entries() {
        if key.text.len() != 3 || !key.text.bytes().all(|digit| digit.is_ascii_digit()) {
            continue;
        }
        let Some(response) = import.peek(response) else { continue };
        let at = at.key(&key.text);
        let mut declared = Map::default();
        let description =
            tree::get(response, "description").filter(|node| node.as_str().is_some_and(|text| !text.is_empty()));
        declared.put_some("description", description.cloned());
        declared.put_some("response_parameters", headers(response));
        declared.put_some("response_models", contents(import, models, operation, response, &at));
        map.push((key.clone(), tree::mapping(declared, response.span)));
    }
    map.into_some(responses.span)
}

fn headers(response: &Node) -> Option<Node> {
    let headers = tree::get(response, "headers")?;
    let mut map = Map::default();
    for (key, header) in headers.entries() {
        let is_required = tree::get(header, "required").and_then(Node::as_bool) == Some(true);
        map.put_at(key.span, &format!("method.response.header.{}", key.text), tree::flag(key.span, is_required));
    }
    map.into_some(headers.span)
}

/// Models by media type. Schemas that are written in place are no models.
fn contents<'a>(
    import: &mut Import<'a>,
    models: &mut Models<'a>,
    operation: &'a Node,
    response: &'a Node,
    at: &At<'_>,
) -> Option<Node> {
    let mut map = Map::default();
    if import.version == Version::Swagger2 {
        let schema = tree::get(response, "schema").filter(|schema| is_reference(schema))?;
        let name = models.of_body(import, schema, "", at)?;
        let produces = [operation, import.root].into_iter().find_map(|node| tree::get(node, "produces"));
        let types: Vec<&str> = produces.map(Node::items).unwrap_or_default().iter().filter_map(Node::as_str).collect();
        for media_type in if types.is_empty() { vec!["application/json"] } else { types } {
            map.put(media_type, Node::string(schema.span, name.as_str()));
        }
        return map.into_some(schema.span);
    }
    let content = tree::get(response, "content")?;
    for (key, media) in content.entries() {
        let Some(schema) = tree::get(media, "schema").filter(|schema| is_reference(schema)) else { continue };
        if let Some(name) = models.of_body(import, schema, "", at) {
            map.put_at(key.span, &key.text, Node::string(schema.span, name));
        }
    }
    map.into_some(content.span)
}

fn is_reference(schema: &Node) -> bool {
    matches!(&schema.value, Value::Mapping(_)) && tree::get(schema, "$ref").is_some()
}
