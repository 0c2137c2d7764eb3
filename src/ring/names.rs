//! *Owns* the table of consumers' names inside a region. *Invariant*: a name that has a length is
//! whole; a gate that is taken without a name was taken by somebody who died while joining.
//! *Source*: its own.
//!
//! ```text
//!  0        8                                   64     one line per gate
//!  ├────────┼────────────────────────────────────┤    length stored last; 0: no name
//!  │ length │ UTF-8, zero-padded                 │
//!  └────────┴────────────────────────────────────┘
//! ```

/// Bytes that a consumer's name may have in a named region.
pub(crate) const NAME_BYTES_MAX: usize = 56;

#[cfg(not(loom))]
pub(crate) use words::Names;

#[cfg(not(loom))]
mod words {
    use super::NAME_BYTES_MAX;
    use crate::ring::gate::Gates;
    use crate::sync::{AtomicU64, Ordering, fence};
    use core::mem::size_of;

    const WORDS: usize = NAME_BYTES_MAX / size_of::<u64>();

    #[repr(C, align(64))]
    struct Entry {
        bytes: AtomicU64,
        words: [AtomicU64; WORDS],
    }

    const _: () = assert!(size_of::<Entry>() == 64);

    /// One name per gate.
    #[repr(C)]
    pub(crate) struct Names([Entry; Gates::COUNT]);

    impl Names {
        pub(crate) fn none() -> Self {
            Self(core::array::from_fn(|_| Entry {
                bytes: AtomicU64::new(0),
                words: core::array::from_fn(|_| AtomicU64::new(0)),
            }))
        }

        /// Writes the name of `gate`, cut where it does not fit: nobody looks for it then.
        pub(crate) fn set(&self, gate: usize, name: &str) {
            let entry = &self.0[gate];
            let used = name.len().min(NAME_BYTES_MAX);
            for (word, chunk) in entry.words.iter().zip(0..) {
                let from = (chunk * size_of::<u64>()).min(used);
                let part = &name.as_bytes()[from..used.min(from + size_of::<u64>())];
                let mut bytes = [0; size_of::<u64>()];
                bytes[..part.len()].copy_from_slice(part);
                // ORDERING: Relaxed; the length below publishes it.
                word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
            }
            // ORDERING: Release; pairs with the fence in `get`: a length says that the name is
            // whole, to an observer and to a successor.
            entry.bytes.store(used as u64, Ordering::Release);
        }

        /// Takes the name of `gate` away.
        pub(crate) fn clear(&self, gate: usize) {
            // ORDERING: Release; nobody finds the old name behind whatever is stored next.
            self.0[gate].bytes.store(0, Ordering::Release);
        }

        /// The name of `gate`; `None` if it has none, an error if it has no sound one.
        pub(crate) fn get(&self, gate: usize) -> Option<Result<String, Garbled>> {
            let entry = &self.0[gate];
            // ORDERING: Relaxed, and the fence behind it: a plain load, since an observer's memory
            // is read-only. Pairs with the Release in `set`.
            let used = entry.bytes.load(Ordering::Relaxed);
            // ORDERING: Acquire; as above.
            fence(Ordering::Acquire);
            let used = match usize::try_from(used) {
                Ok(0) => return None,
                Ok(used) if used <= NAME_BYTES_MAX => used,
                _ => return Some(Err(Garbled)),
            };
            let mut bytes = [0; NAME_BYTES_MAX];
            for (chunk, word) in bytes.chunks_exact_mut(size_of::<u64>()).zip(&entry.words) {
                // ORDERING: Relaxed; behind the fence above.
                chunk.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
            }
            Some(core::str::from_utf8(&bytes[..used]).map(str::to_owned).map_err(|_| Garbled))
        }
    }

    /// A name's bytes that are none.
    #[derive(Debug, PartialEq, Eq)]
    pub(crate) struct Garbled;

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_name_comes_back_whole_until_it_is_taken_away() {
            let names = Names::none();
            assert_eq!(names.get(0), None);
            let longest = "x".repeat(NAME_BYTES_MAX);
            for name in ["a", "gateway", "12345678", "буфер", &longest] {
                names.set(3, name);
                assert_eq!(names.get(3), Some(Ok(name.to_owned())));
            }
            names.clear(3);
            assert_eq!(names.get(3), None);
        }

        #[test]
        fn a_length_or_a_text_that_is_none_is_told() {
            let names = Names::none();
            names.set(1, "é");
            names.0[1].bytes.store(1, Ordering::Relaxed); // ORDERING: Relaxed; one thread.
            assert_eq!(names.get(1), Some(Err(Garbled)));
            // ORDERING: Relaxed; one thread.
            names.0[1].bytes.store(u64::MAX, Ordering::Relaxed);
            assert_eq!(names.get(1), Some(Err(Garbled)));
        }
    }
}

/// Under loom nobody outlives the process.
#[cfg(loom)]
pub(crate) struct Names;

#[cfg(loom)]
impl Names {
    pub(crate) fn none() -> Self {
        Self
    }

    pub(crate) fn set(&self, _gate: usize, _name: &str) {}
}
