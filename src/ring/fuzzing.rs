//! *Owns* the adoption of hostile bytes without a file, for the fuzz target and for a test that runs
//! everywhere. *Invariant*: any bytes are refused, or adopted to an end that the next successor finds
//! again. *Source*: its own.

use crate::event::SchemaId;
use crate::ring::adopt::Plan;
use crate::ring::memory::{Memory, MemoryOptions};
use crate::ring::region::{Producers, Region, Shape};
use crate::ring::slot::SlotHead;
use crate::sequence::Sequence;

const CAPACITY: u64 = 16;
const REGION_BYTES: usize = 8192 + CAPACITY as usize * 16;

fn shape() -> Shape {
    let event = SchemaId { name: "fuzzed", version: 1, fingerprint: 1 };
    let (payload_at, payload_bytes, producers) = (8, 8, Producers::Single);
    Shape { capacity: CAPACITY, stride: 16, payload_at, payload_bytes, event, producers }
}

/// A sound region of a few laps.
fn sound() -> Region {
    let region = Region::anonymous(shape(), Sequence::ZERO, MemoryOptions::new());
    let region = region.unwrap_or_else(|error| unreachable!("{error}"));
    let header = region.header();
    let _ = header.gate_table.join(Sequence::ZERO);
    header.names.set(0, "consumer");
    for n in (0..40).map(Sequence::new) {
        SlotHead::of(&region, n).publish(n);
        if let Some(gate) = header.gate_table.at(0) {
            header.gate_table.publish(gate, n);
        }
        header.claimed.publish(n.next());
        header.gate_table.free_below(Sequence::ZERO, n, |_| n);
    }
    region
}

/// See `crate::fuzzing::adopt_region`. Gives oldest and end of what was adopted.
pub(crate) fn adopt_region(bytes: &[u8], over: bool) -> Option<(u64, u64)> {
    let mut image = vec![0; REGION_BYTES];
    if over {
        copy(&sound(), &mut image);
        for patch in bytes.chunks_exact(10) {
            let at = usize::from(u16::from_le_bytes([patch[0], patch[1]])) % (REGION_BYTES - 8);
            image[at..at + 8].copy_from_slice(&patch[2..]);
        }
    } else {
        let used = bytes.len().min(REGION_BYTES);
        image[..used].copy_from_slice(&bytes[..used]);
        image.truncate(used);
    }
    let memory = Memory::anonymous(image.len(), MemoryOptions::new()).ok()?;
    // SAFETY: as many bytes as were asked for, nobody else knows them.
    unsafe { memory.base().as_ptr().copy_from_nonoverlapping(image.as_ptr(), image.len()) };
    let (mut region, producers) = Region::found(memory, shape()).ok()?;
    let first = Plan::of(&region, producers, |_| true).ok()?;
    let found = first.carry_out(&mut region, Producers::Single);
    assert!(found.oldest <= found.end && found.end.events_since(found.oldest) <= CAPACITY);
    let again = Plan::of(&region, Producers::Single, |_| true);
    let again = again.unwrap_or_else(|fault| unreachable!("refused what it had made: {fault}"));
    assert_eq!((again.found.end, again.found.oldest), (found.end, found.oldest));
    assert_eq!((again.found.torn_batch, again.found.gates), (None, found.gates));
    Some((found.oldest.get(), found.end.get()))
}

fn copy(region: &Region, image: &mut [u8]) {
    let base = region.memory_base();
    // SAFETY: a region of this shape has as many bytes, and nobody else knows it.
    unsafe { base.as_ptr().copy_to_nonoverlapping(image.as_mut_ptr(), image.len()) };
}

#[test]
fn hostile_bytes_are_refused_or_adopted_to_one_end() {
    assert_eq!(adopt_region(&[], true), Some((39, 40)));
    assert_eq!(adopt_region(&[], false), None);
    let mut state = 0x5EED_0000_0000_0011_u64;
    let mut random = || {
        state = state.wrapping_mul(0xD129_0DD3_5320_4AD5).wrapping_add(1);
        (state ^ (state >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 16
    };
    let mut adopted = 0;
    for _ in 0..20_000 {
        // Hot words and stamps, and now and then anything; small numbers, and now and then any.
        let patches = (0..1 + random() % 4).flat_map(|_| {
            let at = match random() % 8 {
                0..4 => 8192 + (random() % CAPACITY) * 16,
                4..7 => 256 + (random() % 36) * 128,
                _ => random() % REGION_BYTES as u64,
            };
            let word = match random() % 8 {
                0..6 => random() % 64,
                6 => (random() % 64) | 1 << 63,
                _ => random() << 16 | random(),
            };
            [&(at as u16).to_le_bytes()[..], &word.to_le_bytes()[..]].concat()
        });
        adopted += u32::from(adopt_region(&patches.collect::<Vec<_>>(), true).is_some());
    }
    assert!((100..19_900).contains(&adopted), "{adopted} adopted: the patches hit one side alone");
}
