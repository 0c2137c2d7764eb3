//! *Owns* the bytes of a frame. *Invariant*: a frame is valid only if its length, its padding and
//! its checksum, salted by its segment, all agree; parsing is total over hostile bytes. *Source*:
//! Aeron's data frames: the length is stored last and publishes the frame.
//!
//! ```text
//!  0       4       8               16              24      28      32            len   ⌈len⌉16
//!  ├───────┼───────┼───────────────┼───────────────┼───────┼───────┼──────────────┼───────┤
//!  │ len   │ crc   │ seq           │ time ns       │ type  │ lag   │ payload      │ zeros │
//!  │ u32   │ u32   │ u64           │ u64           │ u32   │ u32   │ len − 32 B   │       │
//!  └───────┴───────┴───────────────┴───────────────┴───────┴───────┴──────────────┴───────┘
//!  len   bytes used, header included; 0 = nothing yet; top bit: control frame
//!  crc   CRC-32C(salt 8 B ‖ len word as stored ‖ bytes 8..⌈len⌉16)
//!  type  index into the schema table, or the kind of a control frame
//!  lag   seq − durable when written, saturating; u32::MAX says nothing
//! ```

use crate::journal::crc;
use crate::journal::fields::{long, word};
use crate::sequence::Sequence;

pub(crate) const LEN_OFFSET: usize = 0;
pub(crate) const CRC_OFFSET: usize = LEN_OFFSET + size_of::<u32>();
pub(crate) const SEQ_OFFSET: usize = CRC_OFFSET + size_of::<u32>();
pub(crate) const TIME_OFFSET: usize = SEQ_OFFSET + size_of::<u64>();
pub(crate) const TYPE_OFFSET: usize = TIME_OFFSET + size_of::<u64>();
pub(crate) const LAG_OFFSET: usize = TYPE_OFFSET + size_of::<u32>();
/// Bytes of a frame's header; the payload follows.
pub(crate) const HEADER_BYTES: usize = LAG_OFFSET + size_of::<u32>();
/// Frames and payloads start at multiples of this.
pub(crate) const ALIGN_BYTES: usize = 16;
/// The unit of a durable commit.
pub(crate) const PAGE_BYTES: usize = 4096;

const _: () = assert!(HEADER_BYTES == 32);
const _: () = assert!(LAG_OFFSET - SEQ_OFFSET == 20);
const _: () = assert!(HEADER_BYTES.is_multiple_of(ALIGN_BYTES));
const _: () = assert!(PAGE_BYTES.is_multiple_of(ALIGN_BYTES));

/// Marks a control frame in its length word.
pub(crate) const CONTROL: u32 = 1 << 31;
/// A lag that says nothing.
pub(crate) const NO_LAG: u32 = u32::MAX;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An event; the index of its type in the segment's schema table.
    Event(u32),
    /// First in a segment: its first sequence and base time.
    Open,
    /// A sequence that was published as aborted.
    Abort,
    /// Everything below its payload's sequence was durable.
    Mark,
    /// Filler up to a page.
    Pad,
}

impl Kind {
    const fn word(self) -> u32 {
        match self {
            Self::Event(index) => index,
            Self::Open => 1,
            Self::Abort => 2,
            Self::Mark => 3,
            Self::Pad => 4,
        }
    }

    const fn is_control(self) -> bool {
        !matches!(self, Self::Event(_))
    }

    /// Whether the frame takes a sequence of its own.
    pub(crate) const fn takes_sequence(self) -> bool {
        matches!(self, Self::Event(_) | Self::Abort)
    }

    const fn decode(is_control: bool, word: u32) -> Option<Self> {
        match (is_control, word) {
            (false, index) => Some(Self::Event(index)),
            (true, 1) => Some(Self::Open),
            (true, 2) => Some(Self::Abort),
            (true, 3) => Some(Self::Mark),
            (true, 4) => Some(Self::Pad),
            (true, _) => None,
        }
    }
}

/// A frame's header, but for length and checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) sequence: Sequence,
    pub(crate) time_ns: u64,
    pub(crate) lag: u32,
}

/// A frame found valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) head: Head,
    pub(crate) payload: &'a [u8],
    /// Bytes from this frame's start to the next one's.
    pub(crate) space_bytes: usize,
    pub(crate) crc: u32,
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameFault {
    /// The length word is 0: nothing was written here yet.
    Nothing,
    /// The length is below a header or runs out of the segment.
    Length,
    /// The checksum does not agree.
    Checksum,
    /// A control frame of an unknown kind, or a sequence out of range.
    Kind,
}

impl FrameFault {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Nothing => "nothing is written here",
            Self::Length => "the frame's length is impossible",
            Self::Checksum => "the frame's checksum does not agree",
            Self::Kind => "the frame is of an unknown kind",
        }
    }
}

/// Bytes that a frame of `payload_bytes` takes in a segment.
#[inline(always)]
pub(crate) const fn space_bytes(payload_bytes: usize) -> usize {
    (HEADER_BYTES + payload_bytes).next_multiple_of(ALIGN_BYTES)
}

/// A segment's salt, ready to start a checksum with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Salt {
    crc: u32,
}

impl Salt {
    pub(crate) fn new(salt: u64) -> Self {
        Self { crc: crc::sum(&salt.to_le_bytes()) }
    }

    /// The checksum of a frame: its length word, and all that follows the checksum.
    #[inline(always)]
    fn sum(self, len_word: u32, behind_crc: &[u8]) -> u32 {
        crc::append(crc::append(self.crc, &len_word.to_le_bytes()), behind_crc)
    }
}

/// Writes a frame, all but its length word, which is returned for the caller to publish.
///
/// `body` is the frame's space behind the length word: [`space_bytes`] less 4.
#[inline(always)]
pub(crate) fn encode(body: &mut [u8], head: &Head, payload: &[u8], salt: Salt) -> u32 {
    debug_assert_eq!(body.len() + CRC_OFFSET, space_bytes(payload.len()));
    let (crc_bytes, rest) = body.split_at_mut(SEQ_OFFSET - CRC_OFFSET);
    let (fields, data) = rest.split_at_mut(HEADER_BYTES - SEQ_OFFSET);
    let control = if head.kind.is_control() { CONTROL } else { 0 };
    let len_word = (HEADER_BYTES + payload.len()) as u32 | control;
    fields[..8].copy_from_slice(&head.sequence.get().to_le_bytes());
    fields[8..16].copy_from_slice(&head.time_ns.to_le_bytes());
    fields[16..20].copy_from_slice(&head.kind.word().to_le_bytes());
    fields[20..].copy_from_slice(&head.lag.to_le_bytes());
    let (used, padding) = data.split_at_mut(payload.len());
    used.copy_from_slice(payload);
    padding.fill(0);
    crc_bytes.copy_from_slice(&salt.sum(len_word, rest).to_le_bytes());
    len_word
}

/// The frame at the start of `bytes`, which run to the end of the segment's frames.
#[inline]
pub(crate) fn decode(bytes: &[u8], salt: Salt) -> Result<Frame<'_>, FrameFault> {
    let len_word = word(bytes, LEN_OFFSET).ok_or(FrameFault::Nothing)?;
    if len_word == 0 {
        return Err(FrameFault::Nothing);
    }
    let used_bytes = (len_word & !CONTROL) as usize;
    if used_bytes < HEADER_BYTES {
        return Err(FrameFault::Length);
    }
    let space_bytes = used_bytes.next_multiple_of(ALIGN_BYTES);
    let space = bytes.get(..space_bytes).ok_or(FrameFault::Length)?;
    let crc = word(space, CRC_OFFSET).ok_or(FrameFault::Length)?;
    if salt.sum(len_word, &space[SEQ_OFFSET..]) != crc {
        return Err(FrameFault::Checksum);
    }
    let kind_word = word(space, TYPE_OFFSET).ok_or(FrameFault::Length)?;
    let kind = Kind::decode(len_word & CONTROL != 0, kind_word).ok_or(FrameFault::Kind)?;
    let sequence = long(space, SEQ_OFFSET).filter(|&at| at <= Sequence::MAX.get());
    let head = Head {
        kind,
        sequence: Sequence::new(sequence.ok_or(FrameFault::Kind)?),
        time_ns: long(space, TIME_OFFSET).ok_or(FrameFault::Length)?,
        lag: word(space, LAG_OFFSET).ok_or(FrameFault::Length)?,
    };
    Ok(Frame { head, payload: &space[HEADER_BYTES..used_bytes], space_bytes, crc })
}

/// The checksum that the frame at the start of `bytes` should have, if its length makes sense.
#[cfg(fuzzing)]
pub(crate) fn expected_crc(bytes: &[u8], salt: Salt) -> Option<u32> {
    let len_word = word(bytes, LEN_OFFSET)?;
    let space_bytes = ((len_word & !CONTROL) as usize).next_multiple_of(ALIGN_BYTES);
    Some(salt.sum(len_word, bytes.get(..space_bytes)?.get(SEQ_OFFSET..)?))
}

impl Frame<'_> {
    /// What this frame says was durable when it was written.
    pub(crate) fn acknowledged(&self) -> Option<Sequence> {
        if self.head.kind == Kind::Mark {
            return long(self.payload, 0)
                .filter(|&at| at <= self.head.sequence.get())
                .map(Sequence::new);
        }
        let lag = u64::from(self.head.lag);
        (self.head.lag != NO_LAG)
            .then(|| Sequence::new(self.head.sequence.get().saturating_sub(lag)))
    }
}
