//! Ends runs that pass their time.
//!
//! Luau asks an *interrupt* function, where one is set, at every loop, call, return and step of pattern matching. Asking costs
//! five times what a tight loop costs, so while all is well none is set. A thread that enters a run writes that into its
//! [`Lane`]: a few stores. One watchdog thread per process looks at all lanes every few milliseconds, reads the processor
//! clock of each thread that is in a run, and when a run is over its budget sets the interrupt of that run's machine; the
//! interrupt raises an error in the machine's own thread. It stays set, so that catching the error does not help.
//!
//! - The processor clock is used because a script must not die when its thread had to wait; a looser budget by the wall clock
//!   comes beside it.
//! - A run is first seen up to one tick after it began, and judged at ticks, so it dies within two ticks of its budget.
//! - A kill belongs to one run. An interrupt that fires in another run takes itself away; when that crosses a kill that is
//!   just being made, the next tick makes it again.
//! - When nobody is in a run, and nobody was since the last tick, the watchdog sleeps until a run begins.

#![expect(unsafe_code, reason = "sets and implements Luau's interrupt, and reads other threads' clocks")]

use std::io;
use std::mem::MaybeUninit;
use std::os::raw::{c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, Ordering, fence};
use std::thread::Thread;
use std::time::{Duration, Instant};

use mlua::ffi;
use mlua::lua_State;
use parking_lot::Mutex;

use crate::budget::{Overrun, Usage};
use crate::run;

/// How often lanes are looked at while runs go on.
const TICK: Duration = Duration::from_millis(4);

/// Every thread that has entered a run and still lives. The lock is held while interrupts are set: whoever has held it after
/// a run ended knows that nobody will touch that run's machine any more.
static LANES: Mutex<Vec<Arc<Lane>>> = Mutex::new(Vec::new());

/// The watchdog thread, once it was started.
static WATCHDOG: Mutex<Option<Thread>> = Mutex::new(None);

/// Whether the watchdog waits to be woken.
static IS_ASLEEP: AtomicBool = AtomicBool::new(false);

thread_local! {
    static LANE: OwnLane = OwnLane::register();
}

/// What a thread tells the watchdog, and hears from it.
pub(crate) struct Lane {
    /// `2 * n + 1` while the thread is in its run number n, `2 * n` after it. Written by the thread only.
    state: AtomicU64,
    /// The thread's processor clock.
    clock: libc::clockid_t,
    /// The budget of the run, in nanoseconds.
    cpu_ns: AtomicU64,
    wall_ns: AtomicU64,
    /// The callbacks of the run's machine.
    callbacks: AtomicPtr<ffi::lua_Callbacks>,
    /// The state of the run that was condemned last. Written by the watchdog only.
    condemned: AtomicU64,
    /// What it was condemned for.
    cause: AtomicU8,
    /// What the watchdog has seen.
    seen: Mutex<Seen>,
}

/// The run a lane was in when the watchdog looked last, and what the clocks said when it looked first.
#[derive(Clone, Copy, Default)]
struct Seen {
    state: u64,
    at: Option<(Instant, u64)>,
}

/// A run that a thread is in. Ends when it is dropped.
pub(crate) struct Visit<'lane>(Ticket<'lane>);

/// Asks about a run.
#[derive(Clone, Copy)]
pub(crate) struct Ticket<'lane> {
    lane: &'lane Lane,
    state: u64,
}

/// The lane of this thread, registered as long as the thread lives.
struct OwnLane(Arc<Lane>);

/// Starts the watchdog thread, if there is none yet.
///
/// # Errors
///
/// When the system has no thread to give.
pub(crate) fn start() -> io::Result<()> {
    let mut watchdog = WATCHDOG.lock();
    if watchdog.is_none() {
        let handle = std::thread::Builder::new().name("lua-watchdog".to_owned()).spawn(watch)?;
        *watchdog = Some(handle.thread().clone());
    }
    Ok(())
}

/// Calls `work` with the lane of this thread.
pub(crate) fn with_lane<R>(work: impl FnOnce(&Lane) -> R) -> R {
    LANE.with(|own| work(&own.0))
}

/// Makes sure that nobody touches the callbacks of a machine any more, before it is destroyed. No run may be going on in it.
pub(crate) fn retire() {
    drop(LANES.lock());
}

impl Lane {
    fn new(clock: libc::clockid_t) -> Self {
        Self {
            state: AtomicU64::new(0),
            clock,
            cpu_ns: AtomicU64::new(0),
            wall_ns: AtomicU64::new(0),
            callbacks: AtomicPtr::new(std::ptr::null_mut()),
            condemned: AtomicU64::new(0),
            cause: AtomicU8::new(0),
            seen: Mutex::new(Seen::default()),
        }
    }

    /// Begins a run of the machine whose callbacks are given.
    ///
    /// # Safety
    ///
    /// The answer must be dropped. Until [`retire`] was called after that, `callbacks` must be valid.
    pub(crate) unsafe fn enter(&self, budget: Usage, callbacks: *mut ffi::lua_Callbacks) -> Visit<'_> {
        // Released, so that whoever reads one of these also sees that the run before has ended.
        self.cpu_ns.store(budget.cpu_ns, Ordering::Release);
        self.wall_ns.store(budget.wall_ns, Ordering::Release);
        self.callbacks.store(callbacks, Ordering::Release);
        let state = (self.state.load(Ordering::Relaxed) / 2 + 1) * 2 + 1;
        // Sequentially consistent, both: either the watchdog sees this run before it goes to sleep, or it is seen asleep.
        self.state.store(state, Ordering::SeqCst);
        if IS_ASLEEP.load(Ordering::SeqCst) {
            wake();
        }
        Visit(Ticket { lane: self, state })
    }

    /// Whether the run that this thread is in has been condemned.
    fn is_condemned(&self) -> bool {
        let state = self.state.load(Ordering::Relaxed);
        state % 2 == 1 && self.condemned.load(Ordering::Acquire) == state
    }

    /// Looks at the lane and says whether anything has happened since the last look.
    fn look(&self, now: Instant) -> bool {
        let state = self.state.load(Ordering::Acquire);
        let mut seen = self.seen.lock();
        if seen.state != state {
            let is_running = state % 2 == 1;
            let at = if is_running { clock_ns(self.clock).map(|cpu| (now, cpu)) } else { None };
            *seen = Seen { state, at };
            return true;
        }
        let Some((first_at, first_cpu)) = seen.at else { return false };
        let budget =
            Usage { cpu_ns: self.cpu_ns.load(Ordering::Relaxed), wall_ns: self.wall_ns.load(Ordering::Relaxed) };
        let callbacks = self.callbacks.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        // The thread writes the state before and after it writes these, so they belong to the run if it has not changed.
        if self.state.load(Ordering::Relaxed) != state {
            return true;
        }
        let used = Usage {
            cpu_ns: clock_ns(self.clock).map_or(0, |cpu| cpu.saturating_sub(first_cpu)),
            wall_ns: u64::try_from(now.duration_since(first_at).as_nanos()).unwrap_or(u64::MAX),
        };
        if let Some(overrun) = used.overrun(budget) {
            self.condemn(state, overrun, callbacks);
        }
        true
    }

    /// Called with `LANES` locked.
    fn condemn(&self, state: u64, overrun: Overrun, callbacks: *mut ffi::lua_Callbacks) {
        if self.condemned.load(Ordering::Relaxed) != state {
            self.cause.store(overrun as u8, Ordering::Relaxed);
            self.condemned.store(state, Ordering::SeqCst);
        }
        if self.state.load(Ordering::SeqCst) == state {
            // SAFETY: the run was going on just now, so its machine lived, and the machine is not destroyed before `retire`
            // has taken the lock that is held here.
            unsafe { set_interrupt(callbacks, kill as *mut c_void) };
        }
    }
}

impl Ticket<'_> {
    /// What the thread's processor clock says, in nanoseconds.
    pub(crate) fn cpu_ns(&self) -> u64 {
        clock_ns(self.lane.clock).unwrap_or(0)
    }

    /// Whether the run has been condemned.
    pub(crate) fn is_due(&self) -> bool {
        self.lane.condemned.load(Ordering::Relaxed) == self.state
    }
}

impl<'lane> Visit<'lane> {
    pub(crate) fn ticket(&self) -> Ticket<'lane> {
        self.0
    }

    /// Ends the run, and says whether it was condemned.
    pub(crate) fn leave(self) -> Option<Overrun> {
        let Ticket { lane, state } = self.0;
        drop(self);
        if lane.condemned.load(Ordering::SeqCst) != state {
            return None;
        }
        let cause = lane.cause.load(Ordering::Relaxed);
        Some(if cause == Overrun::Wall as u8 { Overrun::Wall } else { Overrun::Cpu })
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.0.lane.state.store(self.0.state & !1, Ordering::SeqCst);
    }
}

impl OwnLane {
    fn register() -> Self {
        let mut clock = MaybeUninit::uninit();
        // SAFETY: this thread exists, and the answer's place is valid. The call fails only for threads that do not exist.
        let failed = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), clock.as_mut_ptr()) };
        // SAFETY: written when the call did not fail. The fallback makes the watchdog read its own clock: the budget by the
        // wall clock still holds.
        let clock = if failed == 0 { unsafe { clock.assume_init() } } else { libc::CLOCK_THREAD_CPUTIME_ID };
        let lane = Arc::new(Lane::new(clock));
        LANES.lock().push(Arc::clone(&lane));
        Self(lane)
    }
}

impl Drop for OwnLane {
    fn drop(&mut self) {
        LANES.lock().retain(|lane| !Arc::ptr_eq(lane, &self.0));
    }
}

/// Nanoseconds on a thread's processor clock, or `None` when the thread is gone.
fn clock_ns(clock: libc::clockid_t) -> Option<u64> {
    let mut time = MaybeUninit::uninit();
    // SAFETY: the answer's place is valid; an unknown clock is an error, not undefined.
    let failed = unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) };
    if failed != 0 {
        return None;
    }
    // SAFETY: written, for the call did not fail.
    let time = unsafe { time.assume_init() };
    Some(u64::try_from(time.tv_sec).ok()? * 1_000_000_000 + u64::try_from(time.tv_nsec).ok()?)
}

fn watch() {
    loop {
        std::thread::park_timeout(TICK);
        if look_at_all() {
            continue;
        }
        IS_ASLEEP.store(true, Ordering::SeqCst);
        // A run that began before the flag was up is seen here, one that begins later sees the flag.
        if LANES.lock().iter().any(|lane| lane.state.load(Ordering::SeqCst) != lane.seen.lock().state) {
            IS_ASLEEP.store(false, Ordering::SeqCst);
            continue;
        }
        while IS_ASLEEP.load(Ordering::SeqCst) {
            std::thread::park();
        }
    }
}

fn look_at_all() -> bool {
    let lanes = LANES.lock();
    let now = Instant::now();
    let mut is_busy = false;
    for lane in lanes.iter() {
        is_busy |= lane.look(now);
    }
    is_busy
}

#[cold]
fn wake() {
    if IS_ASLEEP.swap(false, Ordering::SeqCst)
        && let Some(watchdog) = &*WATCHDOG.lock()
    {
        watchdog.unpark();
    }
}

/// Sets the interrupt function of a machine; a null pointer takes it away.
///
/// # Safety
///
/// `callbacks` must be valid, and `function` null or of the type of an interrupt function.
unsafe fn set_interrupt(callbacks: *mut ffi::lua_Callbacks, function: *mut c_void) {
    const { assert!(size_of::<Option<unsafe extern "C-unwind" fn(*mut lua_State, c_int)>>() == size_of::<*mut c_void>()) };
    // SAFETY: the field is as large and as aligned as a pointer, and no function is a null pointer. Luau allows this one
    // field to be set from any thread while the machine runs (`lua.h`, at `lua_Callbacks`) and reads it in one access.
    unsafe { AtomicPtr::from_ptr((&raw mut (*callbacks).interrupt).cast::<*mut c_void>()) }
        .store(function, Ordering::Release);
}

/// The interrupt: ends the run it was set for.
///
/// Plain data only lives in this frame when the error is raised.
unsafe extern "C-unwind" fn kill(state: *mut lua_State, gc: c_int) {
    let is_due = LANE.try_with(|own| own.0.is_condemned()).unwrap_or(false);
    if !is_due {
        // SAFETY: Luau calls this with a live state.
        unsafe { set_interrupt(ffi::lua_callbacks(state), std::ptr::null_mut()) };
        return;
    }
    if gc >= 0 {
        // Called out of the garbage collector, where no error may be raised. From now on every allocation fails, which
        // ends code that allocates without a loop or a call.
        run::starve();
        return;
    }
    // SAFETY: Luau calls interrupts where errors may be raised. Room for one value is made sure of, and a light userdata
    // needs no memory.
    unsafe {
        ffi::lua_rawcheckstack(state, 1);
        ffi::lua_pushlightuserdata(state, (&raw const KILLED).cast_mut().cast());
        ffi::lua_error(state)
    }
}

/// Its address is the error that kills: an error that needs no memory. Never read.
static KILLED: u8 = 0;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::budget::Limits;

    fn lane() -> Lane {
        Lane::new(libc::CLOCK_THREAD_CPUTIME_ID)
    }

    fn budget(cpu: Duration, wall: Duration) -> Usage {
        Usage::budget(&Limits { cpu, wall, ..Limits::default() })
    }

    /// The callbacks of a machine, which the interrupt is set in.
    fn callbacks(lua: &mlua::Lua) -> *mut ffi::lua_Callbacks {
        let place = Cell::new(std::ptr::null_mut());
        // SAFETY: only asks where the callbacks are.
        unsafe { lua.exec_raw::<()>((), |state| place.set(ffi::lua_callbacks(state))) }.expect("raises nothing");
        place.get()
    }

    fn is_set(callbacks: *mut ffi::lua_Callbacks) -> bool {
        // SAFETY: only called while the machine lives and nobody else is looking.
        unsafe { (*callbacks).interrupt.is_some() }
    }

    #[test]
    fn a_run_is_condemned_once_it_was_seen_to_pass_its_wall_clock_budget() {
        let (lane, lua) = (lane(), mlua::Lua::new());
        let callbacks = callbacks(&lua);
        // SAFETY: `lua` lives on, and nothing but this test looks at the lane.
        let visit = unsafe { lane.enter(budget(Duration::MAX, Duration::from_secs(2)), callbacks) };
        let start = Instant::now();
        for (seconds, want) in [(0, false), (1, false), (2, true), (3, true)] {
            assert!(lane.look(start + Duration::from_secs(seconds)));
            assert_eq!((visit.ticket().is_due(), is_set(callbacks)), (want, want), "after {seconds} s");
        }
        assert_eq!(visit.leave(), Some(Overrun::Wall));
    }

    #[test]
    fn processor_time_is_what_counts_against_the_cpu_budget() {
        let (lane, lua) = (lane(), mlua::Lua::new());
        let callbacks = callbacks(&lua);
        // SAFETY: as above.
        let visit = unsafe { lane.enter(budget(Duration::from_millis(1), Duration::MAX), callbacks) };
        let start = Instant::now();
        lane.look(start);
        lane.look(start + Duration::from_secs(3600));
        assert!(!visit.ticket().is_due(), "an hour passed by the clock on the wall only");
        let first = clock_ns(libc::CLOCK_THREAD_CPUTIME_ID).expect("own clock");
        while clock_ns(libc::CLOCK_THREAD_CPUTIME_ID).expect("own clock") < first + 2_000_000 {
            std::hint::spin_loop();
        }
        lane.look(start);
        assert!(visit.ticket().is_due());
        assert_eq!(visit.leave(), Some(Overrun::Cpu));
    }

    #[test]
    fn a_run_does_not_inherit_what_an_earlier_run_used_or_was_condemned_for() {
        let (lane, lua) = (lane(), mlua::Lua::new());
        let callbacks = callbacks(&lua);
        let budget = budget(Duration::MAX, Duration::from_secs(2));
        let start = Instant::now();
        for hour in 0..3 {
            let begin = start + Duration::from_secs(3600 * hour);
            // SAFETY: as above.
            let visit = unsafe { lane.enter(budget, callbacks) };
            lane.look(begin);
            assert!(!visit.ticket().is_due());
            lane.look(begin + Duration::from_secs(10));
            assert!(visit.ticket().is_due());
            assert_eq!(visit.leave(), Some(Overrun::Wall));
        }
    }

    #[test]
    fn a_lane_at_rest_is_reported_once() {
        let (lane, lua) = (lane(), mlua::Lua::new());
        let now = Instant::now();
        assert!(!lane.look(now), "never used");
        // SAFETY: as above.
        let visit = unsafe { lane.enter(Usage::budget(&Limits::default()), callbacks(&lua)) };
        assert_eq!(visit.leave(), None);
        assert!(lane.look(now), "used since the last look");
        assert!(!lane.look(now), "not used since");
    }

    #[test]
    fn clocks_of_threads_that_ended_are_no_error() {
        let clock = std::thread::spawn(|| with_lane(|lane| lane.clock)).join().expect("thread");
        let before = LANES.lock().len();
        assert!(clock_ns(clock).is_none_or(|ns| ns < u64::MAX));
        assert!(LANES.lock().len() <= before);
    }
}
