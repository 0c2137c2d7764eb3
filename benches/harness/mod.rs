//! *Owns* what the benches share: events of a few sizes, and threads that stay on their cores.
//! *Invariant*: an event's words follow from its number, so that a consumer can check every byte.
#![allow(dead_code, reason = "each bench uses a part")]

use criterion::Criterion;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::time::Duration;
use tourbillon::{Event, rkyv::Archived};

/// An event of `WORDS` words, number `n` of which is `n + 0, n + 1, …`.
pub(crate) trait Numbered: Event {
    const WORDS: u64;
    fn new(n: u64) -> Self;
    /// The sum of all words, modulo 2^64.
    fn sum(archived: &Archived<Self>) -> u64;
    /// What [`Numbered::sum`] gives for number `n`.
    fn expected(n: u64) -> u64 {
        n.wrapping_mul(Self::WORDS).wrapping_add(Self::WORDS * (Self::WORDS - 1) / 2)
    }
}

macro_rules! numbered {
    ($($name:ident, $event:literal, $words:literal;)*) => {$(
        #[derive(rkyv::Archive, rkyv::Serialize, Event)]
        #[event(name = $event, version = 1)]
        pub(crate) struct $name {
            words: [u64; $words],
        }

        impl Numbered for $name {
            const WORDS: u64 = $words;

            #[inline(always)]
            fn new(n: u64) -> Self {
                Self { words: core::array::from_fn(|word| n.wrapping_add(word as u64)) }
            }

            #[inline(always)]
            fn sum(archived: &Archived<Self>) -> u64 {
                archived.words.iter().fold(0, |sum, word| sum.wrapping_add(word.to_native()))
            }
        }
    )*};
}

numbered! {
    Bytes8, "bench.bytes8", 1;
    Bytes24, "bench.bytes24", 3;
    Bytes32, "bench.bytes32", 4;
    Bytes64, "bench.bytes64", 8;
    Bytes256, "bench.bytes256", 32;
}

/// Criterion with bounded times; the command line may say otherwise.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args()
}

/// Two cores that this process may run on; says so if there are none.
#[allow(clippy::print_stderr, reason = "a skipped bench says so")]
pub(crate) fn two_cores() -> Option<[usize; 2]> {
    let granted = sched_getaffinity(None).ok()?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| granted.is_set(core));
    let two = cores.next().zip(cores.next()).map(|(first, second)| [first, second]);
    if two.is_none() {
        eprintln!("skipped: two threads that spin need two cores");
    }
    two
}

/// Pins the calling thread.
pub(crate) fn pin(core: usize) {
    let mut wanted = CpuSet::new();
    wanted.set(core);
    sched_setaffinity(None, &wanted).expect("a core of this process's own mask");
}
