//! Adopting a region is total: hostile bytes are refused, or read to an end that a second successor
//! reads as well; nothing panics, nothing is read or written beyond the region.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // As they are, and laid over a sound region, so that what lies behind the header is reached.
    tourbillon::fuzzing::adopt_region(bytes, false);
    tourbillon::fuzzing::adopt_region(bytes, true);
});
