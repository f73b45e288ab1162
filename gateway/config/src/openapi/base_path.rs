//! The base path of a document: `basePath` (Swagger 2.0), or the path of the first server (OpenAPI 3).

use crate::source::Node;

use super::BasePath;
use super::context::{Import, Version};
use super::{tree, upstream};

/// What stands before the path of every route: empty, or segments with a slash before each.
pub(super) fn prefix(import: &Import<'_>, wanted: BasePath) -> String {
    let path = match wanted {
        BasePath::Ignore => return String::new(),
        BasePath::Prepend | BasePath::Split => base_path(import).unwrap_or_default(),
    };
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    let kept = segments.skip(usize::from(wanted == BasePath::Split));
    kept.flat_map(|segment| ["/", segment]).collect()
}

fn base_path(import: &Import<'_>) -> Option<String> {
    if import.version == Version::Swagger2 {
        return tree::get(import.root, "basePath")?.as_str().map(str::to_owned);
    }
    let server = tree::get(import.root, "servers").map(Node::items)?.first()?;
    // AWS's exports name the base path in a variable; its value is the whole of it, wherever it stands.
    let variable = tree::get(server, "variables").and_then(|variables| tree::get(variables, "basePath"));
    if let Some(default) = variable.and_then(|variable| tree::get(variable, "default")).and_then(Node::as_str) {
        return Some(default.to_owned());
    }
    let url = upstream::fill_variables(tree::get(server, "url")?.as_str()?, server).ok()?;
    let after_scheme = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let start = if after_scheme.len() == url.len() { 0 } else { after_scheme.find('/').unwrap_or(after_scheme.len()) };
    Some(after_scheme[start..].to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::node;
    use super::*;

    #[test]
    fn base_paths_stand_before_routes_or_not() {
        let cases = [
            (json!({"servers": [{"url": "https://h/a/b"}]}), "/a/b", "/b"),
            (json!({"servers": [{"url": "/v1/"}]}), "/v1", ""),
            (json!({"servers": [{"url": "https://h"}]}), "", ""),
            (
                json!({"servers": [{"url": "https://h/{basePath}", "variables": {"basePath": {"default": "/x"}}}]}),
                "/x",
                "",
            ),
            (json!({}), "", ""),
        ];
        for (document, prepended, split) in cases {
            let document = node(&document);
            let mut issues = Vec::new();
            let import = Import::new(&document, Version::OpenApi30, "a.yaml", &mut issues);
            assert_eq!(prefix(&import, BasePath::Ignore), "");
            assert_eq!(prefix(&import, BasePath::Prepend), prepended);
            assert_eq!(prefix(&import, BasePath::Split), split);
        }
    }
}
