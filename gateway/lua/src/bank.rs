//! The machines of one API: one per worker thread.

#![expect(unsafe_code, reason = "moves machines between threads")]

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::budget::Limits;
use crate::error::{ErrorKind, ScriptError};
use crate::script::{ScriptId, ScriptSet};
use crate::services::Services;
use crate::vm::{Phases, Vm};
use crate::watchdog;

thread_local! {
    static WORKER: Cell<usize> = const { Cell::new(0) };
}

/// Tells which worker this thread is: it uses the machine with that number of every bank. Threads that do not say share the
/// first one, one at a time.
pub fn set_worker(index: usize) {
    WORKER.set(index);
}

/// The machines of one API, all with the same scripts.
///
/// A bank is built off the workers and then used by them. Dropping it frees its machines, on whatever thread that is.
pub struct Bank {
    slots: Box<[Mutex<SendVm>]>,
    phases: Box<[Phases]>,
    waits: Box<[bool]>,
}

/// The machine of this thread, for as long as the guard lives.
///
/// Take it, make one call, drop it: another thread may wait for it, and this thread would wait for itself if it took it twice.
/// It is not `Send`, so a future that has to be cannot hold it over an `await`; no other future may do so either.
///
/// ```compile_fail
/// fn is_send<T: Send>() {}
/// is_send::<moongate_lua::VmGuard<'static>>();
/// ```
pub struct VmGuard<'bank> {
    vm: MutexGuard<'bank, SendVm>,
    /// Whether the guard of a lock is `Send` depends on features that any other crate may switch on.
    thread: PhantomData<*const ()>,
}

/// A machine that may be handed to another thread.
struct SendVm(Vm);

// SAFETY: a machine is not `Send` because it holds reference-counted handles to itself without atomic counts, and pointers
// into itself. All of them are inside of this value: `Vm` gives out no handle, what its callers get are owned values, and the
// machine's own registry, where `mlua` keeps the others, is reachable through it only. So the whole graph moves at once, and
// the lock around it lets one thread use it at a time. Neither Luau nor `mlua` keeps state of a machine in thread-locals: Luau
// has none, and the only one of `mlua` belongs to its compiler and is empty outside of it (`chunk.rs`,
// `LIBRARY_MEMBER_CONSTANT_MAP`). The thread-locals of this crate that point to a machine (`run.rs`, and the lane in
// `watchdog.rs`) do so during a run only, and a guard is held then. Memory comes from the process's allocator, which frees on
// any thread.
unsafe impl Send for SendVm {}

impl Bank {
    /// Builds `workers` machines (at least one) and loads the scripts of a set into each. Authorizers, functions and plugins
    /// run once for that, within the limits of a run.
    ///
    /// Takes about half a millisecond per machine and what the scripts take: not for a worker thread.
    ///
    /// # Errors
    ///
    /// The first script that fails, passes a limit ([`ErrorKind::CpuBudget`] and its like) or does not return what its kind
    /// has to ([`ErrorKind::BadResult`]); [`ErrorKind::Internal`] when the system gives no memory or no thread.
    pub fn build(set: &ScriptSet, workers: usize, limits: Limits) -> Result<Self, ScriptError> {
        Self::build_with(set, workers, limits, Services::default())
    }

    /// The same, with a clock and the like of the caller's choice.
    ///
    /// # Errors
    ///
    /// As [`Bank::build`].
    pub fn build_with(
        set: &ScriptSet,
        workers: usize,
        limits: Limits,
        services: Services,
    ) -> Result<Self, ScriptError> {
        watchdog::start().map_err(|error| {
            ScriptError::new(ErrorKind::Internal, "", format!("the watchdog thread cannot be started: {error}"))
        })?;
        let set = Arc::new(set.clone());
        let first = Vm::build(&set, limits, services.clone())?;
        let phases = first.all_phases();
        let mut slots = vec![Mutex::new(SendVm(first))];
        for _ in 1..workers {
            slots.push(Mutex::new(SendVm(Vm::build(&set, limits, services.clone())?)));
        }
        let waits = set.scripts.iter().map(|script| script.waits).collect();
        Ok(Self { slots: slots.into(), phases, waits })
    }

    /// The machine of this thread. Waits while another thread uses it, which happens only to threads that are no workers.
    pub fn vm(&self) -> VmGuard<'_> {
        self.slot(self.own_slot())
    }

    /// The machine with that number: a run that waited goes on where it began, whatever thread that is on.
    pub(crate) fn slot(&self, index: usize) -> VmGuard<'_> {
        let mut guard = self.slots[index].lock();
        if guard.0.is_worn()
            && let Err(error) = guard.0.renew()
        {
            tracing::warn!(%error, "a script machine cannot be made anew, keeping the worn one");
        }
        VmGuard { vm: guard, thread: PhantomData }
    }

    /// Whether a script may wait. Only those are run as coroutines.
    pub(crate) fn waits(&self, id: ScriptId) -> bool {
        self.waits.get(id.index()).copied().unwrap_or(false)
    }

    /// The number of this thread's machine.
    pub(crate) fn own_slot(&self) -> usize {
        WORKER.get() % self.slots.len()
    }

    /// Which phases a plugin has; none for other scripts.
    pub fn phases(&self, id: ScriptId) -> Phases {
        self.phases.get(id.index()).copied().unwrap_or_default()
    }
}

impl fmt::Debug for Bank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bank({} machines)", self.slots.len())
    }
}

impl Deref for VmGuard<'_> {
    type Target = Vm;

    fn deref(&self) -> &Vm {
        &self.vm.0
    }
}

impl DerefMut for VmGuard<'_> {
    fn deref_mut(&mut self) -> &mut Vm {
        &mut self.vm.0
    }
}

impl Drop for VmGuard<'_> {
    fn drop(&mut self) {
        // A panic that passed through Luau has left calls behind that nobody will return from.
        if std::thread::panicking() {
            self.vm.0.wear_out();
        }
    }
}
