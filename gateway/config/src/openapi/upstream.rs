//! Where an operation without an integration goes: the first of its `servers`.

use crate::issue::quote;
use crate::source::{Key, Node};

use super::codes;
use super::context::{At, Import, Version};
use super::tree;

/// Longest URL, in bytes. It is repeated on every route.
const URL_BYTES_MAX: usize = 2_048;

/// The URL that `servers` (OpenAPI 3, of the operation, its path or the document) or `host` (Swagger 2.0) name, without the
/// route's own path, which the gateway appends. `Err` says why there is none.
pub(super) fn from_servers<'a>(import: &Import<'a>, item: &'a Node, operation: &'a Node) -> Result<Node, String> {
    let (node, url) = match import.version {
        Version::Swagger2 => swagger_host(import.root)?,
        Version::OpenApi30 | Version::OpenApi31 => {
            let servers = [operation, item, import.root]
                .into_iter()
                .filter_map(|node| tree::get(node, "servers"))
                .find_map(|servers| servers.items().first())
                .ok_or("the document names no server")?;
            let url = tree::get(servers, "url").ok_or("the first server has no `url`")?;
            (url, fill_variables(url.as_str().ok_or("the first server's `url` is no text")?, servers)?)
        }
    };
    if url.len() > URL_BYTES_MAX {
        return Err(format!("the first server's URL is longer than {URL_BYTES_MAX} bytes"));
    }
    let after_scheme = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match after_scheme {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['?', '#', '{', '}', ' ']) => {
            let url = url.trim_end_matches('/');
            // What stands before every route is appended with it.
            Ok(Node::string(node.span, url.strip_suffix(&import.prefix).unwrap_or(url)))
        }
        _ => Err(format!("the first server, {}, is not an absolute http or https URL", quote(&url))),
    }
}

/// Reports operations without an integration: each of a few, the first of many, since many have one cause.
pub(super) struct Missing<'a> {
    operations: Vec<(String, &'a Key, String)>,
    count: usize,
}

impl<'a> Missing<'a> {
    const SHOWN_MAX: usize = 5;

    pub(super) fn new() -> Self {
        Self { operations: Vec::new(), count: 0 }
    }

    /// Notes a route, by its method's key, and why the servers did not help.
    pub(super) fn note(&mut self, route: String, key: &'a Key, why: String) {
        self.count += 1;
        if self.operations.len() < Self::SHOWN_MAX {
            self.operations.push((route, key, why));
        }
    }

    /// Reports what was noted.
    pub(super) fn report(self, import: &mut Import<'a>) {
        let shown = if self.count > Self::SHOWN_MAX { 1 } else { self.count };
        for (route, key, why) in self.operations.into_iter().take(shown) {
            let others = self.count - shown;
            let message = match others {
                0 => format!("route {} has no integration", quote(&route)),
                _ => format!("route {} and {others} others have no integration", quote(&route)),
            };
            let help = format!(
                "{why}; set `x-moongate-upstream: https://...` on the operation, its path or the document's top level, \
                 or `x-moongate-integration`"
            );
            import.push(import.error(codes::NO_INTEGRATION, &At::ROOT.key("paths"), key.span, message).help(help));
        }
    }
}

/// Replaces `{name}` by the variable's default (OpenAPI 3.0 section 4.7.6).
pub(super) fn fill_variables(url: &str, server: &Node) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = url;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or("the first server's URL has a `{` without a `}`")?;
        let default = tree::get(server, "variables")
            .and_then(|variables| tree::get(variables, name))
            .and_then(|variable| tree::get(variable, "default"))
            .and_then(tree::scalar_text)
            .ok_or_else(|| format!("the first server's variable {} has no default", quote(name)))?;
        filled.push_str(before);
        filled.push_str(&default);
        rest = after;
        if filled.len() > URL_BYTES_MAX {
            break;
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Swagger 2.0's `schemes`, `host` and `basePath`; https when it is among several schemes.
fn swagger_host(root: &Node) -> Result<(&Node, String), String> {
    let host = tree::get(root, "host").ok_or("the document names no `host`")?;
    let name = host.as_str().ok_or("the document's `host` is no text")?;
    let schemes: Vec<&str> =
        tree::get(root, "schemes").map(Node::items).unwrap_or_default().iter().filter_map(Node::as_str).collect();
    let scheme = if schemes.is_empty() || schemes.contains(&"https") { "https" } else { schemes[0] };
    let base_path = tree::get(root, "basePath").and_then(Node::as_str).unwrap_or_default();
    Ok((host, format!("{scheme}://{name}{base_path}")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::node;
    use super::*;

    fn upstream(document: &Value) -> Result<String, String> {
        let document = node(document);
        let version = if tree::get(&document, "swagger").is_some() { Version::Swagger2 } else { Version::OpenApi30 };
        let empty = node(&json!({}));
        let mut issues = Vec::new();
        let import = Import::new(&document, version, "api.yaml", &mut issues);
        from_servers(&import, &empty, &empty).map(|node| node.as_str().expect("a text").to_owned())
    }

    #[test]
    fn the_first_server_is_the_upstream() {
        let cases = [
            (json!({"servers": [{"url": "https://a.example/v2/"}, {"url": "http://b"}]}), "https://a.example/v2"),
            (
                json!({"servers": [{"url": "http://{env}.example:{port}{base}",
                    "variables": {"env": {"default": "eu"}, "port": {"default": 8080}, "base": {"default": "/v1"}}}]}),
                "http://eu.example:8080/v1",
            ),
            (json!({"swagger": "2.0", "host": "h:8080", "basePath": "/v2", "schemes": ["http"]}), "http://h:8080/v2"),
            (json!({"swagger": "2.0", "host": "h", "schemes": ["http", "https"]}), "https://h"),
        ];
        for (document, want) in cases {
            assert_eq!(upstream(&document).as_deref(), Ok(want), "{document}");
        }
    }

    #[test]
    fn servers_that_lead_nowhere_say_why() {
        let cases = [
            (json!({}), "names no server"),
            (json!({"servers": []}), "names no server"),
            (json!({"servers": [{}]}), "no `url`"),
            (json!({"servers": [{"url": "/v1"}]}), "not an absolute"),
            (json!({"servers": [{"url": "ftp://a"}]}), "not an absolute"),
            (json!({"servers": [{"url": "https:///v1"}]}), "not an absolute"),
            (json!({"servers": [{"url": "https://a/?q=1"}]}), "not an absolute"),
            (json!({"servers": [{"url": "https://{host}"}]}), "`host` has no default"),
            (json!({"servers": [{"url": "https://{host"}]}), "without a `}`"),
            (json!({"servers": [{"url": format!("https://{}", "a".repeat(3000))}]}), "longer than"),
            (json!({"swagger": "2.0", "basePath": "/v2"}), "names no `host`"),
            (json!({"swagger": "2.0", "host": "h", "schemes": ["ws"]}), "not an absolute"),
        ];
        for (document, why) in cases {
            let error = upstream(&document).expect_err("no upstream");
            assert!(error.contains(why), "{document}: {error}");
        }
    }
}
