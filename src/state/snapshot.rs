//! *Owns* snapshot files. *Invariant*: a snapshot that covers `s` gets its name only after the
//! journal was synced through `s`; its head and sums are checked before its body is touched.
//! *Source*: rename as the commit, as every careful file format does it.
//!
//! ```text
//!  0 magic 8 · 8 version u32 · 12 head crc u32 · 16 journal id u128 · 32 covered u64
//!  40 logic version u32 · 44 body crc u32 · 48 body_bytes u64 · 56 schema version u32
//!  60 name_bytes u32 · 64 fingerprint u128 · 80 rkyv format, 32 B of ASCII · 112 zeros
//!  128 name, zero-padded to 256 · 384 body: the state's rkyv archive
//! ```

use crate::event::SchemaId;
use crate::journal::{Directory, JournalError, JournalHandle, crc_sum, fields, rkyv_format};
use crate::sequence::Sequence;
use rkyv::util::AlignedVec;
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"TRBLSNAP";
const VERSION: u32 = 1;
const NAME_OFFSET: usize = 128;
const NAME_BYTES: usize = 256;
const HEAD_BYTES: usize = NAME_OFFSET + NAME_BYTES;
/// Snapshots kept; an older one is there to fall back to.
const KEPT: usize = 2;

/// What a snapshot says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotHead {
    pub(crate) journal_id: u128,
    /// It holds the effect of every event below.
    pub(crate) covered: Sequence,
    pub(crate) schema: SchemaId,
    pub(crate) logic_version: u32,
}

/// What a snapshot must say to be loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SnapshotExpected {
    pub(crate) journal_id: u128,
    pub(crate) journal_end: Sequence,
    pub(crate) schema: SchemaId,
    pub(crate) logic_version: u32,
}

/// A snapshot that was not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetAside {
    /// The file; one beyond the journal's end was renamed to this.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

/// Syncs the journal through what the snapshot covers, then installs it, reads it back, and lets
/// go of older ones.
pub(crate) fn write(
    dir: &Path,
    head: &SnapshotHead,
    body: &[u8],
    journal: &JournalHandle,
) -> Result<(), JournalError> {
    journal.flush(head.covered)?;
    let directory = Directory::open(dir)?;
    let name = file_name(head.covered);
    directory.install(&name, &[&head.encode(body), body])?;
    let written = directory.read(&name)?;
    if check(&written, &head.expected()) != Ok(head.covered) {
        let why = "it does not read back as it was written";
        return Err(JournalError::NotASegment { path: directory.path_of(&name), why });
    }
    let names = snapshot_names(&directory)?;
    for (_, old) in names.iter().rev().skip(KEPT) {
        directory.remove(old)?;
    }
    Ok(())
}

/// The newest snapshot that is as expected and that `load` makes a state of.
pub(crate) fn load_newest<S>(
    directory: &Directory,
    expected: &SnapshotExpected,
    set_aside: &mut Vec<SetAside>,
    load: impl Fn(&[u8]) -> Result<S, String>,
) -> Result<Option<(Sequence, S)>, JournalError> {
    for (covered, name) in snapshot_names(directory)?.into_iter().rev() {
        let read = directory.read(&name).map_err(|error| error.to_string());
        let loaded = read.and_then(|bytes| {
            let says = check(&bytes, expected)?;
            if says != covered {
                return Err("its name and its head disagree on what it covers".to_owned());
            }
            let mut body = AlignedVec::<16>::with_capacity(bytes.len() - HEAD_BYTES);
            body.extend_from_slice(&bytes[HEAD_BYTES..]);
            load(&body)
        });
        let why = match loaded {
            Ok(state) => return Ok(Some((covered, state))),
            Err(why) => why,
        };
        let mut path = directory.path_of(&name);
        if covered > expected.journal_end {
            // Loud, and out of the way: the sequences it covers will be given to other events.
            let rejected = format!("{name}.rejected");
            directory.rename(&name, &rejected)?;
            path = directory.path_of(&rejected);
        }
        set_aside.push(SetAside { path, why });
    }
    Ok(None)
}

/// Checks head and sums; gives what the snapshot covers, or what is wrong with it.
fn check(bytes: &[u8], expected: &SnapshotExpected) -> Result<Sequence, String> {
    let (head, body) = bytes.split_at_checked(HEAD_BYTES).ok_or("it is cut short")?;
    let mut summed = head.to_vec();
    summed[12..16].fill(0);
    if head[..8] != MAGIC || word(head, 12) != crc_sum(&summed) {
        return Err("its head's checksum does not agree".to_owned());
    }
    if word(head, 8) != VERSION {
        return Err(format!("it is of format {}, not {VERSION}", word(head, 8)));
    }
    if wide(head, 16) != expected.journal_id {
        return Err(format!("it belongs to journal {:032x}", wide(head, 16)));
    }
    let covered = long(head, 32);
    if covered > expected.journal_end.get() {
        return Err(format!(
            "it covers {covered} events, and the journal ends at {}",
            expected.journal_end
        ));
    }
    let schema = &expected.schema;
    let is_same_schema = word(head, 56) == schema.version
        && wide(head, 64) == schema.fingerprint
        && text(head, NAME_OFFSET, NAME_BYTES) == schema.name;
    if !is_same_schema {
        let (name, version) = (text(head, NAME_OFFSET, NAME_BYTES), word(head, 56));
        return Err(format!("it holds {name} v{version}, this program has {schema}"));
    }
    if word(head, 40) != expected.logic_version {
        return Err(format!(
            "it was made by logic version {}, this program has {}",
            word(head, 40),
            expected.logic_version
        ));
    }
    if text(head, 80, 32) != rkyv_format() {
        return Err(format!(
            "it is written as `{}`, this program reads `{}`",
            text(head, 80, 32),
            rkyv_format()
        ));
    }
    if long(head, 48) != body.len() as u64 || word(head, 44) != crc_sum(body) {
        return Err("its body's checksum does not agree".to_owned());
    }
    Ok(Sequence::new(covered))
}

impl SnapshotHead {
    fn expected(&self) -> SnapshotExpected {
        SnapshotExpected {
            journal_id: self.journal_id,
            journal_end: self.covered,
            schema: self.schema,
            logic_version: self.logic_version,
        }
    }

    fn encode(&self, body: &[u8]) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        let mut put = |offset_bytes: usize, value: &[u8]| {
            bytes[offset_bytes..offset_bytes + value.len()].copy_from_slice(value);
        };
        put(0, &MAGIC);
        put(8, &VERSION.to_le_bytes());
        put(16, &self.journal_id.to_le_bytes());
        put(32, &self.covered.get().to_le_bytes());
        put(40, &self.logic_version.to_le_bytes());
        put(44, &crc_sum(body).to_le_bytes());
        put(48, &(body.len() as u64).to_le_bytes());
        put(56, &self.schema.version.to_le_bytes());
        put(60, &(self.schema.name.len() as u32).to_le_bytes());
        put(64, &self.schema.fingerprint.to_le_bytes());
        put(80, rkyv_format().as_bytes());
        put(NAME_OFFSET, &self.schema.name.as_bytes()[..self.schema.name.len().min(NAME_BYTES)]);
        let crc = crc_sum(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }
}

fn file_name(covered: Sequence) -> String {
    format!("{:020}.snap", covered.get())
}

/// Snapshots by what their names say they cover, oldest first.
fn snapshot_names(directory: &Directory) -> Result<Vec<(Sequence, String)>, JournalError> {
    let covered = |name: &str| {
        let digits = name.strip_suffix(".snap").filter(|digits| digits.len() == 20)?;
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let at = digits.parse().ok().filter(|&at: &u64| is_plain && at <= Sequence::MAX.get())?;
        Some(Sequence::new(at))
    };
    let names = directory.names()?.into_iter();
    Ok(names.filter_map(|name| Some((covered(&name)?, name))).collect())
}

/// Little-endian fields of a head, whose length is known.
fn word(head: &[u8], at: usize) -> u32 {
    fields::word(head, at).unwrap_or_default()
}

fn long(head: &[u8], at: usize) -> u64 {
    fields::long(head, at).unwrap_or_default()
}

fn wide(head: &[u8], at: usize) -> u128 {
    fields::wide(head, at).unwrap_or_default()
}

fn text(head: &[u8], at: usize, bytes: usize) -> String {
    String::from_utf8_lossy(&head[at..at + bytes]).trim_end_matches('\0').to_owned()
}
