//! IAM policy documents: what authorizers return, and whether one allows a request.
//!
//! Source: IAM User Guide, "Grammar of the IAM JSON policy language" and "Policy evaluation logic"; API Gateway, "Output
//! from an API Gateway Lambda authorizer". An explicit `Deny` wins, then an `Allow`; what nobody mentions is refused.
//!
//! Not everything of IAM means something here. A condition, a policy variable or a principal that cannot be told never
//! opens a door: an `Allow` that depends on it does not apply, a `Deny` that depends on it does. A document that IAM's
//! grammar does not have is an error, so that a misspelled `Effect` is not silently nothing.

mod condition;
mod parse;
mod pattern;
#[cfg(test)]
mod tests;

use std::ops::{BitAnd, Not};

use moongate_exchange::context::ACCOUNT_ID;

pub use condition::Context;
pub use parse::PolicyError;

use condition::Condition;
use pattern::Patterns;

/// The action of calling an API.
pub const INVOKE: &str = "execute-api:Invoke";

/// Largest policy document, as compact JSON in bytes (source: API Gateway quotas, authorizer result size).
pub const DOCUMENT_BYTES_MAX: usize = 8 * 1024;

/// Longest resource that documents are evaluated for, in bytes; longer ones are not allowed by any (source: API Gateway
/// quotas, length of a method ARN). It bounds the cost of matching wildcards.
pub const RESOURCE_BYTES_MAX: usize = 1_600;

/// A policy document, ready to be asked.
#[derive(Clone, Debug)]
pub struct PolicyDocument {
    statements: Vec<Statement>,
}

#[derive(Clone, Debug)]
struct Statement {
    effect: Effect,
    /// Whether the statement is about whoever calls. Documents that name somebody are resource policies.
    principal: Truth,
    actions: Patterns,
    resources: Patterns,
    conditions: Vec<Condition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

/// What a document says about an action on a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows it and none denies it.
    Allow,
    /// A statement denies it.
    Deny,
    /// No statement mentions it: it is refused.
    None,
}

impl PolicyDocument {
    /// What the document says about an action on a resource, such as [`INVOKE`] on a [`method_arn`].
    ///
    /// Cost: at most the product of the lengths of document and resource, both bounded; nearly always linear.
    pub fn evaluate(&self, action: &str, resource: &str, context: &Context<'_>) -> Decision {
        if resource.len() > RESOURCE_BYTES_MAX {
            return Decision::None;
        }
        let mut decision = Decision::None;
        for statement in &self.statements {
            match (statement.effect, statement.applies(action, resource, context)) {
                (Effect::Deny, Truth::Yes | Truth::Unknown) => return Decision::Deny,
                (Effect::Allow, Truth::Yes) => decision = Decision::Allow,
                (Effect::Allow, Truth::No | Truth::Unknown) | (Effect::Deny, Truth::No) => {}
            }
        }
        decision
    }
}

impl Statement {
    fn applies(&self, action: &str, resource: &str, context: &Context<'_>) -> Truth {
        let conditions = self.conditions.iter().fold(Truth::Yes, |truth, condition| truth & condition.holds(context));
        // Actions compare without regard to case, resources with (source: IAM, "IAM JSON policy elements: Action").
        self.principal & self.actions.match_ignoring_case(action) & self.resources.matches(resource) & conditions
    }
}

/// The ARN by which policies name a method of an API, in AWS's form:
/// `arn:aws:execute-api:{region}:{account}:{api}/{stage}/{METHOD}/{path}`, with a region and an account that stand for this
/// gateway.
///
/// `path` is the route's part of a path in normal form. Routes ignore a slash at its end, so the ARN has none: `/secret/`
/// must not get past a `Deny` on `/secret`.
pub fn method_arn(api: &str, stage: &str, method: &str, path: &str) -> String {
    let path = path.trim_matches('/');
    format!("arn:aws:execute-api:local:{ACCOUNT_ID}:{api}/{stage}/{method}/{path}")
}

/// Whether something is the case, as far as can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    Yes,
    No,
    Unknown,
}

impl From<bool> for Truth {
    fn from(is_so: bool) -> Self {
        if is_so { Self::Yes } else { Self::No }
    }
}

impl BitAnd for Truth {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
        }
    }
}

impl Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
        }
    }
}
