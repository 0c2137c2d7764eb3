//! *Owns* reading the frames of a segment that nobody sealed. *Invariant*: total over hostile bytes,
//! and bounded in time; what it serves is a gapless run of sequences. *Source*: its own.

use crate::journal::frame::{self, ALIGN_BYTES, FrameFault, Kind, Salt};
use crate::journal::segment::Header;
use crate::sequence::Sequence;

/// What the frames of a segment without a footer say.
#[derive(Debug)]
pub(crate) struct Scan {
    /// `None` if not even OPEN is there.
    pub(crate) first: Option<Sequence>,
    pub(crate) end: Sequence,
    pub(crate) frames_end: usize,
    pub(crate) last_time_ns: u64,
    /// The largest acknowledgement found, also beyond damage.
    pub(crate) acknowledged: Sequence,
    /// One past the largest sequence found beyond damage.
    pub(crate) seen: Sequence,
    /// Where the frames stop making sense, if anything is written there.
    pub(crate) fault: Option<&'static str>,
}

/// Walks the frames of a segment as far as they make sense.
pub(crate) fn scan(bytes: &[u8], header: &Header) -> Scan {
    let frames = header.frames_range();
    let bytes = &bytes[..frames.end];
    let salt = Salt::new(header.salt);
    let mut scan = Scan {
        first: None,
        end: Sequence::ZERO,
        frames_end: frames.start,
        last_time_ns: 0,
        acknowledged: Sequence::ZERO,
        seen: Sequence::ZERO,
        fault: None,
    };
    let fault = loop {
        let frame = match frame::decode(&bytes[scan.frames_end..], salt) {
            Ok(frame) => frame,
            Err(fault) => break fault.text(),
        };
        let head = frame.head;
        match (scan.first, head.kind) {
            (None, Kind::Open) => {
                scan.first = Some(head.sequence);
                scan.end = head.sequence;
            }
            (None, _) => break "the first frame is not the segment's opening",
            (Some(_), Kind::Open) => break "the segment opens twice",
            (Some(_), _) if head.sequence != scan.end => break "a sequence is out of order",
            (Some(_), kind) if kind.takes_sequence() => scan.end = head.sequence.next(),
            (Some(_), _) => {}
        }
        scan.acknowledged = scan.acknowledged.max(frame.acknowledged().unwrap_or_default());
        scan.last_time_ns = scan.last_time_ns.max(head.time_ns);
        scan.frames_end += frame.space_bytes;
    };
    scan.seen = scan.end;
    let rest = &bytes[scan.frames_end..];
    if rest.iter().any(|&byte| byte != 0) {
        scan.fault = Some(fault);
        scan.look_beyond(rest, salt);
    }
    scan
}

/// First sequence and one past the last of a fuzzed segment.
#[cfg(fuzzing)]
pub(crate) fn scanned(bytes: &[u8], header: &Header) -> Option<(u64, u64)> {
    let scan = scan(bytes, header);
    Some((scan.first?.get(), scan.end.get()))
}

impl Scan {
    /// Looks for valid frames behind damage: they may prove that the damaged ones were acknowledged.
    ///
    /// Bytes made to look like huge frames could make this slow, so it sums a bounded number.
    fn look_beyond(&mut self, rest: &[u8], salt: Salt) {
        let mut budget_bytes = rest.len().saturating_mul(4);
        let mut at = ALIGN_BYTES;
        while at < rest.len() && budget_bytes > 0 {
            match frame::decode(&rest[at..], salt) {
                Ok(frame) => {
                    let acknowledged = frame.acknowledged().unwrap_or_default();
                    self.acknowledged = self.acknowledged.max(acknowledged);
                    self.seen = self.seen.max(frame.head.sequence.next());
                    at += frame.space_bytes;
                }
                Err(fault) => {
                    if fault == FrameFault::Checksum {
                        let claimed = frame::word(rest, at).unwrap_or(0) & !frame::CONTROL;
                        budget_bytes = budget_bytes.saturating_sub(claimed as usize);
                    }
                    at += ALIGN_BYTES;
                }
            }
        }
    }
}
