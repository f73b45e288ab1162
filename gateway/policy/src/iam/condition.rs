//! Conditions: what a statement demands of the request beside action and resource.
//!
//! Source: IAM User Guide, "IAM JSON policy elements: Condition operators" and "AWS global condition context keys". Known
//! are the operators and keys that mean something for a request to this gateway; all others are unclear.

use std::net::IpAddr;

use http::header::{REFERER, USER_AGENT};
use moongate_exchange::Exchange;

use super::Truth;
use super::pattern::{has_variable, is_like};
use crate::cidr::Cidr;

/// What conditions may ask about a request.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// `aws:SourceIp`.
    pub source_ip: IpAddr,
    /// `aws:SecureTransport`.
    pub is_secure: bool,
    /// `aws:UserAgent`, where the request has one.
    pub user_agent: Option<&'a str>,
    /// `aws:Referer`, where the request has one.
    pub referer: Option<&'a str>,
}

impl<'a> Context<'a> {
    /// What there is to know about a request.
    pub fn of(exchange: &'a Exchange) -> Self {
        Self {
            source_ip: exchange.client_ip().to_canonical(),
            is_secure: exchange.is_https(),
            user_agent: exchange.request.headers.text(USER_AGENT),
            referer: exchange.request.headers.text(REFERER),
        }
    }
}

/// One condition: an operator, a key, and values of which one must fit, or with `Not` none.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    /// `IpAddress`, `NotIpAddress` on `aws:SourceIp`.
    Address { networks: Box<[Cidr]>, is_negated: bool },
    /// `StringEquals`, `StringLike`, `Bool` and their negations.
    Text { key: Key, comparison: Comparison, values: Box<[Box<str>]>, is_negated: bool },
    /// Anything else: nobody can say whether it holds.
    Unclear,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Comparison {
    Equal,
    Like,
    /// `true` and `false`, in any case.
    Bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Key {
    SourceIp,
    SecureTransport,
    UserAgent,
    Referer,
}

impl Key {
    /// Names of keys compare without regard to case, unlike those of operators.
    fn find(name: &str) -> Option<Self> {
        let keys = [
            ("aws:SourceIp", Self::SourceIp),
            ("aws:SecureTransport", Self::SecureTransport),
            ("aws:UserAgent", Self::UserAgent),
            ("aws:Referer", Self::Referer),
        ];
        keys.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, key)| key)
    }
}

impl Condition {
    /// Reads a condition. `None` when a value is no network where there must be one.
    pub(super) fn new(operator: &str, key: &str, values: Vec<Box<str>>) -> Option<Self> {
        let Some(key) = Key::find(key) else { return Some(Self::Unclear) };
        if values.iter().any(|value| has_variable(value)) {
            return Some(Self::Unclear);
        }
        let (comparison, is_negated) = match operator {
            "StringEquals" => (Comparison::Equal, false),
            "StringNotEquals" => (Comparison::Equal, true),
            "StringLike" => (Comparison::Like, false),
            "StringNotLike" => (Comparison::Like, true),
            "Bool" => (Comparison::Bool, false),
            "IpAddress" | "NotIpAddress" if matches!(key, Key::SourceIp) => {
                let networks = values.iter().map(|value| network(value)).collect::<Option<_>>()?;
                return Some(Self::Address { networks, is_negated: operator == "NotIpAddress" });
            }
            _ => return Some(Self::Unclear),
        };
        Some(Self::Text { key, comparison, values: values.into(), is_negated })
    }

    pub(super) fn holds(&self, context: &Context<'_>) -> Truth {
        match self {
            Self::Unclear => Truth::Unknown,
            Self::Address { networks, is_negated } => {
                Truth::from(Cidr::any_contains(networks, context.source_ip) != *is_negated)
            }
            Self::Text { key, comparison, values, is_negated } => {
                // A request without the key fits no value; with `Not`, that is what the condition wants.
                let is_any = |text: &str| values.iter().any(|value| comparison.fits(value, text));
                let is_match = match key {
                    Key::SourceIp => is_any(&context.source_ip.to_string()),
                    Key::SecureTransport => is_any(if context.is_secure { "true" } else { "false" }),
                    Key::UserAgent => context.user_agent.is_some_and(is_any),
                    Key::Referer => context.referer.is_some_and(is_any),
                };
                Truth::from(is_match != *is_negated)
            }
        }
    }
}

impl Comparison {
    fn fits(self, value: &str, text: &str) -> bool {
        match self {
            Self::Equal => value == text,
            Self::Like => is_like(value, text),
            Self::Bool => value.eq_ignore_ascii_case(text),
        }
    }
}

/// IAM takes networks with bits beyond the prefix and ignores those.
fn network(text: &str) -> Option<Cidr> {
    match text.parse() {
        Ok(network) | Err(crate::cidr::Error::BitsBeyondPrefix { network }) => Some(network),
        Err(_) => None,
    }
}
