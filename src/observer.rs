//! *Owns* a look at a ring from another process. *Invariant*: it writes nothing, gates nobody, and
//! hands out no byte that a producer may have overwritten while it was copied. *Source*: seqlocks,
//! with the producers' own announcement in place of a second counter.
//!
//! Why a copy that is handed out is whole. A producer stores in this order: `limit` to above *n*;
//! `fence(SeqCst)`; the bytes of a later event into the slot of *n*. The observer loads in this
//! order: the stamp of *n*; `fence(Acquire)`; the bytes, word by word; `fence(Acquire)`; `limit`.
//!
//! - The stamp says *published*, so by the first fence every byte loaded is the one that was published
//!   or a later one.
//! - If one of them was a later one, then the producer's fence comes before the store that was seen,
//!   and the observer's second fence after the load that saw it: the two synchronize, and `limit` reads
//!   above *n*. The copy is thrown away.
//!
//! The writer is another process, whose plain stores are no part of this program's memory model: to
//! it the map is memory that changes by itself, which is what volatile reads are for. On the
//! machine the argument needs loads of aligned words that do not tear, and fences that order them
//! (x86-64: by itself; aarch64: DMB ISHLD against the producer's DMB ISH). The map is read-only, so
//! atomics are loaded Relaxed: stronger loads may write on some machines.

use crate::bus::shape;
use crate::event::{Codec, Event};
use crate::ring::{
    self, ABORTED, Gates, Producers, Region, RegionError, RegionFault, Shape, SlotHead,
};
use crate::sequence::Sequence;
use crate::sync::{Ordering, fence};
use core::marker::PhantomData;
use rkyv::Archived;
use std::path::{Path, PathBuf};

const WORD_BYTES: usize = size_of::<u64>();

/// A look at a named ring from another process: read-only, without a lock, without a gate.
///
/// It is lossy: producers never wait for it, and what they overwrite before it was read is counted,
/// not seen. Each event is copied and checked before it is handed out. Use it from another process
/// than the ring's owner, for tools and second opinions; whatever must see every event is a stage.
///
/// ```no_run
/// use tourbillon::{Observed, Observer};
/// # #[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
/// # #[event(name = "doc.tick", version = 1)]
/// # struct Tick { price: i64 }
/// let mut observer = Observer::<Tick>::attach("/dev/shm/ticks")?;
/// loop {
///     match observer.poll()? {
///         Observed::Event { event, sequence } => println!("{sequence}: {}", event.price),
///         Observed::Lagged { skipped } => println!("{skipped} events were too fast"),
///         Observed::Idle => std::thread::yield_now(),
///     }
/// }
/// # Ok::<(), tourbillon::RegionError>(())
/// ```
pub struct Observer<E: Event> {
    region: Region,
    path: PathBuf,
    next: Sequence,
    copy: Vec<Chunk>,
    event: PhantomData<fn(&E)>,
}

/// Two words of the copy: aligned to 16, as a payload may be.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Chunk([u64; 2]);

/// What one look gave.
#[must_use = "an event is looked at once"]
pub enum Observed<'a, E: Event> {
    /// An event, copied and checked.
    Event {
        /// The copy.
        event: &'a Archived<E>,
        /// Its sequence.
        sequence: Sequence,
    },
    /// Sequences that were given up before they were read: exactly so many.
    Lagged {
        /// How many; aborted ones count.
        skipped: u64,
    },
    /// Nothing is published.
    Idle,
}

/// Where a consumer of an observed ring stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerLag {
    /// The stage's name.
    pub name: String,
    /// Everything below was handled.
    pub sequence: Sequence,
    /// Published events that it had not handled.
    pub lag_events: u64,
}

/// What a slot holds, as far as the observer could tell.
enum Look {
    Copied,
    Aborted,
    Pending,
    Gone,
}

impl<E: Event> Observer<E> {
    /// Where in the copy a payload begins: its archive is aligned to 16, behind its prefix.
    const PAYLOAD_AT: usize = {
        let prefix = <E::Codec as Codec<E>>::PREFIX;
        prefix.next_multiple_of(size_of::<Chunk>()) - prefix
    };

    /// Maps the ring at `path` for reading and begins at its oldest event.
    ///
    /// # Errors
    /// [`RegionError`]: no such file, no ring, events of another type, garbled.
    pub fn attach(path: impl AsRef<Path>) -> Result<Self, RegionError> {
        let path = path.as_ref().to_owned();
        let region = ring::open_observed(&path, any_shape::<E>())?;
        let chunks = 1 + region.shape().payload_bytes.div_ceil(size_of::<Chunk>());
        let copy = vec![Chunk([0; 2]); chunks];
        let mut observer = Self { region, path, next: Sequence::ZERO, copy, event: PhantomData };
        observer.next = observer.oldest()?;
        Ok(observer)
    }

    /// Looks at the next event. Never waits.
    ///
    /// # Errors
    /// [`RegionFault::Bytes`] where a published slot holds no valid event; the next call goes on
    /// behind it.
    pub fn poll(&mut self) -> Result<Observed<'_, E>, RegionError> {
        loop {
            match self.look()? {
                Look::Copied => break,
                Look::Aborted => self.next = self.next.next(),
                Look::Pending => return Ok(Observed::Idle),
                Look::Gone => {
                    let oldest = self.oldest()?;
                    let skipped = oldest.events_since(self.next);
                    self.next = oldest;
                    return Ok(Observed::Lagged { skipped });
                }
            }
        }
        let sequence = self.next;
        self.next = sequence.next();
        let shape = self.region.shape();
        let slot = sequence.get() & (shape.capacity - 1);
        let payload = bytes_of(&self.copy, Self::PAYLOAD_AT, shape.payload_bytes);
        let event = <E::Codec as Codec<E>>::view_payload_checked(payload);
        match event {
            Some(event) => Ok(Observed::Event { event, sequence }),
            None => Err(self.refused(RegionFault::Bytes { sequence, slot })),
        }
    }

    /// Everything below was looked at, or given up.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.next
    }

    /// Goes on with what is published from now on.
    ///
    /// # Errors
    /// [`RegionFault::Cursor`] where the region is garbled.
    pub fn skip_to_now(&mut self) -> Result<(), RegionError> {
        self.next = self.published()?.max(self.next);
        Ok(())
    }

    /// The producers' claim counter.
    ///
    /// # Errors
    /// [`RegionFault::Cursor`] where the region is garbled.
    pub fn published(&self) -> Result<Sequence, RegionError> {
        let from = self.checked("claimed", self.region.header().claimed.peek().get())?;
        Ok(self.region.claimed(from))
    }

    /// Where each consumer stands, by the order of gates. One that joins at this moment may be missing.
    ///
    /// # Errors
    /// [`RegionFault::Cursor`] or [`RegionFault::Name`] where the region is garbled.
    pub fn consumers(&self) -> Result<Vec<ConsumerLag>, RegionError> {
        let header = self.region.header();
        let mut consumers = Vec::new();
        for gate in (0..Gates::COUNT).filter_map(|index| header.gate_table.at(index)) {
            let Some(word) = header.gate_table.word(gate) else { continue };
            let Some(name) = header.names.get(gate.get()) else { continue };
            let name = name.map_err(|_| self.refused(RegionFault::Name { gate: gate.get() }))?;
            let sequence = self.checked(&name, word)?;
            let lag_events = self.published()?.events_since(sequence);
            consumers.push(ConsumerLag { name, sequence, lag_events });
        }
        Ok(consumers)
    }

    /// The announced sequence below which slots may be overwritten.
    fn oldest(&self) -> Result<Sequence, RegionError> {
        self.checked("limit", self.region.header().gate_table.limit_word())
    }

    /// Copies the slot at `next`, if it is published and stays so meanwhile.
    fn look(&mut self) -> Result<Look, RegionError> {
        let word = SlotHead::of(&self.region, self.next).word();
        // ORDERING: Acquire; with the Relaxed load of the stamp above it pairs with the Release in
        // `Slots::publish`: the copy sees the bytes that were published, or later ones.
        fence(Ordering::Acquire);
        let stamp = self.next.get() + 1;
        if word == stamp | ABORTED {
            return Ok(Look::Aborted);
        }
        if word == stamp {
            self.copy_slot();
        }
        // ORDERING: Acquire; pairs with the SeqCst fence in `Gates::announce`: who has copied a byte
        // of a later event sees the limit that was announced before it was written.
        fence(Ordering::Acquire);
        Ok(match self.next < self.oldest()? {
            true => Look::Gone,
            false if word == stamp => Look::Copied,
            false => Look::Pending,
        })
    }

    fn copy_slot(&mut self) {
        let shape = self.region.shape();
        let slot = self.region.slot_ptr(self.next.get() & (shape.capacity - 1));
        for at in (0..shape.payload_bytes).step_by(WORD_BYTES) {
            // SAFETY: a stride is a multiple of 8 and covers the payload (`Slots::stride`).
            let place = unsafe { slot.add(shape.payload_at + at) };
            // SAFETY: as above; aligned to 8, since offset and stride are. Mapped as long as `self`,
            // initialised; that another process writes it is what volatile says.
            let word = unsafe { place.cast::<u64>().read_volatile() };
            let at = at + Self::PAYLOAD_AT;
            self.copy[at / size_of::<Chunk>()].0[at / WORD_BYTES % 2] = word;
        }
    }

    /// A cursor from the region, which nobody has checked since it was mapped.
    fn checked(&self, name: &str, found: u64) -> Result<Sequence, RegionError> {
        let most = Sequence::MAX.get() - 1;
        if found <= most {
            return Ok(Sequence::new(found));
        }
        let name = name.to_owned();
        Err(self.refused(RegionFault::Cursor { name, found, range: (0, most) }))
    }

    fn refused(&self, fault: RegionFault) -> RegionError {
        RegionError::Refused { path: self.path.clone(), fault }
    }
}

/// The `bytes` bytes of a copy from `from` on.
fn bytes_of(copy: &[Chunk], from: usize, bytes: usize) -> &[u8] {
    // SAFETY: the whole of a slice of numbers, which are initialised bytes.
    let all = unsafe { core::slice::from_raw_parts(copy.as_ptr().cast(), size_of_val(copy)) };
    &all[from..][..bytes]
}

/// The shape of a ring of any capacity, and for framed events of any slots.
fn any_shape<E: Event>() -> Shape {
    let shape = shape::<E>(ring::ANY_CAPACITY, 0, Producers::Single);
    let is_fixed = <E::Codec as Codec<E>>::IS_FIXED;
    let payload_bytes = if is_fixed { shape.payload_bytes } else { ring::ANY_PAYLOAD };
    Shape { payload_bytes, ..shape }
}

impl<E: Event> core::fmt::Debug for Observer<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Observer")
            .field("event", &E::NAME)
            .field("path", &self.path)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl<E: Event> core::fmt::Debug for Observed<'_, E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Event { sequence, .. } => write!(f, "Event({sequence:?})"),
            Self::Lagged { skipped } => write!(f, "Lagged({skipped})"),
            Self::Idle => f.write_str("Idle"),
        }
    }
}
