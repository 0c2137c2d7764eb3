//! *Owns* the position of an event. *Invariant*: sequences count events from 0 without a gap and
//! stay below [`Sequence::MAX`], so that a stamp (sequence + 1) never touches the aborted bit.
//! *Source*: the LMAX Disruptor's `Sequence`, made exclusive.

use core::fmt;

/// The position of an event: the same number in the ring and in the journal.
///
/// As a *cursor* a sequence is exclusive: a cursor at `c` says "everything below `c`".
///
/// ```
/// use tourbillon::Sequence;
/// let s = Sequence::new(7);
/// assert_eq!(s.next().get(), 8);
/// assert_eq!(s.advance(3).events_since(s), 3);
/// assert_eq!(s.events_since(s.next()), 0);
/// ```
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
    tourbillon_derive::Schema,
)]
#[schema(name = "tourbillon.sequence")]
#[rkyv(derive(Clone, Copy, PartialEq, Eq))]
#[repr(transparent)]
pub struct Sequence(u64);

impl Sequence {
    /// The first event ever.
    pub const ZERO: Self = Self(0);
    /// One more than any event can have: at a thousand million events a second, 292 years.
    pub const MAX: Self = Self((1 << 63) - 1);

    /// The position `value`.
    ///
    /// # Panics
    /// If `value` is above [`Sequence::MAX`].
    #[inline]
    #[must_use]
    pub const fn new(value: u64) -> Self {
        assert!(value <= Self::MAX.0, "a sequence is below 2^63");
        Self(value)
    }

    /// The number of events below this position.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The position after this one.
    #[inline]
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The position `events` later.
    #[inline]
    #[must_use]
    pub const fn advance(self, events: u64) -> Self {
        Self(self.0 + events)
    }

    /// How many events lie in `earlier..self`; 0 if `earlier` is not earlier.
    #[inline]
    #[must_use]
    pub const fn events_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Unchecked counterpart of [`Sequence::new`] for words that this process wrote itself.
    #[inline(always)]
    pub(crate) const fn from_word(word: u64) -> Self {
        Self(word)
    }
}

impl ArchivedSequence {
    /// The sequence in native byte order.
    #[inline]
    #[must_use]
    pub const fn to_native(&self) -> Sequence {
        Sequence(self.0.to_native())
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Debug for ArchivedSequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_native().fmt(f)
    }
}
