//! From trees to typed documents, with *all* problems of a document at once.
//!
//! serde stops at the first error. Here each error is recorded with its place, the value it concerns is left out, and the
//! document is decoded again without it, until nothing new is found; sequences and maps go on behind the last item that
//! was fine, so that a hundred thousand items with a problem each do not cost a hundred thousand full passes. An error
//! that exists only because something was left out (a missing field that was there, but wrong) is not recorded.

mod access;
mod deserializer;
mod failure;
mod keys;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use serde::de::DeserializeOwned;

use crate::decode::deserializer::{NodeDeserializer, Path};
use crate::decode::failure::{Failure, Problem};
use crate::issue::{Issue, Span, codes, quote};
use crate::source::{ISSUES_MAX, Key, Node, locate, pointer_to};
use crate::suggest;

/// Decodes a document and adds every problem found in it to `issues`, at most [`ISSUES_MAX`] and one that says so.
///
/// Returns `Some` when the value is whole: there were no problems, or only unknown fields (E014), which are left out.
/// Otherwise `None`; then at least one issue was added.
///
/// Types whose own `Deserialize` refuses a *container* for lack of items may see a container again with its faultless
/// items left out; such a type should check its items after decoding instead.
pub fn decode<T: DeserializeOwned>(node: &Node, file: &str, issues: &mut Vec<Issue>) -> Option<T> {
    let recorder = RefCell::new(Recorder::new(file));
    let decoded = loop {
        let omitted_before = recorder.borrow().omitted.len();
        let deserializer = NodeDeserializer::new(node, &Path::ROOT, &recorder);
        let result = T::deserialize(deserializer);
        let mut recorder = recorder.borrow_mut();
        match result {
            Ok(value) => break (!recorder.has_omissions()).then_some(value),
            Err(Failure::Found(problem)) => {
                recorder.record(*problem, node, None, &Path::ROOT);
                break None;
            }
            // Every pass leaves out something more, or there is nothing more to find.
            Err(Failure::Recorded)
                if recorder.is_full || recorder.is_omitted(node) || recorder.omitted.len() == omitted_before =>
            {
                break None;
            }
            Err(Failure::Recorded) => {}
        }
    };
    issues.append(&mut recorder.into_inner().issues);
    decoded
}

/// What the passes over one document have found so far. Nodes are known by their addresses, which the borrowed tree keeps.
struct Recorder<'a> {
    file: &'a str,
    issues: Vec<Issue>,
    /// Whether no more issues are taken.
    is_full: bool,
    /// Values that later passes treat as absent.
    omitted: HashSet<*const Node>,
    /// How many leading items of a container need no further pass.
    done: HashMap<*const Node, usize>,
    /// Unknown fields already reported.
    unknown: HashSet<*const Key>,
    /// Mappings and the field that an unknown one in them was probably meant to be.
    misspelled: HashSet<(*const Node, &'static str)>,
}

impl<'a> Recorder<'a> {
    fn new(file: &'a str) -> Self {
        Self {
            file,
            issues: Vec::new(),
            is_full: false,
            omitted: HashSet::new(),
            done: HashMap::new(),
            unknown: HashSet::new(),
            misspelled: HashSet::new(),
        }
    }

    fn has_omissions(&self) -> bool {
        !self.omitted.is_empty()
    }

    fn is_omitted(&self, node: &Node) -> bool {
        !self.omitted.is_empty() && self.omitted.contains(&std::ptr::from_ref(node))
    }

    /// The first item of a container that a pass has to look at.
    fn first_item(&self, container: &Node) -> usize {
        self.done.get(&std::ptr::from_ref(container)).copied().unwrap_or(0)
    }

    /// Notes that the items before `at` need no further pass.
    fn set_done(&mut self, container: &Node, at: usize) {
        self.done.insert(std::ptr::from_ref(container), at);
    }

    /// Leaves a value out of later passes.
    fn omit(&mut self, node: &Node) {
        self.omitted.insert(std::ptr::from_ref(node));
    }

    /// Records what is wrong with a value and leaves the value out from now on.
    fn record(&mut self, problem: Problem, node: &Node, key: Option<&Key>, path: &Path<'_>) {
        let key = key.map(|key| key.span);
        let first_key = || node.entries().first().map(|(key, _)| key.span);
        let place = match problem.missing {
            Some(_) => key.or_else(first_key).unwrap_or(node.span),
            None => locate::shown(node, key),
        };
        self.record_at(problem, node, place, path);
    }

    /// Like [`Self::record`], for a problem that is to be shown elsewhere.
    fn record_at(&mut self, problem: Problem, node: &Node, place: Span, path: &Path<'_>) {
        let is_consequence = self.is_consequence(&problem, node);
        self.omit(node);
        if is_consequence {
            return;
        }
        let Problem { code, message, label, help, .. } = problem;
        let mut issue = Issue::error(code, self.file, path.pointer(), shorten(message)).at(place);
        (issue.label, issue.help) = (label, help);
        self.push(issue);
    }

    /// Records a field that the mapping cannot have.
    fn record_unknown_field(&mut self, mapping: &Node, key: &Key, fields: &'static [&'static str], path: &Path<'_>) {
        if self.is_full || !self.unknown.insert(std::ptr::from_ref(key)) {
            return;
        }
        // A field that is there already cannot be what was meant.
        let suggestion =
            suggest::closest(&key.text, fields.iter().copied()).filter(|field| mapping.get(field).is_none());
        let message = format!("unknown field {}", quote(&key.text));
        let mut issue =
            Issue::error(codes::UNKNOWN_FIELD, self.file, pointer_to(&path.pointer(), &key.text), message).at(key.span);
        match suggestion {
            Some(field) => {
                self.misspelled.insert((std::ptr::from_ref(mapping), field));
                issue = issue.label(format!("did you mean `{field}`?"));
            }
            None if fields.is_empty() => issue = issue.help("this mapping has no fields"),
            None => issue = issue.help(format!("the fields here are {}", failure::list(fields))),
        }
        self.push(issue);
    }

    /// Whether a problem exists only because of another: a missing field that was left out or is there under a misspelled
    /// name, a container refused after some of its values were left out.
    fn is_consequence(&self, problem: &Problem, node: &Node) -> bool {
        match problem.missing {
            Some(field) => {
                node.get(field).is_some_and(|value| self.is_omitted(value))
                    || self.misspelled.contains(&(std::ptr::from_ref(node), field))
            }
            None => {
                self.has_omissions()
                    && node
                        .items()
                        .iter()
                        .chain(node.entries().iter().map(|(_, value)| value))
                        .any(|value| self.is_omitted(value))
            }
        }
    }

    fn push(&mut self, issue: Issue) {
        if self.is_full {
            return;
        }
        self.issues.push(issue);
        if self.issues.len() == ISSUES_MAX {
            self.is_full = true;
            let message = format!("{ISSUES_MAX} problems are shown, there are more");
            self.issues.push(Issue::error(codes::TOO_MANY, self.file, "", message));
        }
    }
}

/// A message of readable length: those of newtypes may hold the whole refused text.
fn shorten(mut message: String) -> String {
    const MESSAGE_BYTES_MAX: usize = 400;
    if message.len() > MESSAGE_BYTES_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        message.push_str("...");
    }
    message
}
