//! Which route a method and a path lead to: one tree per API and stage, compiled once.
//!
//! Precedence (source: API Gateway, "Develop routes"; recorded behaviour for REST APIs): segment by segment from the left an
//! exact segment beats `{name}`, which beats `{name+}`; on one path a method beats `ANY`; when the most specific path lacks
//! the method, less specific ones are tried; `$default` takes what is left. The order of declaration does not matter.
//!
//! A slash at the end of the request's path is ignored. `{name+}` needs at least one segment.
//!
//! Cost: one look-up per segment. Going back visits no node of the tree twice, so it is bounded by the tree, not the path.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use http::Method;
use moongate_config::route::RouteKey;
use moongate_exchange::PathParameters;

use crate::plan::RoutePlan;

/// The routes of an API on one stage.
#[derive(Debug)]
pub struct Router {
    nodes: Vec<Node>,
    default: Option<Arc<RoutePlan>>,
}

/// What a method and a path lead to.
#[derive(Debug)]
pub enum Found<'router> {
    /// A route, and where its path parameters stand.
    Route(&'router Arc<RoutePlan>, PathParameters),
    /// The path exists, with other methods: these, for `Allow`. `ANY` cannot be among them.
    WrongMethod(Vec<Method>),
    /// Nothing.
    Nothing,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, u32, RandomState>,
    parameter: Option<u32>,
    here: Methods,
    greedy: Methods,
}

/// The routes that end at one place of the tree. A place has few methods: a list is faster than a map.
#[derive(Debug, Default)]
struct Methods {
    by_method: Vec<(Method, Arc<RoutePlan>)>,
    any: Option<Arc<RoutePlan>>,
}

struct Search<'request> {
    path: &'request str,
    method: &'request Method,
    parameters: PathParameters,
    allowed: Vec<Method>,
}

impl Router {
    /// An empty router.
    pub fn new() -> Self {
        Self { nodes: vec![Node::default()], default: None }
    }

    /// Adds a route. Keys were checked to be distinct and well formed (`moongate_config::check`); a second route with the
    /// same shape and method would replace the first.
    pub fn insert(&mut self, key: &RouteKey, plan: Arc<RoutePlan>) {
        let RouteKey::On { method, path } = key else {
            self.default = Some(plan);
            return;
        };
        let mut at = 0_usize;
        let mut is_greedy = false;
        for segment in path.split('/').skip(1).filter(|segment| !segment.is_empty()) {
            if segment.starts_with('{') && segment.ends_with("+}") {
                is_greedy = true;
                break;
            }
            at = self.child(at, segment);
        }
        let node = &mut self.nodes[at];
        let methods = if is_greedy { &mut node.greedy } else { &mut node.here };
        match method {
            Some(method) => methods.by_method.push((method.clone(), plan)),
            None => methods.any = Some(plan),
        }
    }

    fn child(&mut self, parent: usize, segment: &str) -> usize {
        let next = self.nodes.len() as u32;
        let node = &mut self.nodes[parent];
        let child = if segment.starts_with('{') {
            *node.parameter.get_or_insert(next)
        } else {
            *node.literals.entry(segment.into()).or_insert(next)
        };
        if child == next {
            self.nodes.push(Node::default());
        }
        child as usize
    }

    /// Finds the route for a method and a path; `start` is where the route's part of the path begins.
    pub fn find(&self, method: &Method, path: &str, start: usize) -> Found<'_> {
        let mut search = Search { path, method, parameters: PathParameters::default(), allowed: Vec::new() };
        if let Some(route) = self.descend(0, start, &mut search) {
            return Found::Route(route, search.parameters);
        }
        if let Some(route) = &self.default {
            return Found::Route(route, PathParameters::default());
        }
        if search.allowed.is_empty() { Found::Nothing } else { Found::WrongMethod(search.allowed) }
    }

    /// Goes down from a node. `at` is where the rest of the path begins: at a `/`, or at the end. The depth is that of the
    /// deepest declared route, not of the path.
    fn descend(&self, node: usize, at: usize, search: &mut Search<'_>) -> Option<&Arc<RoutePlan>> {
        let node = &self.nodes[node];
        let path = search.path;
        let rest = path.get(at..).unwrap_or_default();
        if rest.is_empty() || rest == "/" {
            return node.here.pick(search);
        }
        let begin = at + 1;
        let end = path[begin..].find('/').map_or(path.len(), |length| begin + length);
        if let Some(&child) = node.literals.get(&path[begin..end])
            && let Some(route) = self.descend(child as usize, end, search)
        {
            return Some(route);
        }
        if let Some(child) = node.parameter {
            search.parameters.push(begin, end);
            if let Some(route) = self.descend(child as usize, end, search) {
                return Some(route);
            }
            search.parameters.pop();
        }
        let route = node.greedy.pick(search)?;
        search.parameters.push(begin, path.len() - usize::from(path.ends_with('/')));
        Some(route)
    }

    /// How many routes there are.
    pub fn len(&self) -> usize {
        self.routes().count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.routes().next().is_none()
    }

    /// Every route, in no particular order.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<RoutePlan>> {
        let methods = self.nodes.iter().flat_map(|node| [&node.here, &node.greedy]);
        let declared = methods.flat_map(|methods| methods.by_method.iter().map(|(_, route)| route).chain(&methods.any));
        declared.chain(&self.default)
    }
}

impl Default for Router {
    fn default() -> Self {
        Self::new()
    }
}

impl Methods {
    fn pick<'router>(&'router self, search: &mut Search<'_>) -> Option<&'router Arc<RoutePlan>> {
        let by_method =
            |method: &Method| self.by_method.iter().find(|(known, _)| known == method).map(|(_, route)| route);
        // HEAD is answered by GET's route where there is none for HEAD (RFC 9110 section 9.3.2).
        let found = by_method(search.method).or(self.any.as_ref()).or_else(|| {
            if search.method == Method::HEAD {
                by_method(&Method::GET).filter(|route| route.answers_head)
            } else {
                None
            }
        });
        if found.is_none() {
            for (method, _) in &self.by_method {
                if !search.allowed.contains(method) {
                    search.allowed.push(method.clone());
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(keys: &[&str]) -> Router {
        let mut router = Router::new();
        for key in keys {
            let parsed = RouteKey::try_from((*key).to_owned()).expect(key);
            router.insert(&parsed, Arc::new(RoutePlan::for_tests(key)));
        }
        router
    }

    fn find(router: &Router, method: &str, path: &str) -> String {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        match router.find(&method, path, 0) {
            Found::Route(route, parameters) => {
                let values: Vec<_> = (0..4).map_while(|index| parameters.get(index, path)).collect();
                if values.is_empty() {
                    route.facts.key.to_string()
                } else {
                    format!("{} {}", route.facts.key, values.join(","))
                }
            }
            Found::WrongMethod(allowed) => {
                format!("405 {}", allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(","))
            }
            Found::Nothing => "404".to_owned(),
        }
    }

    #[test]
    fn the_most_specific_route_with_the_method_wins() {
        let router = router(&[
            "ANY /{proxy+}",
            "GET /pets/{id}",
            "GET /pets/dog",
            "POST /pets",
            "GET /pets/{id}/toys/{toy}",
            "DELETE /pets/dog/toys/{toy}",
            "GET /",
            "POST /only/post",
        ]);
        let cases = [
            ("GET", "/", "GET /"),
            ("GET", "/pets/dog", "GET /pets/dog"),
            ("GET", "/pets/dog/", "GET /pets/dog"),
            ("GET", "/pets/7", "GET /pets/{id} 7"),
            ("HEAD", "/pets/7", "GET /pets/{id} 7"),
            ("DELETE", "/pets/7", "ANY /{proxy+} pets/7"),
            ("GET", "/pets/dog/toys/ball", "GET /pets/{id}/toys/{toy} dog,ball"),
            ("DELETE", "/pets/dog/toys/ball", "DELETE /pets/dog/toys/{toy} ball"),
            ("GET", "/pets", "ANY /{proxy+} pets"),
            ("GET", "/a/b/c/", "ANY /{proxy+} a/b/c"),
            ("PUT", "/", "405 GET"),
        ];
        for (method, path, want) in cases {
            assert_eq!(find(&router, method, path), want, "{method} {path}");
        }
    }

    #[test]
    fn a_greedy_parameter_needs_a_segment_and_default_takes_the_rest() {
        let files = router(&["GET /files/{path+}"]);
        assert_eq!(find(&files, "GET", "/files"), "404");
        assert_eq!(find(&files, "GET", "/files/"), "404");
        assert_eq!(find(&files, "POST", "/files/a"), "405 GET");
        let with_default = router(&["GET /files/{path+}", "$default"]);
        assert_eq!(find(&with_default, "POST", "/files/a"), "$default");
        assert_eq!(find(&with_default, "GET", "/x"), "$default");
    }

    #[test]
    fn a_prefix_of_the_path_can_be_left_out() {
        let router = router(&["GET /pets/{id}"]);
        let Found::Route(_, parameters) = router.find(&Method::GET, "/petstore/pets/9", "/petstore".len()) else {
            panic!("the route behind the prefix");
        };
        assert_eq!(parameters.get(0, "/petstore/pets/9"), Some("9"));
    }
}
