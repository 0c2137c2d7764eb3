//! *Owns* tourbillon's rows. *Invariant*: consumers are pollers on the receiving thread.
//! *Source*: the crate's documentation.

use crate::numbered::{Plain, Seen};
use crate::transport::{About, OneByOne, Rx, Transport, Tx};
use std::marker::PhantomData;
use tourbillon::{Bus, BusBuilder, Polled, Poller, Producer, WhenFull};

const CONFIGURATION: &str = "rkyv into the slot; publish, publish_batch; WhenFull::Spin; poll";

pub(crate) fn builder<P: Plain>(slots: usize) -> BusBuilder<P> {
    let mut builder = Bus::<P>::builder(slots);
    builder.when_full(WhenFull::Spin(None));
    builder
}

/// Starts the bus and takes its pollers.
pub(crate) fn start<P: Plain, const N: usize>(
    builder: BusBuilder<P>,
    names: [&str; N],
) -> (Sender<P>, [Receiver<P>; N]) {
    let (producer, mut bus) = builder.start().expect("a sound bus");
    let rx = names.map(|name| Receiver(bus.take_poller(name).expect("a stage of this bus")));
    (Sender { producer, _bus: bus }, rx)
}

pub(crate) struct Sender<P: Plain> {
    producer: Producer<P>,
    _bus: Bus<P>,
}

pub(crate) struct Receiver<P: Plain>(Poller<P>);

impl<P: Plain> Tx for Sender<P> {
    #[inline(always)]
    fn send(&mut self, n: u64) {
        self.producer.publish(&P::new(n)).expect("an open bus");
    }

    #[inline(always)]
    fn send_batch(&mut self, first: u64, count: u64) {
        let batch = (0..count as usize).map(|at| P::new(first + at as u64));
        self.producer.publish_batch(batch).expect("an open bus");
    }

    fn warm_up(&mut self) {
        self.producer.warm_up(1_000, &P::new(0)).expect("room");
    }
}

impl<P: Plain> Rx for Receiver<P> {
    #[inline(always)]
    fn drain(&mut self, mut each: impl FnMut(Seen)) {
        if let Polled::Batch(mut batch) = self.0.poll() {
            while let Some((event, _)) = batch.next() {
                each(P::look_archived(event));
            }
        }
    }
}

impl<P: Plain> OneByOne for Receiver<P> {
    #[inline(always)]
    fn take(&mut self) -> Option<Seen> {
        if let Polled::Batch(mut batch) = self.0.poll()
            && let Some((event, _)) = batch.next()
        {
            return Some(P::look_archived(event));
        }
        None
    }
}

pub(crate) struct Tourbillon<P>(PhantomData<P>);

impl<P: Plain> Transport for Tourbillon<P> {
    type Payload = P;
    type Tx = Sender<P>;
    type Rx = Receiver<P>;

    fn about() -> About {
        About { name: "tourbillon", configuration: CONFIGURATION, published: None }
    }

    fn open(slots: usize) -> (Self::Tx, Self::Rx) {
        let mut builder = builder(slots);
        builder.poller("sink");
        let (tx, [rx]) = start(builder, ["sink"]);
        (tx, rx)
    }
}

/// Several pollers on one thread, polled in this order.
pub(crate) struct Together<P: Plain, const N: usize>([Receiver<P>; N]);

impl<P: Plain, const N: usize> Rx for Together<P, N> {
    #[inline(always)]
    fn drain(&mut self, mut each: impl FnMut(Seen)) {
        for receiver in &mut self.0 {
            receiver.drain(&mut each);
        }
    }
}

pub(crate) struct TourbillonFan<P, const N: usize = 2>(PhantomData<P>);

impl<P: Plain, const N: usize> Transport for TourbillonFan<P, N> {
    type Payload = P;
    type Tx = Sender<P>;
    type Rx = Together<P, N>;
    const COPIES: u64 = N as u64;

    fn about() -> About {
        About { name: "tourbillon", configuration: "as many pollers on one ring", published: None }
    }

    fn open(slots: usize) -> (Self::Tx, Self::Rx) {
        let mut builder = builder(slots);
        let names: [String; N] = core::array::from_fn(|at| format!("consumer {at}"));
        for name in &names {
            builder.poller(name);
        }
        let (tx, rx) = start(builder, core::array::from_fn(|at| &*names[at]));
        (tx, Together(rx))
    }
}

pub(crate) struct TourbillonPipeline<P>(PhantomData<P>);

impl<P: Plain> Transport for TourbillonPipeline<P> {
    type Payload = P;
    type Tx = Sender<P>;
    type Rx = Together<P, 3>;
    const COPIES: u64 = 3;

    fn about() -> About {
        About {
            name: "tourbillon",
            configuration: "three pollers on one ring, each after the one before",
            published: None,
        }
    }

    fn open(slots: usize) -> (Self::Tx, Self::Rx) {
        let mut builder = builder(slots);
        builder.poller("first");
        builder.poller("second").after(["first"]);
        builder.poller("third").after(["second"]);
        let (tx, rx) = start(builder, ["first", "second", "third"]);
        (tx, Together(rx))
    }
}

/// The flavour with several producers.
pub(crate) struct TourbillonMulti<P>(PhantomData<P>);

mod multi {
    use super::{About, Plain, Receiver, TourbillonMulti, Transport, Tx, builder};
    use std::sync::Arc;
    use tourbillon::{Bus, MultiProducer};

    pub(crate) struct Sender<P: Plain> {
        producer: MultiProducer<P>,
        bus: Arc<Bus<P>>,
    }

    impl<P: Plain> Clone for Sender<P> {
        fn clone(&self) -> Self {
            Self { producer: self.producer.clone(), bus: Arc::clone(&self.bus) }
        }
    }

    impl<P: Plain> Tx for Sender<P> {
        #[inline(always)]
        fn send(&mut self, n: u64) {
            self.producer.publish(&P::new(n)).expect("an open bus");
        }
    }

    impl<P: Plain> Transport for TourbillonMulti<P> {
        type Payload = P;
        type Tx = Sender<P>;
        type Rx = Receiver<P>;

        fn about() -> About {
            let configuration = "start_multi; publish; WhenFull::Spin; poll";
            About { name: "tourbillon multi", configuration, published: None }
        }

        fn open(slots: usize) -> (Self::Tx, Self::Rx) {
            let mut builder = builder(slots);
            builder.poller("sink");
            let (producer, mut bus) = builder.start_multi().expect("a sound bus");
            let rx = Receiver(bus.take_poller("sink").expect("named above"));
            (Sender { producer, bus: Arc::new(bus) }, rx)
        }
    }
}
