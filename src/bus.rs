//! *Owns* the assembly: ring, stages, threads, start and shutdown. *Invariant*: a started bus is
//! validated, prefaulted and pinned; a bus that is gone has left no thread behind but those it named
//! as still running. *Source*: the LMAX Disruptor's `Disruptor`, with a deadline on every goodbye.

use crate::affinity;
use crate::barrier::{Barrier, CauseGate, CursorRef, Foreign};
use crate::error::{BuildError, ConsumerReport, Outcome};
use crate::event::Event;
use crate::poller::Poller;
use crate::processor::{Ended, Failure, Handler, Handling, Named, Processor, Reacting, Reactor, Stage};
use crate::producer::Producer;
use crate::ring::{Life, Ring, Shape, Slots};
use crate::sequence::Sequence;
use crate::sync::Bell;
use crate::topology::{self, JOURNAL, Milestone, Node, Plan, Role, ThreadPlan};
use crate::wait::{Wait, WhenFull};
use core::{any::Any, marker::PhantomData, time::Duration};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use parking_lot::Mutex;
use rkyv::Archived;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;
