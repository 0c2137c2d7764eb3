//! *Owns* the rows of `rtrb`. *Invariant*: one row pops events, the other reads chunks of all that
//! is there. *Source*: its API documentation.

use crate::numbered::{Plain, Seen};
use crate::transport::{About, OneByOne, Rx, Transport, Tx};
use rtrb::{Consumer, Producer, PushError, RingBuffer};
use std::hint::spin_loop;
use std::marker::PhantomData;

pub(crate) struct Sender<P>(Producer<P>);

impl<P: Plain> Tx for Sender<P> {
    #[inline(always)]
    fn send(&mut self, n: u64) {
        let mut event = P::new(n);
        while let Err(PushError::Full(back)) = self.0.push(event) {
            event = back;
            spin_loop();
        }
    }

    #[inline(always)]
    fn send_batch(&mut self, first: u64, count: u64) {
        loop {
            if let Ok(chunk) = self.0.write_chunk_uninit(count as usize) {
                chunk.fill_from_iter((first..first + count).map(P::new));
                return;
            }
            spin_loop();
        }
    }
}

pub(crate) struct Receiver<P, const CHUNKS: bool>(Consumer<P>);

impl<P: Plain, const CHUNKS: bool> Rx for Receiver<P, CHUNKS> {
    #[inline(always)]
    fn drain(&mut self, mut each: impl FnMut(Seen)) {
        if CHUNKS {
            let count = self.0.slots();
            if count == 0 {
                return;
            }
            let chunk = self.0.read_chunk(count).expect("that many were there");
            let (first, second) = chunk.as_slices();
            for event in first.iter().chain(second) {
                each(event.look());
            }
            chunk.commit_all();
        } else {
            while let Ok(event) = self.0.pop() {
                each(event.look());
            }
        }
    }
}

impl<P: Plain, const CHUNKS: bool> OneByOne for Receiver<P, CHUNKS> {
    #[inline(always)]
    fn take(&mut self) -> Option<Seen> {
        self.0.pop().ok().map(|event| event.look())
    }
}

pub(crate) struct Rtrb<P, const CHUNKS: bool>(PhantomData<P>);

impl<P: Plain, const CHUNKS: bool> Transport for Rtrb<P, CHUNKS> {
    type Payload = P;
    type Tx = Sender<P>;
    type Rx = Receiver<P, CHUNKS>;

    fn about() -> About {
        let (name, configuration) = if CHUNKS {
            ("rtrb, chunks read", "push, write_chunk_uninit; read_chunk of all that is there")
        } else {
            ("rtrb", "push, write_chunk_uninit; pop")
        };
        About { name, configuration, published: None }
    }

    fn open(slots: usize) -> (Self::Tx, Self::Rx) {
        let (producer, consumer) = RingBuffer::new(slots);
        (Sender(producer), Receiver(consumer))
    }
}
