//! Values on the stack of a Lua machine, as host functions read them.
//!
//! Nothing here can raise an error of Lua: no value is converted, no metamethod called, nothing allocated on Lua's side
//! except room on the stack, and that is asked for in the way that answers instead of raising. So code on top of this is
//! ordinary Rust.

#![expect(unsafe_code, reason = "reads values through Lua's C API")]

use std::marker::PhantomData;
use std::os::raw::{c_int, c_void};

use mlua::ffi;
use mlua::lua_State;

/// The stack of the function that is running.
#[derive(Clone, Copy)]
pub(crate) struct Stack<'call> {
    state: *mut lua_State,
    /// The metatable that marks tables as lists.
    list_metatable: *const c_void,
    call: PhantomData<&'call ()>,
}

/// A value.
#[derive(Clone, Copy)]
pub(crate) enum Value<'call> {
    /// No argument was given in this place.
    Absent,
    Nil,
    /// `json.null`.
    Null,
    Boolean(bool),
    Number(f64),
    Text(&'call [u8]),
    Table(Table<'call>),
    /// What can be named but not used: its type.
    Other(&'static str),
}

/// A table.
#[derive(Clone, Copy)]
pub(crate) struct Table<'call> {
    stack: Stack<'call>,
    /// Its place, counted from the bottom.
    index: c_int,
}

/// Luau's stack is full, or there is no memory to let it grow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StackFull;

impl<'call> Stack<'call> {
    /// The stack of the function that is running in `state`.
    ///
    /// # Safety
    ///
    /// `state` must be alive and used by this thread only for `'call`. For that time the values below the top that it has
    /// now stay where they are, and Lua code does not run. `list_metatable` is compared, never read.
    pub(crate) unsafe fn new(state: *mut lua_State, list_metatable: *const c_void) -> Self {
        Self { state, list_metatable, call: PhantomData }
    }

    /// The value at a place, counted from 1 at the bottom.
    #[inline]
    pub(crate) fn get(self, index: c_int) -> Value<'call> {
        debug_assert!(index > 0);
        // SAFETY: `new` demands a live state. Places above the top read as absent, so any positive index may be asked for.
        let kind = unsafe { ffi::lua_type(self.state, index) };
        match kind {
            ffi::LUA_TSTRING => {
                let mut length = 0;
                // SAFETY: the value is a string, so nothing is converted and the answer is a pointer to its `length` bytes.
                // Strings never move and live as long as they are on the stack or in a table there, which `new` demands
                // for `'call`, or which `Table` sees to.
                Value::Text(unsafe {
                    let bytes = ffi::lua_tolstring(self.state, index, &mut length);
                    std::slice::from_raw_parts(bytes.cast(), length)
                })
            }
            ffi::LUA_TTABLE => Value::Table(Table { stack: self, index }),
            // SAFETY: the value is a number.
            ffi::LUA_TNUMBER => Value::Number(unsafe { ffi::lua_tonumberx(self.state, index, std::ptr::null_mut()) }),
            // SAFETY: any value may be asked for its truth.
            ffi::LUA_TBOOLEAN => Value::Boolean(unsafe { ffi::lua_toboolean(self.state, index) } != 0),
            ffi::LUA_TNIL => Value::Nil,
            ffi::LUA_TNONE => Value::Absent,
            ffi::LUA_TLIGHTUSERDATA => {
                // SAFETY: the value is a light userdata, whose pointer is only compared.
                let pointer = unsafe { ffi::lua_tolightuserdata(self.state, index) };
                if pointer.is_null() { Value::Null } else { Value::Other("userdata") }
            }
            ffi::LUA_TFUNCTION => Value::Other("function"),
            ffi::LUA_TTHREAD => Value::Other("thread"),
            ffi::LUA_TBUFFER => Value::Other("buffer"),
            _ => Value::Other("userdata"),
        }
    }

    /// Whether this is the stack of that coroutine, and it can be left from here.
    pub(crate) fn can_yield(self, coroutine: *mut lua_State) -> bool {
        // SAFETY: `new` demands a live state; asking changes nothing.
        std::ptr::eq(self.state, coroutine) && unsafe { ffi::lua_isyieldable(self.state) } != 0
    }

    /// The number of values: arguments, as long as nothing else was put on top.
    pub(crate) fn len(self) -> c_int {
        // SAFETY: `new` demands a live state.
        unsafe { ffi::lua_gettop(self.state) }
    }

    fn make_room(self, slots: c_int) -> Result<(), StackFull> {
        // SAFETY: `new` demands a live state. This call answers 0 where others raise. When it moves the stack, indexes stay
        // what they are.
        if unsafe { ffi::lua_checkstack(self.state, slots) } == 0 { Err(StackFull) } else { Ok(()) }
    }

    fn truncate(self, top: c_int) {
        // SAFETY: only called to go back to a top that was there before.
        unsafe { ffi::lua_settop(self.state, top) }
    }
}

impl Value<'_> {
    /// The type as scripts know it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Absent => "nothing",
            Self::Nil => "nil",
            Self::Null => "json.null",
            Self::Boolean(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::Table(_) => "table",
            Self::Other(name) => name,
        }
    }
}

impl Table<'_> {
    /// The length of its list part, as `#` gives it without metamethods.
    pub(crate) fn len(&self) -> usize {
        // SAFETY: the value at `index` is a table.
        usize::try_from(unsafe { ffi::lua_objlen_(self.stack.state, self.index) }).unwrap_or(0)
    }

    /// Whether it is marked as a list, by `json.array` or because it was one in a JSON text.
    pub(crate) fn is_marked_list(&self) -> bool {
        let Stack { state, list_metatable, .. } = self.stack;
        if self.stack.make_room(1).is_err() {
            return false;
        }
        // SAFETY: there is room for the metatable, which is taken off again if there was one.
        unsafe {
            if ffi::lua_getmetatable(state, self.index) == 0 {
                return false;
            }
            let metatable = ffi::lua_topointer(state, -1);
            ffi::lua_settop(state, -2);
            std::ptr::eq(metatable, list_metatable)
        }
    }

    /// Calls `visit` with an element, counted from 1; with nil when there is none.
    pub(crate) fn element<R, E: From<StackFull>>(
        &self,
        place: usize,
        visit: impl FnOnce(Value<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let stack = self.stack;
        stack.make_room(1)?;
        let top = stack.len();
        let place = c_int::try_from(place).unwrap_or(0);
        // SAFETY: the value at `index` is a table and there is room for the element.
        unsafe { ffi::lua_rawgeti_(stack.state, self.index, place) };
        let result = visit(stack.get(top + 1));
        stack.truncate(top);
        result
    }

    /// Calls `visit` with every key and value, numbers from 1 on first, until it answers with an error.
    pub(crate) fn for_each<E: From<StackFull>>(
        &self,
        mut visit: impl FnMut(Value<'_>, Value<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let stack = self.stack;
        stack.make_room(2)?;
        let top = stack.len();
        let mut place = 0;
        loop {
            // SAFETY: the value at `index` is a table, `place` is 0 or what the last call answered, and there is room for
            // key and value. The table cannot change meanwhile, for no Lua code runs.
            place = unsafe { ffi::lua_rawiter(stack.state, self.index, place) };
            if place < 0 {
                return Ok(());
            }
            let result = visit(stack.get(top + 1), stack.get(top + 2));
            stack.truncate(top);
            result?;
        }
    }
}
