//! *Owns* the proofs by enumeration: the table is total, and a crash at any store of producers, of
//! consumers or of a successor ends well. *Invariant*: every prefix of a script is tried. *Source*:
//! its own.

use super::*;
use crate::event::SchemaId;
use crate::ring::memory::MemoryOptions;
use crate::ring::region::Shape;
use Producers::{Multi, Single};

const CAPACITY: u64 = 8;
const LAPS: u64 = 3;

fn shape(producers: Producers) -> Shape {
    let event = SchemaId { name: "test.word", version: 1, fingerprint: 1 };
    let (payload_at, payload_bytes) = (8, 8);
    Shape { capacity: CAPACITY, stride: 16, payload_at, payload_bytes, event, producers }
}

fn region(producers: Producers, start: u64) -> Region {
    Region::anonymous(shape(producers), Sequence::new(start), MemoryOptions::new()).expect("memory")
}

/// One store of a process that may die behind it.
#[derive(Clone, Copy, Debug)]
enum Step {
    Publish(u64),
    Abort(u64),
    Claimed(u64),
    /// Consumers have handled everything below, and the producer has seen it.
    Limit(u64),
}

impl Step {
    fn apply(self, region: &Region) {
        let header = region.header();
        let stamp = |n| SlotHead::of(region, Sequence::new(n));
        match self {
            Self::Publish(n) => stamp(n).publish(Sequence::new(n)),
            Self::Abort(n) => stamp(n).abort(Sequence::new(n)),
            Self::Claimed(end) => header.claimed.raise(Sequence::new(end)),
            Self::Limit(below) => {
                let gate = header.gate_table.at(0).expect("a gate");
                header.gate_table.publish(gate, Sequence::new(below));
                let (limit, _) =
                    header
                        .gate_table
                        .free_below(Sequence::ZERO, Sequence::new(below), |_| Sequence::new(below));
                assert_eq!(limit.get(), below);
            }
        }
    }
}

/// What one call stores: `events` at once from `first` on, all but the last `aborted` published. An
/// only producer stores its claim counter at scans alone; these are in `Script::new`.
fn call(producers: Producers, first: u64, events: u64, aborted: u64) -> Vec<Step> {
    let end = first + events;
    let stamps = (end - aborted..end).rev().map(Step::Abort);
    let stamps: Vec<_> = stamps.chain((first..end - aborted).rev().map(Step::Publish)).collect();
    match producers {
        Single => stamps,
        Multi => [vec![Step::Claimed(end)], stamps].concat(),
    }
}

fn plan(region: &Region, producers: Producers) -> Result<Plan, RegionFault> {
    Plan::of(region, producers, |_| true)
}

#[test]
fn every_slot_matches_exactly_one_row_of_the_table() {
    use Position::{Beyond, Run, Settled};
    use Stamped::{Aborted, Foreign, Old, Published};
    use Verdict::{Free, Garbled, Keep, TornBatch, TornClaim};
    // The rows of the module's docs, cell by cell.
    let table = [
        (Single, Settled, [Keep, Keep, Garbled, Garbled]),
        (Single, Run, [Keep, Keep, Free, Garbled]),
        (Single, Beyond, [TornBatch, TornBatch, Free, Garbled]),
        (Multi, Settled, [Keep, Keep, TornClaim, Garbled]),
        (Multi, Run, [Garbled, Garbled, Free, Garbled]),
        (Multi, Beyond, [Garbled, Garbled, Free, Garbled]),
    ];
    for producers in [Single, Multi] {
        for position in [Settled, Run, Beyond] {
            let rows = table.iter().filter(|row| (row.0, row.1) == (producers, position));
            let [(.., cells)] = rows.collect::<Vec<_>>()[..] else { panic!("one row") };
            for (stamped, cell) in [Published, Aborted, Old, Foreign].into_iter().zip(cells) {
                let found = verdict(producers, position, stamped);
                assert_eq!(found, *cell, "{producers:?} {position:?} {stamped:?}");
            }
        }
    }
}

#[test]
fn every_word_is_one_thing_to_a_sequence() {
    for born in [0, 5] {
        for sequence in born..born + LAPS * CAPACITY {
            let read = |word| Stamped::read(word, sequence, CAPACITY, born);
            assert_eq!(read(sequence + 1), Stamped::Published);
            assert_eq!(read((sequence + 1) | ABORTED), Stamped::Aborted);
            let is_first_lap = sequence < born + CAPACITY;
            for word in 0..=sequence + CAPACITY + 1 {
                let is_old = match word {
                    0 => is_first_lap,
                    word => !is_first_lap && word + CAPACITY == sequence + 1,
                };
                let expected = if is_old { Stamped::Old } else { Stamped::Foreign };
                if word != sequence + 1 {
                    assert_eq!(read(word), expected, "{word} in the slot of {sequence}");
                }
            }
            for word in [ABORTED, u64::MAX, ABORTED - 1] {
                assert_eq!(read(word), Stamped::Foreign);
            }
        }
    }
}

/// Calls one after the other over several laps, and what a crash behind each of its steps must find.
struct Script {
    producers: Producers,
    steps: Vec<Step>,
    /// For each step the end of what had been returned, and the call under way.
    expected: Vec<(u64, Range<u64>)>,
}

impl Script {
    /// A scan makes room for the call that needs it, and for up to `ahead` events more.
    fn new(producers: Producers, calls: &[(u64, u64)], ahead: u64) -> Self {
        let (mut steps, mut expected) = (Vec::new(), Vec::new());
        let (mut next, mut room_to) = (0, 0);
        for &(events, aborted) in calls.iter().cycle().take(LAPS as usize * 6) {
            let end = next + events;
            let mut call = call(producers, next, events, aborted);
            if end > room_to {
                // As `Claims::scan`: the counter of an only producer first, then the gates.
                let below = (end + ahead).saturating_sub(CAPACITY).min(next);
                room_to = below + CAPACITY;
                let told = (producers == Single).then_some(Step::Claimed(next));
                let scan = told.into_iter().chain((below > 0).then_some(Step::Limit(below)));
                call.splice(0..0, scan);
            }
            for step in call {
                steps.push(step);
                expected.push((next, next..end));
            }
            next = end;
        }
        Self { producers, steps, expected }
    }

    /// A region that saw the first `count` steps.
    fn cut(&self, count: usize) -> Region {
        let region = region(self.producers, 0);
        let header = region.header();
        header.gate_table.join(Sequence::ZERO).expect("a gate");
        header.names.set(0, "consumer");
        self.steps[..count].iter().for_each(|step| step.apply(&region));
        region
    }
}

/// What stands in the region, slot by slot, from its oldest sequence on.
fn contents(region: &Region) -> (u64, u64, Vec<u64>) {
    let (claimed, limit) = cursors(region).expect("sound");
    let words = (limit..limit + CAPACITY).map(|n| SlotHead::of(region, Sequence::new(n)).word());
    (claimed, limit, words.collect())
}

/// The scripts: single events, batches, claims that were dropped, and mixtures.
fn scripts() -> Vec<Script> {
    let calls: [&[(u64, u64)]; 5] =
        [&[(1, 0)], &[(3, 0), (1, 1), (2, 0)], &[(8, 0)], &[(4, 2), (1, 0), (5, 5)], &[(2, 0)]];
    let producers = [Single, Multi];
    let scripts = producers.into_iter().flat_map(|producers| {
        calls.map(|calls| [0, 2, CAPACITY].map(|ahead| Script::new(producers, calls, ahead)))
    });
    scripts.flatten().collect()
}

#[test]
fn a_kill_behind_any_store_loses_nothing_that_was_returned_and_invents_nothing() {
    for script in scripts() {
        for count in 1..=script.steps.len() {
            let mut region = script.cut(count);
            let before = contents(&region).2;
            let (returned, call) = script.expected[count - 1].clone();
            let plan = plan(&region, script.producers).expect("a crash is no damage");
            let found = plan.carry_out(&mut region, Single);
            let context = format!("{:?} step {count}: {found:?}", script.producers);
            let end = found.end.get();
            assert!(end == returned || end == call.end, "{context}");
            let after = contents(&region).2;
            for (n, (before, after)) in (found.oldest.get()..).zip(before.into_iter().zip(after)) {
                if n < returned {
                    assert_eq!(before, after, "{context}: {n} was returned");
                } else if n < end {
                    assert!(after & !ABORTED == n + 1, "{context}: {n} has no stamp");
                    assert!(after & ABORTED != 0 || after == before, "{context}: {n} invented");
                    // All or nothing, where that can be told.
                    let is_torn = found.torn_batch.as_ref().is_some_and(|torn| {
                        *torn == (Sequence::new(call.start)..Sequence::new(call.end))
                    });
                    assert!(!is_torn || after & ABORTED != 0, "{context}: {n} is part of a tear");
                    assert!(script.producers == Multi || is_torn || after == before, "{context}");
                } else {
                    assert_eq!(before, after, "{context}: {n} is nobody's");
                }
            }
        }
    }
}

#[test]
fn a_successor_that_dies_behind_any_store_leaves_the_same_to_the_next() {
    for script in scripts() {
        for count in 1..=script.steps.len() {
            let mut whole = script.cut(count);
            let found =
                plan(&whole, script.producers).expect("sound").carry_out(&mut whole, Single);
            let stores =
                plan(&script.cut(count), script.producers).expect("sound").stores().count();
            for stop in 0..=stores {
                let mut region = script.cut(count);
                let first = plan(&region, script.producers).expect("sound");
                first.stores().take(stop).for_each(|store| store.apply(&region));
                let second = plan(&region, script.producers).expect("still sound");
                let again = second.carry_out(&mut region, Single);
                assert_eq!(
                    (again.end, again.oldest, &again.gates),
                    (found.end, found.oldest, &found.gates)
                );
                assert_eq!(contents(&region), contents(&whole), "step {count}, store {stop}");
            }
            let third = plan(&whole, Single).expect("sound");
            assert_eq!((third.found.end, third.found.torn_batch), (found.end, None));
        }
    }
}

#[test]
fn consumers_that_died_while_joining_are_moved_up_or_let_go() {
    let script = Script::new(Single, &[(1, 0)], 0);
    let mut region = script.cut(script.steps.len());
    let limit = contents(&region).1;
    let table = &region.header().gate_table;
    for (index, name) in [(1, Some("late")), (2, None)] {
        assert!(table.join(Sequence::ZERO).is_some());
        table.publish(table.at(index).expect("a gate"), Sequence::ZERO);
        name.into_iter().for_each(|name| region.header().names.set(index, name));
    }
    let found = plan(&region, Single).expect("sound").carry_out(&mut region, Single);
    let names: Vec<_> = found.gates.iter().map(|gate| (&*gate.name, gate.at.get())).collect();
    assert_eq!(names, [("consumer", limit), ("late", limit)]);
    let table = &region.header().gate_table;
    assert_eq!(table.word(table.at(2).expect("a gate")), None);
}

type Garble = Box<dyn Fn(&Region)>;

/// What no crash leaves in a ring with these cursors.
fn garbles(claimed: u64, limit: u64) -> Vec<(&'static str, Garble)> {
    let stamp = |n: u64, as_if: u64| {
        move |region: &Region| {
            let slot = SlotHead::of(region, Sequence::new(n));
            slot.publish(Sequence::new(as_if));
        }
    };
    let gate = |at: u64| {
        move |region: &Region| {
            let table = &region.header().gate_table;
            table.publish(table.at(0).expect("a gate"), Sequence::from_word(at));
        }
    };
    vec![
        ("a hole below claimed", Box::new(stamp(claimed - 1, claimed - 1 - CAPACITY))),
        ("a lap too many", Box::new(stamp(claimed, claimed + CAPACITY))),
        ("another slot's stamp", Box::new(stamp(claimed, claimed + 1))),
        (
            "claimed beyond a lap",
            Box::new(move |region| {
                region.header().claimed.raise(Sequence::new(limit + CAPACITY + 1));
            }),
        ),
        (
            "claimed near the end of numbers",
            Box::new(|region| {
                region.header().claimed.raise(Sequence::MAX);
            }),
        ),
        (
            "claimed above the bit of aborts",
            Box::new(|region| {
                region.header().claimed.raise(Sequence::from_word(u64::MAX));
            }),
        ),
        (
            "limit above claimed",
            Box::new(move |region| {
                let above = Sequence::new(claimed + 1);
                region.header().gate_table.free_below(Sequence::ZERO, above, |_| above);
                gate(claimed + 1)(region);
                let above = Sequence::new(claimed + 1);
                region.header().gate_table.free_below(Sequence::ZERO, above, |_| above);
            }),
        ),
        ("a gate above the end", Box::new(gate(claimed + 1))),
        ("a gate that is no sequence", Box::new(gate(u64::MAX - 2))),
        (
            "a name twice",
            Box::new(move |region| {
                region.header().gate_table.join(Sequence::new(claimed));
                region.header().names.set(1, "consumer");
            }),
        ),
        (
            "more gates than there are",
            Box::new(|region| {
                region.header().gate_table.reach(Gates::COUNT + 1);
            }),
        ),
    ]
}

#[test]
fn what_no_crash_leaves_is_refused() {
    let script = Script::new(Single, &[(1, 0)], 0);
    // Its producer has left in order, and told all of it.
    let base = || {
        let region = script.cut(script.steps.len());
        Step::Claimed(LAPS * 6).apply(&region);
        region
    };
    let (claimed, limit, _) = contents(&base());
    for (what, garble) in garbles(claimed, limit) {
        let region = base();
        garble(&region);
        let fault = plan(&region, Single).err();
        assert!(fault.is_some(), "{what} was believed");
    }
    let invalid = Plan::of(&base(), Single, |n| n.get() != claimed - 2).err();
    let (sequence, slot) = (Sequence::new(claimed - 2), (claimed - 2) % CAPACITY);
    assert_eq!(invalid, Some(RegionFault::Bytes { sequence, slot }));
}
