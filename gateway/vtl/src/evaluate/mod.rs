//! A template rendered directly, to check its translation with.
//!
//! Nothing here is used while requests are handled. It follows the tree of the template step by step and keeps values as Java
//! would, where the translation leaves the work to Lua: that the two agree says something. Time and memory are bounded
//! roughly.

mod expression;
mod method;
mod value;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use indexmap::IndexMap;

use crate::syntax::{Call, Expression, Foreach, Node, NodeKind, Template};
use value::{LoopState, Map, Value};

/// Longest output, in bytes.
const OUTPUT_BYTES_MAX: usize = 10 * 1024 * 1024;

/// Most nodes and expressions that are carried out.
const STEPS_MAX: usize = 2_000_000;

/// How deep macros and `#define`s may call one another.
const CALLS_MAX: usize = 24;

/// What a template finds.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// `$input.body`; empty reads `{}`.
    pub body: String,
    /// `$input.params().path`
    pub path: IndexMap<String, String>,
    /// `$input.params().querystring`
    pub querystring: IndexMap<String, String>,
    /// `$input.params().header`
    pub header: IndexMap<String, String>,
    /// `$context`
    pub context: serde_json::Map<String, serde_json::Value>,
    /// `$stageVariables`
    pub stage_variables: IndexMap<String, String>,
}

/// Finds what a JSON path leads to in a body, as JSON; `None` where it leads nowhere.
pub type FindPath<'f> = &'f dyn Fn(&str, &str) -> Result<Option<String>, String>;

/// What a template printed and changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rendering {
    /// The body.
    pub text: String,
    /// `$context.requestOverride` and `$context.responseOverride` as JSON.
    pub overrides: serde_json::Value,
}

/// Why a template has no rendering.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A function refused its arguments, or there is no JSON where some is needed.
    #[error("{0}")]
    Failed(String),
    /// It runs too long, prints too much or calls itself too deep.
    #[error("the template {0}")]
    TooMuch(&'static str),
}

/// Renders a template.
///
/// # Errors
///
/// What the template does wrong, or too much of. A directive without an equal in Lua is an error too.
pub fn render(template: &Template, sample: &Sample, find_path: FindPath<'_>) -> Result<Rendering, Error> {
    let mut macros = HashMap::new();
    collect_macros(&template.nodes, &mut macros);
    let mut renderer = Renderer {
        sample,
        find_path,
        macros,
        variables: HashMap::new(),
        context: value::context(sample),
        patterns: crate::java::Patterns::default(),
        out: String::new(),
        steps: 0,
        calls: 0,
    };
    match renderer.nodes(&template.nodes) {
        Ok(Flow::Next | Flow::Break | Flow::Stop) => {}
        Err(error) => return Err(error),
    }
    let overrides = ["requestOverride", "responseOverride"].map(|name| {
        (name.to_owned(), renderer.context.borrow().get(name).map_or(serde_json::Value::Null, value::to_json))
    });
    Ok(Rendering { text: renderer.out, overrides: serde_json::Value::Object(overrides.into_iter().collect()) })
}

/// How a node ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Stop,
}

struct MacroBody<'t> {
    parameters: &'t [String],
    body: &'t [Node],
}

/// What a macro's parameter stands for: an expression, read anew each time, with the parameters of the place it was written.
#[derive(Clone)]
struct Bound<'t> {
    expression: Option<&'t Expression>,
    body: Option<&'t [Node]>,
    scope: Option<Rc<Scope<'t>>>,
}

/// The parameters of the macro that runs.
struct Scope<'t> {
    parameters: HashMap<&'t str, Bound<'t>>,
}

struct Renderer<'t, 's> {
    sample: &'s Sample,
    find_path: FindPath<'s>,
    macros: HashMap<&'t str, MacroBody<'t>>,
    variables: HashMap<String, Value<'t>>,
    context: Rc<RefCell<Map<'t>>>,
    patterns: crate::java::Patterns,
    out: String,
    steps: usize,
    calls: usize,
}

fn collect_macros<'t>(nodes: &'t [Node], macros: &mut HashMap<&'t str, MacroBody<'t>>) {
    for node in nodes {
        match &node.kind {
            NodeKind::Macro { name, parameters, body } => {
                macros.entry(name).or_insert(MacroBody { parameters, body });
                collect_macros(body, macros);
            }
            NodeKind::If { branches, otherwise } => {
                branches.iter().for_each(|branch| collect_macros(&branch.body, macros));
                collect_macros(otherwise.as_deref().unwrap_or_default(), macros);
            }
            NodeKind::Foreach(Foreach { body, .. }) | NodeKind::Define { body, .. } => collect_macros(body, macros),
            _ => {}
        }
    }
}

impl<'t> Renderer<'t, '_> {
    fn nodes(&mut self, nodes: &'t [Node]) -> Result<Flow, Error> {
        self.scoped(nodes, None)
    }

    fn scoped(&mut self, nodes: &'t [Node], scope: Option<&Rc<Scope<'t>>>) -> Result<Flow, Error> {
        for node in nodes {
            self.step()?;
            let flow = self.node(node, scope)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn step(&mut self) -> Result<(), Error> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(Error::TooMuch("runs for too long"));
        }
        Ok(())
    }

    fn print(&mut self, text: &str) -> Result<(), Error> {
        if self.out.len() + text.len() > OUTPUT_BYTES_MAX {
            return Err(Error::TooMuch("prints more than 10 MiB"));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn node(&mut self, node: &'t Node, scope: Option<&Rc<Scope<'t>>>) -> Result<Flow, Error> {
        match &node.kind {
            NodeKind::Text(text) => self.print(text)?,
            NodeKind::Comment(_) | NodeKind::Macro { .. } => {}
            NodeKind::Reference(reference) => {
                let value = self.reference(reference, scope)?;
                let text = self.text(&value)?;
                self.print(&text)?;
            }
            NodeKind::Set { target, value } => {
                let value = self.value(value, scope)?;
                self.assign(target, value, scope)?;
            }
            NodeKind::If { branches, otherwise } => {
                for branch in branches {
                    if self.is_true(&branch.condition, scope)? {
                        return self.scoped(&branch.body, scope);
                    }
                }
                return self.scoped(otherwise.as_deref().unwrap_or_default(), scope);
            }
            NodeKind::Foreach(foreach) => return self.foreach(foreach, scope),
            NodeKind::Break => return Ok(Flow::Break),
            NodeKind::Stop => return Ok(Flow::Stop),
            NodeKind::Call(call) => return self.call(call, scope),
            NodeKind::Define { name, body } => {
                let block = Value::Block(body, scope.cloned());
                self.variables.insert(name.clone(), block);
            }
            NodeKind::Evaluate(_) => {
                let why = "`#evaluate` of a text that is not known before the template runs";
                return Err(Error::Failed(why.to_owned()));
            }
            NodeKind::Return(value) => {
                let value = self.value(value, scope)?;
                let text = match &value {
                    Value::Text(text) => text.to_string(),
                    other => value::json_text(other),
                };
                self.print(&text)?;
            }
            NodeKind::Include { name } => return Err(Error::Failed(format!("`#{name}`: there are no other files"))),
        }
        Ok(Flow::Next)
    }

    fn foreach(&mut self, foreach: &'t Foreach, scope: Option<&Rc<Scope<'t>>>) -> Result<Flow, Error> {
        let items = self.value(&foreach.items, scope)?;
        let items = value::items(&items);
        let names = [&*foreach.variable, "foreach", "velocityCount", "velocityHasNext"];
        let before: Vec<Option<Value<'t>>> = names.iter().map(|name| self.variables.remove(*name)).collect();
        let parent = match &before[1] {
            Some(Value::Loop(state)) => Some(Rc::clone(state)),
            _ => None,
        };
        let count = items.len();
        let mut flow = Flow::Next;
        for (index, item) in items.into_iter().enumerate() {
            let state = Rc::new(LoopState { index, count, parent: parent.clone() });
            self.variables.insert(foreach.variable.clone(), item);
            self.variables.insert("foreach".to_owned(), Value::Loop(state));
            self.variables.insert("velocityCount".to_owned(), Value::Integer(index as i128 + 1));
            self.variables.insert("velocityHasNext".to_owned(), Value::Boolean(index + 1 < count));
            flow = self.scoped(&foreach.body, scope)?;
            if flow != Flow::Next {
                break;
            }
        }
        for (name, value) in names.into_iter().zip(before) {
            match value {
                Some(value) => self.variables.insert(name.to_owned(), value),
                None => self.variables.remove(name),
            };
        }
        Ok(if flow == Flow::Stop { Flow::Stop } else { Flow::Next })
    }

    fn enter(&mut self) -> Result<(), Error> {
        self.calls += 1;
        if self.calls > CALLS_MAX { Err(Error::TooMuch("calls itself too deep")) } else { Ok(()) }
    }

    fn call(&mut self, call: &'t Call, scope: Option<&Rc<Scope<'t>>>) -> Result<Flow, Error> {
        let Some(definition) = self.macros.get(&*call.name) else {
            return Err(Error::Failed(format!("`#{}`, which is no macro", call.name)));
        };
        let body = definition.body;
        let mut parameters = HashMap::new();
        for (place, parameter) in definition.parameters.iter().enumerate() {
            let bound = Bound { expression: call.arguments.get(place), body: None, scope: scope.cloned() };
            parameters.insert(&**parameter, bound);
        }
        parameters.insert("bodyContent", Bound { expression: None, body: call.body.as_deref(), scope: scope.cloned() });
        self.enter()?;
        let flow = self.scoped(body, Some(&Rc::new(Scope { parameters })))?;
        self.calls -= 1;
        Ok(if flow == Flow::Stop { Flow::Stop } else { Flow::Next })
    }

    /// What a block prints.
    fn captured(&mut self, nodes: &'t [Node], scope: Option<&Rc<Scope<'t>>>) -> Result<String, Error> {
        self.enter()?;
        let outer = std::mem::take(&mut self.out);
        let flow = self.scoped(nodes, scope);
        self.calls -= 1;
        let text = std::mem::replace(&mut self.out, outer);
        flow.map(|_| text)
    }
}
