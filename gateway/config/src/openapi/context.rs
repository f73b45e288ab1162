//! What every part of the import shares: the document, its references, the budget, and where problems go.

use crate::issue::{self, Issue, Span, quote};
use crate::source::{ISSUES_MAX, Key, Node, Value, locate};

use super::refs::{RefError, Refs};
use super::{codes, tree};

/// How far shared parts (`$ref`s, defaults) may blow a document up, in bytes of text: 20 times the largest file AWS imports
/// (6 MB, source: API Gateway quotas). Keeps a small hostile file from becoming a large tree.
const EXPANSION_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Which description language a document is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Swagger 2.0.
    Swagger2,
    /// OpenAPI 3.0.
    OpenApi30,
    /// OpenAPI 3.1 or later.
    OpenApi31,
}

/// One import under way.
pub(super) struct Import<'a> {
    /// The document.
    pub(super) root: &'a Node,
    /// The description language.
    pub(super) version: Version,
    /// Whether the document carries AWS extensions.
    pub(super) is_aws: bool,
    /// Whether it becomes a REST API.
    pub(super) is_rest: bool,
    /// What stands before the path of every route: a base path, without a slash at its end.
    pub(super) prefix: String,
    file: &'a str,
    refs: Refs<'a>,
    issues: &'a mut Vec<Issue>,
    /// Counted apart, so that warnings never hide an error.
    errors: usize,
    warnings: usize,
    expanded_bytes: usize,
}

impl<'a> Import<'a> {
    /// An import of a document, with nothing known of it but its language.
    pub(super) fn new(root: &'a Node, version: Version, file: &'a str, issues: &'a mut Vec<Issue>) -> Self {
        Self {
            root,
            version,
            is_aws: false,
            is_rest: false,
            prefix: String::new(),
            file,
            refs: Refs::new(root),
            issues,
            errors: 0,
            warnings: 0,
            expanded_bytes: 0,
        }
    }

    /// An error at a place, to be completed and pushed.
    pub(super) fn error(&self, code: &'static str, at: &At<'_>, span: Span, message: impl Into<String>) -> Issue {
        Issue::error(code, self.file, at.pointer(), message).at(span)
    }

    /// A warning at a place, to be completed and pushed.
    pub(super) fn warning(&self, code: &'static str, at: &At<'_>, span: Span, message: impl Into<String>) -> Issue {
        Issue::warning(code, self.file, at.pointer(), message).at(span)
    }

    /// Reports a problem, unless there were too many of its kind; the first one too many says so.
    pub(super) fn push(&mut self, issue: Issue) {
        let (count, kind) =
            if issue.is_error() { (&mut self.errors, "errors") } else { (&mut self.warnings, "warnings") };
        *count += 1;
        if *count <= ISSUES_MAX {
            self.issues.push(issue);
        } else if *count == ISSUES_MAX + 1 {
            let message = format!("{ISSUES_MAX} {kind} are shown, there are more");
            self.issues.push(Issue { code: issue::codes::TOO_MANY, message, label: None, help: None, ..issue });
        }
    }

    /// The node a reference leads to, or the node itself. `None`, and a reported problem, when it leads nowhere.
    pub(super) fn follow(&mut self, node: &'a Node, at: &At<'_>) -> Option<&'a Node> {
        match self.refs.follow(node) {
            Ok(target) => {
                if !std::ptr::eq(target, node) && !self.spend(tree::weigh(target), at, node.span) {
                    return None;
                }
                Some(target)
            }
            Err((span, error)) => {
                self.push_ref_error(&error, at, span);
                None
            }
        }
    }

    /// As [`Self::follow`], without a word about references that lead nowhere.
    pub(super) fn peek(&self, node: &'a Node) -> Option<&'a Node> {
        self.refs.follow(node).ok()
    }

    /// The references of the document.
    pub(super) fn refs(&self) -> &Refs<'a> {
        &self.refs
    }

    /// Reports a reference that leads nowhere.
    pub(super) fn push_ref_error(&mut self, error: &RefError, at: &At<'_>, span: Span) {
        let issue = match error {
            RefError::Missing(pointer) => {
                let message = format!("{} leads nowhere in this document", quote(pointer));
                self.error(codes::REF_MISSING, at, span, message)
            }
            RefError::Remote(pointer) => {
                let message = format!("{} leads out of this document", quote(pointer));
                self.error(codes::REF_REMOTE, at, span, message)
                    .help("bundle the documents into one first; only references that start with `#/` are followed")
            }
            RefError::Cycle(pointer) => {
                let message = format!("{} leads back to itself, or through too many references", quote(pointer));
                self.error(codes::REF_CYCLE, at, span, message)
            }
        };
        self.push(issue);
    }

    /// Takes bytes from what the document may still expand to. `false`, and a reported problem, when that is too much.
    pub(super) fn spend(&mut self, bytes: usize, at: &At<'_>, span: Span) -> bool {
        let had_left = self.expanded_bytes <= EXPANSION_BYTES_MAX;
        self.expanded_bytes = self.expanded_bytes.saturating_add(bytes);
        let has_left = self.expanded_bytes <= EXPANSION_BYTES_MAX;
        if had_left && !has_left {
            let message = "the parts that this document uses more than once make it too large";
            self.push(self.error(codes::EXPANSION, at, span, message));
        }
        has_left
    }

    /// The entries of what must be a mapping.
    pub(super) fn mapping(&mut self, node: &'a Node, at: &At<'_>) -> Option<&'a [(Key, Node)]> {
        match &node.value {
            Value::Mapping(entries) => Some(entries),
            _ => {
                self.push_shape(node, at, "a mapping");
                None
            }
        }
    }

    /// The items of what must be a sequence.
    pub(super) fn sequence(&mut self, node: &'a Node, at: &At<'_>) -> Option<&'a [Node]> {
        match &node.value {
            Value::Sequence(items) => Some(items),
            _ => {
                self.push_shape(node, at, "a list");
                None
            }
        }
    }

    /// What must be a text.
    pub(super) fn text(&mut self, node: &'a Node, at: &At<'_>) -> Option<&'a str> {
        let text = node.as_str();
        if text.is_none() {
            self.push_shape(node, at, "a text");
        }
        text
    }

    /// Reports a value of the wrong shape.
    pub(super) fn push_shape(&mut self, node: &Node, at: &At<'_>, want: &str) {
        let issue = if is_cloudformation(node) {
            self.error(
                codes::CLOUDFORMATION,
                at,
                locate::shown(node, None),
                "this is a CloudFormation function, not a value",
            )
            .help("deploy the template and export the API from AWS, or write the value itself here")
        } else {
            self.error(
                codes::SHAPE,
                at,
                locate::shown(node, None),
                format!("expected {want}, found {}", tree::kind(node)),
            )
        };
        self.push(issue);
    }
}

/// Whether a value is a CloudFormation function, `{"Fn::Sub": ...}` or `{"Ref": ...}`: AWS SAM templates hold OpenAPI with those.
fn is_cloudformation(node: &Node) -> bool {
    matches!(node.entries(), [(key, _)] if key.text.starts_with("Fn::") || &*key.text == "Ref")
}

/// A place in the document, as a chain from the inside out: made on the way in, written only when something is wrong.
pub(super) struct At<'p> {
    parent: Option<&'p At<'p>>,
    segment: Segment<'p>,
}

enum Segment<'p> {
    Key(&'p str),
    Index(usize),
}

impl<'p> At<'p> {
    /// The document.
    pub(super) const ROOT: At<'static> = At { parent: None, segment: Segment::Index(0) };

    /// Where OpenAPI 3 keeps security schemes.
    pub(super) const SECURITY_SCHEMES: At<'static> =
        At { parent: Some(&Self::COMPONENTS), segment: Segment::Key("securitySchemes") };
    /// Where OpenAPI 3 keeps schemas.
    pub(super) const SCHEMAS: At<'static> = At { parent: Some(&Self::COMPONENTS), segment: Segment::Key("schemas") };
    /// Where Swagger 2.0 keeps security schemes.
    pub(super) const SECURITY_DEFINITIONS: At<'static> =
        At { parent: Some(&Self::ROOT), segment: Segment::Key("securityDefinitions") };
    /// Where Swagger 2.0 keeps schemas.
    pub(super) const DEFINITIONS: At<'static> = At { parent: Some(&Self::ROOT), segment: Segment::Key("definitions") };
    const COMPONENTS: At<'static> = At { parent: Some(&Self::ROOT), segment: Segment::Key("components") };

    /// The value under a key.
    pub(super) fn key(&'p self, key: &'p str) -> Self {
        Self { parent: Some(self), segment: Segment::Key(key) }
    }

    /// An item.
    pub(super) fn index(&'p self, index: usize) -> Self {
        Self { parent: Some(self), segment: Segment::Index(index) }
    }

    /// The place as a JSON pointer (RFC 6901).
    pub(super) fn pointer(&self) -> String {
        let mut chain = Vec::new();
        let mut at = self;
        while let Some(parent) = at.parent {
            chain.push(&at.segment);
            at = parent;
        }
        let mut pointer = String::new();
        for segment in chain.into_iter().rev() {
            pointer.push('/');
            match segment {
                Segment::Key(key) => pointer.push_str(&key.replace('~', "~0").replace('/', "~1")),
                Segment::Index(index) => pointer.push_str(&index.to_string()),
            }
        }
        pointer
    }
}
