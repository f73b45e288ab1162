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
    /// The piece of a body that is streaming, and whether it is the last one.
    pub(crate) chunk: &'subject [u8],
    pub(crate) is_last: bool,
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
        Self { phase, exchange: Some(exchange), ..Self::load(b"null") }
    }

    /// The same subject, for as long as one leg of the run takes.
    pub(crate) fn reborrow(&mut self) -> Subject<'_> {
        let message = match &mut self.message {
            Message::None => Message::None,
            Message::Request(request) => Message::Request(request),
            Message::Response(response) => Message::Response(response),
            Message::ResponseHead(response) => Message::ResponseHead(response),
        };
        Subject {
            phase: self.phase,
            exchange: self.exchange.as_deref_mut(),
            message,
            body: self.body,
            event: self.event,
            config: self.config,
            chunk: self.chunk,
            is_last: self.is_last,
        }
    }

    pub(crate) fn load(event: &'subject [u8]) -> Self {
        Self {
            phase: Phase::Load,
            exchange: None,
            message: Message::None,
            body: None,
            event,
            config: None,
            chunk: b"",
            is_last: false,
        }
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
