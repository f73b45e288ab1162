//! Runs that may wait, as far as Lua's side goes: coroutines, and the functions that leave them and come back.
//!
//! A script that may wait runs as a coroutine of its machine. A function that has to wait notes in the run what for and yields;
//! the call into the machine returns, and the machine is free for other runs. When there is a reply the coroutine is resumed, and
//! the function's continuation turns the reply into values. Replies are made into values there because that may raise, which is
//! only allowed below a protected call.
//!
//! `wait.rs` has the other half: what happens between two such calls.

#![expect(unsafe_code, reason = "resumes coroutines through Lua's C API")]

use std::mem::MaybeUninit;
use std::os::raw::c_int;

use mlua::ffi;
use mlua::{Lua, lua_State};

use crate::host::build;
use crate::host::raw::{self, Asked};
use crate::machine::{Argument, Ended, Machine, Reference};
use crate::operation::{Operation, Reply};
use crate::run::{self, Run};
use crate::stack::{Stack, Value};
use crate::store::StoreReply;

/// Most functions of one `gate.parallel`.
pub(crate) const PARALLEL_MAX: usize = 16;

/// How a coroutine was left.
pub(crate) enum Left<'call> {
    /// It has ended.
    Ended(Ended<'call>),
    /// It waits for this.
    Waits(Operation),
    /// It yielded by itself, outside of any coroutine of its own.
    Yielded,
}

/// Which coroutine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thread {
    pub(crate) reference: Reference,
    /// How many arguments wait on its stack, before it is resumed for the first time.
    pub(crate) arguments: c_int,
    /// Where its first result will stand: behind its key, for those of `gate.parallel`.
    pub(crate) result: c_int,
}

/// Makes the function that makes coroutines: see [`make_thread`].
pub(crate) fn spawner(lua: &Lua) -> mlua::Result<mlua::Function> {
    raw::c_function(lua, "coroutine", make_thread, ())
}

impl Machine {
    /// Makes a coroutine that will call a function. What fails is given to `failed`.
    pub(crate) fn spawn<E>(
        &self,
        function: Reference,
        arguments: &[Argument],
        run: &mut Run<'_>,
        failed: impl FnOnce(&mut Run<'_>, Ended<'_>) -> E,
    ) -> Result<Thread, E> {
        let mut all = vec![Argument::Value(function)];
        all.extend_from_slice(arguments);
        let count = arguments.len() as c_int;
        self.call(self.spawner(), &all, run, |run, ended| match ended {
            Ended::Returned(Value::Number(place)) => {
                Ok(Thread { reference: Reference::at(place as c_int), arguments: count, result: 1 })
            }
            other => Err(failed(run, other)),
        })
    }

    /// Resumes a coroutine until it ends or waits.
    pub(crate) fn resume<R>(
        &self,
        thread: Thread,
        run: &mut Run<'_>,
        read: impl FnOnce(&mut Run<'_>, Left<'_>) -> R,
    ) -> R {
        let state = self.state();
        // SAFETY: the state is live, and only this thread uses the machine. The reference is of a coroutine, which lives as long
        // as the registry holds it; the main state has room for one value.
        let coroutine = unsafe {
            ffi::lua_rawgeti_(state, ffi::LUA_REGISTRYINDEX, thread.reference.place());
            let coroutine = ffi::lua_tothread(state, -1);
            ffi::lua_settop(state, -2);
            coroutine
        };
        run.thread = coroutine;
        // SAFETY: nobody uses the run but host functions until the answer is dropped, below.
        let entered = unsafe { run::enter(run) };
        // SAFETY: resuming catches whatever is raised; the arguments it counts are on the coroutine's stack.
        let status = unsafe { ffi::lua_resume_(coroutine, state, thread.arguments) };
        drop(entered);
        run.thread = std::ptr::null_mut();
        if status == ffi::LUA_YIELD {
            let left = run.pending.take().map_or(Left::Yielded, Left::Waits);
            return read(run, left);
        }
        // SAFETY: the coroutine has ended, and its values stay until it is released.
        let (stack, top) = unsafe {
            let top = ffi::lua_gettop(coroutine);
            (Stack::new(coroutine, self.list_metatable().0), top)
        };
        if status == ffi::LUA_OK {
            let value = match stack.get(thread.result) {
                Value::Absent => Value::Nil,
                value => value,
            };
            return read(run, Left::Ended(Ended::Returned(value)));
        }
        // SAFETY: a coroutine that ended with an error keeps its calls, to be looked at.
        run.fault_line = unsafe { line_of(coroutine) };
        let error = if top > 0 { stack.get(top) } else { Value::Nil };
        read(run, Left::Ended(Ended::Raised(error, status == ffi::LUA_ERRMEM)))
    }

    /// Lets a coroutine go.
    pub(crate) fn release(&self, reference: Reference) {
        // SAFETY: the state is live, and the reference was given out and is taken back once. Nothing is allocated.
        unsafe { ffi::lua_unref(self.state(), reference.place()) };
    }
}

/// Makes a coroutine out of a function and its arguments, and returns its place in the registry.
unsafe extern "C-unwind" fn make_thread(state: *mut lua_State) -> c_int {
    // SAFETY: Luau calls with a live state. A new coroutine has room for twenty values, more than there are arguments.
    unsafe {
        let count = ffi::lua_gettop(state);
        let thread = ffi::lua_newthread(state);
        ffi::lua_insert(state, 1);
        ffi::lua_xmove(state, thread, count);
        let place = ffi::lua_ref(state, 1);
        ffi::lua_pushnumber(state, place.into());
    }
    1
}

/// The line of the script in which a coroutine that ended with an error was.
///
/// # Safety
///
/// The state must be live.
unsafe fn line_of(state: *mut lua_State) -> Option<u32> {
    for level in 0..16 {
        let mut place = MaybeUninit::<ffi::lua_Debug>::zeroed();
        // SAFETY: the state is live and the answer's place valid; a structure of numbers and pointers may be all zeros.
        let is_known = unsafe { ffi::lua_getinfo(state, level, c"sl".as_ptr(), place.as_mut_ptr()) } != 0;
        if !is_known {
            return None;
        }
        // SAFETY: initialized, as above.
        let place = unsafe { place.assume_init_ref() };
        // SAFETY: where a line is known the source is, as a string with a zero at its end; the first byte can be read.
        if place.currentline > 0 && !place.short_src.is_null() && unsafe { *place.short_src } as u8 != b'[' {
            return u32::try_from(place.currentline).ok();
        }
    }
    None
}

/// A function that may wait. Upvalues: the noun and the function.
pub(crate) unsafe extern "C-unwind" fn enter_waiting(state: *mut lua_State) -> c_int {
    // SAFETY: Luau calls with a live state, and the closure was made with these upvalues. That the state can yield was checked by
    // the function.
    unsafe {
        match raw::ask(state) {
            Asked::Answered(count) => count,
            Asked::Waits => ffi::lua_yield(state, 0),
        }
    }
}

/// `gate.parallel`: makes a coroutine of every function in a table, and waits for all.
pub(crate) unsafe extern "C-unwind" fn enter_parallel(state: *mut lua_State) -> c_int {
    // SAFETY: as above. The function checked that the first argument is a table with functions, and how many. Coroutines that were
    // noted are let go by whoever made the run, also when making the next one raises.
    unsafe {
        if let Asked::Answered(count) = raw::ask(state) {
            return count;
        }
        ffi::lua_settop(state, 1);
        let mut place = 0;
        loop {
            place = ffi::lua_rawiter(state, 1, place);
            if place < 0 {
                break;
            }
            let thread = ffi::lua_newthread(state);
            ffi::lua_insert(state, 2);
            ffi::lua_xmove(state, thread, 2);
            let reference = ffi::lua_ref(state, 2);
            ffi::lua_settop(state, 1);
            run::with(|run| run.children.push(Reference::at(reference)));
        }
        ffi::lua_yield(state, 0)
    }
}

/// Goes on behind a wait: returns what the reply stands for.
pub(crate) unsafe extern "C-unwind" fn go_on(state: *mut lua_State, _status: c_int) -> c_int {
    let reply = run::with(|run| run.reply.as_ref().map(|reply| &raw const *reply)).flatten();
    // SAFETY: Luau calls with a live state and room for 20 values. The reply belongs to the run, which goes on and does not
    // change it before the coroutine is left. Only plain data lives here.
    unsafe {
        let Some(reply) = reply else { return 0 };
        match &*reply {
            Reply::Http { status, headers, body } => {
                ffi::lua_createtable(state, 0, 3);
                ffi::lua_pushnumber(state, (*status).into());
                ffi::lua_rawsetfield(state, -2, c"status".as_ptr());
                ffi::lua_pushlstring_(state, body.as_ptr().cast(), body.len());
                ffi::lua_rawsetfield(state, -2, c"body".as_ptr());
                if build::push_json(state, headers, build::Form::Plain).is_err() {
                    ffi::lua_pushnil(state);
                }
                ffi::lua_rawsetfield(state, -2, c"headers".as_ptr());
                1
            }
            Reply::Failed(why) => {
                ffi::lua_pushnil(state);
                ffi::lua_pushlstring_(state, why.as_ptr().cast(), why.len());
                2
            }
            Reply::Raised(why) => raw::raise(state, why),
            Reply::Store(reply) => {
                match reply {
                    StoreReply::Nothing => return 0,
                    StoreReply::Flag(flag) => ffi::lua_pushboolean(state, (*flag).into()),
                    StoreReply::Number(number) => ffi::lua_pushnumber(state, *number),
                    StoreReply::Value(None) => ffi::lua_pushnil(state),
                    StoreReply::Value(Some(value)) => {
                        ffi::lua_pushlstring_(state, value.as_ptr().cast(), value.len());
                    }
                }
                1
            }
            Reply::Joined(children) => {
                ffi::lua_createtable(state, 0, 0);
                for child in children {
                    join(state, *child);
                }
                1
            }
        }
    }
}

/// Moves key and first result of a coroutine into the table on top. May raise.
///
/// # Safety
///
/// `state` must be live with a table on top and room for three values, and the reference of a coroutine that has ended well and
/// whose stack begins with its key.
unsafe fn join(state: *mut lua_State, child: Reference) {
    // SAFETY: as demanded.
    unsafe {
        ffi::lua_rawgeti_(state, ffi::LUA_REGISTRYINDEX, child.place());
        let thread = ffi::lua_tothread(state, -1);
        ffi::lua_settop(state, -2);
        if thread.is_null() {
            return;
        }
        ffi::lua_settop(thread, 2);
        ffi::lua_xmove(thread, state, 2);
        ffi::lua_rawset(state, -3);
    }
}
