//! *Owns* the last word of a thread. *Invariant*: a thread that unwinds says it, too, so whoever waits
//! for its answer gets one and the bus halts. *Source*: supervision by links, as in Erlang.

use super::Answer;
use crate::processor::{Ended, Fail, Failure};
use crate::ring::{Life, Ring};
use crossbeam_channel::Sender;
use std::sync::Arc;

/// Dropped as the last thing a thread does, in order or by unwinding.
pub(super) struct Farewell {
    pub(super) thread: usize,
    pub(super) name: String,
    pub(super) stages: Vec<Arc<str>>,
    pub(super) ring: Arc<Ring>,
    pub(super) fail: Fail,
    /// How the stages ended; `None` while the thread may still die under them.
    pub(super) ended: Option<Vec<Ended>>,
    pub(super) done: Sender<Answer>,
}

impl Farewell {
    /// The stages have ended in order.
    pub(super) fn say(mut self, ended: Vec<Ended>) {
        self.ended = Some(ended);
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let ended = self.ended.take();
        if ended.is_none() {
            (self.fail)(died(&self.name, &self.stages));
        }
        // A bus that still runs has lost its last thread to detached stages; whoever ends it says
        // that it has stopped.
        if self.ring.header().roll.leave() && self.ring.life() != Life::Open {
            self.ring.advance(Life::Stopped);
        }
        let answer = Answer { thread: self.thread, ended: ended.unwrap_or_default() };
        // The bus may be gone by now, and then nobody asks.
        let _ = self.done.send(answer);
    }
}

/// What a bus says of a thread that left its stages.
pub(super) fn died(thread: &str, stages: &[Arc<str>]) -> Failure {
    Failure::ThreadDied { thread: thread.to_owned(), stages: stages.to_vec() }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::shape;
    use super::*;
    use crate::ring::{MemoryOptions, Producers, Region};
    use crate::sequence::Sequence;
    use parking_lot::Mutex;

    #[derive(rkyv::Archive, rkyv::Serialize, crate::Event)]
    #[event(name = "test.tick", version = 1)]
    struct Tick {
        value: u64,
    }

    #[test]
    fn a_thread_that_unwinds_halts_its_bus_and_still_answers() {
        let shape = shape::<Tick>(2, 0, Producers::Single);
        let region = Region::anonymous(shape, Sequence::ZERO, MemoryOptions::new());
        let ring = Ring::over(region.expect("a small ring"), false);
        ring.header().roll.enter(1);
        let failure = Arc::new(Mutex::new(None));
        let (done, answers) = crossbeam_channel::bounded(1);
        let (halts, told) = (Arc::clone(&ring), Arc::clone(&failure));
        let farewell = Farewell {
            thread: 7,
            name: "tb-book".to_owned(),
            stages: vec![Arc::from("book"), Arc::from("gateway")],
            ring: Arc::clone(&ring),
            fail: Arc::new(move |why| {
                *told.lock() = Some(why);
                halts.header().state.advance(Life::Halted);
            }),
            ended: None,
            done,
        };
        let thread = std::thread::spawn(move || {
            let _farewell = farewell;
            panic!("beyond every net");
        });
        let answer = answers.recv().expect("an answer");
        assert!(thread.join().is_err());
        assert_eq!((answer.thread, answer.ended.len()), (7, 0));
        let text = failure.lock().take().map(|why| why.to_string()).unwrap_or_default();
        assert!(text.contains("`tb-book`") && text.contains("book, gateway"), "{text}");
        assert_eq!(ring.life(), Life::Stopped, "it was the last thread");
    }
}
