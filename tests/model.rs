//! The ring against its specification: a seeded walk through what one thread can do to it. The fuzz
//! target `ring` looks for the rest.

#[path = "model/rig.rs"]
mod rig;

use rig::Seen;

#[test]
fn the_ring_does_what_its_specification_says() {
    const OPERATIONS: u64 = 200_000;
    let mut state = 0x5EED_0000_0000_0017_u64;
    let mut random = || {
        state = state.wrapping_mul(0xD129_0DD3_5320_4AD5).wrapping_add(1);
        ((state ^ (state >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 32) as u8
    };
    let mut seen = Seen::default();
    while seen.operations < OPERATIONS {
        let bytes: Vec<u8> = (0..801).map(|_| random()).collect();
        seen += rig::run(&bytes);
    }
    let Seen { published, full, too_large, held_by, handled, .. } = seen;
    let Seen { idle, gated, lagged, tapped, duplicate, .. } = seen;
    let least =
        [published, full, too_large, held_by, handled, idle, gated, lagged, tapped, duplicate];
    assert!(least.iter().all(|count| *count > 100), "hardly reached: {seen:?}");
}
