//! Directives, as statements of Lua.

use crate::syntax::{Accessor, Branch, Call, Expression, Foreach, Node, NodeKind, Reference, Template};

use super::expressions::{JOINED_MAX, printed};
use super::references::is_override;
use super::{Loop, Parameter, Place, Translator, facts, lua};

/// From how many loops on each is put into a block of its own, so that its locals do not add up to more than Luau allows.
const LOOPS_MANY: usize = 40;

impl Translator<'_> {
    pub(super) fn template(&mut self, template: &Template) {
        self.out.push_str("-- Translated from a Velocity template. The library `vtl` does what Velocity does.\n");
        let is_flat = template.nodes.iter().all(is_printed) && template.nodes.len() <= JOINED_MAX;
        self.declare();
        if is_flat {
            let parts = self.parts(&template.nodes);
            self.line_of(&format!("return {}", parts.join(" .. ")));
            return;
        }
        self.line_of("local out = {}");
        self.macros();
        if self.facts.has_far_stop {
            self.line_of("local function template()");
            self.indent += 1;
            self.nodes(&template.nodes);
            self.indent -= 1;
            self.line_of("end");
            self.line_of("return vtl.stoppable(template, out)");
        } else {
            self.nodes(&template.nodes);
            self.line_of("return table.concat(out)");
        }
    }

    /// The variables, which Velocity shares between all blocks.
    fn declare(&mut self) {
        if self.facts.has_loop_values {
            self.line_of("local foreach");
        }
        if self.names.is_table {
            self.line_of("local variables = {}");
        } else {
            let locals: Vec<String> = self.names.locals().into_iter().map(str::to_owned).collect();
            for names in locals.chunks(12) {
                self.line_of(&format!("local {}", names.join(", ")));
            }
        }
        // Until the template gives them another value they are the gateway's.
        for name in ["context", "stageVariables"] {
            if self.facts.assigned.contains(name) {
                let variable = self.names.variable(name);
                self.line_of(&format!("{variable} = {name}"));
            }
        }
    }

    fn macros(&mut self) {
        let macros = self.facts.macros.clone();
        for (name, definition) in &macros {
            self.line = definition.line;
            let mut taken = Vec::new();
            for (place, parameter) in definition.parameters.iter().enumerate() {
                let lua = self.names.fresh(parameter);
                let is_by_name = self.is_by_name(name, place);
                taken.push(lua.clone());
                self.parameters.push(Parameter { name: parameter.clone(), lua, is_by_name });
            }
            if self.facts.variables.contains(&"bodyContent") {
                let lua = self.names.fresh("content");
                taken.push(lua.clone());
                self.parameters.push(Parameter { name: "bodyContent".to_owned(), lua, is_by_name: false });
            }
            let function = self.names.macro_function(name);
            let parameters: String = taken.iter().map(|name| format!(", {name}")).collect();
            self.line_of(&format!("function {function}(out{parameters})"));
            self.place = Place::Macro;
            self.indent += 1;
            self.nodes(definition.body);
            self.indent -= 1;
            self.place = Place::Template;
            self.line_of("end");
            self.parameters.clear();
            taken.iter().for_each(|name| self.names.release(name));
        }
    }

    /// Whether a parameter is given as a function, because its value may change while the macro runs.
    fn is_by_name(&self, name: &str, place: usize) -> bool {
        let given = self.facts.arguments.get(&(name, place)).map(Vec::as_slice).unwrap_or_default();
        given.iter().any(|argument| self.facts.is_unsteady(argument))
    }

    fn line_of(&mut self, text: &str) {
        self.out.push_str(&"    ".repeat(self.indent));
        self.out.push_str(text);
        self.out.push('\n');
    }

    /// Prints what is printed, and carries out the rest.
    pub(super) fn nodes(&mut self, nodes: &[Node]) {
        let mut rest = nodes;
        while !rest.is_empty() {
            let printed = rest.iter().take_while(|node| is_printed(node)).count();
            for run in rest[..printed].chunks(JOINED_MAX) {
                let parts = self.parts(run);
                self.line_of(&format!("table.insert(out, {})", parts.join(" .. ")));
            }
            rest = &rest[printed..];
            if let Some((node, after)) = rest.split_first() {
                self.line = node.line;
                self.node(node);
                rest = after;
            }
        }
    }

    fn parts(&mut self, nodes: &[Node]) -> Vec<String> {
        let mut parts = Vec::with_capacity(nodes.len());
        for node in nodes {
            self.line = node.line;
            match &node.kind {
                NodeKind::Text(text) => parts.push(lua::quoted(text, true)),
                NodeKind::Reference(reference) => {
                    let code = self.reference(reference);
                    parts.push(printed(code));
                }
                _ => {}
            }
        }
        parts
    }

    fn node(&mut self, node: &Node) {
        match &node.kind {
            NodeKind::Text(_) | NodeKind::Reference(_) => {}
            NodeKind::Comment(text) => {
                let comment = lua::comment(text, self.indent);
                self.out.push_str(&comment);
            }
            NodeKind::Set { target, value } => self.set(target, value),
            NodeKind::If { branches, otherwise } => self.conditional(branches, otherwise.as_deref()),
            NodeKind::Foreach(foreach) => self.foreach(foreach),
            NodeKind::Break if self.is_in_loop() => self.line_of("do break end"),
            NodeKind::Break => self.leave(),
            NodeKind::Stop if self.facts.has_far_stop => self.line_of("vtl.stop()"),
            NodeKind::Stop => self.line_of("do return table.concat(out) end"),
            // Written at the top of the script.
            NodeKind::Macro { name, .. } => {
                if self.facts.macros.get(&**name).is_some_and(|known| known.line != node.line) {
                    self.note(format!("the macro `{name}` is defined twice; the first definition counts"));
                }
            }
            NodeKind::Call(call) => self.call(call),
            NodeKind::Define { name, body } => {
                // It does not see the loop it is written in, but the one it is used in.
                let loops = std::mem::take(&mut self.loops);
                let body = self.function_body(body);
                self.loops = loops;
                let variable = self.names.variable(name);
                self.line_of(&format!("{variable} = function()"));
                self.out.push_str(&body);
                self.line_of("end");
            }
            NodeKind::Evaluate(_) => self.problem("`#evaluate` of a text that is not known before the template runs"),
            NodeKind::Return(value) => {
                let value = self.value(value);
                self.line_of(&format!("table.insert(out, vtl.returned({value}))"));
            }
            NodeKind::Include { name } => self.problem(format!("`#{name}`: there are no other files")),
        }
    }

    /// Whether there is a loop in the function that is being written.
    fn is_in_loop(&self) -> bool {
        self.loops.len() > self.loops_outside
    }

    /// `#break` outside of a loop ends what it stands in.
    fn leave(&mut self) {
        match self.place {
            Place::Macro => self.line_of("do return end"),
            Place::Template | Place::Text => self.line_of("do return table.concat(out) end"),
        }
    }

    /// The body of a function without arguments that returns what some nodes print.
    pub(super) fn function_body(&mut self, nodes: &[Node]) -> String {
        let outer = std::mem::take(&mut self.out);
        let (line, place, loops_outside) = (self.line, self.place, self.loops_outside);
        self.place = Place::Text;
        self.loops_outside = self.loops.len();
        self.indent += 1;
        if !nodes.is_empty() && nodes.len() <= JOINED_MAX && nodes.iter().all(is_printed) {
            let parts = self.parts(nodes);
            self.line_of(&format!("return {}", parts.join(" .. ")));
        } else {
            self.line_of("local out = {}");
            self.nodes(nodes);
            self.line_of("return table.concat(out)");
        }
        self.indent -= 1;
        (self.line, self.place, self.loops_outside) = (line, place, loops_outside);
        std::mem::replace(&mut self.out, outer)
    }

    fn conditional(&mut self, branches: &[Branch], otherwise: Option<&[Node]>) {
        for (place, branch) in branches.iter().enumerate() {
            self.line = branch.line;
            let condition = self.condition(&branch.condition);
            let word = if place == 0 { "if" } else { "elseif" };
            self.line_of(&format!("{word} {condition} then"));
            self.indented(&branch.body);
        }
        if let Some(body) = otherwise {
            self.line_of("else");
            self.indented(body);
        }
        self.line_of("end");
    }

    fn indented(&mut self, nodes: &[Node]) {
        self.indent += 1;
        self.nodes(nodes);
        self.indent -= 1;
    }

    fn foreach(&mut self, foreach: &Foreach) {
        let Foreach { variable, items, body } = foreach;
        let lua_variable = self.names.variable(variable);
        let is_parameter = self.parameters.iter().any(|parameter| parameter.name == *variable);
        if is_parameter {
            self.problem(format!("`#foreach` with the parameter `${variable}` of a macro as its variable"));
        }
        // What is used elsewhere, or is no local, has to be assigned.
        let is_shared = self.facts.shared.contains(&**variable) || self.names.is_table;
        let function = if facts::may_change_lists(body) { "copy" } else { "items" };
        let source = format!("vtl.{function}({})", self.value(items));
        let is_asking = facts::asks_about_loop(body) || self.facts.has_loop_values;
        let index = if is_asking { self.names.fresh("index") } else { "_".to_owned() };
        let list = if is_asking { self.names.fresh("items") } else { String::new() };
        let mut kept = Vec::new();
        if is_shared {
            kept.push(lua_variable.clone());
        }
        if self.facts.has_loop_values {
            kept.push("foreach".to_owned());
        }
        let is_apart = (is_asking || !kept.is_empty()) && self.facts.loops > LOOPS_MANY;
        if is_apart {
            self.line_of("do");
            self.indent += 1;
        }
        let before: Vec<String> = kept.iter().map(|_| self.names.fresh("before")).collect();
        if !kept.is_empty() {
            self.line_of(&format!("local {} = {}", before.join(", "), kept.join(", ")));
        }
        let value = if is_shared { self.names.fresh("value") } else { lua_variable.clone() };
        if is_asking {
            self.line_of(&format!("local {list} = {source}"));
            self.line_of(&format!("for {index}, {value} in ipairs({list}) do"));
        } else {
            self.line_of(&format!("for _, {value} in ipairs({source}) do"));
        }
        self.indent += 1;
        if is_shared {
            self.line_of(&format!("{lua_variable} = {value}"));
        }
        if self.facts.has_loop_values {
            let outer = before.last().cloned().unwrap_or_default();
            self.line_of(&format!("foreach = vtl.loop({index}, #{list}, {outer})"));
        }
        self.indent -= 1;
        self.loops.push(Loop { index: index.clone(), items: list.clone() });
        self.indented(body);
        self.loops.pop();
        self.line_of("end");
        if !kept.is_empty() {
            self.line_of(&format!("{} = {}", kept.join(", "), before.join(", ")));
        }
        if is_apart {
            self.indent -= 1;
            self.line_of("end");
        }
        for name in before.iter().chain([&index, &list, &value].into_iter().filter(|name| **name != lua_variable)) {
            self.names.release(name);
        }
    }

    fn call(&mut self, call: &Call) {
        let Some(definition) = self.facts.macros.get(&*call.name) else {
            self.problem(format!("`#{}`, which is no macro", call.name));
            return;
        };
        let (wanted, given) = (definition.parameters.len(), call.arguments.len());
        if given != wanted {
            self.note(format!("the macro `{}` has {wanted} parameters and is given {given}", call.name));
        }
        let mut arguments = vec!["out".to_owned()];
        for (place, argument) in call.arguments.iter().take(wanted).enumerate() {
            let value = self.value(argument);
            let is_by_name = self.is_by_name(&call.name, place);
            arguments.push(if is_by_name { format!("function() return {value} end") } else { value });
        }
        for place in given..wanted {
            let is_by_name = self.is_by_name(&call.name, place);
            arguments.push(if is_by_name { "function() end" } else { "nil" }.to_owned());
        }
        if let Some(body) = &call.body {
            let body = self.function_body(body);
            arguments.push(format!("function()\n{body}{}end", "    ".repeat(self.indent)));
        }
        let function = self.names.macro_function(&call.name);
        self.line_of(&format!("{function}({})", arguments.join(", ")));
    }

    fn set(&mut self, target: &Reference, value: &Expression) {
        if self.parameters.iter().any(|parameter| parameter.name == target.name) {
            return self.problem(format!("`#set` of the parameter `${}` of a macro", target.name));
        }
        if self.facts.is_built_in(&target.name) {
            return self.set_built_in(target, value);
        }
        let value = self.value(value);
        let Some((last, before)) = target.accessors.split_last() else {
            let variable = self.names.variable(&target.name);
            return self.line_of(&format!("{variable} = {value}"));
        };
        let base = Reference { name: target.name.clone(), accessors: before.to_vec() };
        let base = self.reference(&base).lua;
        self.set_member(&base, last, &value);
    }

    fn set_member(&mut self, base: &str, member: &Accessor, value: &str) {
        let key = match member {
            Accessor::Property(name) => lua::quoted(name, false),
            Accessor::Index(index) => self.value(index),
            Accessor::Method { name, .. } => {
                return self.problem(format!("`#set` of what the method `{name}` gives"));
            }
        };
        self.line_of(&format!("vtl.set({base}, {key}, {value})"));
    }

    /// Overrides, and members of `$context` that the template makes up.
    fn set_built_in(&mut self, target: &Reference, value: &Expression) {
        let names: Vec<Option<&str>> = target.accessors.iter().map(Accessor::fixed_name).collect();
        match (&*target.name, &names[..]) {
            ("context", [Some("responseOverride"), Some("status")]) => {
                let value = self.value(value);
                self.line_of(&format!("context.responseOverride.status = vtl.field({value})"));
            }
            ("context", [Some(first @ ("requestOverride" | "responseOverride")), Some(kind), name])
                if is_override(first, kind) =>
            {
                let base = format!("context.{first}.{kind}");
                let value = self.value(value);
                match name {
                    Some(name) => self.line_of(&format!("{base}{} = vtl.field({value})", lua::field(name))),
                    None => {
                        let Some(last) = target.accessors.last() else { return };
                        self.set_member(&base, last, &value);
                    }
                }
            }
            ("context", [Some(member)]) if self.names.context_member(member).is_some() => {
                let value = self.value(value);
                let variable = self.names.context_member(member).unwrap_or_default();
                self.line_of(&format!("{variable} = {value}"));
            }
            ("context", [Some(member), ..]) if self.names.context_member(member).is_some() => {
                let Some((last, before)) = target.accessors.split_last() else { return };
                let base = Reference { name: target.name.clone(), accessors: before.to_vec() };
                let base = self.reference(&base).lua;
                let value = self.value(value);
                self.set_member(&base, last, &value);
            }
            (name, _) => self.problem(format!("`#set` of this part of `${name}`")),
        }
    }
}

fn is_printed(node: &Node) -> bool {
    matches!(node.kind, NodeKind::Text(_) | NodeKind::Reference(_))
}
