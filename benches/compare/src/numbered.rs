//! *Owns* the payloads. *Invariant*: every word follows from the event's number, so a consumer
//! that sums all words proves that it read all of them, once. *Source*: the sister benches' harness.

use photon_ring::Pod;
use tourbillon::Event;
use tourbillon::rkyv::Archived;

/// What a consumer saw of one event.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    /// The first word, which is the event's number.
    pub(crate) number: u64,
    /// The sum of all words, modulo 2^64.
    pub(crate) sum: u64,
}

/// What is sent, and what its sum must be.
pub(crate) trait Numbered: Send + Sync + 'static {
    const BYTES: usize;
    /// What [`Seen::sum`] is for number `n`.
    fn expected(n: u64) -> u64;
}

/// A payload of fixed size, the same type for every contender.
pub(crate) trait Plain: Numbered + Event + Pod {
    fn new(n: u64) -> Self;
    fn look(&self) -> Seen;
    fn look_archived(archived: &Archived<Self>) -> Seen;
}

macro_rules! numbered {
    ($($name:ident, $event:literal, $words:literal;)*) => {$(
        #[derive(Clone, Copy, rkyv::Archive, rkyv::Serialize, Event)]
        #[event(name = $event, version = 1)]
        #[repr(C)]
        pub(crate) struct $name {
            words: [u64; $words],
        }

        // SAFETY: one array of integers: no padding, and all bit patterns are values.
        unsafe impl Pod for $name {}

        impl Numbered for $name {
            const BYTES: usize = 8 * $words;

            #[inline(always)]
            fn expected(n: u64) -> u64 {
                n.wrapping_mul($words).wrapping_add($words * ($words - 1) / 2)
            }
        }

        impl Plain for $name {
            #[inline(always)]
            fn new(n: u64) -> Self {
                Self { words: core::array::from_fn(|word| n.wrapping_add(word as u64)) }
            }

            #[inline(always)]
            fn look(&self) -> Seen {
                let sum = self.words.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word));
                Seen { number: self.words[0], sum }
            }

            #[inline(always)]
            fn look_archived(archived: &Archived<Self>) -> Seen {
                let words = &archived.words;
                let sum = words.iter().fold(0, |sum: u64, word| sum.wrapping_add(word.to_native()));
                Seen { number: words[0].to_native(), sum }
            }
        }
    )*};
}

numbered! {
    Bytes8, "compare.bytes8", 1;
    Bytes24, "compare.bytes24", 3;
    Bytes32, "compare.bytes32", 4;
    Bytes40, "compare.bytes40", 5;
    Bytes64, "compare.bytes64", 8;
    Bytes256, "compare.bytes256", 32;
}
