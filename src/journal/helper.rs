//! *Owns* the two threads beside the writer: one prepares segments ahead, one syncs and seals.
//! *Invariant*: a segment gets its name only when it is zeroed, headed and synced; it is sealed only
//! when it is synced and its successor exists; commits are synced in the order they were given.
//! *Source*: Aeron's clean-ahead of terms.

use crate::journal::error::JournalError;
use crate::journal::frame::{self, Salt};
use crate::journal::map::SegmentMap;
use crate::journal::progress::Progress;
use crate::journal::recovery::{self, SegmentInfo};
use crate::journal::segment::{self, Chain, FOOTER_BYTES, Footer, Header, SchemaEntry};
use crate::journal::storage::{self, Access, Directory};
use crate::sequence::Sequence;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::thread::JoinHandle;

/// What every segment of a journal has in common.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) directory: Arc<Directory>,
    pub(crate) journal_id: u128,
    pub(crate) segment_bytes: u64,
    pub(crate) schemas: Vec<SchemaEntry>,
}

impl Plan {
    /// Prepares the segment `ordinal`: zeroed, headed, synced, mapped, populated, named.
    pub(crate) fn prepare(&self, ordinal: u64) -> Result<Arc<SegmentMap>, JournalError> {
        let name = segment::file_name(ordinal);
        let tmp = format!("{name}.tmp");
        let path = self.directory.path_of(&tmp);
        let header = Header {
            journal_id: self.journal_id,
            ordinal,
            salt: random_u64()?,
            segment_bytes: self.segment_bytes,
            schemas: self.schemas.clone(),
        };
        let file = self.directory.open_file(&tmp, Access::Create)?;
        storage::allocate(&file, &path, self.segment_bytes)?;
        file.write_all_at(&header.encode(), 0)
            .map_err(|error| JournalError::io(&path, "write", error))?;
        file.sync_all().map_err(|error| JournalError::io(&path, "sync", error))?;
        let map = SegmentMap::new(&file, &self.directory.path_of(&name), header)?;
        self.directory.rename(&tmp, &name)?;
        Ok(Arc::new(map))
    }
}

/// A prepared segment, or why there is none.
pub(crate) type Prepared = Result<Arc<SegmentMap>, JournalError>;

/// Starts the thread that keeps one segment ready, from `ordinal` on. It prepares the next when the
/// last is taken and ends when the receiver is gone.
pub(crate) fn start_preparer(
    plan: Plan,
    ordinal: u64,
    progress: Arc<Progress>,
) -> Result<(Receiver<Prepared>, JoinHandle<()>), JournalError> {
    // No capacity: a segment is handed over when it is taken, and only then the next is begun.
    let (sender, receiver) = bounded(0);
    let dir = plan.directory.path().to_owned();
    let body = move || {
        for ordinal in ordinal.. {
            let prepared = plan.prepare(ordinal);
            let is_last = prepared.is_err();
            if let Err(error) = &prepared {
                progress.warn(error.clone());
            }
            progress.counts.segments_prepared.add(u64::from(!is_last));
            if let Err(unwanted) = sender.send(prepared) {
                if unwanted.0.is_ok() {
                    // Recovery removes an empty segment too, should this fail.
                    let _ = plan.directory.remove(&segment::file_name(ordinal));
                }
                return;
            }
            if is_last {
                return;
            }
        }
    };
    let thread = std::thread::Builder::new()
        .name("tb-prepare".to_owned())
        .spawn(body)
        .map_err(|error| JournalError::io(&dir, "start a thread for", error))?;
    Ok((receiver, thread))
}

/// Work for the committer, in order.
pub(crate) enum Commit {
    /// Sync `from..to`; then everything below `durable` is durable.
    Sync { map: Arc<SegmentMap>, from: usize, to: usize, durable: Sequence },
    /// Seal a segment that is synced whole and has a successor.
    Seal {
        map: Arc<SegmentMap>,
        frames_end: usize,
        first: Sequence,
        end: Sequence,
        last_time_ns: u64,
    },
}

/// Starts the thread that syncs and seals; it ends when the sender is gone.
pub(crate) fn start_committer(
    chain: u128,
    dir: &Directory,
    progress: Arc<Progress>,
) -> Result<(Sender<Commit>, JoinHandle<()>), JournalError> {
    // An array, so that giving work allocates nothing; a writer that is this far ahead waits.
    let (sender, receiver) = bounded(64);
    let mut committer = Committer { chain, progress };
    let thread = std::thread::Builder::new()
        .name("tb-commit".to_owned())
        .spawn(move || {
            for commit in &receiver {
                if let Err(error) = committer.commit(&commit) {
                    // Never retried: after one failed sync the next may succeed over lost bytes.
                    committer.progress.poison(error);
                    return;
                }
            }
        })
        .map_err(|error| JournalError::io(dir.path(), "start a thread for", error))?;
    Ok((sender, thread))
}

struct Committer {
    /// The chain digest of the last sealed segment.
    chain: u128,
    progress: Arc<Progress>,
}

impl Committer {
    fn commit(&mut self, commit: &Commit) -> Result<(), JournalError> {
        match commit {
            Commit::Sync { map, from, to, durable } => {
                if from < to {
                    map.sync(*from, *to)?;
                    self.progress.counts.syncs.add(1);
                }
                self.progress.synced(*durable);
                Ok(())
            }
            Commit::Seal { map, frames_end, first, end, last_time_ns } => {
                // SAFETY: the writer sent this after it had left the segment; the channel
                // synchronizes.
                let bytes = unsafe { map.published(*frames_end) };
                let previous = self.chain;
                self.chain = chain_of(previous, map.header(), bytes);
                let footer = Footer {
                    ordinal: map.header().ordinal,
                    first: *first,
                    end: *end,
                    frames_end: *frames_end as u64,
                    last_time_ns: *last_time_ns,
                    chain: self.chain,
                    previous,
                };
                // SAFETY: M2: the writer has left the segment, and this is the committer.
                unsafe { map.write_footer(&footer.encode(map.header().segment_bytes)) };
                map.sync_footer()
            }
        }
    }
}

/// Seals `segments` that recovery found open; their successors exist by now. Gives the last digest.
pub(crate) fn seal(directory: &Directory, segments: &[SegmentInfo]) -> Result<u128, JournalError> {
    let mut chain = 0;
    for info in segments {
        chain = match info.chain {
            Some(chain) => chain,
            None => seal_one(directory, info, chain)?,
        };
    }
    Ok(chain)
}

fn seal_one(
    directory: &Directory,
    info: &SegmentInfo,
    previous: u128,
) -> Result<u128, JournalError> {
    let bytes = recovery::map(directory, &info.name)?;
    let chain = chain_of(previous, &info.header, &bytes[..info.frames_end]);
    let footer = Footer {
        ordinal: info.header.ordinal,
        first: info.first,
        end: info.end,
        frames_end: info.frames_end as u64,
        last_time_ns: info.last_time_ns,
        chain,
        previous,
    };
    let segment_bytes = info.header.segment_bytes;
    let file = directory.open_file(&info.name, Access::ReadWrite)?;
    file.write_all_at(&footer.encode(segment_bytes), segment_bytes - FOOTER_BYTES as u64)
        .and_then(|()| file.sync_all())
        .map_err(|error| JournalError::io(&directory.path_of(&info.name), "seal", error))?;
    Ok(chain)
}

/// The chain digest of a segment whose frames end with `bytes`.
pub(crate) fn chain_of(previous: u128, header: &Header, bytes: &[u8]) -> u128 {
    let salt = Salt::new(header.salt);
    let mut chain = Chain::new(previous, header.salt);
    let mut at = header.frames_range().start;
    while let Some(Ok(frame)) = bytes.get(at..).map(|rest| frame::decode(rest, salt)) {
        chain.frame(&frame);
        at += frame.space_bytes;
    }
    chain.digest()
}

/// Random bits from the operating system.
pub(crate) fn random_u64() -> Result<u64, JournalError> {
    use std::io::Read;
    let path = std::path::Path::new("/dev/urandom");
    let mut bytes = [0; 8];
    std::fs::File::open(path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| JournalError::io(path, "read", error))?;
    Ok(u64::from_le_bytes(bytes))
}
