//! *Owns* the measurement of a flow: events from one thread to another as fast as they go.
//! *Invariant*: it ends when the consumer has counted the last event, a count that only grows; the
//! sums of all words are then what they must be, or the program panics. *Source*: none.

use crate::contenders::{ByHand, by_hand_has_our_stride};
use crate::machine::Machine;
use crate::numbered::Plain;
use crate::rounds::{Contender, Kind};
use crate::transport::{Rx, Transport, Tx, expected_sum};
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};

/// Events that are sent before the clock starts: two laps, so that every page has been touched.
pub(super) fn warm_events(slots: usize) -> u64 {
    (2 * slots as u64).max(4_096)
}

/// One measurement: `events` through a ring of `slots`, `by` at a time.
#[derive(Clone, Copy)]
pub(super) struct Flow {
    pub(super) slots: usize,
    pub(super) events: u64,
    pub(super) by: u64,
}

impl Flow {
    pub(super) fn row<T: Transport>(self, kind: Kind) -> Contender {
        super::contender::<T>(kind, move |machine| vec![self.ns_per_event::<T>(machine)])
    }

    /// The limit, and where it is another, the one with tourbillon's strides: what lies between the
    /// two is layout, and the rest is code.
    pub(super) fn by_hand<P: Plain>(self) -> Vec<Contender> {
        let mut rows = vec![self.row::<ByHand<P>>(Kind::Limit)];
        if !by_hand_has_our_stride::<P>() {
            rows.push(self.row::<ByHand<P, true>>(Kind::Limit));
        }
        rows
    }

    /// Included: building the event, publishing it, waiting for room, reading and summing all
    /// words. Not included: opening the ring and two laps over it.
    pub(super) fn ns_per_event<T: Transport>(self, machine: &Machine) -> f64 {
        let (mut tx, mut rx) = T::open(self.slots);
        let warm = warm_events(self.slots).next_multiple_of(self.by);
        let end = warm + self.events.next_multiple_of(self.by);
        let is_warm = AtomicBool::new(false);
        let (began, (ended, sum)) = machine.both(
            || {
                self.send(&mut tx, 0, warm);
                // ORDERING: Acquire; pairs with the Release of the receiving end.
                while !is_warm.load(Acquire) {
                    spin_loop();
                }
                let began = machine.clock.now();
                self.send(&mut tx, warm, end);
                began
            },
            || {
                let mut reader = Reader::default();
                reader.read_until(&mut rx, warm * T::COPIES);
                // ORDERING: Release; pairs with the Acquire above.
                is_warm.store(true, Release);
                reader.read_until(&mut rx, end * T::COPIES);
                (machine.clock.now(), reader.sum)
            },
        );
        let expected = expected_sum::<T::Payload>(end).wrapping_mul(T::COPIES);
        assert_eq!(sum, expected, "{}: every word of {end} events, once", T::about().name);
        machine.clock.ns(ended - began) / (end - warm) as f64
    }

    #[inline(always)]
    fn send(self, tx: &mut impl Tx, first: u64, end: u64) {
        if self.by == 1 {
            for n in first..end {
                tx.send(n);
            }
        } else {
            for n in (first..end).step_by(self.by as usize) {
                tx.send_batch(n, self.by);
            }
        }
    }
}

/// Counts and sums what it sees.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) count: u64,
    pub(super) sum: u64,
}

impl Reader {
    #[inline(always)]
    pub(super) fn read_until(&mut self, rx: &mut impl Rx, count: u64) {
        while self.count < count {
            let before = self.count;
            rx.drain(|seen| {
                self.sum = self.sum.wrapping_add(seen.sum);
                self.count += 1;
            });
            if self.count == before {
                spin_loop();
            }
        }
        assert_eq!(self.count, count, "no event is seen twice");
    }
}
