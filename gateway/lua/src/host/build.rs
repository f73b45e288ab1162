//! Lua values out of JSON.
//!
//! Everything here may raise an error of Lua when memory runs out, so nothing that lives here needs to be dropped: the reader
//! of `json/decode.rs` is a few integers, strings with escapes are resolved in the run's buffers.

#![expect(unsafe_code, reason = "makes values through Lua's C API")]

use std::fmt::Write as _;
use std::os::raw::c_int;

use mlua::ffi;
use mlua::lua_State;
use moongate_vtl::java;

use super::{JsonOf, raw};
use crate::json::decode::{self, Sink};
use crate::json::scan::{self, Fault, RawText};
use crate::json::{DEPTH_MAX, Stop};
use crate::run;

/// Places on the stack per level: the table, and the key of the member that is read.
const SLOTS_PER_LEVEL: usize = 2;

/// How values are made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As `json.decode` gives them.
    Plain,
    /// The same, with tables that cannot be written.
    Frozen,
    /// As the library `vtl` has them: maps know the order of their keys, numbers know what Java makes of them. Its source says
    /// how (`v1/vtl/library.luau`).
    Velocity,
}

/// Keys of tables of the library `vtl`: the order of a map's keys, and the digits of a number. Not UTF-8, so no text of JSON.
const KEYS: &[u8] = b"\xff";
const DIGITS: &[u8] = b"\xfe";

/// Places on the stack below the values of [`Form::Velocity`], two per level: the order of the keys of the map that was read
/// last on this level, and the one of the map that is being read. Maps in a list mostly have the same keys and share one order.
const ORDERS: c_int = 2 * (DEPTH_MAX as c_int + 1);

/// Largest whole number that doubles count to without gaps: 2^53.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Places on the stack that building needs.
const SLOTS: c_int = (SLOTS_PER_LEVEL * DEPTH_MAX + 8) as c_int + ORDERS;

/// Puts the value of a JSON text on the stack. May raise.
///
/// # Safety
///
/// `state` must be the state that the running function was called with. No reference to the run may be in use.
pub(crate) unsafe fn push_json(state: *mut lua_State, text: &[u8], form: Form) -> Result<(), Fault> {
    // SAFETY: the state is live.
    if unsafe { ffi::lua_checkstack(state, SLOTS) } == 0 {
        return Err(Fault::new(0, "the Lua stack is full"));
    }
    let list_metatable = run::with(|run| run.list_metatable_ref).unwrap_or(ffi::LUA_REFNIL);
    // SAFETY: there is room.
    let orders = unsafe {
        let top = ffi::lua_gettop(state);
        if form == Form::Velocity {
            ffi::lua_settop(state, top + ORDERS);
        }
        top
    };
    let mut builder = Builder {
        state,
        counts: [0; DEPTH_MAX + 1],
        shared: [-1; DEPTH_MAX + 1],
        depth: 0,
        form,
        list_metatable,
        orders,
    };
    decode::read(text, &mut builder, &CurrentRun)
}

/// Marks the table at a place as a list and puts it on the stack; makes a new one if there is none. May raise.
///
/// # Safety
///
/// `state` must be the state that the running function was called with, with a table that is not read-only, or nothing, at
/// `place`, and with room for two values.
pub(super) unsafe fn push_list(state: *mut lua_State, place: c_int) {
    let list_metatable = run::with(|run| run.list_metatable_ref).unwrap_or(ffi::LUA_REFNIL);
    // SAFETY: there is room, and the value at `place` is a table.
    unsafe {
        if ffi::lua_type(state, place) == ffi::LUA_TTABLE {
            ffi::lua_pushvalue(state, place);
        } else {
            ffi::lua_createtable(state, 0, 0);
        }
        ffi::lua_rawgeti_(state, ffi::LUA_REGISTRYINDEX, list_metatable);
        ffi::lua_setmetatable(state, -2);
    }
}

/// The function that Lua code is not told of: puts the value of the run's event on the stack, or of the configuration that is
/// in its place while scripts are loaded.
pub(crate) unsafe extern "C-unwind" fn push_event(state: *mut lua_State) -> c_int {
    let event = run::with(|run| (&raw const *run.event, run.phase == run::Phase::Load));
    let Some((text, is_config)) = event else { return 0 };
    // SAFETY: Luau calls with a live state; the event is borrowed by the run, which goes on.
    unsafe {
        let form = if is_config { Form::Frozen } else { Form::Plain };
        if let Err(fault) = push_json(state, &*text, form) {
            let why = explain(fault, JsonOf::Body);
            raw::raise(state, &*why);
        }
    }
    1
}

/// The function that Lua code is not told of: puts the run's piece of a body on the stack.
pub(crate) unsafe extern "C-unwind" fn push_chunk(state: *mut lua_State) -> c_int {
    let chunk = run::with(|run| &raw const *run.chunk);
    let Some(chunk) = chunk else { return 0 };
    // SAFETY: Luau calls with a live state and room for values; the piece is borrowed by the run, which goes on.
    unsafe {
        let chunk = &*chunk;
        ffi::lua_pushlstring_(state, chunk.as_ptr().cast(), chunk.len());
    }
    1
}

/// Writes what is wrong with a JSON text where it stays until the error has been raised.
pub(super) fn explain(fault: Fault, of: JsonOf) -> *const [u8] {
    let why = run::with(|run| {
        let refusal = &mut run.buffers.refusal;
        refusal.clear();
        let written = match of {
            JsonOf::Argument(function) => write!(refusal, "{function}: {fault}"),
            JsonOf::Body => {
                run.is_body_faulty = true;
                write!(refusal, "{BODY_NOT_JSON}: {fault}")
            }
        };
        written.expect("writing to a String does not fail");
        &raw const *refusal.as_bytes()
    });
    why.unwrap_or(b"internal error")
}

/// How errors begin that say that the body is no JSON.
pub(crate) const BODY_NOT_JSON: &str = "the body is not JSON";

struct CurrentRun;

impl Stop for CurrentRun {
    fn is_due(&self) -> bool {
        run::with(|run| run.ticket.is_due()).unwrap_or(false)
    }
}

/// Puts values on the stack as they are told. A value of a list or an object is on top of its table when it has been told.
struct Builder {
    state: *mut lua_State,
    /// How many elements the list on each level has, or keys the map.
    counts: [c_int; DEPTH_MAX + 1],
    /// How many keys the order that the map on each level may share has; -1 when the map has an order of its own.
    shared: [c_int; DEPTH_MAX + 1],
    depth: usize,
    form: Form,
    list_metatable: c_int,
    /// The top of the stack below the orders.
    orders: c_int,
}

const _: () = assert!(!std::mem::needs_drop::<Builder>(), "errors of Lua unwind past it");

impl Builder {
    fn push_text(&mut self, text: RawText<'_>) -> Result<(), Fault> {
        let mut bytes = &raw const *text.bytes;
        if text.is_escaped {
            let resolved = run::with(|run| {
                let scratch = &mut run.buffers.scratch;
                scratch.clear();
                text.unescape(scratch).map(|()| &raw const scratch[..])
            });
            bytes = resolved.unwrap_or(Err(Fault::new(text.at, "no run to work in")))?;
        }
        // SAFETY: the state is live and `push_json` made room. The bytes are the text's, or the scratch buffer's, which is
        // not written again before the string has been made.
        unsafe { ffi::lua_pushlstring_(self.state, bytes.cast(), bytes.len()) };
        Ok(())
    }

    /// Where the order of the map read last on this level is; that of the map being read is in the place above.
    fn last_order(&self) -> c_int {
        self.orders + 1 + 2 * self.depth as c_int
    }

    /// Gives the map of this level an order of its own, with the first keys of the one it shared so far.
    fn begin_order(&mut self, count: c_int) {
        self.shared[self.depth] = -1;
        let (last, current) = (self.last_order(), self.last_order() + 1);
        // SAFETY: both places are below the top; there is room for the order and a key, which are taken off again.
        unsafe {
            ffi::lua_createtable(self.state, count.max(4), 0);
            for place in 1..=count {
                ffi::lua_rawgeti_(self.state, last, place);
                ffi::lua_rawseti_(self.state, -2, place);
            }
            ffi::lua_replace(self.state, current);
        }
    }

    /// Puts the key that is below the value on top into the order of its map.
    fn note_key(&mut self) {
        let count = self.counts[self.depth];
        if count < self.shared[self.depth] {
            // SAFETY: the place holds the shared order; there is room for one of its keys, which is taken off again. The key
            // is below the value.
            let is_same = unsafe {
                ffi::lua_rawgeti_(self.state, self.last_order(), count + 1);
                let is_same = ffi::lua_rawequal(self.state, -1, -3) != 0;
                ffi::lua_settop(self.state, -2);
                is_same
            };
            if is_same {
                self.counts[self.depth] += 1;
                return;
            }
        }
        // SAFETY: value, key and map are on top, in this order, with room for one more, which is taken off again.
        let is_new = unsafe {
            ffi::lua_pushvalue(self.state, -2);
            ffi::lua_rawget(self.state, -4);
            let is_new = ffi::lua_type(self.state, -1) == ffi::LUA_TNIL;
            ffi::lua_settop(self.state, -2);
            is_new
        };
        if !is_new {
            return;
        }
        if self.shared[self.depth] >= 0 {
            self.begin_order(count);
        }
        self.counts[self.depth] += 1;
        // SAFETY: the place holds the map's own order; the key is below the value.
        unsafe {
            ffi::lua_pushvalue(self.state, -2);
            ffi::lua_rawseti_(self.state, self.last_order() + 1, count + 1);
        }
    }

    /// Pushes a number that Java writes otherwise than Lua: a whole double, or a whole number that no double holds. The
    /// answer says whether it is one.
    fn push_number_with_digits(&mut self, digits: &[u8], value: f64) -> bool {
        let is_double = digits.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
        if is_double && value.fract() != 0.0 || !is_double && value.abs() < WHOLE_MAX {
            return false;
        }
        let written = run::with(|run| {
            let scratch = &mut run.buffers.scratch;
            scratch.clear();
            if is_double {
                scratch.extend_from_slice(java::double_to_string(value).as_bytes());
            } else {
                scratch.extend_from_slice(digits);
            }
            &raw const scratch[..]
        });
        let Some(text) = written else { return false };
        // SAFETY: the state is live and `push_json` made room. The scratch buffer is not written again before the string has
        // been made.
        unsafe {
            ffi::lua_createtable(self.state, 0, 2);
            ffi::lua_pushlstring_(self.state, DIGITS.as_ptr().cast(), DIGITS.len());
            ffi::lua_pushlstring_(self.state, text.cast(), text.len());
            ffi::lua_rawset(self.state, -3);
            ffi::lua_pushlstring_(self.state, c"value".as_ptr(), "value".len());
            ffi::lua_pushnumber(self.state, value);
            ffi::lua_rawset(self.state, -3);
        }
        true
    }

    fn begin(&mut self, members: c_int) {
        self.depth += 1;
        self.counts[self.depth] = 0;
        // SAFETY: the state is live and `push_json` made room for every level.
        unsafe { ffi::lua_createtable(self.state, 0, members) };
    }

    fn end(&mut self) {
        self.depth -= 1;
        if self.form == Form::Frozen {
            // SAFETY: the table that `begin` made is on top.
            unsafe { ffi::lua_setreadonly(self.state, -1, 1) };
        }
    }
}

impl Sink for Builder {
    fn null(&mut self) {
        // SAFETY: as in `push_text`. The null pointer is `json.null`.
        unsafe { ffi::lua_pushlightuserdata(self.state, std::ptr::null_mut()) };
    }

    fn boolean(&mut self, value: bool) {
        // SAFETY: as in `push_text`.
        unsafe { ffi::lua_pushboolean(self.state, value.into()) };
    }

    fn number(&mut self, digits: &[u8]) {
        let value = scan::number_value(digits).unwrap_or(f64::NAN);
        if self.form == Form::Velocity && self.push_number_with_digits(digits, value) {
            return;
        }
        // SAFETY: as in `push_text`. The reader has checked that the number is finite.
        unsafe { ffi::lua_pushnumber(self.state, value) };
    }

    fn text(&mut self, text: RawText<'_>) -> Result<(), Fault> {
        self.push_text(text)
    }

    fn begin_list(&mut self) {
        self.begin(0);
    }

    fn item(&mut self) {
        let count = &mut self.counts[self.depth];
        // Ends at the length of the text at the latest, which is below 2^31 as Lua's strings are.
        *count += 1;
        // SAFETY: the value that was told is on top of the table of this level, and is taken off.
        unsafe { ffi::lua_rawseti_(self.state, -2, *count) };
    }

    fn end_list(&mut self) {
        // SAFETY: the list is on top; there is room for its metatable, which is taken off again.
        unsafe {
            ffi::lua_rawgeti_(self.state, ffi::LUA_REGISTRYINDEX, self.list_metatable);
            ffi::lua_setmetatable(self.state, -2);
        }
        self.end();
    }

    fn begin_map(&mut self) {
        if self.form != Form::Velocity {
            self.begin(4);
            return;
        }
        // One more for the order of the keys.
        self.begin(7);
        let last = self.last_order();
        // SAFETY: the place is below the top and holds nil or a table.
        self.shared[self.depth] = unsafe {
            if ffi::lua_type(self.state, last) == ffi::LUA_TTABLE {
                ffi::lua_objlen_(self.state, last) as c_int
            } else {
                -1
            }
        };
        if self.shared[self.depth] < 0 {
            self.begin_order(0);
        }
    }

    fn key(&mut self, key: RawText<'_>) -> Result<(), Fault> {
        self.push_text(key)
    }

    fn member(&mut self) {
        if self.form == Form::Velocity {
            self.note_key();
        }
        // SAFETY: value and key are on top of the table of this level, and are taken off. A string is a valid key.
        unsafe { ffi::lua_rawset(self.state, -3) };
    }

    fn end_map(&mut self) {
        if self.form == Form::Velocity {
            let count = self.counts[self.depth];
            if self.shared[self.depth] >= 0 && self.shared[self.depth] != count {
                self.begin_order(count);
            }
            let (last, current) = (self.last_order(), self.last_order() + 1);
            // SAFETY: both places are below the top; there is room for key and order, which are taken off again.
            unsafe {
                if self.shared[self.depth] < 0 {
                    ffi::lua_setreadonly(self.state, current, 1);
                    ffi::lua_pushvalue(self.state, current);
                    ffi::lua_replace(self.state, last);
                }
                ffi::lua_pushlstring_(self.state, KEYS.as_ptr().cast(), KEYS.len());
                ffi::lua_pushvalue(self.state, last);
                ffi::lua_rawset(self.state, -3);
            }
        }
        self.end();
    }
}
