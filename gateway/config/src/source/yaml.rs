//! The YAML reader: events of `granit-parser` become a tree, with anchors, aliases and merge keys resolved under limits.

mod size;
mod words;

use std::collections::{HashMap, HashSet};

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Tag};

use crate::issue::{Issue, Span, codes, quote};
use crate::source::yaml::size::{Size, size_of};
use crate::source::yaml::words::plain_words;
use crate::source::{
    ALIAS_GROWTH_BYTES_MIN, ALIAS_GROWTH_MAX, DEPTH_MAX, ISSUES_MAX, Key, NODES_MAX, Node, Value, find_duplicates,
    scalar, span,
};

/// The plain key that merges other mappings into its own (<https://yaml.org/type/merge.html>).
const MERGE_KEY: &str = "<<";

/// Reads a YAML text. Errors as for [`parse`](crate::source::parse).
pub(super) fn read(text: &str, file: &str) -> Result<Node, Vec<Issue>> {
    let mut reader = Reader::new(text, file);
    match reader.document() {
        Ok(node) if reader.issues.is_empty() => Ok(node),
        Ok(_) => Err(reader.issues),
        Err(issue) => {
            reader.issues.push(*issue);
            Err(reader.issues)
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    file: &'a str,
    /// Collections whose end is still to come, outermost first.
    open: Vec<Open>,
    /// The finished document.
    root: Option<Node>,
    /// Finished values that aliases may refer to.
    anchors: HashMap<usize, Anchored>,
    /// Values made so far, copies included.
    nodes: usize,
    /// Bytes copied for anchors and aliases so far.
    copied_bytes: usize,
    /// Problems that do not end the reading.
    issues: Vec<Issue>,
}

struct Anchored {
    node: Node,
    size: Size,
}

struct Open {
    start: usize,
    anchor: usize,
    items: Items,
}

enum Items {
    Sequence(Vec<Node>),
    Mapping {
        entries: Vec<(Key, Node)>,
        /// A key whose value is still to come.
        key: Option<Key>,
        /// Which entries are merge keys.
        merges: Vec<usize>,
    },
}

/// The type that a tag names.
type Kind = &'static str;

/// The tags of the core schema (YAML 1.2.2 section 10.3.1), without `tag:yaml.org,2002:`.
const KINDS: [Kind; 7] = ["null", "bool", "int", "float", "str", "seq", "map"];
/// `!` alone: "do not guess a type" (YAML 1.2.2 section 6.9.1).
const NON_SPECIFIC: Kind = "!";

/// Boxed, so that the readers' results stay small.
type Outcome<T> = Result<T, Box<Issue>>;

impl<'a> Reader<'a> {
    fn new(text: &'a str, file: &'a str) -> Self {
        Self {
            text,
            file,
            open: Vec::new(),
            root: None,
            anchors: HashMap::new(),
            nodes: 0,
            copied_bytes: 0,
            issues: Vec::new(),
        }
    }

    fn document(&mut self) -> Outcome<Node> {
        // The scanner ends silently at NUL, which would hide the rest of the text.
        if let Some(at) = self.text.bytes().position(|byte| byte == 0) {
            let message = "a NUL character cannot stand in a document";
            return Err(self.problem(codes::SYNTAX, span(at, at + 1), message));
        }
        let options = granit_parser::options! {
            emit_comments: false,
            // Ours is the limit that speaks; theirs only has to be no lower.
            flow_nesting_limit: DEPTH_MAX + 2,
            block_nesting_limit: DEPTH_MAX + 2,
        };
        let mut documents = 0;
        for event in Parser::new_from_str_with_options(self.text, options) {
            let (event, place) = event.map_err(|error| self.scan_error(&error))?;
            let range = place.byte_range().unwrap_or_default();
            let start = range.start.min(self.text.len());
            let end = range.end.clamp(start, self.text.len());
            match event {
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        let problem = self.problem(
                            codes::SYNTAX,
                            span(start, end),
                            "a file holds one document; a second one starts here",
                        );
                        return Err(problem.help_boxed("move it to a file of its own"));
                    }
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let kind = self.kind(tag.as_deref(), &place)?;
                    self.scalar(&text, style, anchor, kind, span(start, end))?;
                }
                Event::SequenceStart(_, anchor, tag) => {
                    self.check_kind("seq", tag.as_deref(), &place)?;
                    self.begin(start, anchor, Items::Sequence(Vec::new()))?;
                }
                Event::MappingStart(_, anchor, tag) => {
                    self.check_kind("map", tag.as_deref(), &place)?;
                    self.begin(start, anchor, Items::Mapping { entries: Vec::new(), key: None, merges: Vec::new() })?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.finish(end)?,
                Event::Alias(id) => self.alias(id, span(start, end))?,
                _ => {}
            }
        }
        // An empty file is an empty document.
        Ok(self.root.take().unwrap_or_else(|| Node::new(span(0, 0), Value::Null)))
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        kind: Option<Kind>,
        place: Span,
    ) -> Outcome<()> {
        if self.expects_key() {
            return self.key(text, style, anchor, kind, place);
        }
        let value = self.scalar_value(text, style, kind, place)?;
        self.add(Node::new(place, value), anchor)
    }

    fn scalar_value(&self, text: &str, style: ScalarStyle, kind: Option<Kind>, place: Span) -> Outcome<Value> {
        let is_text = match kind {
            None => style != ScalarStyle::Plain,
            Some(kind) => kind == "str" || kind == NON_SPECIFIC,
        };
        if is_text {
            return Ok(Value::String(text.into()));
        }
        let value = scalar::resolve(text).map_err(|scalar::NotFinite| {
            let message = format!("{} has no value a document can hold", quote(text));
            self.problem(codes::LIMIT, place, message).help_boxed("put it into quotes if it is a text")
        })?;
        match (kind, value) {
            (None, value)
            | (Some("null"), value @ Value::Null)
            | (Some("bool"), value @ Value::Bool(_))
            | (Some("int"), value @ Value::Integer(_))
            | (Some("float"), value @ (Value::Integer(_) | Value::Float(_))) => Ok(value),
            (Some(kind), _) => {
                Err(self.problem(codes::SYNTAX, place, format!("{} is not what its tag `!!{kind}` says", quote(text))))
            }
        }
    }

    fn key(&mut self, text: &str, style: ScalarStyle, anchor: usize, kind: Option<Kind>, place: Span) -> Outcome<()> {
        // The scanner gives `~` for a key that is not written at all.
        let text = if place.start == place.end && style == ScalarStyle::Plain { "" } else { text };
        if anchor != 0 {
            self.remember(anchor, &Node::string(place, text))?;
        }
        if let Some(Open { items: Items::Mapping { entries, key, merges }, .. }) = self.open.last_mut() {
            if text == MERGE_KEY && style == ScalarStyle::Plain && kind.is_none() {
                merges.push(entries.len());
            }
            *key = Some(Key::new(place, text));
        }
        Ok(())
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { items: Items::Mapping { key: None, .. }, .. }))
    }

    fn begin(&mut self, start: usize, anchor: usize, items: Items) -> Outcome<()> {
        let place = self.character_at(start);
        if self.expects_key() {
            return Err(self.problem(codes::SYNTAX, place, "a key must be a text, not a list or mapping"));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(self.too_deep(place));
        }
        self.open.push(Open { start, anchor, items });
        Ok(())
    }

    fn finish(&mut self, end: usize) -> Outcome<()> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        // A block collection's end event stands where the next thing starts; its text ends with its last value.
        let (value, last) = match open.items {
            Items::Sequence(mut items) => {
                items.shrink_to_fit();
                let last = items.last().map(|node| node.span.end);
                (Value::Sequence(items), last)
            }
            Items::Mapping { mut entries, merges, .. } => {
                if self.issues.len() < ISSUES_MAX {
                    find_duplicates(&entries, self.file, self.text, &mut self.issues);
                }
                let last = entries.last().map(|(key, node)| node.span.end.max(key.span.end));
                if !merges.is_empty() {
                    entries = self.merge(entries, &merges)?;
                }
                entries.shrink_to_fit();
                (Value::Mapping(entries), last)
            }
        };
        let is_flow = matches!(self.text.as_bytes().get(open.start), Some(b'[' | b'{'));
        let end = last.filter(|_| !is_flow).map_or(end, |last| last as usize);
        self.add(Node::new(span(open.start, end.max(open.start)), value), open.anchor)
    }

    /// Puts a finished value where it belongs.
    fn add(&mut self, node: Node, anchor: usize) -> Outcome<()> {
        self.count(1, node.span)?;
        if anchor != 0 {
            self.remember(anchor, &node)?;
        }
        self.attach(node);
        Ok(())
    }

    fn attach(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open { items: Items::Sequence(items), .. }) => items.push(node),
            Some(Open { items: Items::Mapping { entries, key, .. }, .. }) => {
                if let Some(key) = key.take() {
                    entries.push((key, node));
                }
            }
        }
    }

    fn remember(&mut self, anchor: usize, node: &Node) -> Outcome<()> {
        let size = size_of(node);
        self.pay_for_copy(size, node.span)?;
        self.anchors.insert(anchor, Anchored { node: node.clone(), size });
        Ok(())
    }

    fn alias(&mut self, id: usize, place: Span) -> Outcome<()> {
        if self.expects_key() {
            return Err(self.problem(codes::SYNTAX, place, "an alias cannot be a key; write the key itself"));
        }
        let Some(Anchored { size, .. }) = self.anchors.get(&id) else {
            return Err(self.problem(codes::SYNTAX, place, "an alias cannot stand inside the value it repeats"));
        };
        let size = *size;
        if self.open.len() + size.height > DEPTH_MAX {
            return Err(self.too_deep(place));
        }
        self.pay_for_copy(size, place)?;
        // What is inside keeps the places where it is written; the value as a whole stands where the alias does.
        let copy = self.anchors.get(&id).map(|anchored| Node::new(place, anchored.node.value.clone()));
        if let Some(copy) = copy {
            self.attach(copy);
        }
        Ok(())
    }

    fn pay_for_copy(&mut self, size: Size, place: Span) -> Outcome<()> {
        self.count(size.nodes, place)?;
        self.copied_bytes += size.bytes;
        if self.copied_bytes > (self.text.len() * ALIAS_GROWTH_MAX).max(ALIAS_GROWTH_BYTES_MIN) {
            let message = format!(
                "anchors and aliases make the document more than {ALIAS_GROWTH_MAX} times as large as its text"
            );
            return Err(self.problem(codes::LIMIT, place, message));
        }
        Ok(())
    }

    fn count(&mut self, nodes: usize, place: Span) -> Outcome<()> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            return Err(self.problem(codes::LIMIT, place, format!("the document has more than {NODES_MAX} values")));
        }
        Ok(())
    }

    /// Replaces merge keys by the entries they bring: the mapping's own keys win, then the mappings listed first.
    fn merge(&mut self, entries: Vec<(Key, Node)>, merges: &[usize]) -> Outcome<Vec<(Key, Node)>> {
        let own = entries.iter().enumerate().filter(|(at, _)| merges.binary_search(at).is_err());
        let mut seen: HashSet<Box<str>> = own.map(|(_, (key, _))| key.text.clone()).collect();
        let mut merged = Vec::with_capacity(entries.len());
        for (at, (key, node)) in entries.into_iter().enumerate() {
            if merges.binary_search(&at).is_err() {
                merged.push((key, node));
                continue;
            }
            let sources = match node.value {
                Value::Sequence(items) => items,
                value => vec![Node::new(node.span, value)],
            };
            for source in sources {
                let Value::Mapping(brought) = source.value else {
                    let message = "`<<` takes a mapping or a list of mappings";
                    return Err(self
                        .problem(codes::SYNTAX, source.span, message)
                        .help_boxed("for a key of that name write `\"<<\"`"));
                };
                merged.extend(brought.into_iter().filter(|(key, _)| seen.insert(key.text.clone())));
            }
        }
        Ok(merged)
    }

    /// What a tag asks for.
    fn kind(&self, tag: Option<&Tag>, place: &granit_parser::Span) -> Outcome<Option<Kind>> {
        let Some(tag) = tag else { return Ok(None) };
        let is_non_specific = format!("{}{}", tag.handle(), tag.suffix()) == NON_SPECIFIC;
        let core = KINDS.iter().find(|kind| tag.core_suffix() == Some(kind));
        match (is_non_specific, core) {
            (true, _) => Ok(Some(NON_SPECIFIC)),
            (false, Some(kind)) => Ok(Some(kind)),
            (false, None) => {
                let written = quote(&format!("{}{}", tag.original_handle(), tag.suffix()));
                Err(self.tag_problem(place, format!("the tag {written} means nothing here")))
            }
        }
    }

    fn check_kind(&self, found: Kind, tag: Option<&Tag>, place: &granit_parser::Span) -> Outcome<()> {
        match self.kind(tag, place)? {
            Some(kind) if kind != found && kind != NON_SPECIFIC => {
                Err(self.tag_problem(place, format!("the tag `!!{kind}` does not fit its value")))
            }
            _ => Ok(()),
        }
    }

    #[cold]
    fn tag_problem(&self, place: &granit_parser::Span, message: String) -> Box<Issue> {
        let range = place.tag_span().unwrap_or(*place).byte_range().unwrap_or_default();
        let end = range.end.clamp(range.start, self.text.len().max(range.start));
        let help = "documents use the plain YAML types only; put a text that starts with `!` into quotes";
        self.problem(codes::SYNTAX, span(range.start, end), message).help_boxed(help)
    }

    #[cold]
    fn too_deep(&self, place: Span) -> Box<Issue> {
        self.problem(codes::LIMIT, place, format!("more than {DEPTH_MAX} levels of nesting"))
    }

    #[cold]
    fn scan_error(&self, error: &ScanError) -> Box<Issue> {
        let place = self.character_at(error.marker().byte_offset().unwrap_or(self.text.len()));
        if *error.kind() == ErrorKind::RecursionLimitExceeded {
            return self.too_deep(place);
        }
        let (message, help) = plain_words(error.kind());
        let problem = self.problem(codes::SYNTAX, place, message);
        if help.is_empty() { problem } else { problem.help_boxed(help) }
    }

    /// The character at a byte, as a span.
    fn character_at(&self, at: usize) -> Span {
        let start = self.text.floor_char_boundary(at.min(self.text.len()));
        span(start, start + self.text[start..].chars().next().map_or(0, char::len_utf8))
    }

    #[cold]
    fn problem(&self, code: &'static str, place: Span, message: impl Into<String>) -> Box<Issue> {
        Box::new(Issue::error(code, self.file, "", message).at(place))
    }
}

/// `Issue::help` for a boxed issue.
trait HelpBoxed {
    fn help_boxed(self, help: &str) -> Self;
}

impl HelpBoxed for Box<Issue> {
    fn help_boxed(mut self, help: &str) -> Self {
        self.help = Some(help.to_owned());
        self
    }
}
