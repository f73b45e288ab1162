//! A project: the texts users wrote, and the typed documents that come out of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use crate::api::ApiConfig;
use crate::check;
use crate::decode;
use crate::domain::DomainConfig;
use crate::function::{FUNCTIONS_FOLDER, FunctionConfig};
use crate::issue::{Issue, codes, sort_and_fold};
use crate::openapi;
use crate::source::{self, Locator, Node};
use crate::upstream::UpstreamConfig;

/// The folder whose documents, at any depth, are loaded.
pub const DOCUMENTS_FOLDER: &str = "apis/";

/// The texts of a project by path, relative to its folder, `/`-separated: `apis/orders.yaml`, `lua/auth.lua`.
///
/// Reading them from a disk, an archive or a database is the caller's work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Path to text.
    pub files: BTreeMap<String, String>,
}

/// Everything a project declares.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// The APIs, each with the document it came from.
    pub apis: Vec<Declared<ApiConfig>>,
    /// The custom domains, each with the document it came from.
    pub domains: Vec<Declared<DomainConfig>>,
    /// The upstreams, each with the document it came from.
    pub upstreams: Vec<Declared<UpstreamConfig>>,
    /// The functions, each with the document it came from, in whose folder its code lies.
    pub functions: Vec<Declared<FunctionConfig>>,
    /// The texts, for the scripts the documents name.
    pub sources: Sources,
}

/// A typed document and the tree it was decoded from, by which later checks find positions.
#[derive(Clone, Debug, Serialize)]
pub struct Declared<T> {
    /// The file it came from.
    pub file: String,
    /// The document.
    pub config: T,
    /// The native tree (for an OpenAPI file: what the import made of it, positions kept).
    #[serde(skip)]
    pub node: Node,
}

impl Sources {
    /// The files that are documents: `*.yaml`, `*.yml` and `*.json` below [`DOCUMENTS_FOLDER`], beside it those whose names end
    /// in `.openapi.yaml`, `.openapi.yml` and `.openapi.json`, and `function.yaml` (`.yml`, `.json`) in the folders of
    /// [`FUNCTIONS_FOLDER`]. In the order of their paths.
    pub fn documents(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (&**path, &**text)).filter(|(path, _)| is_document(path))
    }
}

fn is_document(path: &str) -> bool {
    let stem = [".yaml", ".yml", ".json"].iter().find_map(|ending| path.strip_suffix(ending));
    let is_function =
        |stem: &str| stem.strip_prefix(FUNCTIONS_FOLDER).is_some_and(|inner| inner.ends_with("/function"));
    stem.is_some_and(|stem| {
        path.starts_with(DOCUMENTS_FOLDER) || is_function(stem) || (!stem.contains('/') && stem.ends_with(".openapi"))
    })
}

impl Project {
    /// Reads, decodes and checks every document of a project, and reports every problem, in order, with its place.
    ///
    /// What could not be decoded is missing from the project; whether the project can be used is whether any issue
    /// [is an error](Issue::is_error). Checks that a problem in decoding would only lead astray are left out.
    pub fn load(sources: Sources) -> (Self, Vec<Issue>) {
        let mut loading = Loading::default();
        for (file, text) in sources.documents() {
            loading.document(file, text);
        }
        let Loading { apis, domains, upstreams, functions, mut issues, unread, .. } = loading;
        if sources.documents().next().is_none() {
            let issue = Issue::error(codes::EMPTY_PROJECT, "", "", "the project declares no API");
            issues.push(
                issue.help("put a document such as `apis/hello.yaml` or `petstore.openapi.yaml` into its folder"),
            );
        }
        let project = Self { apis, domains, upstreams, functions, sources };
        let suppressed = Suppressed::new(&issues);
        issues.extend(check::check(&project, &unread).into_iter().filter(|issue| !suppressed.covers(issue)));
        project.resolve(&mut issues);
        sort_and_fold(&mut issues);
        (project, issues)
    }

    /// Gives every issue without a place the one its pointer leads to in the document that [`Issue::file`] names, or the
    /// nearest parent there is. Issues with a place, and those about other files, stay as they are.
    pub fn resolve(&self, issues: &mut [Issue]) {
        let apis = self.apis.iter().map(|api| (&*api.file, &api.node));
        let domains = self.domains.iter().map(|domain| (&*domain.file, &domain.node));
        let upstreams = self.upstreams.iter().map(|upstream| (&*upstream.file, &upstream.node));
        let functions = self.functions.iter().map(|function| (&*function.file, &function.node));
        let nodes: HashMap<&str, &Node> = apis.chain(domains).chain(upstreams).chain(functions).collect();
        let mut locators: HashMap<&str, Locator<'_>> = HashMap::new();
        for issue in issues.iter_mut().filter(|issue| issue.span.is_none()) {
            let Some((file, node)) = nodes.get_key_value(&*issue.file) else { continue };
            let locator = locators.entry(file).or_insert_with(|| Locator::new(node));
            issue.span = Some(locator.span(&issue.pointer));
        }
    }
}

/// The documents read so far.
#[derive(Default)]
struct Loading {
    apis: Vec<Declared<ApiConfig>>,
    domains: Vec<Declared<DomainConfig>>,
    upstreams: Vec<Declared<UpstreamConfig>>,
    functions: Vec<Declared<FunctionConfig>>,
    issues: Vec<Issue>,
    unread: check::Unread,
    /// What is declared (`api`, `domain` or `upstream`, and its name) and where first.
    first: HashMap<(&'static str, String), Place>,
}

/// Where something is declared, in words.
struct Place {
    file: String,
    line: usize,
}

impl Loading {
    fn document(&mut self, file: &str, text: &str) {
        let node = match source::parse(text, file) {
            Ok(node) => node,
            Err(mut issues) => {
                self.issues.append(&mut issues);
                self.unread.is_incomplete = true;
                return;
            }
        };
        let is = |key: &str| node.get(key).is_some();
        if is("openapi") || is("swagger") {
            match openapi::to_native(&node, file, &mut self.issues) {
                Some(native) => self.api(native, file, text),
                None => self.unread.is_incomplete = true,
            }
        } else if is("api") {
            self.api(node, file, text);
        } else if is("domain") {
            self.domain(node, file, text);
        } else if is("upstream") {
            self.upstream(node, file, text);
        } else if is("function") {
            self.function(node, file, text);
        } else {
            let start = node.entries().first().map_or(node.span, |(key, _)| key.span);
            let message = "this is neither an API nor a domain, an upstream or a function";
            let issue = Issue::error(codes::UNKNOWN_DOCUMENT, file, "", message).at(start);
            self.issues.push(issue.help(
                "a document has `api:`, `domain:`, `upstream:`, `function:`, `openapi:` or `swagger:` at its top",
            ));
        }
    }

    fn api(&mut self, node: Node, file: &str, text: &str) {
        let id = node.get("api").and_then(Node::as_str).map(str::to_owned);
        match decode::decode::<ApiConfig>(&node, file, &mut self.issues) {
            Some(config) if self.is_first("api", config.api.as_str(), &node, file, text) => {
                self.apis.push(Declared { file: file.to_owned(), config, node });
            }
            Some(_) => {}
            None => {
                self.unread.is_incomplete |= id.is_none();
                self.unread.apis.extend(id);
            }
        }
    }

    fn domain(&mut self, node: Node, file: &str, text: &str) {
        if let Some(config) = decode::decode::<DomainConfig>(&node, file, &mut self.issues)
            && self.is_first("domain", &config.domain, &node, file, text)
        {
            self.domains.push(Declared { file: file.to_owned(), config, node });
        }
    }

    fn upstream(&mut self, node: Node, file: &str, text: &str) {
        let name = node.get("upstream").and_then(Node::as_str).map(str::to_owned);
        match decode::decode::<UpstreamConfig>(&node, file, &mut self.issues) {
            Some(config) if self.is_first("upstream", config.upstream.as_str(), &node, file, text) => {
                self.upstreams.push(Declared { file: file.to_owned(), config, node });
            }
            Some(_) => {}
            None => {
                self.unread.is_incomplete |= name.is_none();
                self.unread.upstreams.extend(name);
            }
        }
    }

    fn function(&mut self, node: Node, file: &str, text: &str) {
        match decode::decode::<FunctionConfig>(&node, file, &mut self.issues) {
            Some(config) if self.is_first("function", &config.function, &node, file, text) => {
                self.functions.push(Declared { file: file.to_owned(), config, node });
            }
            Some(_) => {}
            None => self.unread.is_incomplete = true,
        }
    }

    /// Whether nothing of this name was declared before; if it was, that is reported.
    fn is_first(&mut self, kind: &'static str, name: &str, node: &Node, file: &str, text: &str) -> bool {
        let span = node.get(kind).map_or(node.span, |value| value.span);
        let Some(first) = self.first.get(&(kind, name.to_owned())) else {
            let line = 1 + text.bytes().take(span.start as usize).filter(|byte| *byte == b'\n').count();
            self.first.insert((kind, name.to_owned()), Place { file: file.to_owned(), line });
            return true;
        };
        let noun = if kind == "api" { "API" } else { kind };
        let issue =
            Issue::error(codes::DECLARED_TWICE, file, format!("/{kind}"), format!("there are two {noun}s `{name}`"));
        self.issues.push(issue.at(span).help(format!("the first is in {}:{}", first.file, first.line)));
        false
    }
}

/// The parts of documents about which checks would only say what follows from an unknown field.
struct Suppressed {
    /// File and pointer of every mapping that has an unknown field; the whole document when not all of them are known.
    mappings: BTreeSet<(String, String)>,
}

impl Suppressed {
    fn new(issues: &[Issue]) -> Self {
        // Errors only: a project is refused for them, so that nothing left unsaid can slip through.
        let is_cause =
            |issue: &&Issue| issue.is_error() && matches!(issue.code, codes::UNKNOWN_FIELD | codes::TOO_MANY);
        let unknown = issues.iter().filter(is_cause);
        let parent = |pointer: &str| pointer.rsplit_once('/').map_or(String::new(), |(parent, _)| parent.to_owned());
        Self { mappings: unknown.map(|issue| (issue.file.clone(), parent(&issue.pointer))).collect() }
    }

    /// Whether an issue lies in one of the mappings.
    fn covers(&self, issue: &Issue) -> bool {
        if self.mappings.is_empty() {
            return false;
        }
        let ends = issue.pointer.match_indices('/').map(|(at, _)| at).chain([issue.pointer.len()]);
        ends.into_iter().any(|end| self.mappings.contains(&(issue.file.clone(), issue.pointer[..end].to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issue::Span;

    #[test]
    fn later_issues_get_their_places_from_the_documents() {
        let text = "api: a\nroutes:\n  - match: GET /\n    upstream: http://h\n";
        let files = [("apis/a.yaml", text), ("apis/d.yaml", "domain: a.example\nmappings: []\n"), ("x.lua", "")];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
        let (project, issues) = Project::load(Sources { files });
        assert_eq!(issues, []);
        let known = Span { start: 1, end: 2 };
        let mut issues = [
            Issue::error(codes::SYNTAX, "apis/a.yaml", "/routes/0/upstream", ""),
            Issue::error(codes::SYNTAX, "apis/a.yaml", "/routes/0/integration/uri", ""),
            Issue::error(codes::SYNTAX, "apis/d.yaml", "/mappings/3", ""),
            Issue::error(codes::SYNTAX, "apis/a.yaml", "/routes/0", "").at(known),
            Issue::error(codes::SYNTAX, "x.lua", "", ""),
        ];
        project.resolve(&mut issues);
        let found: Vec<_> = issues.iter().map(|issue| issue.span.map(|span| (span.start, span.end))).collect();
        assert_eq!(found, [Some((46, 54)), Some((19, 24)), Some((18, 26)), Some((1, 2)), None]);
    }
}
