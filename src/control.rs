//! *Owns* what can be said to a stage while it runs, and what is counted of its faults. *Invariant*: a
//! consumer reads it once per batch at most and never waits for it; whoever speaks waits for nobody.
//! *Source*: Aeron's agents for the out-of-band word; the kill switch of an exchange gateway.

use crate::cursor::{Counter, Cursor};
use crate::ring::{Life, Ring};
use crate::sequence::Sequence;
use crate::sync::{AtomicU64, Ordering};
use core::fmt;
use crossbeam_utils::CachePadded;
use std::sync::Arc;

/// What becomes of a stage whose handler panics in `on_event`, `on_batch_start`, `on_batch_end` or
/// `on_idle`. A panic of `on_start` refuses the bus, one of `on_stop` halts it, whatever stands here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnPanic {
    /// The bus halts, with the panic as its error.
    #[default]
    Halt,
    /// The same handler goes on behind the event that panicked: that event is skipped and counted,
    /// and nobody handles it again. A panic outside `on_event` skips nothing. The handler must be fit
    /// to be called again after it unwound. Refused for a stage that others stand behind, for a
    /// projection, a reactor and the journal.
    Restart {
        /// Restarts in the life of the bus; the panic after the last one halts it.
        max: u32,
    },
    /// The stage is over and its gate leaves the producers' scan without having moved; its thread
    /// goes on with its other stages, and the bus lives. Refused where `Restart` is.
    Detach,
}

impl fmt::Display for OnPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Halt => f.write_str("halt"),
            Self::Restart { max } => write!(f, "restart, {max} times at most"),
            Self::Detach => f.write_str("detach"),
        }
    }
}

/// A switch that stops something at once, from any thread or signal handler. Clones share one switch.
///
/// Two things can hang on one:
///
/// - *A bus* ([`Bus::kill_switch`](crate::Bus::kill_switch)): pulled, the bus halts as by
///   [`Bus::halt`](crate::Bus::halt), for good. Blocked producers are refused at their next look,
///   consumers stop after their current batch, also when the ring is full or a handler is stuck; the
///   journal stage drains.
/// - *Stages* ([`KillSwitch::new`], then [`StageBuilder::kill_switch`](crate::StageBuilder::kill_switch)):
///   while it is pulled, these stages discard: they walk past their events without handing them to
///   the handler, and count them ([`Bus::faults`](crate::Bus::faults)). Their gates move on, so the
///   ring does not wedge, and the rest of the bus does not notice. Discarded events are not handed
///   out after a reset either.
///
/// A consumer looks once per batch: events of the batch under way are still handed out.
/// [`StageBuilder::batch_events_max`](crate::StageBuilder::batch_events_max) of 1 makes that one event.
///
/// To pull is one atomic operation: no lock, no allocation, no system call, so a signal handler may
/// (keep a clone in a `static`; dropping the last clone frees memory, which one may not). It wakes
/// nobody: a parked consumer notices at the end of its bounded sleep, which is 50 µs under
/// [`Wait::Auto`](crate::Wait::Auto) and `max` under [`Wait::Park`](crate::Wait::Park); a producer
/// blocked on a full ring at its next step, a yield at the longest.
///
/// ```
/// # use tourbillon::{Bus, Drain, KillSwitch, Sequence};
/// # #[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
/// # #[event(name = "doc.order", version = 1)]
/// # struct Order { price: i64 }
/// let switch = KillSwitch::new();
/// let mut builder = Bus::<Order>::builder(16);
/// builder.handler("gateway", |_: &ArchivedOrder, _: Sequence, _: bool| {}).kill_switch(&switch);
/// let (mut producer, bus) = builder.start()?;
/// switch.pull();
/// producer.publish(&Order { price: 100 })?; // seen by all, sent by nobody
/// # let report = bus.shutdown(Drain::Complete)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct KillSwitch(Wired);

#[derive(Clone)]
enum Wired {
    Bus(Arc<Ring>),
    Stages(Arc<CachePadded<AtomicU64>>),
}

impl KillSwitch {
    /// A switch for stages, not pulled.
    #[must_use]
    pub fn new() -> Self {
        Self(Wired::Stages(Arc::new(CachePadded::new(AtomicU64::new(0)))))
    }

    pub(crate) fn of_bus(ring: &Arc<Ring>) -> Self {
        Self(Wired::Bus(Arc::clone(ring)))
    }

    /// Pulls the switch. Waits for nothing and may be called by a signal handler.
    pub fn pull(&self) {
        match &self.0 {
            Wired::Bus(ring) => ring.header().state.advance(Life::Halted),
            // ORDERING: Relaxed; the word is the whole message, nothing is read on its account.
            Wired::Stages(word) => word.store(1, Ordering::Relaxed),
        }
    }

    /// Lets stages hand out events again, from the next batch on; gives whether the switch is open.
    /// A bus that was halted stays so.
    pub fn reset(&self) -> bool {
        // ORDERING: Relaxed; as in `pull`.
        if let Wired::Stages(word) = &self.0 {
            word.store(0, Ordering::Relaxed);
        }
        !self.is_pulled()
    }

    /// Whether it is pulled. The switch of a bus is pulled, too, once the bus has halted or ended.
    #[inline]
    #[must_use]
    pub fn is_pulled(&self) -> bool {
        match &self.0 {
            Wired::Bus(ring) => ring.life() >= Life::Halted,
            // ORDERING: Relaxed; as in `pull`.
            Wired::Stages(word) => word.load(Ordering::Relaxed) != 0,
        }
    }
}

impl Default for KillSwitch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for KillSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wired = match self.0 {
            Wired::Bus(_) => "bus",
            Wired::Stages(_) => "stages",
        };
        f.debug_struct("KillSwitch")
            .field("wired", &wired)
            .field("is_pulled", &self.is_pulled())
            .finish()
    }
}

/// What went wrong in a stage so far, and what it did not hand out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageFaults {
    /// The stage.
    pub stage: Arc<str>,
    /// Panics of its handler.
    pub panics: u64,
    /// Times it went on after one.
    pub restarts: u64,
    /// Events that it unwound from and that were not handled again.
    pub skipped: u64,
    /// Events walked past while its kill switch was pulled.
    pub discarded: u64,
    /// Where it stood when it was detached, if it was: everything below was handled.
    pub detached_at: Option<Sequence>,
}

/// What the bus and one stage's thread say to each other.
pub(crate) struct Control {
    /// Read once per batch; on lines of its own, which nobody writes while the stage runs.
    paused: CachePadded<AtomicU64>,
    on_panic: OnPanic,
    switch: Option<KillSwitch>,
    pub(crate) panics: Counter,
    pub(crate) restarts: Counter,
    pub(crate) skipped: Counter,
    pub(crate) discarded: Counter,
    /// Where the stage stood when it gave its gate up; `Sequence::MAX` while it has it.
    left_at: Cursor,
}

impl Control {
    pub(crate) fn new(on_panic: OnPanic, switch: Option<KillSwitch>) -> Arc<Self> {
        Arc::new(Self {
            paused: CachePadded::new(AtomicU64::new(0)),
            on_panic,
            switch,
            panics: Counter::default(),
            restarts: Counter::default(),
            skipped: Counter::default(),
            discarded: Counter::default(),
            left_at: Cursor::new(Sequence::MAX),
        })
    }

    pub(crate) fn pause(&self, paused: bool) {
        // ORDERING: Relaxed; the word is the whole message. Who publishes after it on the same thread
        // carries it along: a stage that has acquired such an event sees it at its next look.
        self.paused.store(u64::from(paused), Ordering::Relaxed);
    }

    #[inline(always)]
    pub(crate) fn is_paused(&self) -> bool {
        // ORDERING: Relaxed; as in `pause`.
        self.paused.load(Ordering::Relaxed) != 0
    }

    /// Whether the stage must not hand out events.
    #[inline(always)]
    pub(crate) fn is_cut(&self) -> bool {
        self.switch.as_ref().is_some_and(KillSwitch::is_pulled)
    }

    /// Counts a panic, and gives what is to follow it: `Restart` only while there are some left.
    pub(crate) fn panicked(&self) -> OnPanic {
        self.panics.add(1);
        match self.on_panic {
            OnPanic::Restart { max } if self.restarts.get() >= u64::from(max) => OnPanic::Halt,
            OnPanic::Restart { max } => {
                self.restarts.add(1);
                OnPanic::Restart { max }
            }
            policy => policy,
        }
    }

    /// Says where the stage stands, before it gives its gate up.
    pub(crate) fn leave_at(&self, sequence: Sequence) {
        self.left_at.publish(sequence);
    }

    /// Where the stage stood when it gave its gate up. Asked after the gate, which may be vacant or
    /// another's by then.
    pub(crate) fn left_at(&self) -> Option<Sequence> {
        Some(self.left_at.acquire()).filter(|&at| at != Sequence::MAX)
    }

    pub(crate) fn faults(&self, stage: &Arc<str>) -> StageFaults {
        StageFaults {
            stage: Arc::clone(stage),
            panics: self.panics.get(),
            restarts: self.restarts.get(),
            skipped: self.skipped.get(),
            discarded: self.discarded.get(),
            detached_at: self.left_at(),
        }
    }
}
