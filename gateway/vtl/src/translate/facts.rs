//! What has to be known of a template before its first line can be written.

use std::collections::{BTreeMap, BTreeSet};

use crate::syntax::{Accessor, Call, Expression, Foreach, Node, NodeKind, Reference, Template};

/// Names that mean something before a template sets them.
pub(super) const BUILT_IN: [&str; 7] =
    ["input", "context", "util", "stageVariables", "foreach", "velocityCount", "velocityHasNext"];

/// Methods that may change the list a loop goes over.
const CHANGING: [&str; 6] = ["add", "addAll", "clear", "put", "remove", "removeAll"];

/// A macro, as it is defined first.
#[derive(Clone, Copy)]
pub(super) struct Macro<'t> {
    pub(super) line: u32,
    pub(super) parameters: &'t [String],
    pub(super) body: &'t [Node],
}

#[derive(Default)]
pub(super) struct Facts<'t> {
    /// Every variable, in the order of its first use.
    pub(super) variables: Vec<&'t str>,
    /// Those that the template gives a value: by `#set`, `#define` or `#foreach`.
    pub(super) assigned: BTreeSet<&'t str>,
    /// Members of `$context` that are set and are no overrides.
    pub(super) context_members: BTreeSet<&'t str>,
    /// Variables that are used where a loop around them is not seen: in `#define` and `#macro`.
    pub(super) shared: BTreeSet<&'t str>,
    /// Whether `$foreach` has to be a value, and not just the loop's variables.
    pub(super) has_loop_values: bool,
    /// Whether a `#stop` has to end more than one function.
    pub(super) has_far_stop: bool,
    pub(super) macros: BTreeMap<&'t str, Macro<'t>>,
    /// What macros are given: name and place of a parameter, and the values.
    pub(super) arguments: BTreeMap<(&'t str, usize), Vec<&'t Expression>>,
    /// Variables that macros give a value.
    pub(super) assigned_by_macros: BTreeSet<&'t str>,
    pub(super) loops: usize,
}

/// Where a node stands.
#[derive(Clone, Copy, Default)]
struct At<'t> {
    is_apart: bool,
    is_in_macro: bool,
    loops: usize,
    parameters: &'t [String],
}

/// The text of a template in which nothing but comments stands.
pub(super) fn only_text(template: &Template) -> Option<String> {
    let mut text = String::new();
    for node in &template.nodes {
        match &node.kind {
            NodeKind::Text(part) => text.push_str(part),
            NodeKind::Comment(_) => {}
            _ => return None,
        }
    }
    Some(text)
}

/// Whether a loop's body may change what it goes over.
pub(super) fn may_change_lists(nodes: &[Node]) -> bool {
    let mut is_changing = false;
    let mut see = |reference: &Reference| {
        is_changing |= reference.accessors.iter().any(|accessor| match accessor {
            Accessor::Method { name, .. } => CHANGING.contains(&&**name),
            _ => false,
        });
    };
    let has_calls = references(nodes, &mut see);
    is_changing || has_calls
}

/// Shows every reference in some nodes, and tells whether a macro is used or something defined earlier may be carried out.
fn references<'t>(nodes: &'t [Node], see: &mut impl FnMut(&'t Reference)) -> bool {
    let mut facts = Walk { see, has_calls: false };
    facts.nodes(nodes);
    facts.has_calls
}

/// Whether a loop's body asks about the loop: its variables have to be named then.
pub(super) fn asks_about_loop(nodes: &[Node]) -> bool {
    let mut is_asking = false;
    references(nodes, &mut |reference| {
        is_asking |= matches!(&*reference.name, "foreach" | "velocityCount" | "velocityHasNext");
    });
    is_asking
}

struct Walk<F> {
    see: F,
    has_calls: bool,
}

impl<'t, F: FnMut(&'t Reference)> Walk<&mut F> {
    fn nodes(&mut self, nodes: &'t [Node]) {
        for node in nodes {
            self.node(node);
        }
    }

    fn node(&mut self, node: &'t Node) {
        match &node.kind {
            NodeKind::Text(_) | NodeKind::Comment(_) | NodeKind::Break | NodeKind::Stop | NodeKind::Include { .. } => {}
            NodeKind::Reference(reference) => self.reference(reference),
            NodeKind::Set { target, value } => {
                self.reference(target);
                self.expression(value);
            }
            NodeKind::If { branches, otherwise } => {
                for branch in branches {
                    self.expression(&branch.condition);
                    self.nodes(&branch.body);
                }
                self.nodes(otherwise.as_deref().unwrap_or_default());
            }
            NodeKind::Foreach(Foreach { items, body, .. }) => {
                self.expression(items);
                self.nodes(body);
            }
            NodeKind::Macro { body, .. } | NodeKind::Define { body, .. } => self.nodes(body),
            NodeKind::Call(Call { arguments, body, .. }) => {
                self.has_calls = true;
                arguments.iter().for_each(|argument| self.expression(argument));
                self.nodes(body.as_deref().unwrap_or_default());
            }
            NodeKind::Evaluate(value) | NodeKind::Return(value) => {
                self.has_calls = true;
                self.expression(value);
            }
        }
    }

    fn expression(&mut self, expression: &'t Expression) {
        match expression {
            Expression::Text(_) | Expression::Integer(_) | Expression::Double(_) | Expression::Boolean(_) => {}
            Expression::Interpolated(nodes) => self.nodes(nodes),
            Expression::Reference(reference) => self.reference(reference),
            Expression::List(items) => items.iter().for_each(|item| self.expression(item)),
            Expression::Map(pairs) => pairs.iter().for_each(|(key, value)| {
                self.expression(key);
                self.expression(value);
            }),
            Expression::Range(left, right) | Expression::Binary(_, left, right) => {
                self.expression(left);
                self.expression(right);
            }
            Expression::Not(inner) => self.expression(inner),
        }
    }

    fn reference(&mut self, reference: &'t Reference) {
        (self.see)(reference);
        for accessor in &reference.accessors {
            match accessor {
                Accessor::Property(_) => {}
                Accessor::Index(index) => self.expression(index),
                Accessor::Method { arguments, .. } => arguments.iter().for_each(|argument| self.expression(argument)),
            }
        }
    }
}

impl<'t> Facts<'t> {
    pub(super) fn of(template: &'t Template) -> Self {
        let mut facts = Self::default();
        facts.nodes(&template.nodes, At::default());
        facts
    }

    /// Whether a name means what the gateway gives it, and not what the template sets.
    pub(super) fn is_built_in(&self, name: &str) -> bool {
        BUILT_IN.contains(&name) && !self.assigned.contains(name)
    }

    /// Whether an argument of a macro could have another value when the macro uses it than when the macro is called, or do
    /// something each time it is asked for.
    pub(super) fn is_unsteady(&self, argument: &Expression) -> bool {
        let (Expression::Interpolated(_) | Expression::Reference(_) | Expression::List(_) | Expression::Map(_)) =
            argument
        else {
            return false;
        };
        let mut is_unsteady = false;
        let mut see = |reference: &Reference| {
            let has_method = reference.accessors.iter().any(|accessor| matches!(accessor, Accessor::Method { .. }));
            let is_parameter = self.macros.values().any(|known| known.parameters.contains(&reference.name));
            is_unsteady |= has_method || is_parameter || self.assigned_by_macros.contains(&*reference.name);
        };
        let mut walk = Walk { see: &mut see, has_calls: false };
        walk.expression(argument);
        let has_calls = walk.has_calls;
        is_unsteady || has_calls
    }

    fn nodes(&mut self, nodes: &'t [Node], at: At<'t>) {
        for node in nodes {
            self.node(node, at);
        }
    }

    fn node(&mut self, node: &'t Node, at: At<'t>) {
        match &node.kind {
            NodeKind::Text(_) | NodeKind::Comment(_) | NodeKind::Break | NodeKind::Include { .. } => {}
            NodeKind::Stop => self.has_far_stop |= at.is_apart,
            NodeKind::Reference(reference) => self.reference(reference, at),
            NodeKind::Set { target, value } => {
                self.expression(value, at);
                if target.is_plain() {
                    self.assign(&target.name, at);
                } else {
                    self.context_member(target);
                    self.reference(target, at);
                }
            }
            NodeKind::If { branches, otherwise } => {
                for branch in branches {
                    self.expression(&branch.condition, at);
                    self.nodes(&branch.body, at);
                }
                self.nodes(otherwise.as_deref().unwrap_or_default(), at);
            }
            NodeKind::Foreach(Foreach { variable, items, body }) => {
                self.loops += 1;
                self.expression(items, at);
                self.assign(variable, at);
                self.nodes(body, At { loops: at.loops + 1, ..at });
            }
            NodeKind::Macro { name, parameters, body } => {
                self.macros.entry(name).or_insert(Macro { line: node.line, parameters, body });
                self.nodes(body, At { is_apart: true, is_in_macro: true, loops: 0, parameters });
            }
            NodeKind::Call(Call { name, arguments, body }) => {
                for (place, argument) in arguments.iter().enumerate() {
                    self.arguments.entry((name, place)).or_default().push(argument);
                    self.expression(argument, at);
                }
                if let Some(body) = body {
                    self.nodes(body, At { is_apart: true, ..at });
                }
            }
            NodeKind::Define { name, body } => {
                self.assign(name, at);
                self.nodes(body, At { is_apart: true, loops: 0, ..at });
            }
            NodeKind::Evaluate(value) | NodeKind::Return(value) => self.expression(value, at),
        }
    }

    fn expression(&mut self, expression: &'t Expression, at: At<'t>) {
        match expression {
            Expression::Text(_) | Expression::Integer(_) | Expression::Double(_) | Expression::Boolean(_) => {}
            // Its directives are a function of their own, but one that is called where it stands.
            Expression::Interpolated(nodes) => {
                let stops = nodes.iter().any(|node| !matches!(node.kind, NodeKind::Text(_) | NodeKind::Reference(_)));
                self.nodes(nodes, At { is_apart: at.is_apart || stops, ..at });
            }
            Expression::Reference(reference) => self.reference(reference, at),
            Expression::List(items) => items.iter().for_each(|item| self.expression(item, at)),
            Expression::Map(pairs) => pairs.iter().for_each(|(key, value)| {
                self.expression(key, at);
                self.expression(value, at);
            }),
            Expression::Range(left, right) | Expression::Binary(_, left, right) => {
                self.expression(left, at);
                self.expression(right, at);
            }
            Expression::Not(inner) => self.expression(inner, at),
        }
    }

    fn reference(&mut self, reference: &'t Reference, at: At<'t>) {
        self.see(&reference.name, at);
        let is_about_loop = matches!(&*reference.name, "foreach" | "velocityCount" | "velocityHasNext");
        // Out of sight of the loop, or handed on as a whole.
        if is_about_loop && (at.is_apart && at.loops == 0 || reference.name == "foreach" && reference.is_plain()) {
            self.has_loop_values = true;
        }
        for accessor in &reference.accessors {
            match accessor {
                Accessor::Property(_) => {}
                Accessor::Index(index) => self.expression(index, at),
                Accessor::Method { arguments, .. } => {
                    arguments.iter().for_each(|argument| self.expression(argument, at));
                }
            }
        }
    }

    fn see(&mut self, name: &'t str, at: At<'t>) {
        if at.parameters.iter().any(|parameter| parameter == name) {
            return;
        }
        if !self.variables.contains(&name) {
            self.variables.push(name);
        }
        if at.is_apart {
            self.shared.insert(name);
        }
    }

    fn assign(&mut self, name: &'t str, at: At<'t>) {
        self.see(name, at);
        self.assigned.insert(name);
        if at.is_in_macro {
            self.assigned_by_macros.insert(name);
        }
    }

    fn context_member(&mut self, target: &'t Reference) {
        if target.name != "context" {
            return;
        }
        let member = match target.accessors.first() {
            Some(Accessor::Property(name) | Accessor::Index(Expression::Text(name))) => &**name,
            _ => return,
        };
        if target.accessors.len() == 1 && !matches!(member, "requestOverride" | "responseOverride") {
            self.context_members.insert(member);
        }
    }
}
