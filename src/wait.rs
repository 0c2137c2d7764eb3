//! *Owns* the names of every way to wait. *Invariant*: no wait is unbounded in one step, so a thread
//! that looks again after each step notices a halt; a publisher makes no system call for a sleeper,
//! unless a stage asked for it by name. *Source*: the LMAX Disruptor's wait strategies.
//!
//! What an idle stage costs, and what the next event waits for. Latencies are from the stamp to the
//! handler, on top of the line's way between two cores; sleeps end late by what the scheduler needs,
//! and those of `Auto` also by the 50 µs of slack that Linux gives timers.
//!
//! | wait | an event waits for | an idle core | the publisher pays | a halt |
//! |---|---|---|---|---|
//! | `Spin` | one poll | all of it | a cache miss per event, when read at its heels | at once |
//! | `BurstSpin` | one poll; in a burst up to 0.5 µs | all of it | fewer of these misses | at once |
//! | `Yield` | a poll, or other threads' quanta | all that nobody else wants | as `Spin` | at once |
//! | `Sleep { max }` | the sleep: 1 µs, doubled each time up to `max` | as `Park` of `max`, 0.6 % at 1 ms | nothing | when the sleep ends, 100 ms at most |
//! | `Park { max }` | the park: `max` | 6 µs per park: 13 % of it at 50 µs | nothing | rings |
//! | `Waker { period }` | the period, then a wake-up | nothing; but one thread per bus pays as `Park` does | nothing | rings |
//! | `DirectWake` | a wake-up, some µs | nothing | a full fence per publish or batch (5 ns alone; at a consumer's heels it waits for the line, some 50 ns), and a wake of ~6 µs when somebody sleeps | rings |
//! | `Auto` | as `Spin` where cores are left, else as `Park` of 50 µs | as these | nothing | rings |
//! | `Custom` | what it says | what it says | nothing | rings; 100 ms at most |
//!
//! `Sleep`, `Park`, `Waker` and `DirectWake` first spin and yield for a few microseconds. Figures are
//! from a 2-core virtual machine. A waker thread pays off from two sleeping stages on.

use core::{fmt, time::Duration};
use std::sync::Arc;

/// What a consumer thread does when it finds nothing to do.
///
/// | wait | latency | an idle core | the publisher pays |
/// |---|---|---|---|
/// | [`Spin`](Wait::Spin), [`BurstSpin`](Wait::BurstSpin) | lowest | all of it | cache misses at most |
/// | [`Yield`](Wait::Yield) | that, or a quantum | what nobody else wants | as above |
/// | [`Sleep`](Wait::Sleep), [`Park`](Wait::Park) | up to `max` | 6 µs per sleep | nothing |
/// | [`Waker`](Wait::Waker) | a period and a wake-up | nothing; 6 µs per nap of the waker thread | nothing |
/// | [`DirectWake`](Wait::DirectWake) | a wake-up | nothing | a fence each time, a system call to wake |
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Wait {
    /// Spins while the threads of all buses of this process are fewer than its cores, which leaves
    /// one to a producer; otherwise spins a little, yields, then parks for up to 50 µs.
    #[default]
    Auto,
    /// Polls without a pause but the PAUSE instruction: lowest latency, a core of its own.
    Spin,
    /// As `Spin`, but at a producer's heels leaves it alone for a while that grows, up to 0.5 µs,
    /// while each look finds the next event, and halves when it does not: more throughput, since
    /// the producer's line is not taken from it at every event, and a batch instead of single
    /// events. Also a core of its own.
    BurstSpin,
    /// Spins a little, then gives its quantum away: for shared cores.
    Yield,
    /// Spins, yields, then sleeps: for a microsecond, and twice as long each time up to `max`, which
    /// is 100 ms at most. Takes no lock and hears no bell: a halt waits for the sleep to end.
    Sleep {
        /// Longest sleep.
        max: Duration,
    },
    /// Spins, yields, then sleeps for at most this long. An event that comes meanwhile waits; a halt
    /// does not.
    Park {
        /// Longest sleep.
        max: Duration,
    },
    /// Spins, yields, then sleeps until the waker thread of the bus finds that there is something
    /// for it. One thread naps and looks for all such stages, so producers make no system call.
    Waker {
        /// How long the waker thread naps between two looks; the shortest of the bus counts.
        period: Duration,
    },
    /// Spins, yields, then sleeps until a producer, or the stage that it stands behind, wakes it.
    ///
    /// On a bus with such a stage each publish, or batch, pays a full fence, and a system call when
    /// somebody sleeps. What moves without waking, which is `Durable`, the journal of another bus,
    /// and a [`Poller`](crate::Poller) that is stood behind, is looked at every millisecond.
    DirectWake,
    /// A strategy of the caller's own.
    Custom(Arc<dyn WaitStrategy>),
}

/// A way to wait that this crate does not know.
///
/// It says what the next step of waiting is, and the bus does it: one bounded step, which ends early
/// when the bus halts, and then a look. So no strategy can miss a halt, unless it blocks or panics
/// in here itself. Closures `Fn(u32) -> Idling` are strategies that do not spin for ever.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use tourbillon::{Idling, Wait};
///
/// let nights = Wait::Custom(Arc::new(|idle_steps| match idle_steps {
///     0..1000 => Idling::Spin { pauses: 10 },
///     _ => Idling::Park { max: Duration::from_millis(2) },
/// }));
/// assert_eq!(nights.to_string(), "custom");
/// ```
pub trait WaitStrategy: Send + Sync {
    /// The next step after `idle_steps` looks in a row, this one not counted, that found nothing.
    fn idle(&self, idle_steps: u32) -> Idling;

    /// Whether a thread that waits like this never leaves its core. The builder counts such threads
    /// against the cores.
    fn spins(&self) -> bool {
        false
    }
}

impl<F: Fn(u32) -> Idling + Send + Sync> WaitStrategy for F {
    fn idle(&self, idle_steps: u32) -> Idling {
        self(idle_steps)
    }
}

impl fmt::Debug for dyn WaitStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitStrategy").field("spins", &self.spins()).finish_non_exhaustive()
    }
}

/// One step of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Idling {
    /// Looks again after so many PAUSE instructions, 1 to 50 ns each.
    Spin {
        /// PAUSE instructions.
        pauses: u16,
    },
    /// Gives the rest of the quantum away.
    Yield,
    /// Sleeps, unless the bus's life changes. Events do not wake it.
    Park {
        /// Longest sleep; 100 ms at most.
        max: Duration,
    },
}

impl Wait {
    /// Whether a thread that waits like this never leaves its core.
    pub(crate) fn spins(&self) -> bool {
        match self {
            Self::Spin | Self::BurstSpin => true,
            Self::Custom(strategy) => strategy.spins(),
            _ => false,
        }
    }
}

/// Two custom waits are equal if they share one strategy.
impl PartialEq for Wait {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sleep { max: a }, Self::Sleep { max: b })
            | (Self::Park { max: a }, Self::Park { max: b })
            | (Self::Waker { period: a }, Self::Waker { period: b }) => a == b,
            (Self::Custom(a), Self::Custom(b)) => {
                core::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b))
            }
            _ => core::mem::discriminant(self) == core::mem::discriminant(other),
        }
    }
}

impl Eq for Wait {}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Spin => f.write_str("spin"),
            Self::BurstSpin => f.write_str("burst spin"),
            Self::Yield => f.write_str("yield"),
            Self::Sleep { max } => write!(f, "sleep {} us", max.as_micros()),
            Self::Park { max } => write!(f, "park {} us", max.as_micros()),
            Self::Waker { period } => write!(f, "waker {} us", period.as_micros()),
            Self::DirectWake => f.write_str("direct wake"),
            Self::Custom(_) => f.write_str("custom"),
        }
    }
}

/// What a producer does when the ring is full, before its call gives up with
/// [`PublishError::Full`](crate::PublishError::Full), which names the consumer in the way.
///
/// It costs nothing while there is room. A call that finds the ring full counts one stall
/// ([`Counters`](crate::Counters)), and with a limit reads the clock from then on. The limit is for
/// each call; [`Producer::within`](crate::Producer::within) sets another for one. However it waits, the
/// end of the bus ends it with [`PublishError::Closed`](crate::PublishError::Closed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// Refuses at once.
    Fail,
    /// Spins until there is room; `None` waits for ever. Keeps its core, also from the consumer that it
    /// waits for where they share one.
    Spin(Option<Duration>),
    /// Spins a little, then yields, until there is room; `None` waits for ever. A system call for each
    /// look.
    Yield(Option<Duration>),
    /// Spins a little, yields a little, then naps for some 20 µs at a time, until there is room;
    /// `None` waits for ever. Consumers pay nothing for it; the end of the bus wakes it at once.
    Park(Option<Duration>),
}

impl Default for WhenFull {
    /// Yields for up to a second; then the error names the consumer in the way.
    fn default() -> Self {
        Self::Yield(Some(Duration::from_secs(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Hog;

    impl WaitStrategy for Hog {
        fn idle(&self, _: u32) -> Idling {
            Idling::Spin { pauses: 1 }
        }

        fn spins(&self) -> bool {
            true
        }
    }

    #[test]
    fn whoever_never_leaves_its_core_says_so() {
        let ms = Duration::from_millis(1);
        let hog = Wait::Custom(Arc::new(Hog));
        assert!([Wait::Spin, Wait::BurstSpin, hog].iter().all(Wait::spins));
        let modest = Wait::Custom(Arc::new(|_| Idling::Yield));
        let others = [
            Wait::Auto,
            Wait::Yield,
            Wait::Sleep { max: ms },
            Wait::Park { max: ms },
            Wait::Waker { period: ms },
            Wait::DirectWake,
            modest,
        ];
        assert!(!others.iter().any(Wait::spins));
    }

    #[test]
    fn custom_waits_are_equal_if_they_share_their_strategy() {
        let hog = Wait::Custom(Arc::new(Hog));
        assert_eq!(hog, hog.clone());
        assert_ne!(hog, Wait::Custom(Arc::new(Hog)));
        assert_ne!(hog, Wait::Spin);
        let (short, long) = (Duration::from_micros(1), Duration::from_micros(2));
        assert_ne!(Wait::Park { max: short }, Wait::Park { max: long });
        assert_ne!(Wait::Park { max: short }, Wait::Sleep { max: short });
        assert_eq!(Wait::Waker { period: short }, Wait::Waker { period: short });
    }
}
