//! *Owns* the rows of `disruptor`. *Invariant*: consumers are its event pollers, since all
//! contenders are polled from a thread of ours. *Source*: its README and `benches/poller.rs`.

use crate::numbered::{Plain, Seen};
use crate::transport::{About, OneByOne, Rx, Transport, Tx};
use disruptor::{
    BusySpin, EventPoller, MultiProducer, MultiProducerBarrier, Producer, SingleConsumerBarrier,
    SingleProducer, SingleProducerBarrier, build_multi_producer, build_single_producer,
};
use std::marker::PhantomData;

const PUBLISHED: Option<&str> =
    Some("burst of 1: 31.7 M/s, 32 ns; bursts of 100: 119.7 M/s (quad-core i7 of 2016)");

pub(crate) struct Sender<T, P>(T, PhantomData<P>);

impl<T: Clone, P> Clone for Sender<T, P> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<P: Plain, T: Producer<P> + Send> Tx for Sender<T, P> {
    #[inline(always)]
    fn send(&mut self, n: u64) {
        self.0.publish(|slot| *slot = P::new(n));
    }

    #[inline(always)]
    fn send_batch(&mut self, first: u64, count: u64) {
        self.0.batch_publish(count as usize, |slots| {
            for (slot, n) in slots.zip(first..) {
                *slot = P::new(n);
            }
        });
    }
}

pub(crate) struct Receiver<P, B> {
    poller: EventPoller<P, B>,
    /// Most events of one poll.
    limit: u64,
}

impl<P, B> Receiver<P, B> {
    fn new(poller: EventPoller<P, B>) -> Self {
        Self { poller, limit: u64::MAX }
    }
}

macro_rules! receiver {
    ($barrier:ty) => {
        impl<P: Plain> Rx for Receiver<P, $barrier> {
            #[inline(always)]
            fn drain(&mut self, mut each: impl FnMut(Seen)) {
                if let Ok(mut events) = self.poller.take(self.limit) {
                    for event in &mut events {
                        each(event.look());
                    }
                }
            }
        }

        impl<P: Plain> OneByOne for Receiver<P, $barrier> {
            #[inline(always)]
            fn take(&mut self) -> Option<Seen> {
                let mut events = self.poller.take(1).ok()?;
                (&mut events).next().map(P::look)
            }
        }
    };
}

// The trait that these share is not public.
receiver!(SingleProducerBarrier);
receiver!(MultiProducerBarrier);
receiver!(SingleConsumerBarrier);

/// With `QUARTERS`, a poll takes at most a quarter of the ring, so that producers see progress.
pub(crate) struct Disruptor<P, const QUARTERS: bool = false>(PhantomData<P>);

impl<P: Plain, const QUARTERS: bool> Transport for Disruptor<P, QUARTERS> {
    type Payload = P;
    type Tx = Sender<SingleProducer<P, SingleConsumerBarrier>, P>;
    type Rx = Receiver<P, SingleProducerBarrier>;

    fn about() -> About {
        if QUARTERS {
            let configuration = "as disruptor, but take(a quarter of the ring)";
            return About { name: "disruptor, by quarters", configuration, published: None };
        }
        let configuration = "single producer; publish, batch_publish; event poller, poll";
        About { name: "disruptor", configuration, published: PUBLISHED }
    }

    fn open(slots: usize) -> (Self::Tx, Self::Rx) {
        let builder = build_single_producer(slots, || P::new(0), BusySpin);
        let (poller, builder) = builder.new_event_poller();
        let limit = if QUARTERS { slots as u64 / 4 } else { u64::MAX };
        (Sender(builder.build(), PhantomData), Receiver { poller, limit })
    }
}

pub(crate) struct DisruptorMulti<P>(PhantomData<P>);

impl<P: Plain> Transport for DisruptorMulti<P> {
    type Payload = P;
    type Tx = Sender<MultiProducer<P, SingleConsumerBarrier>, P>;
    type Rx = Receiver<P, MultiProducerBarrier>;

    fn about() -> About {
        let configuration = "multi producer; publish; event poller, poll";
        About { name: "disruptor multi", configuration, published: None }
    }

    fn open(slots: usize) -> (Self::Tx, Self::Rx) {
        let builder = build_multi_producer(slots, || P::new(0), BusySpin);
        let (poller, builder) = builder.new_event_poller();
        (Sender(builder.build(), PhantomData), Receiver::new(poller))
    }
}

/// Two consumers at least.
pub(crate) struct DisruptorFan<P, const N: usize = 2>(PhantomData<P>);

/// Several pollers, polled in turn.
pub(crate) struct Pollers<P, const N: usize>([Receiver<P, SingleProducerBarrier>; N]);

impl<P: Plain, const N: usize> Rx for Pollers<P, N> {
    #[inline(always)]
    fn drain(&mut self, mut each: impl FnMut(Seen)) {
        for receiver in &mut self.0 {
            receiver.drain(&mut each);
        }
    }
}

impl<P: Plain, const N: usize> Transport for DisruptorFan<P, N> {
    type Payload = P;
    type Tx = Sender<SingleProducer<P, disruptor::MultiConsumerBarrier>, P>;
    type Rx = Pollers<P, N>;
    const COPIES: u64 = N as u64;

    fn about() -> About {
        About { name: "disruptor", configuration: "as many pollers on one ring", published: None }
    }

    fn open(slots: usize) -> (Self::Tx, Self::Rx) {
        let builder = build_single_producer(slots, || P::new(0), BusySpin);
        let (first, builder) = builder.new_event_poller();
        let (second, mut builder) = builder.new_event_poller();
        let mut pollers = vec![Receiver::new(second), Receiver::new(first)];
        for _ in 2..N {
            let (poller, more) = builder.new_event_poller();
            pollers.insert(0, Receiver::new(poller));
            builder = more;
        }
        let pollers = core::array::from_fn(|_| pollers.pop().expect("as many as N"));
        (Sender(builder.build(), PhantomData), Pollers(pollers))
    }
}

pub(crate) struct DisruptorPipeline<P>(PhantomData<P>);

/// Three pollers, each behind the one before, polled in this order.
pub(crate) struct Three<P> {
    first: Receiver<P, SingleProducerBarrier>,
    rest: [Receiver<P, SingleConsumerBarrier>; 2],
}

impl<P: Plain> Rx for Three<P> {
    #[inline(always)]
    fn drain(&mut self, mut each: impl FnMut(Seen)) {
        self.first.drain(&mut each);
        for receiver in &mut self.rest {
            receiver.drain(&mut each);
        }
    }
}

impl<P: Plain> Transport for DisruptorPipeline<P> {
    type Payload = P;
    type Tx = Sender<SingleProducer<P, SingleConsumerBarrier>, P>;
    type Rx = Three<P>;
    const COPIES: u64 = 3;

    fn about() -> About {
        let configuration = "three pollers on one ring, and_then between them";
        About { name: "disruptor", configuration, published: None }
    }

    fn open(slots: usize) -> (Self::Tx, Self::Rx) {
        let builder = build_single_producer(slots, || P::new(0), BusySpin);
        let (first, builder) = builder.new_event_poller();
        let (second, builder) = builder.and_then().new_event_poller();
        let (third, builder) = builder.and_then().new_event_poller();
        let rest = [second, third].map(Receiver::new);
        (Sender(builder.build(), PhantomData), Three { first: Receiver::new(first), rest })
    }
}
