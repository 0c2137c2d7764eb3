//! *Owns* the files in which named rings live. *Invariant*: a file that has its name holds a whole
//! region, all of its blocks are allocated, and who writes it holds its lock. *Source*: open(2),
//! flock(2), fallocate(2), rename(2).
//!
//! A region is made under the name with `.tmp` behind it and renamed when it is whole. Whoever holds
//! the lock of the file that *has* the temporary name is the only one to rename or empty it; one who
//! got the lock of a file that has lost that name meanwhile lets go of it.

use crate::ring::error::{RegionError, RegionFault};
use crate::ring::memory::{Memory, MemoryOptions, PAGE_BYTES};
use crate::ring::region::{Producers, Region, Shape};
use crate::sequence::Sequence;
use rustix::fs::{self, CWD, FallocateFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const TMPFS: u64 = 0x0102_1994;
const HUGETLBFS: u64 = 0x9584_58f6;
const RAMFS: u64 = 0x8584_58f6;

/// Makes a region under `path`, whose next event is `start`.
pub(crate) fn create(
    path: &Path,
    shape: Shape,
    start: Sequence,
    options: MemoryOptions,
) -> Result<Region, RegionError> {
    if std::fs::symlink_metadata(path).is_ok() {
        return Err(RegionError::Exists { path: path.to_owned() });
    }
    let mut tmp = path.as_os_str().to_owned();
    tmp.push(".tmp");
    let tmp = PathBuf::from(tmp);
    let file = open(&tmp, OFlags::RDWR | OFlags::CREATE).map_err(|error| match error {
        // The directory is what is missing.
        RegionError::Missing { path } => failed(&path, "create", Errno::NOENT),
        error => error,
    })?;
    lock(&file, path)?;
    let is_ours = std::fs::symlink_metadata(&tmp)
        .and_then(|named| Ok((named.dev(), named.ino()) == id(&file)?))
        .unwrap_or(false);
    if !is_ours {
        // Another has made the region meanwhile, and is gone already.
        return Err(RegionError::Exists { path: path.to_owned() });
    }
    let made = fill(file, path, shape, start, options).and_then(|region| {
        fs::renameat_with(CWD, &tmp, CWD, path, RenameFlags::NOREPLACE).map_err(
            |error| match error {
                Errno::EXIST => RegionError::Exists { path: path.to_owned() },
                error => failed(path, "rename", error),
            },
        )?;
        Ok(region)
    });
    if made.is_err() {
        // What is left over only takes space, and the next attempt empties it.
        let _ = std::fs::remove_file(&tmp);
    }
    made
}

/// Allocates and maps the file and writes the region's header.
fn fill(
    file: File,
    path: &Path,
    shape: Shape,
    start: Sequence,
    options: MemoryOptions,
) -> Result<Region, RegionError> {
    let bytes = space(&file, path, shape)?;
    // Emptied first: what an attempt that died has left is no zeroed memory.
    fs::ftruncate(&file, 0).map_err(|error| failed(path, "empty", error))?;
    fs::ftruncate(&file, bytes as u64).map_err(|error| failed(path, "extend", error))?;
    allocate(&file, path, bytes)?;
    let memory =
        Memory::of_file(file, bytes, options).map_err(|error| io_error(path, "map", error))?;
    Ok(Region::born(memory, shape, start, true))
}

/// Opens the region under `path`, takes its lock, checks size and identity.
pub(crate) fn open_owned(
    path: &Path,
    shape: Shape,
    options: MemoryOptions,
) -> Result<(Region, Producers), RegionError> {
    let file = open(path, OFlags::RDWR)?;
    lock(&file, path)?;
    let bytes = size(&file, path)?.min(space(&file, path, shape)?);
    // A copy of a region may have holes, and a page that is not there may be one too many.
    allocate(&file, path, bytes)?;
    let memory =
        Memory::of_file(file, bytes, options).map_err(|error| io_error(path, "map", error))?;
    Region::found(memory, shape).map_err(|fault| refused(path, fault))
}

/// Opens the region under `path` for reading, lock or no lock, and checks size and identity.
pub(crate) fn open_observed(path: &Path, shape: Shape) -> Result<Region, RegionError> {
    let file = open(path, OFlags::RDONLY)?;
    let bytes = size(&file, path)?;
    let memory = Memory::observed(file, bytes).map_err(|error| io_error(path, "map", error))?;
    Ok(Region::found(memory, shape).map_err(|fault| refused(path, fault))?.0)
}

/// Bytes of a file for `shape`: whole pages of a file system that is memory.
fn space(file: &File, path: &Path, shape: Shape) -> Result<usize, RegionError> {
    let stat = fs::fstatfs(file).map_err(|error| failed(path, "stat", error))?;
    if ![TMPFS, HUGETLBFS, RAMFS].contains(&(stat.f_type as u64 & 0xFFFF_FFFF)) {
        return Err(RegionError::NotInMemory { path: path.to_owned() });
    }
    let page_bytes = usize::try_from(stat.f_bsize).unwrap_or(0).max(PAGE_BYTES);
    let bytes = shape.bytes().and_then(|bytes| bytes.checked_next_multiple_of(page_bytes));
    bytes.ok_or(RegionError::TooLarge)
}

/// Makes sure of the first `bytes` of the file, and changes none of them.
fn allocate(file: &File, path: &Path, bytes: usize) -> Result<(), RegionError> {
    let allocated = fs::fallocate(file, FallocateFlags::KEEP_SIZE, 0, bytes as u64);
    allocated.map_err(|error| match error {
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG | Errno::NOMEM => {
            RegionError::NoRoom { path: path.to_owned(), bytes }
        }
        error => failed(path, "allocate", error),
    })
}

/// Opens a regular file. A link, a directory or a FIFO by this name is refused.
fn open(path: &Path, flags: OFlags) -> Result<File, RegionError> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = fs::open(path, flags, Mode::RUSR | Mode::WUSR).map_err(|error| match error {
        Errno::LOOP | Errno::ISDIR | Errno::NXIO => RegionError::NotAFile { path: path.to_owned() },
        Errno::NOENT => RegionError::Missing { path: path.to_owned() },
        error => failed(path, "open", error),
    })?;
    let file = File::from(file);
    let metadata = file.metadata().map_err(|error| io_error(path, "stat", error))?;
    if !metadata.is_file() {
        return Err(RegionError::NotAFile { path: path.to_owned() });
    }
    Ok(file)
}

fn lock(file: &File, path: &Path) -> Result<(), RegionError> {
    fs::flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
        Errno::WOULDBLOCK => RegionError::Owned { path: path.to_owned() },
        error => failed(path, "lock", error),
    })
}

/// The file's size, where there is something to map.
fn size(file: &File, path: &Path) -> Result<usize, RegionError> {
    let bytes = file.metadata().map_err(|error| io_error(path, "stat", error))?.len();
    match usize::try_from(bytes) {
        Ok(0) => Err(refused(path, RegionFault::Truncated { bytes: 0, needed: PAGE_BYTES })),
        Ok(bytes) => Ok(bytes),
        Err(_) => Err(RegionError::TooLarge),
    }
}

fn id(file: &File) -> io::Result<(u64, u64)> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

fn refused(path: &Path, fault: RegionFault) -> RegionError {
    RegionError::Refused { path: path.to_owned(), fault }
}

fn failed(path: &Path, op: &'static str, error: Errno) -> RegionError {
    io_error(path, op, error.into())
}

fn io_error(path: &Path, op: &'static str, source: io::Error) -> RegionError {
    RegionError::Io { path: path.to_owned(), op, source }
}
