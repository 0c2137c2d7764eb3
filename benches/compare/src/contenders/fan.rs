//! *Owns* fan-out and pipelines for rings with one consumer. *Invariant*: each event reaches the
//! receiving thread as often as with a ring that broadcasts. *Source*: what one would write.

use crate::numbered::Seen;
use crate::transport::{About, OneByOne, Rx, Transport, Tx};
use std::marker::PhantomData;

/// A ring per consumer; the producer sends everything to each.
pub(crate) struct Rings<T, const N: usize>(PhantomData<T>);

pub(crate) struct Ends<E, const N: usize>([E; N]);

impl<T: Tx, const N: usize> Tx for Ends<T, N> {
    #[inline(always)]
    fn send(&mut self, n: u64) {
        for tx in &mut self.0 {
            tx.send(n);
        }
    }
}

impl<R: Rx, const N: usize> Rx for Ends<R, N> {
    #[inline(always)]
    fn drain(&mut self, mut each: impl FnMut(Seen)) {
        for rx in &mut self.0 {
            rx.drain(&mut each);
        }
    }
}

impl<T: Transport, const N: usize> Transport for Rings<T, N> {
    type Payload = T::Payload;
    type Tx = Ends<T::Tx, N>;
    type Rx = Ends<T::Rx, N>;
    const COPIES: u64 = N as u64;

    fn about() -> About {
        About {
            configuration: "a ring each, everything sent to each",
            published: None,
            ..T::about()
        }
    }

    fn open(slots: usize) -> (Self::Tx, Self::Rx) {
        let mut ends: Vec<_> = (0..N).map(|_| T::open(slots)).collect();
        let mut next = |_| ends.pop().expect("opened above");
        let ends: [_; N] = core::array::from_fn(&mut next);
        let mut receivers = Vec::new();
        let senders = ends.map(|(tx, rx)| {
            receivers.push(rx);
            tx
        });
        let mut receivers = receivers.into_iter();
        let receivers = core::array::from_fn(|_| receivers.next().expect("one per sender"));
        (Ends(senders), Ends(receivers))
    }
}

/// Three rings in a row, all read by one thread, which hands on what it read.
pub(crate) struct Chained<T>(PhantomData<T>);

pub(crate) struct Chain<T: Transport> {
    first: T::Rx,
    links: [(T::Tx, T::Rx); 2],
    /// A turn takes at most this many, so that the links, emptied each turn, never fill.
    turn_events_max: usize,
}

impl<T: Transport<Rx: OneByOne>> Rx for Chain<T> {
    #[inline(always)]
    fn drain(&mut self, mut each: impl FnMut(Seen)) {
        let [(to_second, second), (to_third, third)] = &mut self.links;
        for _ in 0..self.turn_events_max {
            let Some(seen) = self.first.take() else { break };
            each(seen);
            to_second.send(seen.number);
        }
        second.drain(|seen| {
            each(seen);
            to_third.send(seen.number);
        });
        third.drain(&mut each);
    }
}

impl<T: Transport<Rx: OneByOne>> Transport for Chained<T> {
    type Payload = T::Payload;
    type Tx = T::Tx;
    type Rx = Chain<T>;
    const COPIES: u64 = 3;

    fn about() -> About {
        let configuration = "three rings in a row, read by one thread that hands on";
        About { configuration, published: None, ..T::about() }
    }

    fn open(slots: usize) -> (Self::Tx, Self::Rx) {
        let (tx, first) = T::open(slots);
        let links = [T::open(slots), T::open(slots)];
        (tx, Chain { first, links, turn_events_max: slots / 4 })
    }
}

/// One ring and one consumer that calls three stages in turn: no stage has a cursor of its own.
pub(crate) struct Fused<T>(PhantomData<T>);

pub(crate) struct Calls<R>(R);

impl<R: Rx> Rx for Calls<R> {
    #[inline(always)]
    fn drain(&mut self, mut each: impl FnMut(Seen)) {
        self.0.drain(|seen| {
            for _ in 0..3 {
                each(std::hint::black_box(seen));
            }
        });
    }
}

impl<T: Transport> Transport for Fused<T> {
    type Payload = T::Payload;
    type Tx = T::Tx;
    type Rx = Calls<T::Rx>;
    const COPIES: u64 = 3;

    fn about() -> About {
        About {
            name: "rtrb, one ring, three calls",
            configuration: "pop once, call three stages: nobody else could stand between them",
            published: None,
        }
    }

    fn open(slots: usize) -> (Self::Tx, Self::Rx) {
        let (tx, rx) = T::open(slots);
        (tx, Calls(rx))
    }
}
