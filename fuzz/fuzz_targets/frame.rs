//! Frame decoding is total: any bytes give a frame that lies within them, or a fault.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((salt, bytes)) = bytes.split_first_chunk::<8>() else { return };
    let salt = u64::from_le_bytes(*salt);
    check(bytes, salt);
    // And with a sound checksum, so that what lies behind it is reached.
    let mut mended = bytes.to_vec();
    tourbillon::fuzzing::mend_frame(&mut mended, salt);
    check(&mended, salt);
});

fn check(bytes: &[u8], salt: u64) {
    if let Some((space_bytes, payload_bytes)) = tourbillon::fuzzing::decode_frame(bytes, salt) {
        assert!(space_bytes.is_multiple_of(16) && space_bytes <= bytes.len());
        assert!(payload_bytes + 32 <= space_bytes);
        // Nothing but the frame itself counts.
        assert!(tourbillon::fuzzing::decode_frame(&bytes[..space_bytes], salt).is_some());
        assert!(tourbillon::fuzzing::decode_frame(&bytes[..space_bytes - 1], salt).is_none());
    }
}
