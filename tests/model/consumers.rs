//! Consumers, each beside what the specification says it sees.

use super::{Rig, Seen, Slot, Spec, Told};
use std::collections::VecDeque;
use std::sync::Arc;
use tourbillon::{Bus, Claims, From, JoinError, Polled, Poller, Tap, Tapped};

/// Names of those who join.
const NAMES: [&str; 4] = ["one", "two", "three", "four"];

/// A poller, its gate, and whose gate it stands behind.
pub(crate) struct Reader {
    poller: Poller<Told>,
    gate: usize,
    pub(crate) upstream: Option<usize>,
    /// Its gate goes with it.
    pub(crate) is_leaf: bool,
}

impl Reader {
    pub(crate) fn new(poller: Poller<Told>, gate: usize) -> Self {
        Self { poller, gate, upstream: None, is_leaf: true }
    }

    /// Polls, takes `events` of the batch at most, and gives whether there was one.
    pub(crate) fn poll(
        &mut self,
        spec: &mut Spec,
        seen: &mut Seen,
        events: u64,
        looks_ahead: bool,
    ) -> bool {
        let mut next = spec.at(self.gate).expect("a reader stands somewhere");
        let upstream = self.upstream.and_then(|gate| spec.at(gate));
        let mut end = next + (spec.capacity / 4).max(1);
        let is_pending = spec.is_pending(next);
        let mut batch = match self.poller.poll() {
            Polled::Batch(batch) => batch,
            Polled::Idle => {
                seen.idle += 1;
                assert!(is_pending, "{next} is there");
                return false;
            }
            Polled::Gated => {
                seen.gated += 1;
                assert!(!is_pending && upstream.is_some_and(|at| at <= next), "{next} may be read");
                return false;
            }
            Polled::Closed => panic!("the bus is open"),
        };
        assert!(!is_pending && upstream.is_none_or(|at| at > next), "{next} may not be read");
        end = upstream.map_or(end, |at| at.min(end));
        for _ in 0..events {
            let expected = seek(spec, &mut next, end);
            let found = if looks_ahead {
                batch.next_with_end().map(|(event, sequence, end)| (event, sequence, Some(end)))
            } else {
                batch.next().map(|(event, sequence)| (event, sequence, None))
            };
            let Some((event, sequence, is_last)) = found else {
                assert_eq!(expected, None, "{next} was withheld");
                break;
            };
            assert_eq!((Some(event.value.to_native()), sequence.get()), (expected, next));
            assert_eq!(event.inverse.to_native(), !event.value.to_native());
            seen.handled += 1;
            next += 1;
            if let Some(is_last) = is_last {
                assert_eq!(is_last, seek(spec, &mut next, end).is_none());
            }
        }
        assert_eq!(batch.walked().get(), next);
        drop(batch);
        spec.advance(self.gate, next);
        true
    }

    pub(crate) fn leave(self, spec: &mut Spec) {
        if self.is_leaf {
            spec.leave(self.gate);
        }
    }

    pub(crate) fn compare(&self, bus: &Bus<Told>, spec: &Spec) {
        let at = spec.at(self.gate).expect("a reader stands somewhere");
        let name = self.poller.name();
        assert_eq!(self.poller.sequence().get(), at);
        assert_eq!(bus.sequence(name).map(|at| at.get()), Some(at), "of {name}");
        assert_eq!(bus.lag(name), Some(spec.claimed - at), "of {name}");
        assert_eq!(self.poller.lag_events(), spec.claimed - at, "of {name}");
    }

    pub(crate) fn is_closed(&mut self) {
        assert!(matches!(self.poller.poll(), Polled::Closed));
    }
}

/// Moves to the next published sequence below `end`; gives its value.
fn seek(spec: &Spec, next: &mut u64, end: u64) -> Option<u64> {
    while *next < end {
        match spec.slot(*next) {
            Some(Slot::Published(value)) => return Some(*value),
            Some(Slot::Aborted) => *next += 1,
            Some(Slot::Held(_)) | None => return None,
        }
    }
    None
}

/// A tap and what it has copied.
pub(crate) struct Tapper {
    tap: Tap<Told>,
    name: Arc<str>,
    gate: usize,
    next: u64,
    events_max: usize,
    copies: VecDeque<(u64, u64)>,
}

impl Tapper {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Polls where everything below `oldest` may be overwritten.
    fn poll(&mut self, spec: &Spec, seen: &mut Seen, oldest: u64) {
        let mut lagged = 0;
        if self.copies.is_empty() {
            lagged = oldest.saturating_sub(self.next);
            self.next = self.next.max(oldest);
            while lagged == 0 && self.copies.len() < self.events_max {
                match spec.slot(self.next) {
                    Some(Slot::Published(value)) => self.copies.push_back((self.next, *value)),
                    Some(Slot::Aborted) => {}
                    Some(Slot::Held(_)) | None => break,
                }
                self.next += 1;
            }
        }
        match self.tap.poll() {
            Tapped::Event(event, sequence) => {
                seen.tapped += 1;
                let found = (sequence.get(), event.value.to_native());
                assert_eq!(Some(found), self.copies.pop_front());
                assert_eq!(event.inverse.to_native(), !event.value.to_native());
            }
            Tapped::Lagged { skipped } => {
                seen.lagged += 1;
                assert_eq!(skipped, lagged);
            }
            Tapped::Idle => assert_eq!((lagged, self.copies.len()), (0, 0)),
            Tapped::Closed => panic!("the bus is open"),
        }
    }
}

/// The half of the rig that consumes.
impl<C: Claims> Rig<C> {
    pub(super) fn poll(&mut self, who: usize, how: u64) {
        if self.readers.is_empty() {
            return;
        }
        let at = who % self.readers.len();
        self.readers[at].poll(&mut self.spec, &mut self.seen, how / 2, how % 2 == 1);
    }

    /// Everybody reads what there is, those in front first.
    pub(super) fn drain(&mut self) {
        for reader in &mut self.readers {
            while reader.poll(&mut self.spec, &mut self.seen, u64::MAX, false) {}
        }
    }

    pub(super) fn leave(&mut self, who: usize) {
        if !self.readers.is_empty() {
            let reader = self.readers.remove(who % self.readers.len());
            reader.leave(&mut self.spec);
        }
    }

    /// Whether `name` may join; `refused` says what it was told otherwise.
    fn is_refused(&mut self, name: &str, refused: Option<&JoinError>) -> bool {
        let is_taken = self.spec.is_taken(name);
        let expected = is_taken.then(|| JoinError::Duplicate { name: name.to_owned() });
        assert_eq!(refused, expected.as_ref());
        self.seen.duplicate += u64::from(is_taken);
        is_taken
    }

    /// Where a consumer begins that joins at the oldest.
    fn oldest(&mut self) -> u64 {
        let probe = self.bus.join("probe", From::Oldest).expect("a gate");
        let oldest = probe.sequence().get();
        self.spec.saw_oldest(oldest);
        oldest
    }

    pub(super) fn join(&mut self, who: usize, how: u64) {
        let name = NAMES[who % NAMES.len()];
        let from = if how.is_multiple_of(2) { From::Now } else { From::Oldest };
        let oldest = self.oldest();
        let joined = self.bus.join(name, from);
        if self.is_refused(name, joined.as_ref().err()) {
            return;
        }
        let poller = joined.expect("not refused");
        let at = if from == From::Now { self.spec.stamped_from(oldest) } else { oldest };
        assert_eq!(poller.sequence().get(), at, "{from:?}");
        let gate = self.spec.enter(&Arc::from(name), Some(at));
        self.readers.push(Reader::new(poller, gate));
    }

    /// Adds a tap, or drops one.
    pub(super) fn tap(&mut self, who: usize, how: u64) {
        if how.is_multiple_of(4) && !self.taps.is_empty() {
            let tapper = self.taps.remove(who % self.taps.len());
            self.spec.leave(tapper.gate);
            return;
        }
        let name = NAMES[who % NAMES.len()];
        let from = if how.is_multiple_of(2) { From::Now } else { From::Oldest };
        let events_max = how as usize / 4 + 1;
        let oldest = self.oldest();
        let joined = self.bus.tap(name, from, events_max);
        if self.is_refused(name, joined.as_ref().err()) {
            return;
        }
        let tap = joined.expect("not refused");
        let next = if from == From::Now { self.spec.stamped_from(oldest) } else { oldest };
        let name = Arc::from(name);
        let gate = self.spec.enter(&name, None);
        self.taps.push(Tapper { tap, name, gate, next, events_max, copies: VecDeque::new() });
    }

    pub(super) fn poll_tap(&mut self, who: usize) {
        if self.taps.is_empty() {
            return;
        }
        let oldest = self.oldest();
        let at = who % self.taps.len();
        self.taps[at].poll(&self.spec, &mut self.seen, oldest);
    }
}
