//! `security` and its schemes: who may call an operation.
//!
//! The rule of this file: an operation that its document guards never becomes an open route without someone having said so.
//! What cannot be enforced is an error, unless something else guards the route. The document's own `security` counts, too,
//! which AWS ignores in REST APIs.
//!
//! Which authorizer a route gets, first match: `x-moongate-authorizer` on the operation; the operation's `security`;
//! `x-moongate-authorizer` on the path; on the document; the document's `security`. `x-amazon-apigateway-auth` says `none` or
//! `aws_iam` where `security` names no authorizer.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use indexmap::IndexMap;

use crate::issue::{Span, quote};
use crate::source::{Key, Node};
use crate::suggest;

use super::authorizer;
use super::codes;
use super::context::{At, Import, Version};
use super::extensions::{self, Bearer};
use super::paths::Operation;
use super::tree::{self, Map};

/// What routes write to be open.
const NONE: &str = "none";

/// The authorizer made for `x-amazon-apigateway-auth: {type: AWS_IAM}`.
const AWS_IAM: &str = "aws_iam";

/// The document's security: its schemes and what operations use when they say nothing.
pub(super) struct Security<'a> {
    schemes: HashMap<&'a str, Scheme>,
    /// The document's own `security`.
    inherited: Option<Rc<Requirements<'a>>>,
    /// How much work the document's own `security` is, for the budget.
    inherited_bytes: usize,
    authorizers: Map,
    authorizer_names: HashSet<String>,
    /// Schemes that nothing enforces.
    gaps: IndexMap<&'a str, Gap>,
}

/// What a security scheme amounts to.
enum Scheme {
    /// An authorizer of this name.
    Authorizer(String),
    /// An API key in `x-api-key`.
    ApiKey,
    /// Nothing, because its `x-moongate-authorizer` says `none`.
    Open,
    /// Nothing that Moongate can enforce.
    Unenforced { span: Span, kind: String },
}

/// A list of security requirements, taken apart.
#[derive(Default)]
struct Requirements<'a> {
    /// Names of authorizers, each once, with where they are required.
    authorizers: IndexMap<String, Span>,
    /// Scopes beside authorizers.
    scopes: Vec<&'a Node>,
    /// Scopes beside schemes that nothing enforces.
    unenforced_scopes: Vec<&'a Node>,
    unenforced: Vec<&'a str>,
    api_key: Option<Span>,
    /// Where a scheme is required that says it is not enforced.
    waived: Option<Span>,
    /// Whether nobody is asked anything: `[]` or `[{}]`.
    is_open: bool,
}

/// The uses of a scheme that nothing enforces.
struct Gap {
    span: Span,
    kind: String,
    first_route: String,
    open: usize,
    guarded: usize,
}

/// What guards a route, in native terms.
#[derive(Default)]
pub(super) struct Guard {
    /// `authorizer`
    pub(super) authorizer: Option<Node>,
    /// `authorization_scopes`
    pub(super) scopes: Option<Node>,
    /// `api_key_required`
    pub(super) api_key_required: Option<Node>,
}

impl<'a> Security<'a> {
    /// Reads the schemes, the declared authorizers and the document's `security`.
    pub(super) fn read(import: &mut Import<'a>) -> Self {
        let mut security = Self {
            schemes: HashMap::new(),
            inherited: None,
            inherited_bytes: 0,
            authorizers: Map::default(),
            authorizer_names: HashSet::new(),
            gaps: IndexMap::new(),
        };
        if let Some(declared) = tree::get(import.root, "x-moongate-authorizers") {
            for (key, node) in import.mapping(declared, &At::ROOT.key("x-moongate-authorizers")).unwrap_or_default() {
                security.authorizer_names.insert(key.text.to_string());
                security.authorizers.push((key.clone(), node.clone()));
            }
        }
        security.read_schemes(import);
        if let Some(node) = tree::get(import.root, "security") {
            security.inherited = security.requirements(import, node, false, &At::ROOT.key("security")).map(Rc::new);
            security.inherited_bytes = tree::weigh(node);
        }
        security
    }

    /// What guards an operation.
    pub(super) fn guard(&mut self, import: &mut Import<'a>, operation: &Operation<'a>, at: &At<'_>) -> Guard {
        let own = tree::get(operation.node, "security");
        let requirements = match own {
            Some(node) => {
                self.requirements(import, node, is_declared_open(operation.node), &at.key("security")).map(Rc::new)
            }
            None if import.spend(self.inherited_bytes, at, operation.key.span) => self.inherited.clone(),
            None => None,
        };
        let is_own = own.is_some();
        let requirements = requirements.unwrap_or_default();
        let mut guard =
            Guard { api_key_required: requirements.api_key.map(|span| tree::flag(span, true)), ..Guard::default() };

        let field = "x-moongate-authorizer";
        if let Some(explicit) = tree::get(operation.node, field) {
            guard.authorize(explicit.clone(), requirements.all_scopes());
            return guard;
        }
        let on_path = tree::get(operation.item, field);
        let on_document = tree::get(import.root, field);
        if let Some(explicit) = on_path.filter(|_| !is_own) {
            guard.authorize(explicit.clone(), requirements.all_scopes());
            return guard;
        }
        let fallback = on_path.or(on_document).filter(|node| node.as_str() != Some(NONE));
        if !is_own && fallback.is_some() {
            guard.scopes = scopes(requirements.all_scopes());
            return guard;
        }
        let authorizers = self.with_auth_extension(import, operation, &requirements, at);
        let Ok(authorizers) = authorizers else { return guard };

        match authorizers.as_slice() {
            [(name, span)] => {
                guard.authorize(Node::string(*span, name.as_str()), requirements.scopes.clone());
                self.note_gaps(&requirements, operation, name != NONE || requirements.api_key.is_some());
            }
            [] if requirements.is_open && is_own => {
                let span = own.map_or(operation.key.span, |node| node.span);
                guard.authorizer = Some(Node::string(span, NONE));
            }
            [] if !requirements.unenforced.is_empty() && fallback.is_some() => {
                guard.authorizer = on_path.cloned();
                guard.scopes = scopes(requirements.all_scopes());
            }
            [] if requirements.unenforced.is_empty() && requirements.waived.is_some() => {
                guard.authorizer = requirements.waived.map(|span| Node::string(span, NONE));
            }
            [] => self.note_gaps(&requirements, operation, requirements.api_key.is_some()),
            [(first, span), (second, _), ..] => {
                let message = format!(
                    "operation {} asks for two authorizers, {} and {}",
                    quote(&operation.route),
                    quote(first),
                    quote(second)
                );
                let help = "a route has one authorizer; name it with `x-moongate-authorizer` on the operation";
                import.push(import.error(codes::AUTHORIZERS_SEVERAL, at, *span, message).help(help));
            }
        }
        guard
    }

    /// The native `authorizers`; reports the schemes that nothing enforces.
    pub(super) fn finish(self, import: &mut Import<'a>) -> Option<Node> {
        for (name, gap) in self.gaps {
            let at = scheme_section(import);
            let at = at.key(name);
            let name = quote(name);
            if gap.open > 0 {
                let routes = count_routes(gap.open, &gap.first_route);
                let message = format!(
                    "security scheme {name} ({}) cannot be enforced, and nothing else guards {routes}",
                    gap.kind
                );
                let help = "attach `x-moongate-authorizer` to the scheme, or set `x-moongate-authorizer: none` on the operations \
                            that are meant to be open";
                import.push(import.error(codes::SCHEME_UNENFORCED, &at, gap.span, message).help(help));
            } else {
                let routes = count_routes(gap.guarded, &gap.first_route);
                let message = format!(
                    "security scheme {name} ({}) is not enforced on {routes}; something else guards it",
                    gap.kind
                );
                import.push(import.warning(codes::SCHEME_SKIPPED, &at, gap.span, message));
            }
        }
        self.authorizers.into_some(import.root.span)
    }

    fn read_schemes(&mut self, import: &mut Import<'a>) {
        let at = scheme_section(import);
        let schemes = match import.version {
            Version::Swagger2 => tree::get(import.root, "securityDefinitions"),
            _ => tree::get(import.root, "components").and_then(|components| tree::get(components, "securitySchemes")),
        };
        let Some(schemes) = schemes.and_then(|schemes| import.mapping(schemes, at)) else { return };
        for (key, node) in schemes.iter().filter(|(key, _)| !key.text.starts_with("x-")) {
            let at = at.key(&key.text);
            let Some(node) = import.follow(node, &at) else { continue };
            for (key, _) in import.mapping(node, &at).unwrap_or_default() {
                extensions::check(import, Bearer::SecurityScheme, key, &at);
            }
            let scheme = self.read_scheme(import, key, node, &at);
            self.schemes.insert(&key.text, scheme);
        }
    }

    fn read_scheme(&mut self, import: &mut Import<'a>, key: &Key, node: &'a Node, at: &At<'_>) -> Scheme {
        if let Some(native) = tree::get(node, "x-moongate-authorizer") {
            return match native.as_str() {
                Some(NONE) => Scheme::Open,
                Some(name) => Scheme::Authorizer(name.to_owned()),
                None => self.declare(import, key, native.clone(), at),
            };
        }
        if let Some(source) = tree::get(node, "x-amazon-apigateway-authorizer") {
            let at = at.key("x-amazon-apigateway-authorizer");
            let converted =
                import.follow(source, &at).and_then(|source| authorizer::convert(import, key, node, source, &at));
            // Without a native authorizer the error is reported; the name still counts as one, to keep the route guarded.
            return match converted {
                Some(authorizer) => self.declare(import, key, authorizer, &at),
                None => Scheme::Authorizer(key.text.to_string()),
            };
        }
        let auth_type = tree::get(node, "x-amazon-apigateway-authtype");
        if let Some(auth_type) =
            auth_type.filter(|node| node.as_str().is_some_and(|text| text.eq_ignore_ascii_case("awsSigv4")))
        {
            return self.declare(import, key, bare_authorizer(auth_type.span, AWS_IAM), at);
        }
        let field = |name| tree::get(node, name).and_then(Node::as_str);
        let is_api_key = field("type") == Some("apiKey") && field("in") == Some("header");
        if is_api_key && field("name").is_some_and(|name| name.eq_ignore_ascii_case("x-api-key")) {
            return Scheme::ApiKey;
        }
        let kind = [field("type"), field("scheme")].into_iter().flatten().collect::<Vec<_>>().join(" ");
        Scheme::Unenforced { span: key.span, kind: if kind.is_empty() { "no type".to_owned() } else { quote(&kind) } }
    }

    /// Declares an authorizer under a scheme's name.
    fn declare(&mut self, import: &mut Import<'a>, key: &Key, authorizer: Node, at: &At<'_>) -> Scheme {
        let name = &*key.text;
        if name == NONE {
            let message =
                "a security scheme with an authorizer cannot be called `none`: that is what open routes write";
            import.push(import.error(codes::AUTHORIZER_NAME, at, key.span, message));
        } else if !self.authorizer_names.insert(name.to_owned()) {
            let message = format!("the authorizer {} is declared twice", quote(name));
            let help =
                "to use the one in `x-moongate-authorizers`, write its name as the scheme's `x-moongate-authorizer`";
            import.push(import.error(codes::AUTHORIZER_NAME, at, key.span, message).help(help));
        } else {
            self.authorizers.push((key.clone(), authorizer));
        }
        Scheme::Authorizer(name.to_owned())
    }

    /// Takes a list of requirements apart. OpenAPI reads the list as alternatives, AWS as one requirement (it exports a method
    /// with an authorizer and an API key as two entries): all are enforced, which never opens a route.
    ///
    /// Where the operation is declared open in AWS's own words, a scheme that does not exist is a warning: AWS's examples have
    /// such requirements.
    fn requirements(
        &self,
        import: &mut Import<'a>,
        node: &'a Node,
        is_declared_open: bool,
        at: &At<'_>,
    ) -> Option<Requirements<'a>> {
        let list = import.sequence(node, at)?;
        let mut requirements = Requirements { is_open: true, ..Requirements::default() };
        let mut alternatives = 0;
        for (i, item) in list.iter().enumerate() {
            let at = at.index(i);
            let entries = import.mapping(item, &at).unwrap_or_default();
            alternatives += usize::from(!entries.is_empty());
            for (key, scopes) in entries {
                requirements.is_open = false;
                let scopes = import.sequence(scopes, &at.key(&key.text)).unwrap_or_default();
                self.require(import, &mut requirements, key, scopes, is_declared_open, &at);
            }
        }
        let has_both = requirements.api_key.is_some() && !requirements.authorizers.is_empty();
        if alternatives > 1 && has_both && !import.is_aws || alternatives > 0 && alternatives < list.len() {
            let message = "these alternatives are all enforced: a route has one authorizer, and an API key beside it";
            import.push(import.warning(codes::ALTERNATIVES_ENFORCED, at, node.span, message));
        }
        Some(requirements)
    }

    fn require(
        &self,
        import: &mut Import<'a>,
        requirements: &mut Requirements<'a>,
        key: &'a Key,
        scopes: &'a [Node],
        is_declared_open: bool,
        at: &At<'_>,
    ) {
        match self.schemes.get(&*key.text) {
            Some(Scheme::Authorizer(name)) => {
                requirements.authorizers.entry(name.clone()).or_insert(key.span);
                requirements.scopes.extend(scopes);
            }
            Some(Scheme::ApiKey) => requirements.api_key = Some(key.span),
            Some(Scheme::Open) => requirements.waived = Some(key.span),
            Some(Scheme::Unenforced { .. }) => {
                requirements.unenforced.push(&key.text);
                requirements.unenforced_scopes.extend(scopes);
            }
            None => {
                let message = format!("there is no security scheme {}", quote(&key.text));
                let mut issue = if is_declared_open {
                    import.warning(codes::SCHEME_UNKNOWN_IGNORED, at, key.span, message)
                } else {
                    import.error(codes::SCHEME_UNKNOWN, at, key.span, message)
                };
                if let Some(near) = suggest::closest(&key.text, self.schemes.keys().copied()) {
                    issue = issue.label(format!("did you mean `{near}`?"));
                }
                import.push(issue);
            }
        }
    }

    /// The authorizers asked for, `x-amazon-apigateway-auth` considered. `Err` when it asks for what is not there.
    fn with_auth_extension(
        &mut self,
        import: &mut Import<'a>,
        operation: &Operation<'a>,
        requirements: &Requirements<'a>,
        at: &At<'_>,
    ) -> Result<Vec<(String, Span)>, ()> {
        let mut authorizers: Vec<_> =
            requirements.authorizers.iter().map(|(name, span)| (name.clone(), *span)).collect();
        let field = "x-amazon-apigateway-auth";
        let auth = [operation.node, import.root].into_iter().find_map(|node| tree::get(node, field));
        let Some(kind) = auth.and_then(|auth| tree::get(auth, "type")).filter(|_| authorizers.is_empty()) else {
            return Ok(authorizers);
        };
        match kind.as_str().map(str::to_ascii_uppercase).as_deref() {
            Some("NONE") => authorizers.push((NONE.to_owned(), kind.span)),
            Some("AWS_IAM") => {
                if self.authorizer_names.insert(AWS_IAM.to_owned()) {
                    self.authorizers.put(AWS_IAM, bare_authorizer(kind.span, AWS_IAM));
                }
                authorizers.push((AWS_IAM.to_owned(), kind.span));
            }
            _ => {
                let message = format!("operation {} asks for an authorizer and names none", quote(&operation.route));
                let help =
                    "name a scheme with an authorizer in `security`, or set `x-moongate-authorizer` on the operation";
                import
                    .push(import.error(codes::AUTH_WITHOUT_AUTHORIZER, &at.key(field), kind.span, message).help(help));
                return Err(());
            }
        }
        Ok(authorizers)
    }

    fn note_gaps(&mut self, requirements: &Requirements<'a>, operation: &Operation<'a>, is_guarded: bool) {
        for &name in &requirements.unenforced {
            let Some(Scheme::Unenforced { span, kind }) = self.schemes.get(name) else { continue };
            let gap = self.gaps.entry(name).or_insert_with(|| Gap {
                span: *span,
                kind: kind.clone(),
                first_route: operation.route.clone(),
                open: 0,
                guarded: 0,
            });
            if is_guarded {
                gap.guarded += 1;
                continue;
            }
            if gap.open == 0 {
                gap.first_route.clone_from(&operation.route);
            }
            gap.open += 1;
        }
    }
}

impl<'a> Requirements<'a> {
    fn all_scopes(&self) -> Vec<&'a Node> {
        self.scopes.iter().chain(&self.unenforced_scopes).copied().collect()
    }
}

impl Guard {
    fn authorize(&mut self, authorizer: Node, wanted: Vec<&Node>) {
        if authorizer.as_str() != Some(NONE) {
            self.scopes = scopes(wanted);
        }
        self.authorizer = Some(authorizer);
    }
}

/// Whether an operation says `x-amazon-apigateway-auth: {type: NONE}`.
fn is_declared_open(operation: &Node) -> bool {
    let kind = tree::get(operation, "x-amazon-apigateway-auth").and_then(|auth| tree::get(auth, "type"));
    kind.and_then(Node::as_str).is_some_and(|kind| kind.eq_ignore_ascii_case(NONE))
}

/// The native `authorization_scopes`, each once.
fn scopes(wanted: Vec<&Node>) -> Option<Node> {
    let span = wanted.first()?.span;
    let mut seen = HashSet::new();
    let unique = wanted.into_iter().filter(|node| node.as_str().is_none_or(|text| seen.insert(text.to_owned())));
    Some(tree::sequence(span, unique.cloned().collect()))
}

fn bare_authorizer(span: Span, kind: &str) -> Node {
    let mut map = Map::default();
    map.put("type", Node::string(span, kind));
    tree::mapping(map, span)
}

fn count_routes(count: usize, first: &str) -> String {
    let first = quote(first);
    match count {
        1 => format!("route {first}"),
        _ => format!("{count} routes, the first being {first}"),
    }
}

/// Where schemes stand.
fn scheme_section(import: &Import<'_>) -> &'static At<'static> {
    match import.version {
        Version::Swagger2 => &At::SECURITY_DEFINITIONS,
        Version::OpenApi30 | Version::OpenApi31 => &At::SECURITY_SCHEMES,
    }
}
