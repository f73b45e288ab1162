//! How functions of the host API are declared: once, with everything that documents, editor types and checks need.
//!
//! A noun is a constant table of [`Function`]s. Machines are made from it (`host/v1/mod.rs`), and so are the reference pages,
//! the editor's types and what `moongate plugin check` knows (`reference.rs`). Phase and argument types are checked from the
//! declaration before the function is called, so that a function never sees what its declaration does not allow.

use std::fmt;

use mlua::lua_CFunction;

use super::{Answered, Call};
use crate::run::Phase;

/// A set of phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseSet(u16);

impl PhaseSet {
    /// While a script is loaded, too.
    pub const ALL: Self = Self((1 << Phase::COUNT) - 1);
    /// Whenever there is a request: everywhere but while a script is loaded and in `response_chunk`.
    pub const REQUEST: Self = Self(Self::ALL.0 & !(1 << Phase::Load as u16) & !(1 << Phase::ResponseChunk as u16));
    /// Where a run may wait for something outside the gateway.
    pub const WAITING: Self = Self(Self::REQUEST.0 & !(1 << Phase::Log as u16) & !(1 << Phase::MapResponse as u16));

    /// These phases and no others.
    pub(crate) const fn of(phases: &[Phase]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < phases.len() {
            bits |= 1 << phases[at] as u16;
            at += 1;
        }
        Self(bits)
    }

    /// Whether a phase is among them.
    pub const fn contains(self, phase: Phase) -> bool {
        self.0 & (1 << phase as u16) != 0
    }

    /// The phases, in the order in which they run.
    pub fn iter(self) -> impl Iterator<Item = Phase> {
        Phase::ALL.into_iter().filter(move |phase| self.contains(*phase))
    }
}

/// `` phases `request` and `response` ``, or what they have in common where they are many.
impl fmt::Display for PhaseSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL {
            return f.write_str("every phase");
        }
        let names: Vec<String> = self.iter().map(|phase| format!("`{}`", phase.name())).collect();
        match &names[..] {
            [one] => write!(f, "phase {one}"),
            [first @ .., last] => write!(f, "phases {} and {last}", first.join(", ")),
            [] => f.write_str("no phase"),
        }
    }
}

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A string; bytes, not necessarily text.
    Text,
    /// A finite number.
    Number,
    /// A whole number.
    Whole,
    /// True or false.
    Boolean,
    /// A table.
    Table,
    /// A string or a table.
    TextOrTable,
    /// A function.
    Function,
    /// Anything.
    Any,
}

impl Type {
    /// In the words of messages.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Number => "a finite number",
            Self::Whole => "a whole number",
            Self::Boolean => "a boolean",
            Self::Table => "a table",
            Self::TextOrTable => "a string or a table",
            Self::Function => "a function",
            Self::Any => "a value",
        }
    }

    /// In Luau's words.
    pub const fn luau(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Number | Self::Whole => "number",
            Self::Boolean => "boolean",
            Self::Table => "{ [any]: any }",
            Self::TextOrTable => "string | { [any]: any }",
            Self::Function => "(...any) -> ...any",
            Self::Any => "any",
        }
    }
}

/// A parameter of a function.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub kind: Type,
    /// Whether it may be left out.
    pub is_optional: bool,
    /// What it is, with units and ranges.
    pub about: &'static str,
}

impl Parameter {
    /// The same, to be left out at will.
    pub(crate) const fn optional(mut self) -> Self {
        self.is_optional = true;
        self
    }
}

macro_rules! parameters {
    ($($name:ident = $kind:ident),*) => {$(
        #[doc = concat!("A parameter of type `", stringify!($kind), "`.")]
        pub(crate) const fn $name(name: &'static str, about: &'static str) -> Parameter {
            Parameter { name, kind: Type::$kind, is_optional: false, about }
        }
    )*};
}
parameters!(text = Text, number = Number, whole = Whole, table = Table, text_or_table = TextOrTable, any = Any);

/// A function of Rust behind a function of the API.
pub(crate) type Body = for<'call, 'run> fn(Call<'call, 'run>) -> Answered<'call>;

/// How a function is entered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry {
    /// Through the declaration: phase and argument types are checked before.
    Checked(Body),
    /// Straight from Lua: an accessor so hot that it checks its arguments itself (measured in `examples/calls.rs`).
    Direct(lua_CFunction),
    /// Through the declaration, and then it may wait: see `coroutine.rs`.
    Waiting(Body),
    /// `gate.parallel`.
    Parallel(Body),
}

/// A function of the API, declared.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Its name in its noun.
    pub name: &'static str,
    /// Where it may be called.
    pub phases: PhaseSet,
    /// What it takes.
    pub parameters: &'static [Parameter],
    /// Whether it takes any number of further arguments.
    pub is_variadic: bool,
    /// What it returns, in Luau's words; `()` for nothing.
    pub returns: &'static str,
    /// What it does, in a sentence or two.
    pub about: &'static str,
    /// When it raises, or returns nil and a reason.
    pub errors: &'static str,
    /// What it costs, where that is more than a few hundred nanoseconds.
    pub cost: &'static str,
    /// Lines of Lua that show it. `EXPRESSION --> VALUE` lines are checked.
    pub example: &'static str,
    pub(crate) entry: Entry,
}

/// Begins a declaration: the phases and the body; the rest is added by the methods below.
pub(crate) const fn function(name: &'static str, phases: PhaseSet, body: Body) -> Function {
    declare(name, phases, Entry::Checked(body))
}

/// The same, for a function that may wait.
pub(crate) const fn waiting(name: &'static str, phases: PhaseSet, body: Body) -> Function {
    declare(name, phases, Entry::Waiting(body))
}

/// The same, for `gate.parallel`.
pub(crate) const fn parallel(name: &'static str, phases: PhaseSet, body: Body) -> Function {
    declare(name, phases, Entry::Parallel(body))
}

/// The same, for an accessor that checks its own arguments.
pub(crate) const fn direct(name: &'static str, phases: PhaseSet, entry: lua_CFunction) -> Function {
    declare(name, phases, Entry::Direct(entry))
}

const fn declare(name: &'static str, phases: PhaseSet, entry: Entry) -> Function {
    Function {
        name,
        phases,
        parameters: &[],
        is_variadic: false,
        returns: "()",
        about: "",
        errors: "",
        cost: "",
        example: "",
        entry,
    }
}

impl Function {
    pub(crate) const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    pub(crate) const fn takes(mut self, parameters: &'static [Parameter]) -> Self {
        self.parameters = parameters;
        self
    }

    pub(crate) const fn and_more(mut self) -> Self {
        self.is_variadic = true;
        self
    }

    pub(crate) const fn gives(mut self, returns: &'static str) -> Self {
        self.returns = returns;
        self
    }

    pub(crate) const fn fails(mut self, errors: &'static str) -> Self {
        self.errors = errors;
        self
    }

    pub(crate) const fn costs(mut self, cost: &'static str) -> Self {
        self.cost = cost;
        self
    }

    pub(crate) const fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }

    /// Whether it may wait for something outside the gateway.
    pub fn is_waiting(&self) -> bool {
        matches!(self.entry, Entry::Waiting(_) | Entry::Parallel(_))
    }

    /// The fewest arguments it can be called with.
    pub fn arguments_min(&self) -> usize {
        self.parameters.iter().take_while(|parameter| !parameter.is_optional).count()
    }
}

/// A field of a noun that is no function.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its type, in Luau's words.
    pub luau: &'static str,
    /// What it is.
    pub about: &'static str,
}

/// A noun of the API: a table of functions.
#[derive(Clone, Copy, Debug)]
pub struct Noun {
    /// How scripts name it: `gate.crypto`; the older ones have a global of their own beside it: `request`.
    pub path: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Its functions.
    pub functions: &'static [Function],
    /// Its other fields.
    pub fields: &'static [Field],
    /// Whether other fields than these can be asked for.
    pub is_open: bool,
}

impl Noun {
    /// The last word of its path.
    pub fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// What a function is called in full.
    pub fn path_of(&self, function: &Function) -> String {
        format!("{}.{}", self.path, function.name)
    }
}
