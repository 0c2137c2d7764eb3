//! *Owns* the rows that serialize by hand into slots of bytes, and the event with a string.
//! *Invariant*: both sides do what tourbillon does: rkyv writes into the slot without allocating,
//! the consumer reads in place and trusts what its own process wrote. *Source*: rkyv's `api::low`.

use crate::numbered::{Bytes40, Numbered, Plain, Seen};
use crate::transport::{About, Rx, Transport, Tx};
use disruptor::{
    BusySpin, EventPoller, Producer as _, SingleConsumerBarrier, SingleProducer,
    SingleProducerBarrier, build_single_producer,
};
use rkyv::api::low::{LowSerializer, to_bytes_in_with_alloc};
use rkyv::rancor::Panic;
use rkyv::ser::{allocator::SubAllocator, writer::Buffer};
use rkyv::util::AlignedVec;
use rkyv::{Archived, Serialize};
use std::hint::spin_loop;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

pub(crate) const SLOT_BYTES: usize = 256;
const SYMBOL: &str = "XPAR.BONDFUTUR";

/// A string of 14 bytes and a vector of 64 bytes.
#[derive(Clone, rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
#[event(name = "compare.order", version = 1, framed)]
pub(crate) struct Order {
    number: u64,
    symbol: String,
    body: Vec<u64>,
}

impl Numbered for Order {
    const BYTES: usize = 8 + SYMBOL.len() + 64;

    fn expected(n: u64) -> u64 {
        let symbol = SYMBOL.bytes().fold(0, |sum, byte| sum + u64::from(byte));
        n.wrapping_mul(9).wrapping_add(28 + symbol)
    }
}

fn look_order(order: &ArchivedOrder) -> Seen {
    let number = order.number.to_native();
    let symbol = order.symbol.bytes().fold(number, |sum, byte| sum.wrapping_add(u64::from(byte)));
    let sum = order.body.iter().fold(symbol, |sum, word| sum.wrapping_add(word.to_native()));
    Seen { number, sum }
}

/// An event that its producer keeps and changes, as one that owns memory would be.
pub(crate) trait Parcel: Numbered {
    fn fresh() -> Self;
    fn set(&mut self, n: u64);
    fn write(&self, slot: &mut Slot);
    fn write_owned(&self) -> AlignedVec;
    /// # Safety
    /// - `bytes` were written by [`Parcel::write`] or [`Parcel::write_owned`], aligned to 16.
    unsafe fn read(bytes: &[u8]) -> Seen;
}

impl Parcel for Order {
    fn fresh() -> Self {
        Self { number: 0, symbol: SYMBOL.to_owned(), body: (0..8).collect() }
    }

    #[inline(always)]
    fn set(&mut self, n: u64) {
        self.number = n;
        for (word, value) in self.body.iter_mut().zip(n..) {
            *word = value;
        }
    }

    #[inline(always)]
    fn write(&self, slot: &mut Slot) {
        slot.fill(self);
    }

    fn write_owned(&self) -> AlignedVec {
        rkyv::to_bytes::<Panic>(self).expect("rkyv panics instead")
    }

    #[inline(always)]
    unsafe fn read(bytes: &[u8]) -> Seen {
        // SAFETY: by contract.
        look_order(unsafe { rkyv::access_unchecked(bytes) })
    }
}

impl Parcel for Bytes40 {
    fn fresh() -> Self {
        Self::new(0)
    }

    #[inline(always)]
    fn set(&mut self, n: u64) {
        *self = Self::new(n);
    }

    #[inline(always)]
    fn write(&self, slot: &mut Slot) {
        slot.fill(self);
    }

    fn write_owned(&self) -> AlignedVec {
        rkyv::to_bytes::<Panic>(self).expect("rkyv panics instead")
    }

    #[inline(always)]
    unsafe fn read(bytes: &[u8]) -> Seen {
        // SAFETY: by contract.
        Self::look_archived(unsafe { rkyv::access_unchecked::<Archived<Self>>(bytes) })
    }
}

/// The first `len` bytes are an archive, once filled.
#[repr(C, align(16))]
pub(crate) struct Slot {
    bytes: [MaybeUninit<u8>; SLOT_BYTES],
    len: usize,
}

impl Slot {
    fn empty() -> Self {
        Self { bytes: [MaybeUninit::uninit(); SLOT_BYTES], len: 0 }
    }

    #[inline(always)]
    fn fill<T>(&mut self, value: &T)
    where
        T: for<'a, 'b> Serialize<LowSerializer<Buffer<'a>, SubAllocator<'b>, Panic>>,
    {
        let mut scratch = [MaybeUninit::uninit(); SLOT_BYTES];
        let (writer, scratch) = (Buffer::from(&mut self.bytes), SubAllocator::new(&mut scratch));
        let written = to_bytes_in_with_alloc::<_, _, Panic>(value, writer, scratch);
        self.len = written.expect("rkyv panics instead").len();
    }

    #[inline(always)]
    fn look<P: Parcel>(&self) -> Seen {
        let bytes = &self.bytes[..self.len];
        // SAFETY: `fill` has written the first `len` bytes, and set `len` last.
        let bytes = unsafe { bytes.assume_init_ref() };
        // SAFETY: written by `fill`; the slot is aligned to 16.
        unsafe { P::read(bytes) }
    }
}

/// A producer's own event, and its end.
pub(crate) struct Sender<P, T> {
    event: P,
    end: T,
}

pub(crate) struct Receiver<P, R>(R, PhantomData<P>);

macro_rules! rows {
    ($($row:ident, $tx:ty, $rx:ty, $name:literal, $configuration:literal, $open:expr;)*) => {$(
        pub(crate) struct $row<P>(PhantomData<P>);

        impl<P: Parcel> Transport for $row<P> {
            type Payload = P;
            type Tx = Sender<P, $tx>;
            type Rx = Receiver<P, $rx>;

            fn about() -> About {
                About { name: $name, configuration: $configuration, published: None }
            }

            fn open(slots: usize) -> (Self::Tx, Self::Rx) {
                let (end, rx) = $open(slots);
                (Sender { event: P::fresh(), end }, Receiver(rx, PhantomData))
            }
        }
    )*};
}

type DisruptorEnd = SingleProducer<Slot, SingleConsumerBarrier>;
type DisruptorRx = EventPoller<Slot, SingleProducerBarrier>;

rows! {
    RtrbBytes, rtrb::Producer<Slot>, rtrb::Consumer<Slot>, "rtrb, rkyv by hand",
        "slots of 256 bytes; rkyv into write_chunk_uninit(1); read_chunk of all, in place",
        rtrb::RingBuffer::new;
    DisruptorBytes, DisruptorEnd, DisruptorRx, "disruptor, rkyv by hand",
        "slots of 256 bytes; rkyv into the slot in publish; event poller, in place",
        open_disruptor;
    CrossbeamBytes, crossbeam_channel::Sender<AlignedVec>, crossbeam_channel::Receiver<AlignedVec>,
        "crossbeam-channel, serialized", "rkyv::to_bytes, an AlignedVec per event; try_send, try_recv",
        crossbeam_channel::bounded;
}

fn open_disruptor(slots: usize) -> (DisruptorEnd, DisruptorRx) {
    let builder = build_single_producer(slots, Slot::empty, BusySpin);
    let (poller, builder) = builder.new_event_poller();
    (builder.build(), poller)
}

impl<P: Parcel> Tx for Sender<P, rtrb::Producer<Slot>> {
    #[inline(always)]
    fn send(&mut self, n: u64) {
        self.event.set(n);
        loop {
            if let Ok(mut chunk) = self.end.write_chunk_uninit(1) {
                let slot = chunk.as_mut_slices().0[0].write(Slot::empty());
                self.event.write(slot);
                // SAFETY: the one slot of the chunk was written above.
                unsafe { chunk.commit_all() };
                return;
            }
            spin_loop();
        }
    }
}

impl<P: Parcel> Rx for Receiver<P, rtrb::Consumer<Slot>> {
    #[inline(always)]
    fn drain(&mut self, mut each: impl FnMut(Seen)) {
        let count = self.0.slots();
        if count == 0 {
            return;
        }
        let chunk = self.0.read_chunk(count).expect("that many were there");
        let (first, second) = chunk.as_slices();
        for slot in first.iter().chain(second) {
            each(slot.look::<P>());
        }
        chunk.commit_all();
    }
}

impl<P: Parcel> Tx for Sender<P, DisruptorEnd> {
    #[inline(always)]
    fn send(&mut self, n: u64) {
        self.event.set(n);
        self.end.publish(|slot| self.event.write(slot));
    }
}

impl<P: Parcel> Rx for Receiver<P, DisruptorRx> {
    #[inline(always)]
    fn drain(&mut self, mut each: impl FnMut(Seen)) {
        if let Ok(mut slots) = self.0.poll() {
            for slot in &mut slots {
                each(slot.look::<P>());
            }
        }
    }
}

impl<P: Parcel> Tx for Sender<P, crossbeam_channel::Sender<AlignedVec>> {
    #[inline(always)]
    fn send(&mut self, n: u64) {
        self.event.set(n);
        let mut bytes = self.event.write_owned();
        while let Err(error) = self.end.try_send(bytes) {
            bytes = error.into_inner();
            spin_loop();
        }
    }
}

impl<P: Parcel> Rx for Receiver<P, crossbeam_channel::Receiver<AlignedVec>> {
    #[inline(always)]
    fn drain(&mut self, mut each: impl FnMut(Seen)) {
        while let Ok(bytes) = self.0.try_recv() {
            // SAFETY: written by `write_owned`; an `AlignedVec` is aligned to 16.
            each(unsafe { P::read(&bytes) });
        }
    }
}

pub(crate) use framed::Framed;

/// Tourbillon's framed events.
mod framed {
    use super::{About, Order, Parcel, Rx, SLOT_BYTES, Seen, Transport, Tx, look_order};
    use tourbillon::{Bus, Polled, Poller, Producer, WhenFull};

    pub(crate) struct Framed;

    pub(crate) struct Sender {
        event: Order,
        producer: Producer<Order>,
        _bus: Bus<Order>,
    }

    impl Tx for Sender {
        #[inline(always)]
        fn send(&mut self, n: u64) {
            self.event.set(n);
            self.producer.publish(&self.event).expect("an open bus, and it fits");
        }
    }

    pub(crate) struct Receiver(Poller<Order>);

    impl Rx for Receiver {
        #[inline(always)]
        fn drain(&mut self, mut each: impl FnMut(Seen)) {
            if let Polled::Batch(mut batch) = self.0.poll() {
                while let Some((event, _)) = batch.next() {
                    each(look_order(event));
                }
            }
        }
    }

    impl Transport for Framed {
        type Payload = Order;
        type Tx = Sender;
        type Rx = Receiver;

        fn about() -> About {
            let configuration = "framed event, slot_bytes(256); publish; WhenFull::Spin; poll";
            About { name: "tourbillon", configuration, published: None }
        }

        fn open(slots: usize) -> (Sender, Receiver) {
            let mut builder = Bus::<Order>::builder(slots);
            builder.slot_bytes(SLOT_BYTES);
            builder.when_full(WhenFull::Spin(None)).poller("sink");
            let (producer, mut bus) = builder.start().expect("a sound bus");
            let rx = Receiver(bus.take_poller("sink").expect("named above"));
            (Sender { event: Order::fresh(), producer, _bus: bus }, rx)
        }
    }
}
