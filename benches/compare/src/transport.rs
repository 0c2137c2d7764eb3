//! *Owns* what a contender is: two ends and a few words about them. *Invariant*: a sender builds
//! its event from a number, so each contender fills its slot in its own best form, and waits by
//! spinning while the ring is full. *Source*: none.

use crate::numbered::{Numbered, Seen};

/// What is printed beside a contender's figures.
#[derive(Clone, Copy)]
pub(crate) struct About {
    pub(crate) name: &'static str,
    /// Ring, wait and the calls that are used.
    pub(crate) configuration: &'static str,
    /// Its own published figure, in its own words.
    pub(crate) published: Option<&'static str>,
}

/// A way from one thread to another.
pub(crate) trait Transport: 'static {
    type Payload: Numbered;
    type Tx: Tx;
    type Rx: Rx;
    /// How often the receiving end sees each event.
    const COPIES: u64 = 1;
    fn about() -> About;
    fn open(slots: usize) -> (Self::Tx, Self::Rx);
}

pub(crate) trait Tx: Send {
    /// Publishes number `n`; spins while there is no room.
    fn send(&mut self, n: u64);

    /// Publishes `count` events from number `first` on, together where the contender can.
    #[inline(always)]
    fn send_batch(&mut self, first: u64, count: u64) {
        for n in first..first + count {
            self.send(n);
        }
    }

    /// Goes through the motions of a send, where the contender has a call for it.
    fn warm_up(&mut self) {}
}

pub(crate) trait Rx: Send {
    /// Walks what is there, in the contender's best form.
    fn drain(&mut self, each: impl FnMut(Seen));
}

/// A receiving end that can take one event and leave the rest.
pub(crate) trait OneByOne: Rx {
    /// One event, if one is there, without a look at the next.
    fn take(&mut self) -> Option<Seen>;

    /// Spins, without a pause instruction, until one event is there.
    #[inline(always)]
    fn wait(&mut self) -> Seen {
        loop {
            if let Some(seen) = self.take() {
                return seen;
            }
        }
    }
}

/// The sum over all words of the numbers `0..end`.
pub(crate) fn expected_sum<P: Numbered>(end: u64) -> u64 {
    (0..end).fold(0, |sum: u64, n| sum.wrapping_add(P::expected(n)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contenders::bytes::{CrossbeamBytes, DisruptorBytes, Framed, Order, RtrbBytes};
    use crate::contenders::*;
    use crate::numbered::{Bytes24, Bytes40};

    /// Sends less than the ring holds, then drains: one thread is enough. Gives the numbers seen.
    fn numbers<T: Transport>(events: u64) -> Vec<u64> {
        let (mut tx, mut rx) = T::open(256);
        tx.send(0);
        tx.send_batch(1, events - 1);
        let mut numbers = Vec::new();
        while numbers.len() < (events * T::COPIES) as usize {
            rx.drain(|seen| {
                let expected = T::Payload::expected(seen.number);
                assert_eq!(seen.sum, expected, "{}: every word", T::about().name);
                numbers.push(seen.number);
            });
        }
        numbers
    }

    fn everything_arrives_in_order<T: Transport>() {
        assert_eq!(numbers::<T>(65), (0..65).collect::<Vec<_>>(), "{}", T::about().name);
    }

    fn everything_arrives_one_by_one<T: Transport<Rx: OneByOne>>() {
        everything_arrives_in_order::<T>();
        let (mut tx, mut rx) = T::open(256);
        tx.send_batch(0, 2);
        let taken = [rx.wait().number, rx.wait().number];
        assert_eq!(taken, [0, 1], "{}: `take` takes one and skips none", T::about().name);
    }

    fn everything_arrives_as_often_as_said<T: Transport>() {
        let mut numbers = numbers::<T>(65);
        numbers.sort_unstable();
        let expected = (0..65).flat_map(|n| std::iter::repeat_n(n, T::COPIES as usize));
        assert_eq!(numbers, expected.collect::<Vec<_>>(), "{}", T::about().name);
    }

    #[test]
    fn each_fan_and_each_pipeline_hands_over_every_word_to_each_stage() {
        everything_arrives_as_often_as_said::<TourbillonFan<Bytes24>>();
        everything_arrives_as_often_as_said::<DisruptorFan<Bytes24>>();
        everything_arrives_as_often_as_said::<PhotonFan<Bytes24>>();
        everything_arrives_as_often_as_said::<Rings<Rtrb<Bytes24, true>, 2>>();
        everything_arrives_as_often_as_said::<TourbillonFan<Bytes24, 4>>();
        everything_arrives_as_often_as_said::<DisruptorFan<Bytes24, 4>>();
        everything_arrives_as_often_as_said::<PhotonFan<Bytes24, 4>>();
        everything_arrives_as_often_as_said::<TourbillonPipeline<Bytes24>>();
        everything_arrives_as_often_as_said::<DisruptorPipeline<Bytes24>>();
        everything_arrives_as_often_as_said::<PhotonPipeline<Bytes24>>();
        everything_arrives_as_often_as_said::<Chained<Rtrb<Bytes24, false>>>();
        everything_arrives_as_often_as_said::<Fused<Rtrb<Bytes24, false>>>();
    }

    #[test]
    fn each_contender_hands_over_every_word_in_order() {
        everything_arrives_one_by_one::<Tourbillon<Bytes24>>();
        everything_arrives_one_by_one::<Disruptor<Bytes24>>();
        everything_arrives_one_by_one::<Disruptor<Bytes24, true>>();
        everything_arrives_one_by_one::<DisruptorMulti<Bytes24>>();
        everything_arrives_one_by_one::<Photon<Bytes24>>();
        everything_arrives_one_by_one::<Rtrb<Bytes24, false>>();
        everything_arrives_one_by_one::<Rtrb<Bytes24, true>>();
        everything_arrives_one_by_one::<Crossbeam<Bytes24, false>>();
        everything_arrives_one_by_one::<Crossbeam<Bytes24, true>>();
        everything_arrives_one_by_one::<ArrayQueue<Bytes24>>();
        everything_arrives_one_by_one::<Kanal<Bytes24, false>>();
        everything_arrives_one_by_one::<Kanal<Bytes24, true>>();
        everything_arrives_one_by_one::<ByHand<Bytes24>>();
        everything_arrives_in_order::<TourbillonMulti<Bytes24>>();
        everything_arrives_in_order::<Framed>();
        everything_arrives_one_by_one::<ByHand<Bytes40, true>>();
        everything_arrives_in_order::<RtrbBytes<Order>>();
        everything_arrives_in_order::<DisruptorBytes<Order>>();
        everything_arrives_in_order::<CrossbeamBytes<Order>>();
    }
}
