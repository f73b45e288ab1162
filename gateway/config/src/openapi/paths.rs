//! `paths` to routes.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::issue::quote;
use crate::source::{Key, Node, Value};
use crate::suggest;

use super::codes;
use super::context::{At, Import};
use super::extensions::{self, Bearer};
use super::integration;
use super::models::Models;
use super::names::Names;
use super::request::Request;
use super::responses;
use super::security::Security;
use super::tree::{self, Map};
use super::upstream::{self, Missing};

/// AWS's field for an operation's integration.
const AWS_INTEGRATION: &str = "x-amazon-apigateway-integration";

/// Keys of a path item that hold operations, and the methods of their routes.
const METHODS: [(&str, &str); 9] = [
    ("get", "GET"),
    ("put", "PUT"),
    ("post", "POST"),
    ("delete", "DELETE"),
    ("options", "OPTIONS"),
    ("head", "HEAD"),
    ("patch", "PATCH"),
    ("x-amazon-apigateway-any-method", "ANY"),
    ("x-moongate-any-method", "ANY"),
];

/// The other keys of a path item (OpenAPI 3.1 section 4.8.9).
const OTHER_KEYS: [&str; 5] = ["$ref", "summary", "description", "servers", "parameters"];

/// One operation on its way to a route.
pub(super) struct Operation<'a> {
    /// The method's key in the path item.
    pub(super) key: &'a Key,
    /// The operation.
    pub(super) node: &'a Node,
    /// The path item it stands in.
    pub(super) item: &'a Node,
    /// The native route key: `GET /orders/{id}`.
    pub(super) route: String,
    /// The path's key.
    path: &'a Key,
}

/// What a look over all operations tells before any of them is converted.
#[derive(Default)]
pub(super) struct Survey {
    /// Whether there are AWS extensions.
    pub(super) is_aws: bool,
    /// Whether an integration can only be one of a REST API.
    pub(super) is_rest: bool,
}

/// Looks over the paths. Says nothing about what is wrong with them.
pub(super) fn survey(import: &Import<'_>) -> Survey {
    let components = tree::get(import.root, "components");
    let schemes = components.and_then(|components| tree::get(components, "securitySchemes"));
    let schemes = schemes.or_else(|| tree::get(import.root, "securityDefinitions")).map(Node::entries);
    let has_aws_scheme = schemes.unwrap_or_default().iter().any(|(_, scheme)| has_aws_key(scheme));
    let mut survey = Survey { is_aws: has_aws_scheme || has_aws_key(import.root), is_rest: false };
    // Integrations that many operations share are looked at once.
    let mut seen = HashSet::new();
    let paths = tree::get(import.root, "paths").map(Node::entries).unwrap_or_default();
    for item in paths.iter().filter_map(|(_, item)| import.peek(item)) {
        if !seen.insert(std::ptr::from_ref(item)) {
            continue;
        }
        survey.is_aws |= has_aws_key(item);
        for (key, operation) in item.entries() {
            if !METHODS.iter().any(|(name, _)| *name == &*key.text) {
                continue;
            }
            survey.is_aws |= has_aws_key(operation);
            let integration = tree::get(operation, AWS_INTEGRATION).and_then(|node| import.peek(node));
            if let Some(integration) = integration.filter(|node| seen.insert(std::ptr::from_ref(*node))) {
                survey.is_rest |= integration::is_rest(integration);
            }
        }
    }
    survey
}

/// Whether a mapping has one of AWS's extensions.
fn has_aws_key(node: &Node) -> bool {
    node.entries().iter().any(|(key, _)| extensions::is_aws(&key.text))
}

/// The native `routes`.
pub(super) fn routes<'a>(import: &mut Import<'a>, models: &mut Models<'a>, security: &mut Security<'a>) -> Node {
    let Some(paths) = tree::get(import.root, "paths") else {
        return tree::sequence(import.root.span, Vec::new());
    };
    let at = At::ROOT.key("paths");
    let whole = paths.entries().iter().filter(|(path, _)| matches!(widened(&path.text), Cow::Borrowed(_)));
    let shapes = whole.flat_map(|(path, item)| {
        let shape = shape(&path.text);
        item.entries().iter().map(move |(method, _)| format!("{} {shape}", method.text))
    });
    let mut routes = Routes {
        models,
        security,
        names: Names::default(),
        missing: Missing::new(),
        shapes: if has_widened(paths) { shapes.collect() } else { HashSet::new() },
        routes: Vec::new(),
    };
    for (path, item) in import.mapping(paths, &at).unwrap_or_default() {
        if path.text.starts_with("x-") {
            extensions::check(import, Bearer::Other, path, &at);
            continue;
        }
        if routes.path(import, path, item, &at.key(&path.text)).is_none() {
            break;
        }
    }
    routes.missing.report(import);
    tree::sequence(paths.span, routes.routes)
}

struct Routes<'a, 'r> {
    models: &'r mut Models<'a>,
    security: &'r mut Security<'a>,
    names: Names,
    missing: Missing<'a>,
    /// Methods and shapes of paths, where some had to be widened: one of those does not replace another route.
    shapes: HashSet<String>,
    routes: Vec<Node>,
}

impl<'a> Routes<'a, '_> {
    /// Adds the routes of one path. `None` when the document has become too large to go on.
    fn path(&mut self, import: &mut Import<'a>, path: &'a Key, written: &'a Node, at: &At<'_>) -> Option<()> {
        let Some(item) = import.follow(written, at) else { return Some(()) };
        let template = widened(&path.text);
        if matches!(template, Cow::Owned(_)) {
            let message =
                format!("a parameter does not fill its segment in {}; the whole segment is matched", quote(&path.text));
            let help = format!("requests are routed by `{template}`, and upstreams get the path as it came");
            import.push(import.warning(codes::SEGMENT_WIDENED, at, path.span, message).help(help));
        }
        if !std::ptr::eq(item, written) && written.entries().len() > 1 {
            let message = "what stands beside a path's `$ref` has no effect";
            import.push(import.warning(codes::REF_SIBLINGS, at, written.span, message));
        }
        for (key, node) in import.mapping(item, at).unwrap_or_default() {
            let at_key = at.key(&key.text);
            let Some((_, method)) = METHODS.iter().find(|(name, _)| *name == &*key.text) else {
                report_key(import, key, &at_key, at);
                continue;
            };
            if import.mapping(node, &at_key).is_none() {
                continue;
            }
            let is_widened = matches!(template, Cow::Owned(_));
            if is_widened && !self.shapes.insert(format!("{} {}", key.text, shape(&template))) {
                let message = format!("another operation takes the requests of {} too", quote(&path.text));
                import.push(import.warning(codes::SEGMENT_WIDENED, &at_key, key.span, message));
                continue;
            }
            for (key, _) in node.entries() {
                extensions::check(import, Bearer::Operation, key, &at_key);
            }
            let route = match (*method, &*template) {
                ("ANY", "/$default") => "$default".to_owned(),
                (method, "/") if !import.prefix.is_empty() => format!("{method} {}", import.prefix),
                (method, path) => format!("{method} {}{path}", import.prefix),
            };
            let operation = Operation { key, node, item, route, path };
            let Some(route) = self.route(import, &operation, &at_key, at) else { continue };
            if !import.spend(tree::weigh(&route), &at_key, key.span) {
                return None;
            }
            self.routes.push(route);
        }
        Some(())
    }

    /// The native route. `None`, and a reported problem, when nothing answers it.
    fn route(
        &mut self,
        import: &mut Import<'a>,
        operation: &Operation<'a>,
        at: &At<'_>,
        item_at: &At<'_>,
    ) -> Option<Node> {
        let node = operation.node;
        let span = operation.key.span;
        let mut map = Map::default();
        map.put("match", Node::string(operation.path.span, operation.route.as_str()));

        let id = tree::get(node, "operationId").and_then(|id| Some((id, tree::slug(id.as_str()?))));
        let id = id.filter(|(_, slug)| !slug.is_empty()).map(|(id, slug)| (id, self.names.claim(&slug)));
        let body_name = id.as_ref().map_or_else(|| tree::slug(&operation.route), |(_, name)| name.clone());
        map.put_some("name", id.map(|(id, name)| Node::string(id.span, name)));
        let description = ["description", "summary"].iter().find_map(|field| tree::get(node, field));
        map.put_some("description", description.cloned());

        let guard = self.security.guard(import, operation, at);
        map.put_some("authorizer", guard.authorizer);
        map.put_some("authorization_scopes", guard.scopes);
        map.put_some("api_key_required", guard.api_key_required);

        let request = Request::read(import, operation.item, node, at, item_at);
        map.put_some("request_parameters", request.parameters(span));
        map.put_some("request_models", request.models(import, self.models, &body_name, span, at));
        map.put_some("method_responses", responses::method_responses(import, self.models, node, at));
        let field = "x-amazon-apigateway-request-validator";
        let validator = [node, import.root].into_iter().find_map(|node| tree::get(node, field));
        map.put_some("request_validator", validator.cloned());

        let changes = tree::get(node, "x-moongate-route").map(Node::entries).unwrap_or_default();
        let answers = |name: &str| changes.iter().any(|(key, value)| &*key.text == name && value.value != Value::Null);
        if !answers("integration") && !answers("upstream") {
            self.answer(import, operation, &mut map, at)?;
        }
        for (extension, name) in [("x-moongate-policies", "policies"), ("x-moongate-plugins", "plugins")] {
            let attached = [node, operation.item].into_iter().find_map(|node| tree::get(node, extension));
            map.put_some(name, attached.cloned());
        }
        map.change(changes);
        Some(tree::mapping(map, span))
    }

    /// What answers the route: the most specific of the operation, its path and the document that says so; else the servers.
    fn answer(&mut self, import: &mut Import<'a>, operation: &Operation<'a>, map: &mut Map, at: &At<'_>) -> Option<()> {
        for level in [operation.node, operation.item, import.root] {
            let upstream = tree::get(level, "x-moongate-upstream");
            let native = tree::get(level, "x-moongate-integration");
            if upstream.is_some() || native.is_some() {
                map.put_some("upstream", upstream.cloned());
                map.put_some("integration", native.cloned());
                return Some(());
            }
            let Some(source) = tree::get(level, AWS_INTEGRATION).filter(|_| std::ptr::eq(level, operation.node)) else {
                continue;
            };
            let at = at.key(AWS_INTEGRATION);
            let source = import.follow(source, &at)?;
            map.put("integration", integration::convert(import, source, &operation.path.text, &at)?);
            return Some(());
        }
        match upstream::from_servers(import, operation.item, operation.node) {
            Ok(upstream) => {
                map.put("upstream", upstream);
                Some(())
            }
            Err(why) => {
                self.missing.note(operation.route.clone(), operation.key, why);
                None
            }
        }
    }
}

/// Whether a path has a parameter that shares its segment.
fn has_widened(paths: &Node) -> bool {
    paths.entries().iter().any(|(path, _)| matches!(widened(&path.text), Cow::Owned(_)))
}

/// A path without its parameters' names: the same text for paths that take the same requests.
fn shape(path: &str) -> String {
    let segments = path.split('/').map(|segment| match segment.strip_prefix('{') {
        Some(rest) if rest.ends_with("+}") => "{+}",
        Some(_) => "{}",
        None => segment,
    });
    segments.collect::<Vec<_>>().join("/")
}

/// A path in which every parameter fills its segment, as routes have them: `/compare/{base}...{head}` becomes
/// `/compare/{base...head}`. The path itself where nothing has to change.
fn widened(path: &str) -> Cow<'_, str> {
    let is_whole = |segment: &str| {
        let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        inner.is_some_and(|name| !name.contains(['{', '}']))
    };
    // A brace without its other half is a mistake, which is told where routes are read.
    let is_mixed = |segment: &str| {
        let braces = segment.matches('{').count();
        braces > 0 && braces == segment.matches('}').count() && !is_whole(segment)
    };
    if !path.split('/').any(is_mixed) {
        return Cow::Borrowed(path);
    }
    let segments = path.split('/').map(|segment| {
        if !is_mixed(segment) {
            return segment.to_owned();
        }
        let is_kept = |c: &char| !matches!(c, '{' | '}' | '+');
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':') { c } else { '-' };
        format!("{{{}}}", segment.chars().filter(is_kept).map(plain).collect::<String>())
    });
    Cow::Owned(segments.collect::<Vec<_>>().join("/"))
}

/// Reports a key of a path item that is neither a method nor anything else that belongs there: it may have been meant as a route.
fn report_key(import: &mut Import<'_>, key: &Key, at: &At<'_>, item_at: &At<'_>) {
    let name = &*key.text;
    if name.starts_with("x-") {
        extensions::check(import, Bearer::PathItem, key, item_at);
        return;
    }
    if OTHER_KEYS.contains(&name) {
        return;
    }
    let message = match name {
        "trace" | "query" | "additionalOperations" => {
            format!("routes cannot have what `{name}` stands for; it is skipped")
        }
        _ => format!("{} is not a method; it is skipped", quote(name)),
    };
    let mut issue = import.warning(codes::METHOD_SKIPPED, at, key.span, message);
    if let Some(near) = suggest::closest(name, METHODS.iter().map(|(name, _)| *name).chain(OTHER_KEYS)) {
        issue = issue.label(format!("did you mean `{near}`?"));
    }
    import.push(issue);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_fill_their_segments() {
        let cases = [
            ("/compare/{base}...{head}", "/compare/{base...head}"),
            ("/files/{name}.json/x", "/files/{name.json}/x"),
            ("/{a},{b}", "/{a-b}"),
            ("/{a}/{b+}", "/{a}/{b+}"),
            ("/{a", "/{a"),
            ("/x/{}", "/x/{}"),
        ];
        for (path, want) in cases {
            assert_eq!(widened(path), want);
        }
    }
}
