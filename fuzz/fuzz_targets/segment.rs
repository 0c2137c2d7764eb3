//! Opening a segment is total: hostile bytes behind a sound header are scanned in bounded time, and
//! what is served is a gapless run of sequences.

#![no_main]

use libfuzzer_sys::fuzz_target;

const SEGMENT_BYTES: usize = 64 << 10;
const HEADER_BYTES: usize = 4096;
const SALT: u64 = 0x0102_0304_0506_0708;

fuzz_target!(|bytes: &[u8]| {
    let mut segment = tourbillon::fuzzing::segment_header(SALT, SEGMENT_BYTES as u64);
    assert_eq!(segment.len(), HEADER_BYTES);
    segment.resize(SEGMENT_BYTES, 0);
    let used = bytes.len().min(SEGMENT_BYTES - HEADER_BYTES);
    segment[HEADER_BYTES..HEADER_BYTES + used].copy_from_slice(&bytes[..used]);
    scan(&segment);
    // Mend checksums as long as lengths lead from frame to frame.
    let mut at = HEADER_BYTES;
    while at + 32 <= SEGMENT_BYTES {
        let len =
            u32::from_le_bytes([segment[at], segment[at + 1], segment[at + 2], segment[at + 3]]);
        let space = ((len & 0x7FFF_FFFF) as usize).next_multiple_of(16);
        if space < 32 || space > SEGMENT_BYTES - at {
            break;
        }
        tourbillon::fuzzing::mend_frame(&mut segment[at..], SALT);
        at += space;
    }
    scan(&segment);
});

fn scan(segment: &[u8]) {
    if let Some((first, end)) = tourbillon::fuzzing::scan_segment(segment) {
        assert!(first <= end);
        assert!((end - first) as usize <= SEGMENT_BYTES / 32);
    }
}
