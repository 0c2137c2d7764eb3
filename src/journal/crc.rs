//! *Owns* the checksum of frames, headers and snapshots: CRC-32C. *Invariant*: every path gives the
//! same sum. *Source*: RFC 3720, whose test vectors stand below; SSE 4.2 has the polynomial in
//! hardware, the `crc32c` crate everywhere else.
//!
//! Why not one crate for all: on records of 64–128 B the inlined instruction takes 2–3 ns, the
//! `crc32c` crate 6–8, since it sets up for long inputs.

/// Continues `crc` over `bytes`.
#[inline]
pub(crate) fn append(crc: u32, bytes: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sse4.2") && bytes.len() <= SHORT_BYTES {
        // SAFETY: the processor has SSE 4.2, checked on the line above.
        return unsafe { append_short(crc, bytes) };
    }
    crc32c::crc32c_append(crc, bytes)
}

/// The sum of `bytes`.
pub(crate) fn sum(bytes: &[u8]) -> u32 {
    append(0, bytes)
}

/// From here on the crate's three interleaved streams win.
#[cfg(target_arch = "x86_64")]
const SHORT_BYTES: usize = 512;

/// One dependent chain of 8-byte steps.
///
/// # Safety
/// - The processor has SSE 4.2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
#[inline]
fn append_short(crc: u32, bytes: &[u8]) -> u32 {
    use core::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u64};

    let (words, rest) = bytes.as_chunks::<8>();
    let mut state = u64::from(!crc);
    for word in words {
        state = _mm_crc32_u64(state, u64::from_le_bytes(*word));
    }
    let mut state = state as u32;
    for byte in rest {
        state = _mm_crc32_u8(state, *byte);
    }
    !state
}

#[cfg(test)]
mod tests {
    use super::{append, sum};

    #[test]
    fn the_sums_of_rfc_3720_come_out() {
        assert_eq!(sum(&[0; 32]), 0x8A91_36AA);
        assert_eq!(sum(&[0xFF; 32]), 0x62A8_AB43);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(sum(&rising), 0x46DD_794E);
        assert_eq!(sum(b"123456789"), 0xE306_9283);
    }

    #[test]
    fn every_length_agrees_with_the_portable_crate_also_in_parts() {
        let bytes: Vec<u8> = (0..700u32).map(|n| (n * 37 + 11) as u8).collect();
        for len in 0..bytes.len() {
            let whole = crc32c::crc32c(&bytes[..len]);
            assert_eq!(sum(&bytes[..len]), whole, "{len}");
            assert_eq!(append(sum(&bytes[..len / 3]), &bytes[len / 3..len]), whole, "{len}");
        }
    }
}
