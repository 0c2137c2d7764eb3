//! Every atomic, cell and fence of the crate comes from here.
//!
//! *Owns* the choice between the standard library and `loom`. *Invariant*: under `--cfg loom` all
//! shared memory of the ring tower is loom's, so the model sees the code that ships and not a copy;
//! the canary in `loom-tests` fails when it does not. *Source*: the loom documentation.

#[cfg(not(loom))]
mod imp {
    #![allow(clippy::disallowed_types, reason = "this is the facade")]
    pub(crate) use core::sync::atomic::{AtomicU64, Ordering};

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
}

#[cfg(loom)]
mod imp {
    pub(crate) use loom::{
        cell::UnsafeCell,
        sync::atomic::{AtomicU64, Ordering},
    };

    pub(crate) fn spin_hint() {
        loom::hint::spin_loop();
    }

    pub(crate) fn yield_now() {
        loom::thread::yield_now();
    }
}

pub(crate) use imp::*;
