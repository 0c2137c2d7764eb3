//! *Owns* what a user writes to consume events on a thread of the bus. *Invariant*: a hook that is not
//! written costs nothing. *Source*: the LMAX Disruptor's `EventHandler`.

use crate::event::Event;
use crate::sequence::Sequence;
use rkyv::Archived;

/// What a consumer thread does with events.
///
/// A handler never reads a clock: where time matters it is in the event, so that a replay sees what
/// the live run saw. Closures `FnMut(&Archived<E>, Sequence, bool)` are handlers.
///
/// The hooks come in this order: `on_start`; for each batch `on_batch_start`, `on_event` for each
/// event, `on_batch_end`; between batches `on_idle`; `on_stop`. What follows a panic in one of them
/// is said by [`OnPanic`](crate::OnPanic). A panic while another unwinds aborts the process, as ever.
pub trait Handler<E: Event>: Send + 'static {
    /// Whether [`Handler::on_batch_start`] is called. It costs a look at the producers' claim counter
    /// for each batch, a cache miss while they publish, so it must be asked for.
    const WANTS_BATCH_START: bool = false;

    /// Handles one event, read in place. `end_of_batch` says that none was ready behind it.
    fn on_event(&mut self, event: &Archived<E>, sequence: Sequence, end_of_batch: bool);

    /// Runs before the first event of a batch, if [`Handler::WANTS_BATCH_START`] says so.
    ///
    /// `batch_events` is at least 1 and bounds the batch: it walks no more sequences than this, and
    /// fewer where one of them was claimed and is not published yet. Aborted sequences count; a batch
    /// of nothing else has a start and an end, and no event. `queue_depth` is at least `batch_events`:
    /// the sequences claimed, published or about to be, that this stage has not handled, whether or
    /// not those it stands behind have passed them.
    fn on_batch_start(&mut self, batch_events: u64, queue_depth: u64) {
        let _ = (batch_events, queue_depth);
    }

    /// Fires after every batch, also when its tail was aborted, and before stages behind this one
    /// see the batch. `last` is the last sequence of the batch.
    fn on_batch_end(&mut self, last: Sequence) {
        let _ = last;
    }

    /// Runs each time the stage looked and found nothing to hand out, before its thread waits. A
    /// paused stage does not look. On a thread that spins this is millions of times a second.
    fn on_idle(&mut self) {}

    /// Runs on the stage's thread, pinned, before the bus starts.
    fn on_start(&mut self) {}

    /// Runs on the stage's thread after its last event, if it came to an orderly end.
    fn on_stop(&mut self) {}
}

impl<E: Event, F: FnMut(&Archived<E>, Sequence, bool) + Send + 'static> Handler<E> for F {
    #[inline]
    fn on_event(&mut self, event: &Archived<E>, sequence: Sequence, end_of_batch: bool) {
        self(event, sequence, end_of_batch);
    }
}

/// A handler with effects outside the process. It stands behind the journal, by type: what a crash
/// could take back is not acted upon. Effects are at least once, with the sequence as their key.
pub trait Reactor<E: Event>: Send + 'static {
    /// Acts on one event.
    fn react(&mut self, event: &Archived<E>, sequence: Sequence);
}

/// Adapts a reactor to the duty cycle.
#[derive(Debug)]
pub(crate) struct Reacting<R>(pub(crate) R);

impl<E: Event, R: Reactor<E>> Handler<E> for Reacting<R> {
    #[inline]
    fn on_event(&mut self, event: &Archived<E>, sequence: Sequence, _end_of_batch: bool) {
        self.0.react(event, sequence);
    }
}
