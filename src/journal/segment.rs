//! *Owns* the bytes of a segment around its frames. *Invariant*: the header holds only what is known
//! ahead and is covered whole by its checksum; the footer exists only in a segment that is synced
//! and has a successor. *Source*: Aeron Archive's recordings; epserde for the schema in the header.
//!
//! ```text
//!  0             header_bytes                    index_offset     size − 4096     size
//!  ├─────────────┼──────────────────────────────┼─────────────────┼───────────────┤
//!  │ header      │ OPEN, frames …               │ sparse index    │ footer        │
//!  └─────────────┴──────────────────────────────┴─────────────────┴───────────────┘
//!
//!  header   0 magic 8 · 8 version u32 · 12 header_bytes u32 · 16 journal id u128 · 32 ordinal u64
//!           40 salt u64 · 48 segment_bytes u64 · 56 back-end u32 · 60 schema count u32
//!           64 rkyv format, 32 B of ASCII · 96 crc u32 · 100 zeros · 128 schema table …
//!  schema   0 fingerprint u128 · 16 version u32 · 20 name_bytes u32 · 24 descriptor_bytes u32
//!           28 zeros u32 · 32 name · descriptor, zero-padded to 16
//!  footer   0 magic 8 · 8 version u32 · 12 crc u32 · 16 ordinal u64 · 24 first u64 · 32 end u64
//!           40 frames_end u64 · 48 last time u64 · 56 index_offset u64 · 64 index entries u64
//!           72 zeros u64 · 80 chain digest u128 · 96 the previous one u128 · 112 zeros to 4096
//!  index    a place for one entry (sequence u64, time u64, offset u64) per 64 KiB; empty so far
//! ```

use crate::event::SchemaId;
use crate::journal::crc;
use crate::journal::error::JournalError;
use crate::journal::fields::{long, wide, word};
use crate::journal::frame::{Frame, PAGE_BYTES};
use crate::sequence::Sequence;
use std::path::Path;

const MAGIC: [u8; 8] = *b"TRBLSEG\0";
const FOOTER_MAGIC: [u8; 8] = *b"TRBLEND\0";
/// The format that this version writes and reads.
pub(crate) const FORMAT_VERSION: u32 = 1;

const VERSION_OFFSET: usize = 8;
const HEADER_BYTES_OFFSET: usize = VERSION_OFFSET + 4;
const ID_OFFSET: usize = HEADER_BYTES_OFFSET + 4;
const ORDINAL_OFFSET: usize = ID_OFFSET + 16;
const SALT_OFFSET: usize = ORDINAL_OFFSET + 8;
const SEGMENT_BYTES_OFFSET: usize = SALT_OFFSET + 8;
const BACK_END_OFFSET: usize = SEGMENT_BYTES_OFFSET + 8;
const SCHEMAS_OFFSET: usize = BACK_END_OFFSET + 4;
const RKYV_OFFSET: usize = SCHEMAS_OFFSET + 4;
const RKYV_BYTES: usize = 32;
const CRC_OFFSET: usize = RKYV_OFFSET + RKYV_BYTES;
const TABLE_OFFSET: usize = 128;
const ENTRY_BYTES: usize = 32;
const _: () = assert!(CRC_OFFSET + 4 <= TABLE_OFFSET);

/// The mapped back-end, the only one so far.
const BACK_END_MAPPED: u32 = 1;
/// Events between two entries of the sparse index, in bytes.
const INDEX_EVERY_BYTES: u64 = 64 * 1024;
const INDEX_ENTRY_BYTES: u64 = 24;
/// Bytes of the footer.
pub(crate) const FOOTER_BYTES: usize = PAGE_BYTES;

/// How this build of rkyv lays out archives. Format features are unified over a whole program, so
/// any dependency can flip them; they are recorded and compared, never assumed.
pub(crate) fn rkyv_format() -> String {
    let one = rkyv::to_bytes::<rkyv::rancor::Panic>(&1u16);
    let endianness = match one.as_deref() {
        Ok([1, 0]) => "little",
        _ => "big",
    };
    let alignment = if align_of::<rkyv::Archived<u32>>() == 4 { "aligned" } else { "unaligned" };
    let pointer_bits = size_of::<rkyv::Archived<usize>>() * 8;
    format!("rkyv 0.8 {endianness} {alignment} {pointer_bits}")
}

/// What a segment's header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) journal_id: u128,
    pub(crate) ordinal: u64,
    pub(crate) salt: u64,
    pub(crate) segment_bytes: u64,
    pub(crate) schemas: Vec<SchemaEntry>,
}

/// One entry of the schema table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SchemaEntry {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) fingerprint: u128,
}

impl core::fmt::Display for SchemaEntry {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} v{} (fingerprint {:032x})", self.name, self.version, self.fingerprint)
    }
}

impl From<&SchemaId> for SchemaEntry {
    fn from(id: &SchemaId) -> Self {
        Self { name: id.name.to_owned(), version: id.version, fingerprint: id.fingerprint }
    }
}

/// What a sealed segment's footer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) ordinal: u64,
    pub(crate) first: Sequence,
    /// One past the last sequence.
    pub(crate) end: Sequence,
    pub(crate) frames_end: u64,
    pub(crate) last_time_ns: u64,
    /// The digest over this segment and, through the previous one, all before it.
    pub(crate) chain: u128,
    /// The digest of the segment before; 0 for the first.
    pub(crate) previous: u128,
}

impl Header {
    pub(crate) fn header_bytes(&self) -> usize {
        let entry = |schema: &SchemaEntry| ENTRY_BYTES + schema.name.len().next_multiple_of(16);
        let table: usize = self.schemas.iter().map(entry).sum();
        (TABLE_OFFSET + table).next_multiple_of(PAGE_BYTES)
    }

    /// Where frames may lie: between header and index.
    pub(crate) fn frames_range(&self) -> core::ops::Range<usize> {
        self.header_bytes()..index_offset(self.segment_bytes) as usize
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let header_bytes = self.header_bytes();
        let mut bytes = vec![0; header_bytes];
        let mut put = |offset_bytes: usize, value: &[u8]| {
            bytes[offset_bytes..offset_bytes + value.len()].copy_from_slice(value);
        };
        put(0, &MAGIC);
        put(VERSION_OFFSET, &FORMAT_VERSION.to_le_bytes());
        put(HEADER_BYTES_OFFSET, &(header_bytes as u32).to_le_bytes());
        put(ID_OFFSET, &self.journal_id.to_le_bytes());
        put(ORDINAL_OFFSET, &self.ordinal.to_le_bytes());
        put(SALT_OFFSET, &self.salt.to_le_bytes());
        put(SEGMENT_BYTES_OFFSET, &self.segment_bytes.to_le_bytes());
        put(BACK_END_OFFSET, &BACK_END_MAPPED.to_le_bytes());
        put(SCHEMAS_OFFSET, &(self.schemas.len() as u32).to_le_bytes());
        put(RKYV_OFFSET, rkyv_format().as_bytes());
        let mut at = TABLE_OFFSET;
        for schema in &self.schemas {
            put(at, &schema.fingerprint.to_le_bytes());
            put(at + 16, &schema.version.to_le_bytes());
            put(at + 20, &(schema.name.len() as u32).to_le_bytes());
            put(at + ENTRY_BYTES, schema.name.as_bytes());
            at += ENTRY_BYTES + schema.name.len().next_multiple_of(16);
        }
        // The checksum's own place is still zero, and counts as that.
        let crc = crc::sum(&bytes);
        bytes[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header at the start of a segment's bytes.
    pub(crate) fn decode(path: &Path, bytes: &[u8]) -> Result<Self, JournalError> {
        let refuse = |why| JournalError::NotASegment { path: path.to_owned(), why };
        let short = || refuse("it is too short");
        if bytes.get(..8) != Some(&MAGIC) {
            return Err(refuse("it does not begin like one"));
        }
        let version = word(bytes, VERSION_OFFSET).ok_or_else(short)?;
        if version != FORMAT_VERSION {
            return Err(other_format(
                path,
                format!("format {version}"),
                format!("format {FORMAT_VERSION}"),
            ));
        }
        let header_bytes = word(bytes, HEADER_BYTES_OFFSET).ok_or_else(short)? as usize;
        let is_page = header_bytes.is_multiple_of(PAGE_BYTES) && header_bytes > 0;
        let header = bytes.get(..header_bytes).filter(|_| is_page).ok_or_else(short)?;
        let mut summed = header.to_vec();
        summed[CRC_OFFSET..CRC_OFFSET + 4].fill(0);
        if word(header, CRC_OFFSET) != Some(crc::sum(&summed)) {
            return Err(refuse("its header's checksum does not agree"));
        }
        let text = header.get(RKYV_OFFSET..RKYV_OFFSET + RKYV_BYTES).ok_or_else(short)?;
        let format = String::from_utf8_lossy(text).trim_end_matches('\0').to_owned();
        if format != rkyv_format() {
            return Err(other_format(path, format, rkyv_format()));
        }
        let decoded = Self {
            journal_id: wide(header, ID_OFFSET).ok_or_else(short)?,
            ordinal: long(header, ORDINAL_OFFSET).ok_or_else(short)?,
            salt: long(header, SALT_OFFSET).ok_or_else(short)?,
            segment_bytes: long(header, SEGMENT_BYTES_OFFSET).ok_or_else(short)?,
            schemas: decode_schemas(header).ok_or_else(|| refuse("its schema table is cut"))?,
        };
        if word(header, BACK_END_OFFSET) != Some(BACK_END_MAPPED) {
            return Err(other_format(path, "another back-end".to_owned(), "mapped".to_owned()));
        }
        if decoded.segment_bytes != bytes.len() as u64 || decoded.header_bytes() != header_bytes {
            return Err(refuse("its size is not what its header says"));
        }
        if index_offset(decoded.segment_bytes) <= header_bytes as u64 {
            return Err(refuse("it has no room for frames"));
        }
        Ok(decoded)
    }
}

fn other_format(path: &Path, found: String, expected: String) -> JournalError {
    JournalError::OtherFormat { path: path.to_owned(), found, expected }
}

fn decode_schemas(header: &[u8]) -> Option<Vec<SchemaEntry>> {
    let count = word(header, SCHEMAS_OFFSET)?;
    let mut at = TABLE_OFFSET;
    let mut schemas = Vec::new();
    for _ in 0..count {
        let name_bytes = word(header, at + 20)? as usize;
        let descriptor_bytes = word(header, at + 24)? as usize;
        let name = header.get(at + ENTRY_BYTES..)?.get(..name_bytes)?;
        schemas.push(SchemaEntry {
            fingerprint: wide(header, at)?,
            version: word(header, at + 16)?,
            name: String::from_utf8(name.to_vec()).ok()?,
        });
        let entry = name_bytes.checked_add(descriptor_bytes)?.checked_next_multiple_of(16)?;
        at = at.checked_add(ENTRY_BYTES)?.checked_add(entry)?;
    }
    Some(schemas)
}

/// Where the sparse index begins in a segment of this size: right behind the last frame's place.
pub(crate) fn index_offset(segment_bytes: u64) -> u64 {
    let entries = segment_bytes.div_ceil(INDEX_EVERY_BYTES);
    let index_bytes = (entries * INDEX_ENTRY_BYTES).next_multiple_of(PAGE_BYTES as u64);
    segment_bytes.saturating_sub(index_bytes + FOOTER_BYTES as u64)
}

impl Footer {
    pub(crate) fn encode(&self, segment_bytes: u64) -> [u8; FOOTER_BYTES] {
        let mut bytes = [0; FOOTER_BYTES];
        let mut put = |offset_bytes: usize, value: &[u8]| {
            bytes[offset_bytes..offset_bytes + value.len()].copy_from_slice(value);
        };
        put(0, &FOOTER_MAGIC);
        put(8, &FORMAT_VERSION.to_le_bytes());
        put(16, &self.ordinal.to_le_bytes());
        put(24, &self.first.get().to_le_bytes());
        put(32, &self.end.get().to_le_bytes());
        put(40, &self.frames_end.to_le_bytes());
        put(48, &self.last_time_ns.to_le_bytes());
        put(56, &index_offset(segment_bytes).to_le_bytes());
        put(80, &self.chain.to_le_bytes());
        put(96, &self.previous.to_le_bytes());
        let crc = crc::sum(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The footer at the end of a segment's bytes; `None` in a segment that is not sealed.
    ///
    /// # Errors
    /// What is wrong with a footer that begins like one.
    pub(crate) fn decode(segment: &[u8]) -> Result<Option<Self>, &'static str> {
        let Some(bytes) = segment.last_chunk::<FOOTER_BYTES>() else { return Ok(None) };
        if bytes.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        let mut summed = *bytes;
        summed[12..16].fill(0);
        let is_sound = bytes[..8] == FOOTER_MAGIC && word(bytes, 12) == Some(crc::sum(&summed));
        let at = |offset_bytes| long(bytes, offset_bytes).unwrap_or(u64::MAX);
        let in_range = at(24) <= at(32) && at(32) <= Sequence::MAX.get();
        if !is_sound || !in_range {
            return Err("the footer's checksum does not agree");
        }
        Ok(Some(Self {
            ordinal: at(16),
            first: Sequence::new(at(24)),
            end: Sequence::new(at(32)),
            frames_end: at(40),
            last_time_ns: at(48),
            chain: wide(bytes, 80).unwrap_or_default(),
            previous: wide(bytes, 96).unwrap_or_default(),
        }))
    }
}

/// The digest that chains segments: FNV-1a over the previous digest, the salt, and each frame's
/// sequence and checksum. It finds what was altered or swapped by accident; it is no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain(u128);

impl Chain {
    const PRIME: u128 = (1 << 88) + (1 << 8) + 0x3B;

    pub(crate) fn new(previous: u128, salt: u64) -> Self {
        let mut chain = Self(0x6C62_272E_07BB_0142_62B8_2175_6295_C58D);
        chain.eat(&previous.to_le_bytes());
        chain.eat(&salt.to_le_bytes());
        chain
    }

    pub(crate) fn frame(&mut self, frame: &Frame<'_>) {
        self.eat(&frame.head.sequence.get().to_le_bytes());
        self.eat(&frame.crc.to_le_bytes());
    }

    pub(crate) fn digest(self) -> u128 {
        self.0
    }

    fn eat(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u128::from(byte)).wrapping_mul(Self::PRIME);
        }
    }
}

/// The file name of the segment `ordinal`.
pub(crate) fn file_name(ordinal: u64) -> String {
    format!("{ordinal:020}.seg")
}

/// The ordinal in a segment's file name.
pub(crate) fn ordinal_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    let is_canonical = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_canonical)
}
