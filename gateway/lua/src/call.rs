//! What a call into a machine is about, and how it came out.

use bytes::Bytes;
use moongate_exchange::{Exchange, Response};

use crate::budget::Overrun;
use crate::run::{Message, Phase};
use crate::script::ConfigId;
use crate::stack::Value;

/// Longest error text taken over from Lua, in bytes. More is cut later, when positions have been split off.
const ERROR_BYTES_MAX: usize = 4 * 1024;

/// What a call is about.
pub(crate) struct Subject<'subject> {
    pub(crate) phase: Phase,
    pub(crate) exchange: Option<&'subject mut Exchange>,
    pub(crate) message: Message<'subject>,
    pub(crate) body: Option<&'subject Bytes>,
    pub(crate) event: &'subject [u8],
    /// The attachment it is for, whose secrets and data are used.
    pub(crate) config: Option<ConfigId>,
}

/// How a call came out, besides its result.
pub(crate) struct Outcome<R> {
    pub(crate) result: Result<R, Failure>,
    pub(crate) exit: Option<Box<Response>>,
    pub(crate) line: Option<u32>,
    pub(crate) overrun: Option<Overrun>,
}

/// Why a call has no result.
pub(crate) enum Failure {
    /// The script raised an error.
    Raised { text: Vec<u8>, is_out_of_memory: bool, is_body_faulty: bool },
    /// The script returned what cannot be used.
    BadResult(String),
}

impl<'subject> Subject<'subject> {
    pub(crate) fn new(phase: Phase, exchange: &'subject mut Exchange) -> Self {
        Self { phase, exchange: Some(exchange), message: Message::None, body: None, event: b"null", config: None }
    }

    pub(crate) fn load(event: &'subject [u8]) -> Self {
        Self { phase: Phase::Load, exchange: None, message: Message::None, body: None, event, config: None }
    }
}

/// The text of an error. Errors that are no texts are not asked for one: that would run code of the script.
pub(crate) fn error_text(error: Value<'_>) -> Vec<u8> {
    match error {
        Value::Text(text) => text[..text.len().min(ERROR_BYTES_MAX)].to_vec(),
        Value::Number(number) => number.to_string().into_bytes(),
        other => format!("an error that is not a string but {}", other.type_name()).into_bytes(),
    }
}
