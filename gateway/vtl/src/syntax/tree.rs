//! The tree of a template.

/// A part of a template, and the line it begins in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) line: u32,
    pub(crate) kind: NodeKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NodeKind {
    /// Printed as it is.
    Text(String),
    /// A comment, without its signs. Prints nothing.
    Comment(String),
    /// Printed as what it refers to.
    Reference(Reference),
    /// `#set($target = value)`
    Set { target: Reference, value: Expression },
    /// `#if`, its `#elseif`s and its `#else`.
    If { branches: Vec<Branch>, otherwise: Option<Vec<Node>> },
    /// `#foreach($variable in items)`
    Foreach(Foreach),
    /// `#break`
    Break,
    /// `#stop`
    Stop,
    /// `#macro(name $parameters)`
    Macro { name: String, parameters: Vec<String>, body: Vec<Node> },
    /// `#name(arguments)`, `#@name(arguments) body #end`
    Call(Call),
    /// `#define($name)`
    Define { name: String, body: Vec<Node> },
    /// `#evaluate(text)` of a computed text. One that is known has been read where it stands.
    Evaluate(Expression),
    /// `#return(value)`, of AppSync's templates.
    Return(Expression),
    /// `#include(...)` and `#parse(...)`: there are no files.
    Include { name: &'static str },
}

/// A condition, and what it is the condition of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Branch {
    pub(crate) line: u32,
    pub(crate) condition: Expression,
    pub(crate) body: Vec<Node>,
}

/// A loop.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Foreach {
    pub(crate) variable: String,
    pub(crate) items: Expression,
    pub(crate) body: Vec<Node>,
}

/// The use of a macro.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: Vec<Expression>,
    pub(crate) body: Option<Vec<Node>>,
}

/// `$name.property[index].method(argument)`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reference {
    pub(crate) name: String,
    pub(crate) accessors: Vec<Accessor>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Accessor {
    Property(String),
    Index(Expression),
    Method { name: String, arguments: Vec<Expression> },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    Text(String),
    /// `"hello $name"`
    Interpolated(Vec<Node>),
    Integer(i64),
    Double(f64),
    Boolean(bool),
    Reference(Reference),
    List(Vec<Expression>),
    Map(Vec<(Expression, Expression)>),
    /// `[first..last]`
    Range(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    /// How strongly it binds: more than those with a smaller number.
    pub(crate) fn strength(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Equal | Self::NotEqual => 3,
            Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual => 4,
            Self::Add | Self::Subtract => 5,
            Self::Multiply | Self::Divide | Self::Remainder => 6,
        }
    }
}

impl Reference {
    /// `$name` without anything behind it.
    pub(crate) fn is_plain(&self) -> bool {
        self.accessors.is_empty()
    }
}

impl Accessor {
    /// The name in `.name`, `['name']` and `.get('name')`, which ask for the same.
    pub(crate) fn fixed_name(&self) -> Option<&str> {
        match self {
            Self::Property(name) | Self::Index(Expression::Text(name)) => Some(name),
            Self::Method { name, arguments } if name == "get" => match &arguments[..] {
                [Expression::Text(name)] => Some(name),
                _ => None,
            },
            _ => None,
        }
    }
}
