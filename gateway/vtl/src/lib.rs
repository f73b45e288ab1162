//! Velocity templates (VTL), as AWS API Gateway runs them.
//!
//! API Gateway's mapping templates are written for Apache Velocity 1.x. Moongate's are written in Lua. This crate carries the
//! ones over that people bring along:
//!
//! - [`parse`] reads a template into a tree (`syntax/`). The grammar is Velocity 1.7's, white space and escapes included.
//! - [`translate`] writes a tree as a Lua script that a person can read and edit (`translate/`). What Velocity means by its
//!   operators, methods and references is in the library `vtl`, which scripts find beside `input` and `context`
//!   (`gateway/lua/src/host/v1/vtl`).
//! - [`evaluate`] renders a tree directly, without Lua: slow and simple, to check translations with. No request ever does.
//! - [`java`] is what templates know of Java's own library: numbers as text, regular expressions, methods of strings.
//!
//! Where API Gateway differs from Velocity, as recordings of its answers show, API Gateway is followed: a reference without a
//! value prints as nothing, counts as an empty text, and is true in `#if`.
//!
//! Templates are hostile: size ([`TEMPLATE_BYTES_MAX`]) and nesting ([`NESTING_MAX`]) are bounded here, time and memory where
//! the script runs.

#![forbid(unsafe_code)]

pub mod evaluate;
pub mod java;
mod syntax;
mod translate;

pub use syntax::{SyntaxError, Template, parse};
pub use translate::{Content, Note, Translation, Untranslatable, translate};

/// Longest template, in bytes (source: API Gateway quotas, "Mapping template size").
pub const TEMPLATE_BYTES_MAX: usize = 300 * 1024;

/// How deep directives, expressions and texts in quotes may stand in one another. Bounds recursion here, and the nesting of
/// the translation, for which Luau has limits of its own.
pub const NESTING_MAX: usize = 48;

/// Most operators of one kind in a row, as in `$a + $b + $c`: each is a call inside a call in the translation.
pub const OPERATORS_MAX: usize = 100;
