//! *Owns* the scenario `mixed`: framed events of several sizes on one ring. *Invariant*: both
//! kinds have the same slots and the same code; an event's size and all its words follow from its
//! number. *Source*: none.

use super::throughput::flow;
use super::{Plan, contender};
use crate::numbered::{Numbered, Seen};
use crate::rounds::{Cell, Kind, Metric};
use crate::transport::{About, Rx, Transport, Tx};
use tourbillon::{Bus, Event, Polled, Poller, Producer, WhenFull, rkyv};

const SLOTS: usize = 1 << 10;
const SLOT_BYTES: usize = 4_096;
/// Words of the vector: its archive has 16 bytes more, so 40, 120 and 4,096.
const WORDS: [u64; 3] = [3, 13, 510];

#[derive(rkyv::Archive, rkyv::Serialize, Event)]
#[event(name = "compare.parcel", version = 1, framed)]
struct Parcel {
    number: u64,
    body: Vec<u64>,
}

/// Which of the sizes number `n` has.
#[inline(always)]
fn size_of_number(n: u64, is_mixed: bool) -> usize {
    let percent = ((n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) * 100) >> 32;
    match percent {
        0..90 => 0,
        90..99 => usize::from(is_mixed),
        _ => 2 * usize::from(is_mixed),
    }
}

struct Sizes<const MIXED: bool>;

impl<const MIXED: bool> Numbered for Sizes<MIXED> {
    const BYTES: usize = 40;

    fn expected(n: u64) -> u64 {
        let words = WORDS[size_of_number(n, MIXED)];
        n.wrapping_mul(words + 1).wrapping_add(words * (words - 1) / 2)
    }
}

struct Sender<const MIXED: bool> {
    /// One per size, which its producer keeps and changes.
    parcels: [Parcel; 3],
    producer: Producer<Parcel>,
    _bus: Bus<Parcel>,
}

impl<const MIXED: bool> Tx for Sender<MIXED> {
    #[inline(always)]
    fn send(&mut self, n: u64) {
        let parcel = &mut self.parcels[size_of_number(n, MIXED)];
        parcel.number = n;
        for (word, value) in parcel.body.iter_mut().zip(n..) {
            *word = value;
        }
        self.producer.publish(parcel).expect("an open bus, and it fits");
    }
}

struct Receiver(Poller<Parcel>);

impl Rx for Receiver {
    #[inline(always)]
    fn drain(&mut self, mut each: impl FnMut(Seen)) {
        if let Polled::Batch(mut batch) = self.0.poll() {
            while let Some((parcel, _)) = batch.next() {
                let number = parcel.number.to_native();
                let add = |sum: u64, word: &rkyv::rend::u64_le| sum.wrapping_add(word.to_native());
                each(Seen { number, sum: parcel.body.iter().fold(number, add) });
            }
        }
    }
}

struct Framed<const MIXED: bool>;

impl<const MIXED: bool> Transport for Framed<MIXED> {
    type Payload = Sizes<MIXED>;
    type Tx = Sender<MIXED>;
    type Rx = Receiver;

    fn about() -> About {
        let configuration = "framed events, slot_bytes(4096); both kinds in turn, in each run";
        About { name: "tourbillon", configuration, published: None }
    }

    fn open(slots: usize) -> (Self::Tx, Self::Rx) {
        let mut builder = Bus::<Parcel>::builder(slots);
        builder.slot_bytes(SLOT_BYTES);
        builder.when_full(WhenFull::Spin(None)).poller("sink");
        let (producer, mut bus) = builder.start().expect("a sound bus");
        let rx = Receiver(bus.take_poller("sink").expect("named above"));
        let parcels = WORDS.map(|words| Parcel { number: 0, body: (0..words).collect() });
        (Sender { parcels, producer, _bus: bus }, rx)
    }
}

pub(super) fn cells(plan: Plan) -> Vec<Cell> {
    let flow = flow(plan, SLOTS, 1);
    let ours = contender::<Framed<true>>(Kind::Ours, move |machine| {
        let small = flow.ns_per_event::<Framed<false>>(machine);
        let mixed = flow.ns_per_event::<Framed<true>>(machine);
        vec![small, mixed, mixed / small]
    });
    let ratio = Metric { unit: "", ..Metric::ns("mixed / all of 40 B") };
    let metrics = vec![Metric::ns("all of 40 B"), Metric::ns("mixed"), ratio];
    vec![Cell::new(format!("40 B, 120 B, 4 KiB, {SLOTS} slots"), metrics, vec![ours])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_mixed_as_said() {
        let mut counts = [0_u64; 3];
        (0..100_000).for_each(|n| counts[size_of_number(n, true)] += 1);
        assert!(counts[0].abs_diff(90_000) < 500 && counts[1].abs_diff(9_000) < 500, "{counts:?}");
        assert!((0..100_000).all(|n| size_of_number(n, false) == 0));
        let bytes = |words: u64| {
            rkyv::to_bytes::<rkyv::rancor::Panic>(&Parcel { number: 0, body: (0..words).collect() })
        };
        let bytes = WORDS.map(|words| bytes(words).expect("it panics instead").len());
        assert_eq!(bytes, [40, 120, 4_096]);
    }

    #[test]
    fn every_word_of_every_size_arrives() {
        let (mut tx, mut rx) = Framed::<true>::open(256);
        (0..200).for_each(|n| tx.send(n));
        let mut next = 0;
        while next < 200 {
            rx.drain(|seen| {
                assert_eq!((seen.number, seen.sum), (next, Sizes::<true>::expected(next)));
                next += 1;
            });
        }
    }
}
