//! *Owns* the rows of channels and queues for many threads. *Invariant*: the row with `try_` calls
//! spins like all others; the row `blocking` uses the call that the README shows. *Source*: the
//! READMEs of crossbeam and kanal.

use crate::numbered::{Plain, Seen};
use crate::transport::{About, OneByOne, Rx, Transport, Tx};
use std::hint::spin_loop;
use std::marker::PhantomData;
use std::sync::Arc;

#[derive(Clone)]
pub(crate) struct Sender<Q, const BLOCKING: bool>(Q);
pub(crate) struct Receiver<Q, const BLOCKING: bool>(Q);

pub(crate) struct Crossbeam<P, const BLOCKING: bool>(PhantomData<P>);

impl<P: Plain, const BLOCKING: bool> Tx for Sender<crossbeam_channel::Sender<P>, BLOCKING> {
    #[inline(always)]
    fn send(&mut self, n: u64) {
        let mut event = P::new(n);
        if BLOCKING {
            return self.0.send(event).expect("an open channel");
        }
        while let Err(error) = self.0.try_send(event) {
            event = error.into_inner();
            spin_loop();
        }
    }
}

impl<P: Plain, const BLOCKING: bool> Rx for Receiver<crossbeam_channel::Receiver<P>, BLOCKING> {
    #[inline(always)]
    fn drain(&mut self, mut each: impl FnMut(Seen)) {
        if BLOCKING {
            return each(self.0.recv().expect("an open channel").look());
        }
        while let Ok(event) = self.0.try_recv() {
            each(event.look());
        }
    }
}

impl<P: Plain, const BLOCKING: bool> OneByOne
    for Receiver<crossbeam_channel::Receiver<P>, BLOCKING>
{
    #[inline(always)]
    fn take(&mut self) -> Option<Seen> {
        let event = if BLOCKING { self.0.recv().ok() } else { self.0.try_recv().ok() };
        event.map(|event| event.look())
    }
}

impl<P: Plain, const BLOCKING: bool> Transport for Crossbeam<P, BLOCKING> {
    type Payload = P;
    type Tx = Sender<crossbeam_channel::Sender<P>, BLOCKING>;
    type Rx = Receiver<crossbeam_channel::Receiver<P>, BLOCKING>;

    fn about() -> About {
        let (name, configuration) = if BLOCKING {
            ("crossbeam-channel, blocking", "bounded; send; recv")
        } else {
            ("crossbeam-channel", "bounded; try_send and spin; try_recv")
        };
        About { name, configuration, published: None }
    }

    fn open(slots: usize) -> (Self::Tx, Self::Rx) {
        let (tx, rx) = crossbeam_channel::bounded(slots);
        (Sender(tx), Receiver(rx))
    }
}

pub(crate) struct Kanal<P, const BLOCKING: bool>(PhantomData<P>);

impl<P: Plain, const BLOCKING: bool> Tx for Sender<kanal::Sender<P>, BLOCKING> {
    #[inline(always)]
    fn send(&mut self, n: u64) {
        let event = P::new(n);
        if BLOCKING {
            return self.0.send(event).expect("an open channel");
        }
        while !self.0.try_send(event).expect("an open channel") {
            spin_loop();
        }
    }
}

impl<P: Plain, const BLOCKING: bool> Rx for Receiver<kanal::Receiver<P>, BLOCKING> {
    #[inline(always)]
    fn drain(&mut self, mut each: impl FnMut(Seen)) {
        if BLOCKING {
            return each(self.0.recv().expect("an open channel").look());
        }
        while let Ok(Some(event)) = self.0.try_recv() {
            each(event.look());
        }
    }
}

impl<P: Plain, const BLOCKING: bool> OneByOne for Receiver<kanal::Receiver<P>, BLOCKING> {
    #[inline(always)]
    fn take(&mut self) -> Option<Seen> {
        let event = if BLOCKING { self.0.recv().ok() } else { self.0.try_recv().ok().flatten() };
        event.map(|event| event.look())
    }
}

impl<P: Plain, const BLOCKING: bool> Transport for Kanal<P, BLOCKING> {
    type Payload = P;
    type Tx = Sender<kanal::Sender<P>, BLOCKING>;
    type Rx = Receiver<kanal::Receiver<P>, BLOCKING>;

    fn about() -> About {
        let (name, configuration) = if BLOCKING {
            ("kanal, blocking", "bounded; send; recv")
        } else {
            ("kanal", "bounded; try_send and spin; try_recv")
        };
        About { name, configuration, published: None }
    }

    fn open(slots: usize) -> (Self::Tx, Self::Rx) {
        let (tx, rx) = kanal::bounded(slots);
        (Sender(tx), Receiver(rx))
    }
}

pub(crate) struct ArrayQueue<P>(PhantomData<P>);

type Queue<P> = Arc<crossbeam_queue::ArrayQueue<P>>;

impl<P: Plain> Tx for Sender<Queue<P>, false> {
    #[inline(always)]
    fn send(&mut self, n: u64) {
        let mut event = P::new(n);
        while let Err(back) = self.0.push(event) {
            event = back;
            spin_loop();
        }
    }
}

impl<P: Plain> Rx for Receiver<Queue<P>, false> {
    #[inline(always)]
    fn drain(&mut self, mut each: impl FnMut(Seen)) {
        while let Some(event) = self.0.pop() {
            each(event.look());
        }
    }
}

impl<P: Plain> OneByOne for Receiver<Queue<P>, false> {
    #[inline(always)]
    fn take(&mut self) -> Option<Seen> {
        self.0.pop().map(|event| event.look())
    }
}

impl<P: Plain> Transport for ArrayQueue<P> {
    type Payload = P;
    type Tx = Sender<Queue<P>, false>;
    type Rx = Receiver<Queue<P>, false>;

    fn about() -> About {
        About { name: "ArrayQueue", configuration: "push and spin; pop", published: None }
    }

    fn open(slots: usize) -> (Self::Tx, Self::Rx) {
        let queue = Arc::new(crossbeam_queue::ArrayQueue::new(slots));
        (Sender(Arc::clone(&queue)), Receiver(queue))
    }
}
