//! *Owns* events at a rate that does not wait for anybody. *Invariant*: latency counts from the
//! intended send time, so a sender that falls behind hides nothing. *Source*: Gil Tene,
//! "coordinated omission".

use super::flow::{Reader, warm_events};
use crate::machine::Machine;
use crate::transport::{Rx, Transport, Tx, expected_sum};
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};

/// From the last moment of the warm-up to the first intended send time.
pub(super) const LEAD_NS: f64 = 50_000.0;

/// What is to be sent, and how often.
#[derive(Clone, Copy)]
pub(super) struct OpenLoop {
    pub(super) slots: usize,
    pub(super) events: u64,
    pub(super) period_ns: f64,
}

impl OpenLoop {
    /// From the intended send time of each event to when the receiver had it, in ns. After that,
    /// and before the next one, the receiver calls `handle` with the event's sum.
    pub(super) fn delays_ns<T: Transport>(
        self,
        machine: &Machine,
        handle: impl Fn(u64) + Sync,
    ) -> Vec<f64> {
        let clock = &machine.clock;
        let (mut tx, mut rx) = T::open(self.slots);
        let warm = warm_events(self.slots);
        let end = warm + self.events;
        let period = self.period_ns * clock.ticks(1e9) as f64 / 1e9;
        let due = |first: u64, n: u64| first + ((n - warm) as f64 * period) as u64;
        let start = AtomicU64::new(0);
        let ((), (delays, sum)) = machine.both(
            || {
                (0..warm).for_each(|n| tx.send(n));
                let first = loop {
                    // ORDERING: Acquire; pairs with the Release of the receiving end.
                    match start.load(Acquire) {
                        0 => {}
                        first => break first,
                    }
                };
                for n in warm..end {
                    clock.wait_until(due(first, n));
                    tx.send(n);
                }
            },
            || {
                let mut reader = Reader::default();
                reader.read_until(&mut rx, warm);
                let mut delays = Vec::with_capacity(self.events as usize);
                let first = clock.now() + clock.ticks(LEAD_NS);
                // ORDERING: Release; pairs with the Acquire above.
                start.store(first, Release);
                while delays.len() < self.events as usize {
                    rx.drain(|seen| {
                        delays.push(clock.now().saturating_sub(due(first, seen.number)));
                        reader.sum = reader.sum.wrapping_add(seen.sum);
                        handle(seen.sum);
                    });
                }
                (delays, reader.sum)
            },
        );
        let expected = expected_sum::<T::Payload>(end);
        assert_eq!(sum, expected, "{}: every word of {end} events, once", T::about().name);
        delays.into_iter().map(|delay| clock.ns(delay)).collect()
    }
}

/// The values below which these shares of all values lie.
pub(super) fn quantiles<const N: usize>(
    values_ns: impl IntoIterator<Item = f64>,
    shares: [f64; N],
) -> [f64; N] {
    let mut histogram = Histogram::<u64>::new(3).expect("three digits are allowed");
    for value in values_ns {
        // In tenths of a nanosecond.
        histogram.record((value * 10.0) as u64).expect("the histogram grows");
    }
    shares.map(|share| histogram.value_at_quantile(share) as f64 / 10.0)
}
