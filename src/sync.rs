//! Every atomic, cell and fence of the crate comes from here.
//!
//! *Owns* the choice between the standard library and `loom`. *Invariant*: under `--cfg loom` all
//! shared memory of the ring tower is loom's, so the model sees the code that ships and not a copy;
//! the canary in `loom-tests` fails when it does not. *Source*: the loom documentation.

#[cfg(not(loom))]
mod imp {
    #![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "this is the facade")]
    use core::time::Duration;

    pub(crate) use core::sync::atomic::Ordering;

    /// An alias, not a re-export: the lint against raw atomics goes by the name that is written.
    pub(crate) type AtomicU64 = core::sync::atomic::AtomicU64;
    /// As above; for the length word of a frame.
    #[cfg(feature = "journal")]
    pub(crate) type AtomicU32 = core::sync::atomic::AtomicU32;

    /// A fence; whoever calls it defends the ordering.
    #[inline(always)]
    pub(crate) fn fence(ordering: Ordering) {
        core::sync::atomic::fence(ordering);
    }

    /// `core::cell::UnsafeCell` behind loom's interface, so that each access is a closure.
    #[derive(Debug)]
    #[repr(transparent)]
    pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        #[cfg_attr(not(test), allow(dead_code, reason = "slots are born from zeroed memory"))]
        pub(crate) const fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }

        #[inline(always)]
        pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }

    /// One PAUSE: about 21 ns on the reference machine.
    #[inline(always)]
    pub(crate) fn spin_hint() {
        core::hint::spin_loop();
    }

    /// Gives the rest of the quantum away.
    #[inline]
    pub(crate) fn yield_now() {
        std::thread::yield_now();
    }

    /// Sleeps, whatever happens meanwhile.
    pub(crate) fn nap(time: Duration) {
        std::thread::sleep(time);
    }

    /// Threads of all buses of this process.
    static BUS_THREADS: AtomicU64 = AtomicU64::new(0);

    /// How many threads the buses of this process run.
    #[inline]
    pub(crate) fn bus_threads() -> u64 {
        // ORDERING: Relaxed; a hint for waiting threads, nothing is read on its account.
        BUS_THREADS.load(Ordering::Relaxed)
    }

    /// A thread of a bus, counted while this lives.
    #[derive(Debug)]
    pub(crate) struct BusThread(());

    impl BusThread {
        pub(crate) fn enter() -> Self {
            // ORDERING: Relaxed; as in `bus_threads`.
            BUS_THREADS.fetch_add(1, Ordering::Relaxed);
            Self(())
        }
    }

    impl Drop for BusThread {
        fn drop(&mut self) {
            // ORDERING: Relaxed; as in `bus_threads`.
            BUS_THREADS.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A lock that threads can sleep on.
    #[derive(Debug, Default)]
    pub(crate) struct Monitor {
        lock: parking_lot::Mutex<()>,
        condvar: parking_lot::Condvar,
    }

    pub(crate) type Guard<'a> = parking_lot::MutexGuard<'a, ()>;

    impl Monitor {
        pub(crate) fn lock(&self) -> Guard<'_> {
            self.lock.lock()
        }

        /// Unlocks and sleeps, in one step, for at most `max` or until notified.
        pub(crate) fn sleep(&self, mut guard: Guard<'_>, max: Duration) {
            self.condvar.wait_for(&mut guard, max);
        }

        pub(crate) fn notify_all(&self) {
            self.condvar.notify_all();
        }
    }
}

#[cfg(loom)]
mod imp {
    pub(crate) use loom::{
        cell::UnsafeCell,
        sync::atomic::{AtomicU64, Ordering, fence},
    };

    pub(crate) fn spin_hint() {
        loom::hint::spin_loop();
    }

    pub(crate) fn yield_now() {
        loom::thread::yield_now();
    }

    /// A model has no time.
    pub(crate) fn nap(_time: core::time::Duration) {
        yield_now();
    }

    /// Models count their own threads.
    pub(crate) fn bus_threads() -> u64 {
        0
    }

    #[derive(Debug)]
    pub(crate) struct BusThread(());

    impl BusThread {
        pub(crate) fn enter() -> Self {
            Self(())
        }
    }

    /// As in the shipped build, but a sleep here has no end of its own: only a notification wakes,
    /// so a lost wake-up is a deadlock that the model reports.
    #[derive(Debug, Default)]
    pub(crate) struct Monitor {
        lock: loom::sync::Mutex<()>,
        condvar: loom::sync::Condvar,
    }

    pub(crate) type Guard<'a> = loom::sync::MutexGuard<'a, ()>;

    impl Monitor {
        pub(crate) fn lock(&self) -> Guard<'_> {
            self.lock.lock().expect("no model panics under the lock")
        }

        pub(crate) fn sleep(&self, guard: Guard<'_>, _max: core::time::Duration) {
            drop(self.condvar.wait(guard));
        }

        pub(crate) fn notify_all(&self) {
            self.condvar.notify_all();
        }
    }
}

pub(crate) use imp::*;
