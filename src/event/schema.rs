//! *Owns* the identity of a type's bytes: name, version and fingerprint.

use rkyv::Archive;

/// A type whose archived layout has a name, a version and a fingerprint.
pub trait Schema: Archive {
    /// Stable name, as it stands in segment headers.
    const NAME: &'static str;
    /// Bumped by hand when the meaning changes under the same layout.
    const VERSION: u32;
    /// Hash over the archived layout: names, types, offsets, sizes, alignments, tags.
    const FINGERPRINT: u128;
}
