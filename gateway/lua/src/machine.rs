//! One Luau virtual machine, and calls into it.

#![expect(unsafe_code, reason = "calls functions of Lua through the C API")]

use std::cell::Cell;
use std::os::raw::{c_int, c_void};
use std::ptr;

use mlua::ffi;
use mlua::{IntoLua, Lua, lua_State};

use crate::budget::Usage;
use crate::coroutine;
use crate::host;
use crate::run::{self, Run};
use crate::stack::{Stack, Value};
use crate::watchdog::{self, Lane, Visit};

/// A value of the machine that is kept alive: its place in the registry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference(c_int);

impl Reference {
    /// What was put into this place of the registry by `lua_ref`.
    pub(crate) fn at(place: c_int) -> Self {
        Self(place)
    }

    pub(crate) fn place(self) -> c_int {
        self.0
    }
}

/// What a function is called with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Argument {
    Value(Reference),
    /// The value of the run's event.
    Event,
    /// The piece of a body that the run is about.
    Chunk,
    /// Whether it is the last one.
    IsLast,
}

/// A machine.
pub(crate) struct Machine {
    lua: Lua,
    state: *mut lua_State,
    callbacks: *mut ffi::lua_Callbacks,
    error_handler: Reference,
    event: Reference,
    chunk: Reference,
    spawner: Reference,
    list_metatable: Reference,
    list_metatable_address: *const c_void,
}

/// How a call ended.
pub(crate) enum Ended<'call> {
    /// With this value.
    Returned(Value<'call>),
    /// With this error. The flag says that an allocation was refused.
    Raised(Value<'call>, bool),
}

impl Machine {
    /// Takes over a machine that was made by `sandbox.rs`.
    pub(crate) fn new(lua: Lua) -> mlua::Result<Self> {
        let state = Cell::new(ptr::null_mut());
        let callbacks = Cell::new(ptr::null_mut());
        // SAFETY: only asks for addresses. The main state and the callbacks stay where they are while the machine lives.
        unsafe {
            lua.exec_raw::<()>((), |main| {
                state.set(main);
                callbacks.set(ffi::lua_callbacks(main));
            })?;
        }
        let list_metatable = lua.create_table()?;
        list_metatable.raw_set("__metatable", "json.array")?;
        list_metatable.set_readonly(true);
        let list_metatable_address = list_metatable.to_pointer();
        let list_metatable = reference(&lua, list_metatable)?;
        let error_handler = reference(&lua, host::raw::error_handler(&lua)?)?;
        let event = reference(&lua, host::raw::event(&lua)?)?;
        let chunk = reference(&lua, host::raw::c_function(&lua, "chunk", host::build::push_chunk, ())?)?;
        let spawner = reference(&lua, coroutine::spawner(&lua)?)?;
        Ok(Self {
            lua,
            state: state.get(),
            callbacks: callbacks.get(),
            error_handler,
            event,
            chunk,
            spawner,
            list_metatable,
            list_metatable_address,
        })
    }

    pub(crate) fn lua(&self) -> &Lua {
        &self.lua
    }

    /// Where the metatable of lists is: in memory and in the registry.
    pub(crate) fn list_metatable(&self) -> (*const c_void, c_int) {
        (self.list_metatable_address, self.list_metatable.place())
    }

    /// Keeps a value for as long as the machine lives.
    pub(crate) fn keep(&self, value: impl IntoLua) -> mlua::Result<Reference> {
        reference(&self.lua, value)
    }

    /// A kept value.
    pub(crate) fn value(&self, reference: Reference) -> mlua::Result<mlua::Value> {
        // SAFETY: called protected, and leaves one value on the stack.
        unsafe {
            self.lua.exec_raw((), |state| {
                ffi::lua_rawgeti_(state, ffi::LUA_REGISTRYINDEX, reference.place());
            })
        }
    }

    /// The main state.
    pub(crate) fn state(&self) -> *mut lua_State {
        self.state
    }

    /// The function that makes coroutines.
    pub(crate) fn spawner(&self) -> Reference {
        self.spawner
    }

    /// The function that returns the value of the run's event.
    pub(crate) fn event(&self) -> Reference {
        self.event
    }

    /// Begins a run on this thread. The machine must not be dropped before the answer, which its lifetime sees to.
    pub(crate) fn enter<'visit>(&'visit self, lane: &'visit Lane, budget: Usage) -> Visit<'visit> {
        // SAFETY: the callbacks are valid while the machine lives. It lives while the answer does, and dropping it calls
        // `retire` first. The one caller, in `vm.rs`, drops the answer.
        unsafe { lane.enter(budget, self.callbacks) }
    }

    /// Calls a function, and gives `read` what it returned or raised. That value is not to be had otherwise: when `read` has
    /// returned it is gone from the stack, and may be gone from memory.
    pub(crate) fn call<R>(
        &self,
        function: Reference,
        arguments: &[Argument],
        run: &mut Run<'_>,
        read: impl FnOnce(&mut Run<'_>, Ended<'_>) -> R,
    ) -> R {
        /// Takes what is left off the stack, even when `read` panics.
        struct Top(*mut lua_State, c_int);

        impl Drop for Top {
            fn drop(&mut self) {
                // SAFETY: back to a top that was there before.
                unsafe { ffi::lua_settop(self.0, self.1) }
            }
        }

        let state = self.state;
        // SAFETY: the state is live, and only this thread uses the machine: it cannot be shared (see `bank.rs`).
        let top = Top(state, unsafe { ffi::lua_gettop(state) });
        // SAFETY: nobody uses the run but host functions until the answer is dropped, below.
        let entered = unsafe { run::enter(run) };
        // SAFETY: the main state has room for 20 values outside of calls, and is not running. What may raise is called
        // protected, with the handler's place counted from the bottom.
        let status = unsafe {
            ffi::lua_rawgeti_(state, ffi::LUA_REGISTRYINDEX, self.error_handler.place());
            self.call_protected(function, arguments, top.1 + 1)
        };
        drop(entered);
        // SAFETY: the value on top stays there until `top` is dropped, and Lua code does not run before.
        let value = unsafe {
            let place = ffi::lua_gettop(state);
            Stack::new(state, self.list_metatable_address).get(place)
        };
        let ended = match status {
            ffi::LUA_OK => Ended::Returned(value),
            status => Ended::Raised(value, status == ffi::LUA_ERRMEM),
        };
        read(run, ended)
    }

    /// Leaves the result or the error on top.
    ///
    /// # Safety
    ///
    /// The main state must have room for the function and its arguments and one more, and not be running.
    unsafe fn call_protected(&self, function: Reference, arguments: &[Argument], handler: c_int) -> c_int {
        let state = self.state;
        // SAFETY: demanded of the caller. References are places in the registry that were given out and never taken back.
        unsafe {
            ffi::lua_rawgeti_(state, ffi::LUA_REGISTRYINDEX, function.place());
            for argument in arguments {
                match argument {
                    Argument::Value(reference) => {
                        ffi::lua_rawgeti_(state, ffi::LUA_REGISTRYINDEX, reference.place());
                    }
                    Argument::IsLast => {
                        let is_last = run::with(|run| run.is_last).unwrap_or(false);
                        ffi::lua_pushboolean(state, is_last.into());
                    }
                    Argument::Event | Argument::Chunk => {
                        let maker = if matches!(argument, Argument::Event) { self.event } else { self.chunk };
                        ffi::lua_rawgeti_(state, ffi::LUA_REGISTRYINDEX, maker.place());
                        let status = ffi::lua_pcall(state, 0, 1, handler);
                        if status != ffi::LUA_OK {
                            return status;
                        }
                    }
                }
            }
            ffi::lua_pcall(state, arguments.len() as c_int, 1, handler)
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        watchdog::retire();
    }
}

fn reference(lua: &Lua, value: impl IntoLua) -> mlua::Result<Reference> {
    let place = Cell::new(ffi::LUA_REFNIL);
    // SAFETY: called protected, with the value as the only one on the stack.
    unsafe { lua.exec_raw::<()>(value, |state| place.set(ffi::lua_ref(state, 1)))? };
    Ok(Reference(place.get()))
}
