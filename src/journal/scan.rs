//! *Owns* reading the frames of a segment that nobody sealed. *Invariant*: total over hostile bytes,
//! and bounded in time; what it serves is a gapless run of sequences. *Source*: its own.

use crate::journal::fields;
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
            (Some(_), Kind::Event(index)) if index as usize >= header.schemas.len() => {
                break "an event's type is not in the schema table";
            }
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
    /// Only what carries a sequence that could stand here is summed, so that garbage costs little;
    /// bytes made to look like many huge frames end the search, and then all that such frames could
    /// prove counts as proven: what nobody can rule out is refused, not cut.
    fn look_beyond(&mut self, rest: &[u8], salt: Salt) {
        let possible = self.end..self.end.advance(1 + (rest.len() / frame::HEADER_BYTES) as u64);
        let mut budget_bytes = rest.len().saturating_mul(4);
        let mut at = ALIGN_BYTES;
        while at < rest.len() {
            let sequence = fields::long(rest, at + frame::SEQ_OFFSET).unwrap_or(u64::MAX);
            if !(possible.start.get()..possible.end.get()).contains(&sequence) {
                at += ALIGN_BYTES;
                continue;
            }
            match frame::decode(&rest[at..], salt) {
                Ok(frame) => {
                    let acknowledged = frame.acknowledged().unwrap_or_default();
                    self.acknowledged = self.acknowledged.max(acknowledged);
                    self.seen = self.seen.max(frame.head.sequence.next());
                    at += frame.space_bytes;
                }
                Err(fault) => {
                    let claimed = fields::word(rest, at).unwrap_or(0) & !frame::CONTROL;
                    let summed = if fault == FrameFault::Checksum { claimed as usize } else { 0 };
                    budget_bytes = budget_bytes.saturating_sub(summed);
                    at += ALIGN_BYTES;
                }
            }
            if budget_bytes == 0 {
                self.acknowledged = self.acknowledged.max(possible.end);
                return;
            }
        }
    }
}
