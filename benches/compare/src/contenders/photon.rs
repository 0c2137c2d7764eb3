//! *Owns* the rows of `photon-ring`. *Invariant*: its bounded channel, the only one of its rings
//! that loses nothing; its ring for several producers is lossy, so it has no row there.
//! *Source*: its README.

use crate::numbered::{Plain, Seen};
use crate::transport::{About, OneByOne, Rx, Transport, Tx};
use photon_ring::{DependencyBarrier, Publisher, Subscriber, channel_bounded};
use std::marker::PhantomData;

const PUBLISHED: Option<&str> =
    Some("round trip 95 ns, one way 48 ns p50, bounded publish 7.96 ns (i7-10700KF)");

const BATCH_EVENTS: usize = 64;

pub(crate) struct Sender<P: Plain>(Publisher<P>);

impl<P: Plain> Tx for Sender<P> {
    #[inline(always)]
    fn send(&mut self, n: u64) {
        self.0.publish(P::new(n));
    }

    #[inline(always)]
    fn send_batch(&mut self, first: u64, count: u64) {
        let batch: [P; BATCH_EVENTS] = core::array::from_fn(|at| P::new(first + at as u64));
        self.0.publish_batch(&batch[..count as usize]);
    }
}

pub(crate) struct Receiver<P: Plain>(Subscriber<P>);

impl<P: Plain> Rx for Receiver<P> {
    #[inline(always)]
    fn drain(&mut self, mut each: impl FnMut(Seen)) {
        while let Ok(event) = self.0.try_recv() {
            each(event.look());
        }
    }
}

impl<P: Plain> OneByOne for Receiver<P> {
    #[inline(always)]
    fn take(&mut self) -> Option<Seen> {
        self.0.try_recv().ok().map(|event| event.look())
    }
}

pub(crate) struct Photon<P>(PhantomData<P>);

impl<P: Plain> Transport for Photon<P> {
    type Payload = P;
    type Tx = Sender<P>;
    type Rx = Receiver<P>;

    fn about() -> About {
        let configuration = "channel_bounded, watermark 0; publish, publish_batch; try_recv";
        About { name: "photon-ring", configuration, published: PUBLISHED }
    }

    fn open(slots: usize) -> (Self::Tx, Self::Rx) {
        let (publisher, subscribable) = channel_bounded(slots, 0);
        (Sender(publisher), Receiver(subscribable.subscribe()))
    }
}

pub(crate) struct PhotonFan<P, const N: usize = 2>(PhantomData<P>);

/// Several subscribers, polled in turn.
pub(crate) struct Subscribers<P: Plain, const N: usize>([Receiver<P>; N]);

impl<P: Plain, const N: usize> Rx for Subscribers<P, N> {
    #[inline(always)]
    fn drain(&mut self, mut each: impl FnMut(Seen)) {
        for receiver in &mut self.0 {
            receiver.drain(&mut each);
        }
    }
}

impl<P: Plain, const N: usize> Transport for PhotonFan<P, N> {
    type Payload = P;
    type Tx = Sender<P>;
    type Rx = Subscribers<P, N>;
    const COPIES: u64 = N as u64;

    fn about() -> About {
        About { name: "photon-ring", configuration: "as many subscribers", published: None }
    }

    fn open(slots: usize) -> (Self::Tx, Self::Rx) {
        let (publisher, subscribable) = channel_bounded(slots, 0);
        let subscribers = core::array::from_fn(|_| Receiver(subscribable.subscribe()));
        (Sender(publisher), Subscribers(subscribers))
    }
}

pub(crate) struct PhotonPipeline<P>(PhantomData<P>);

/// Three subscribers, each behind a dependency barrier on the one before.
pub(crate) struct Three<P: Plain> {
    first: Subscriber<P>,
    rest: [(Subscriber<P>, DependencyBarrier); 2],
}

impl<P: Plain> Rx for Three<P> {
    #[inline(always)]
    fn drain(&mut self, mut each: impl FnMut(Seen)) {
        while let Ok(event) = self.first.try_recv() {
            each(event.look());
        }
        for (subscriber, barrier) in &mut self.rest {
            while let Ok(event) = subscriber.try_recv_gated(barrier) {
                each(event.look());
            }
        }
    }
}

impl<P: Plain> Transport for PhotonPipeline<P> {
    type Payload = P;
    type Tx = Sender<P>;
    type Rx = Three<P>;
    const COPIES: u64 = 3;

    fn about() -> About {
        let configuration = "three subscribers, dependency barriers; try_recv_gated";
        About { name: "photon-ring", configuration, published: None }
    }

    fn open(slots: usize) -> (Self::Tx, Self::Rx) {
        let (publisher, subscribable) = channel_bounded(slots, 0);
        let [first, second, third] = core::array::from_fn(|_| subscribable.subscribe_tracked());
        let after_first = DependencyBarrier::from_subscribers(&[&first]);
        let after_second = DependencyBarrier::from_subscribers(&[&second]);
        let rest = [(second, after_first), (third, after_second)];
        (Sender(publisher), Three { first, rest })
    }
}
