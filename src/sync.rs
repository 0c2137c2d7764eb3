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

    /// What sleeping threads sleep on. Rung when the life of a bus changes, never by a publish.
    #[derive(Debug, Default)]
    pub(crate) struct Bell {
        lock: parking_lot::Mutex<()>,
        condvar: parking_lot::Condvar,
    }

    impl Bell {
        /// Sleeps for at most `max`, unless `awake` says not to; `awake` is asked under the lock.
        /// Gives whether it slept.
        pub(crate) fn sleep(&self, max: Duration, awake: impl Fn() -> bool) -> bool {
            let mut guard = self.lock.lock();
            let tired = !awake();
            if tired {
                self.condvar.wait_for(&mut guard, max);
            }
            tired
        }

        /// Wakes every sleeper. Whatever made `awake` true must be stored before.
        pub(crate) fn ring(&self) {
            drop(self.lock.lock());
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

    /// As in the shipped build, but a sleep here has no end of its own: only a ring wakes, so a
    /// lost wake-up is a deadlock that the model reports.
    #[derive(Debug, Default)]
    pub(crate) struct Bell {
        lock: loom::sync::Mutex<()>,
        condvar: loom::sync::Condvar,
    }

    impl Bell {
        pub(crate) fn sleep(&self, _max: core::time::Duration, awake: impl Fn() -> bool) -> bool {
            let guard = self.lock.lock().expect("no model panics under the lock");
            let tired = !awake();
            if tired {
                drop(self.condvar.wait(guard));
            }
            tired
        }

        pub(crate) fn ring(&self) {
            drop(self.lock.lock());
            self.condvar.notify_all();
        }
    }
}

pub(crate) use imp::*;
