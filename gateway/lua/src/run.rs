//! What a run of a script works on, and how host functions find it.
//!
//! A run is made on the Rust stack of the stage that wants it, with the exchange borrowed in it. While Lua runs, a
//! thread-local points to it. Host functions get at it through [`with`], which takes the pointer away for as long as they
//! use it: there is never a second reference.

#![expect(unsafe_code, reason = "passes a borrowed value through a thread-local")]

use std::cell::Cell;
use std::ptr;

use bytes::Bytes;
use moongate_exchange::{Exchange, Request, Response};
use moongate_vtl::java::Patterns;

use crate::budget::Limits;
use crate::json::Stop;
use crate::json::lazy::Index;
use crate::machine::Reference;
use crate::operation::{Operation, Reply};
use crate::services::{Services, Tenant};
use crate::watchdog::Ticket;

thread_local! {
    static CURRENT: Cell<*mut Run<'static>> = const { Cell::new(ptr::null_mut()) };
}

/// What a script is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// The script's top level, once, when it is loaded.
    Load,
    /// Deciding about the caller: authorizers, and the plugin phase of that name.
    Authorize,
    /// Making the upstream's body: templates, and the plugin phase of that name.
    MapRequest,
    /// Changing the integration request.
    Request,
    /// Answering as a function.
    Function,
    /// Making the client's body out of the integration's.
    MapResponse,
    /// Changing the response.
    Response,
    /// Changing a piece of the response's body as it streams.
    ResponseChunk,
    /// Looking back, when the response was sent.
    Log,
}

impl Phase {
    /// How many there are.
    pub(crate) const COUNT: usize = Self::ALL.len();

    /// All, in the order in which they run.
    pub const ALL: [Self; 9] = [
        Self::Load,
        Self::Authorize,
        Self::MapRequest,
        Self::Request,
        Self::Function,
        Self::MapResponse,
        Self::Response,
        Self::ResponseChunk,
        Self::Log,
    ];

    /// The phase as messages name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Authorize => "authorize",
            Self::MapRequest => "map_request",
            Self::Request => "request",
            Self::Function => "function",
            Self::MapResponse => "map_response",
            Self::Response => "response",
            Self::ResponseChunk => "response_chunk",
            Self::Log => "log",
        }
    }
}

/// The message that the phase is about, besides the method request in the exchange.
pub(crate) enum Message<'run> {
    None,
    /// The integration request, which plugins may change.
    Request(&'run mut Request),
    /// The response, which plugins may change.
    Response(&'run mut Response),
    /// The integration response, which templates may read.
    ResponseHead(&'run mut Response),
}

/// What a run has asked of others so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    /// Requests.
    pub(crate) calls: u32,
    /// Bytes of their bodies, both ways.
    pub(crate) bytes: u64,
}

/// What the run works on.
pub(crate) struct Run<'run> {
    pub(crate) phase: Phase,
    /// Nothing while a script is loaded.
    pub(crate) exchange: Option<&'run mut Exchange>,
    pub(crate) message: Message<'run>,
    /// The body that `input` is about.
    pub(crate) body: Option<&'run Bytes>,
    /// The event of a function.
    pub(crate) event: &'run [u8],
    /// The piece of a body that is streaming, and whether it is the last one.
    pub(crate) chunk: &'run [u8],
    pub(crate) is_last: bool,
    /// The answer that `response.exit` gave.
    pub(crate) exit: Option<Box<Response>>,
    /// The line on which an error was raised that does not name one itself.
    pub(crate) fault_line: Option<u32>,
    /// Whether a host function found that the body is no JSON.
    pub(crate) is_body_faulty: bool,
    pub(crate) buffers: &'run mut Buffers,
    /// Clock, random numbers, meters.
    pub(crate) services: &'run Services,
    /// Whose store, cache, meters and secrets the run uses.
    pub(crate) tenant: &'run Tenant,
    /// The coroutine that may wait; null in runs that may not.
    pub(crate) thread: *mut mlua::lua_State,
    /// Whether it is one of `gate.parallel`.
    pub(crate) is_child: bool,
    /// What it waits for when it is left.
    pub(crate) pending: Option<Operation>,
    /// What it is told when it goes on.
    pub(crate) reply: Option<Reply>,
    /// The coroutines that `gate.parallel` made.
    pub(crate) children: Vec<Reference>,
    pub(crate) spent: Spent,
    pub(crate) limits: Limits,
    pub(crate) lua: &'run mlua::Lua,
    pub(crate) ticket: Ticket<'run>,
    /// Address of the metatable that marks tables as lists.
    pub(crate) list_metatable: *const std::os::raw::c_void,
    /// Its place in the registry.
    pub(crate) list_metatable_ref: std::os::raw::c_int,
}

/// Memory that host functions write into, kept from run to run. It belongs to the machine and not to the functions: an error
/// of Lua may pass through their frames.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// The text a function returns.
    pub(crate) output: Vec<u8>,
    /// A string of that text, while it is taken apart.
    pub(crate) scratch: Vec<u8>,
    /// Why a function refuses its arguments.
    pub(crate) refusal: String,
    /// Regular expressions that were used before.
    pub(crate) patterns: Patterns,
    /// Where the members of the body are, once a path was followed through it.
    pub(crate) index: Index,
}

/// How much memory a buffer may keep from run to run, in bytes.
const KEPT_BYTES_MAX: usize = 64 * 1024;

impl Buffers {
    /// Gets ready for the next run: forgets the body, and gives back what an unusually large run made them grow to.
    pub(crate) fn reset(&mut self) {
        self.index.clear();
        for buffer in [&mut self.output, &mut self.scratch] {
            if buffer.capacity() > KEPT_BYTES_MAX {
                *buffer = Vec::new();
            }
        }
        if self.refusal.capacity() > KEPT_BYTES_MAX {
            self.refusal = String::new();
        }
    }
}

impl Stop for Ticket<'_> {
    fn is_due(&self) -> bool {
        Ticket::is_due(self)
    }
}

/// Takes the run away from host functions at the end, however that is reached.
pub(crate) struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(ptr::null_mut());
    }
}

/// Lets host functions on this thread find the run, until the answer is dropped.
///
/// # Safety
///
/// `run` must stay alive and must be used by nobody else until the answer has been dropped, except through [`with`].
pub(crate) unsafe fn enter(run: *mut Run<'_>) -> Entered {
    debug_assert!(CURRENT.get().is_null(), "host functions do not start runs");
    CURRENT.set(run.cast());
    Entered
}

/// Calls `work` with the run this thread is in, or answers `None` when it is in none. Lua code must not run in `work`.
#[inline]
pub(crate) fn with<R>(work: impl for<'run> FnOnce(&mut Run<'run>) -> R) -> Option<R> {
    /// Gives the pointer back even when `work` panics.
    struct Taken(*mut Run<'static>);

    impl Drop for Taken {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }

    let taken = Taken(CURRENT.replace(ptr::null_mut()));
    if taken.0.is_null() {
        return None;
    }
    // SAFETY: `enter` demands that the run lives and is used through this function only, and as the pointer is away until
    // `taken` is dropped, no second reference is made. `work` takes any lifetime, so it cannot keep anything.
    Some(work(unsafe { &mut *taken.0 }))
}

/// Makes every further allocation of the machine fail, until its limit is set anew.
pub(crate) fn starve() {
    with(|run| run.lua.set_memory_limit(1).is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_of_a_run_there_is_none() {
        assert!(with(|_| ()).is_none());
    }

    #[test]
    fn buffers_do_not_keep_what_one_large_run_needed() {
        let mut buffers = Buffers { output: vec![0; 1 << 20], refusal: "x".repeat(1 << 20), ..Buffers::default() };
        buffers.reset();
        assert!(buffers.output.capacity() <= KEPT_BYTES_MAX && buffers.refusal.capacity() <= KEPT_BYTES_MAX);
    }
}
