//! A ring beside its specification: bytes are operations of producers, consumers and taps on one
//! thread, and after each of them both must say the same.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/model/rig.rs"]
mod rig;

fuzz_target!(|bytes: &[u8]| {
    rig::run(bytes);
});
