//! Functions of Lua that are written in Rust.
//!
//! An error of Lua is an exception of C++ that unwinds through every frame up to the call that protects. It is raised by
//! whatever allocates on Lua's side. Rust code must be unwound in order, and must not meet such an exception where it
//! catches panics. Hence the shape of every function here:
//!
//! 1. [`serve`] finds the run, calls the Rust function and reduces its answer to plain data. Nothing in it can raise.
//!    Panics end here: they must not unwind through Luau, which would not notice.
//! 2. What follows only holds plain data, and hands the answer to Lua. It may raise.
//!
//! The functions are called by mlua's `lua_pcall` and by Lua code below it, never outside of a protected call.

#![expect(unsafe_code, reason = "implements functions of Lua's C API")]

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::raw::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use mlua::ffi;
use mlua::ffi::lua_Continuation;
use mlua::{Function, LightUserData, Lua, lua_CFunction, lua_State};

use super::build::{self, Form};
use super::{Answer, Answered, Call, Entry, JsonOf, Noun};
use crate::coroutine;
use crate::run;
use crate::stack::Stack;

/// A function of the host API, or a guard of a function of Lua.
pub(crate) trait HostFunction:
    for<'call, 'run> Fn(Call<'call, 'run>) -> Answered<'call> + Copy + 'static
{
}

impl<F> HostFunction for F where F: for<'call, 'run> Fn(Call<'call, 'run>) -> Answered<'call> + Copy + 'static {}

/// Makes a function of Lua. `name` is what Luau's own messages call it.
pub(crate) fn function<F: HostFunction>(lua: &Lua, name: &str, _function: F) -> mlua::Result<Function> {
    c_function(lua, name, enter::<F>, ())
}

/// The function of Lua's C API that calls a function of the host API, for its declaration.
pub(crate) const fn entry<F: HostFunction>(_function: F) -> lua_CFunction {
    enter::<F>
}

/// Makes the function of Lua that a declaration is about.
pub(crate) fn declared(lua: &Lua, noun: &'static Noun, function: &'static super::Function) -> mlua::Result<Function> {
    let address = |value: *const c_void| LightUserData(value.cast_mut());
    match function.entry {
        Entry::Direct(entry) => c_function(lua, function.name, entry, ()),
        Entry::Checked(_) | Entry::Waiting(_) | Entry::Parallel(_) => {
            let upvalues = (address((&raw const *noun).cast()), address((&raw const *function).cast()));
            let (enter, go_on): (lua_CFunction, Option<lua_Continuation>) = match function.entry {
                Entry::Waiting(_) => (coroutine::enter_waiting, Some(coroutine::go_on)),
                Entry::Parallel(_) => (coroutine::enter_parallel, Some(coroutine::go_on)),
                _ => (enter_declared, None),
            };
            closure(lua, function.name, enter, go_on, upvalues)
        }
    }
}

/// Makes a function of Lua that is asked before `original` is called, and may answer in its place.
pub(crate) fn guard<F: HostFunction>(lua: &Lua, name: &str, original: Function, _guard: F) -> mlua::Result<Function> {
    c_function(lua, name, enter::<F>, original)
}

/// Makes the function `table.sort`: `original`, with comparing done by code that can be interrupted.
pub(crate) fn sort(lua: &Lua, original: Function, less: Function, wrap: Function) -> mlua::Result<Function> {
    c_function(lua, "sort", compare_interruptibly, (original, less, wrap))
}

/// Makes the function that is told of errors: see [`note_line`].
pub(crate) fn error_handler(lua: &Lua) -> mlua::Result<Function> {
    c_function(lua, "error handler", note_line, ())
}

/// Makes the function that returns the value of the run's event: see [`build::push_event`].
pub(crate) fn event(lua: &Lua) -> mlua::Result<Function> {
    c_function(lua, "event", build::push_event, ())
}

/// Makes a function of Lua of one of C.
pub(crate) fn c_function(
    lua: &Lua,
    name: &str,
    function: lua_CFunction,
    upvalues: impl mlua::IntoLuaMulti,
) -> mlua::Result<Function> {
    closure(lua, name, function, None, upvalues)
}

/// The same, with what goes on when it has waited.
fn closure(
    lua: &Lua,
    name: &str,
    function: lua_CFunction,
    go_on: Option<lua_Continuation>,
    upvalues: impl mlua::IntoLuaMulti,
) -> mlua::Result<Function> {
    let name = CString::new(name).map_err(mlua::Error::external)?;
    let name = name.as_c_str();
    // SAFETY: the closure is called protected, with the upvalues as the only values on its stack and room for more. All it
    // does is to make one value of them; it holds nothing that would have to be dropped.
    unsafe {
        lua.exec_raw(upvalues, move |state| {
            let upvalues = ffi::lua_gettop(state);
            ffi::lua_pushcclosurek(state, function, name.as_ptr(), upvalues, go_on);
        })
    }
}

/// An answer as plain data. The pointers are to texts that stay where they are until the run's buffers are written again, the
/// exchange is changed, or the function's arguments leave the stack: not before the function returns.
#[derive(Clone, Copy)]
enum Outcome {
    Answered(Answer<'static>),
    Refused(*const [u8]),
    Failed(*const [u8]),
    Output(*const [u8]),
    OutputJson(*const [u8]),
    OutputVelocity(*const [u8]),
    NoRun,
    Panicked,
}

const _: () = assert!(!std::mem::needs_drop::<Outcome>(), "errors of Lua unwind past it");

/// The function that Lua calls.
unsafe extern "C-unwind" fn enter<F: HostFunction>(state: *mut lua_State) -> c_int {
    // SAFETY: Luau calls with a live state; nothing else uses it until this returns.
    let outcome = unsafe { serve::<F>(state) };
    // SAFETY: as above, and the outcome is of this call.
    unsafe { conclude(state, outcome) }
}

/// Hands an outcome to Lua. May raise.
///
/// # Safety
///
/// `state` must be the state that the running function was called with, and the outcome of that call.
unsafe fn conclude(state: *mut lua_State, outcome: Outcome) -> c_int {
    // SAFETY: as demanded. Luau gives functions room for 20 values.
    unsafe {
        match outcome {
            Outcome::Answered(answer) => push(state, answer),
            Outcome::Failed(why) => {
                ffi::lua_pushnil(state);
                push(state, Answer::Text(&*why)) + 1
            }
            Outcome::Output(text) => push(state, Answer::Text(&*text)),
            Outcome::OutputJson(text) => push(state, Answer::Json(&*text, JsonOf::Argument("output"))),
            Outcome::OutputVelocity(text) => push(state, Answer::Velocity(&*text, JsonOf::Argument("output"))),
            Outcome::Refused(why) => raise(state, &*why),
            Outcome::NoRun => raise(state, b"the gateway's functions can be called only while a script runs"),
            Outcome::Panicked => raise(state, b"internal error"),
        }
    }
}

/// The function that Lua calls where a declaration is checked first. Upvalues: the noun, and the function.
unsafe extern "C-unwind" fn enter_declared(state: *mut lua_State) -> c_int {
    // SAFETY: Luau calls with a live state, and `declared` gave the upvalues.
    match unsafe { ask(state) } {
        Asked::Answered(count) => count,
        Asked::Waits => 0,
    }
}

/// What came of a call: values on the stack, or a wait for which the coroutine has to be left.
pub(crate) enum Asked {
    Answered(c_int),
    Waits,
}

/// Checks a declaration, calls its function and hands the answer to Lua. May raise.
///
/// # Safety
///
/// `state` must be the state that the running function was called with, which must have the upvalues of `declared`.
pub(crate) unsafe fn ask(state: *mut lua_State) -> Asked {
    // SAFETY: demanded of the caller; the upvalues are the addresses of constants.
    unsafe {
        let noun = &*ffi::lua_tolightuserdata(state, ffi::lua_upvalueindex(1)).cast::<Noun>();
        let function = &*ffi::lua_tolightuserdata(state, ffi::lua_upvalueindex(2)).cast::<super::Function>();
        match answer(state, |call| super::check_and_call(noun, function, call)) {
            Outcome::Answered(Answer::Waits) => Asked::Waits,
            outcome => Asked::Answered(conclude(state, outcome)),
        }
    }
}

/// Calls the function. Raises nothing.
///
/// # Safety
///
/// `state` must be the state that the running function was called with.
unsafe fn serve<F: HostFunction>(state: *mut lua_State) -> Outcome {
    const { assert!(size_of::<F>() == 0, "functions without captured values only") };
    // SAFETY: a value without size may be read from any aligned place, and one exists: it was given to `function`.
    let function: F = unsafe { NonNull::dangling().read() };
    // SAFETY: as demanded.
    unsafe { answer(state, function) }
}

/// Finds the run, calls a function and reduces its answer to plain data. Raises nothing.
///
/// # Safety
///
/// `state` must be the state that the running function was called with.
#[inline]
unsafe fn answer(
    state: *mut lua_State,
    function: impl for<'call, 'run> FnOnce(Call<'call, 'run>) -> Answered<'call>,
) -> Outcome {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        run::with(|run| {
            // SAFETY: arguments stay below the top while the function runs, and it cannot run Lua code.
            let arguments = unsafe { Stack::new(state, run.list_metatable) };
            match function(Call { arguments, run: &mut *run }) {
                Ok(Answer::Failed) => Outcome::Failed(&raw const *run.buffers.refusal.as_bytes()),
                Ok(Answer::Output) => Outcome::Output(&raw const run.buffers.output[..]),
                Ok(Answer::OutputJson) => Outcome::OutputJson(&raw const run.buffers.output[..]),
                Ok(Answer::OutputVelocity) => Outcome::OutputVelocity(&raw const run.buffers.output[..]),
                // SAFETY: see `Outcome`; the lifetime is only forgotten for as long as the answer is pushed.
                Ok(answer) => Outcome::Answered(unsafe { std::mem::transmute::<Answer<'_>, Answer<'static>>(answer) }),
                Err(_) => Outcome::Refused(&raw const *run.buffers.refusal.as_bytes()),
            }
        })
    }));
    match outcome {
        Ok(Some(outcome)) => outcome,
        Ok(None) => Outcome::NoRun,
        Err(_panic) => Outcome::Panicked,
    }
}

/// Puts the values of an answer on the stack and returns how many they are. May raise.
///
/// # Safety
///
/// `state` must be the state that the running function was called with, and have room for three values.
unsafe fn push(state: *mut lua_State, answer: Answer<'_>) -> c_int {
    // SAFETY: there is room, and the texts are alive while the answer is.
    unsafe {
        match answer {
            Answer::Nothing
            | Answer::Output
            | Answer::OutputJson
            | Answer::OutputVelocity
            | Answer::Failed
            | Answer::Waits => {
                return 0;
            }
            Answer::Nil => ffi::lua_pushnil(state),
            Answer::Boolean(value) => ffi::lua_pushboolean(state, value.into()),
            Answer::Number(value) => ffi::lua_pushnumber(state, value),
            Answer::Text(text) => ffi::lua_pushlstring_(state, text.as_ptr().cast(), text.len()),
            Answer::Json(text, of) => {
                if let Err(fault) = build::push_json(state, text, Form::Plain) {
                    let why = build::explain(fault, of);
                    raise(state, &*why);
                }
            }
            Answer::Velocity(text, of) => {
                if let Err(fault) = build::push_json(state, text, Form::Velocity) {
                    let why = build::explain(fault, of);
                    raise(state, &*why);
                }
            }
            Answer::Span(first, last) => {
                ffi::lua_pushnumber(state, first);
                ffi::lua_pushnumber(state, last);
                return 2;
            }
            Answer::List(place) => build::push_list(state, place.into()),
            Answer::Guarded => {
                return match ffi::lua_tocfunction(state, ffi::lua_upvalueindex(1)) {
                    Some(original) => original(state),
                    None => raise(state, b"internal error"),
                };
            }
        }
    }
    1
}

/// Raises an error with the position of the caller.
///
/// # Safety
///
/// `state` must be the state that the running function was called with.
pub(crate) unsafe fn raise(state: *mut lua_State, why: &[u8]) -> ! {
    // SAFETY: room is made first; all values are strings.
    unsafe {
        ffi::lua_rawcheckstack(state, 3);
        ffi::luaL_where(state, 1);
        ffi::lua_pushlstring_(state, why.as_ptr().cast(), why.len());
        ffi::lua_concat(state, 2);
        ffi::lua_error(state)
    }
}

/// `table.sort`, as far as it does not compare: Luau compares numbers and strings itself, and functions written in C, without
/// asking whether the run is over. A table of many long strings takes minutes. Functions of Lua are asked.
///
/// Upvalues: `table.sort`; a function that says whether its first argument is less than its second; a function that makes a
/// function of Lua out of any other.
unsafe extern "C-unwind" fn compare_interruptibly(state: *mut lua_State) -> c_int {
    // SAFETY: Luau calls with a live state and room for 20 values; only plain data lives here.
    unsafe {
        if ffi::lua_type(state, 1) == ffi::LUA_TTABLE {
            if ffi::lua_type(state, 2) <= ffi::LUA_TNIL {
                ffi::lua_settop(state, 1);
                ffi::lua_pushvalue(state, ffi::lua_upvalueindex(2));
            } else if ffi::lua_iscfunction(state, 2) != 0 {
                ffi::lua_settop(state, 2);
                ffi::lua_pushvalue(state, ffi::lua_upvalueindex(3));
                ffi::lua_insert(state, 2);
                ffi::lua_call(state, 1, 1);
            }
        }
        match ffi::lua_tocfunction(state, ffi::lua_upvalueindex(1)) {
            Some(original) => original(state),
            None => raise(state, b"internal error"),
        }
    }
}

/// Told of an error where it happens: notes the line of the script, for errors that do not name one themselves. Runs no Lua
/// code and does not look at the error.
unsafe extern "C-unwind" fn note_line(state: *mut lua_State) -> c_int {
    let mut line = None;
    for level in 1..16 {
        let mut place = MaybeUninit::<ffi::lua_Debug>::zeroed();
        // SAFETY: the state is live and the answer's place valid; a structure of numbers and pointers may be all zeros.
        let is_known = unsafe { ffi::lua_getinfo(state, level, c"sl".as_ptr(), place.as_mut_ptr()) } != 0;
        if !is_known {
            break;
        }
        // SAFETY: initialized, as above.
        let place = unsafe { place.assume_init_ref() };
        // SAFETY: where a line is known the source is, as a string with a zero at its end; the first byte can be read.
        if place.currentline > 0 && !place.short_src.is_null() && unsafe { *place.short_src } as u8 != b'[' {
            line = u32::try_from(place.currentline).ok();
            break;
        }
    }
    run::with(|run| run.fault_line = line);
    1
}
