//! *Owns* the calls to the file system. *Invariant*: files are opened by name inside one directory,
//! never through a link; a rename is followed by a sync of the directory; every error names its
//! file. *Source*: open(2), fsync(2), fallocate(2).

use crate::journal::error::JournalError;
use rustix::fs::{FallocateFlags, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A directory held open; everything in it is named relative to it.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    file: File,
}

impl Directory {
    /// Opens a directory that exists.
    pub(crate) fn open(path: &Path) -> Result<Self, JournalError> {
        let file = File::open(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => JournalError::NoJournal { dir: path.to_owned() },
            _ => JournalError::io(path, "open", error),
        })?;
        let metadata = file.metadata().map_err(|error| JournalError::io(path, "stat", error))?;
        if !metadata.is_dir() {
            let error = io::Error::from(ErrorKind::NotADirectory);
            return Err(JournalError::io(path, "open", error));
        }
        Ok(Self { path: path.to_owned(), file })
    }

    /// Opens a directory, creating it, and its parents, where missing.
    pub(crate) fn create(path: &Path) -> Result<Self, JournalError> {
        std::fs::create_dir_all(path).map_err(|error| JournalError::io(path, "create", error))?;
        Self::open(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The names in it, those that are UTF-8: ours are.
    pub(crate) fn names(&self) -> Result<Vec<String>, JournalError> {
        let fail = |error| JournalError::io(&self.path, "list", error);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(fail)? {
            names.extend(entry.map_err(fail)?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Opens a regular file. A link, a directory or a FIFO by this name is refused.
    pub(crate) fn open_file(&self, name: &str, access: Access) -> Result<File, JournalError> {
        let path = self.path_of(name);
        let flags = access.flags() | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = rustix::fs::openat(&self.file, name, flags, Mode::from_raw_mode(0o644)).map_err(
            |error| match error {
                Errno::LOOP => {
                    JournalError::NotASegment { path: path.clone(), why: "it is a link" }
                }
                error => JournalError::io(&path, "open", error.into()),
            },
        )?;
        let file = File::from(fd);
        let metadata = file.metadata().map_err(|error| JournalError::io(&path, "stat", error))?;
        if !metadata.is_file() {
            return Err(JournalError::NotASegment { path, why: "it is not a regular file" });
        }
        Ok(file)
    }

    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), JournalError> {
        rustix::fs::renameat(&self.file, from, &self.file, to)
            .map_err(|error| JournalError::io(&self.path_of(from), "rename", error.into()))?;
        self.sync()
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), JournalError> {
        rustix::fs::unlinkat(&self.file, name, rustix::fs::AtFlags::empty())
            .map_err(|error| JournalError::io(&self.path_of(name), "remove", error.into()))?;
        self.sync()
    }

    /// Makes renames and removals durable.
    pub(crate) fn sync(&self) -> Result<(), JournalError> {
        self.file.sync_all().map_err(|error| JournalError::io(&self.path, "sync", error))
    }

    /// Writes a whole file under a temporary name, syncs it, and gives it its name.
    pub(crate) fn install(&self, name: &str, parts: &[&[u8]]) -> Result<(), JournalError> {
        let tmp = format!("{name}.tmp");
        let path = self.path_of(&tmp);
        let mut file = self.open_file(&tmp, Access::Create)?;
        for part in parts {
            file.write_all(part).map_err(|error| full_or_io(&path, "write", part.len(), error))?;
        }
        file.sync_all().map_err(|error| JournalError::io(&path, "sync", error))?;
        self.rename(&tmp, name)
    }

    /// Reads a whole file.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>, JournalError> {
        let mut bytes = Vec::new();
        self.open_file(name, Access::Read)?
            .read_to_end(&mut bytes)
            .map_err(|error| JournalError::io(&self.path_of(name), "read", error))?;
        Ok(bytes)
    }
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    ReadWrite,
    /// Created, or emptied where it was left over.
    Create,
    /// Created where missing.
    Keep,
}

impl Access {
    fn flags(self) -> OFlags {
        match self {
            Self::Read => OFlags::RDONLY,
            Self::ReadWrite => OFlags::RDWR,
            Self::Create => OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC,
            Self::Keep => OFlags::RDWR | OFlags::CREATE,
        }
    }
}

/// Makes sure of `bytes` on the disk: allocates them, then writes zeros page by page, since one
/// large write lets the kernel use large folios, and then a later sync of one page writes 2 MiB.
pub(crate) fn allocate(file: &File, path: &Path, bytes: u64) -> Result<(), JournalError> {
    let page = [0; 4096];
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
        // The zeros below allocate just as surely, only slower.
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
        Err(error) => return Err(full_or_io(path, "allocate", bytes as usize, error.into())),
    }
    for offset_bytes in (0..bytes).step_by(page.len()) {
        file.write_all_at(&page, offset_bytes)
            .map_err(|error| full_or_io(path, "zero", bytes as usize, error))?;
    }
    Ok(())
}

/// Overwrites `bytes` from `from` on with zeros.
pub(crate) fn zero(file: &File, from: usize, bytes: usize) -> io::Result<()> {
    let zeros = [0; 4096];
    for at in (0..bytes).step_by(zeros.len()) {
        let len = zeros.len().min(bytes - at);
        file.write_all_at(&zeros[..len], (from + at) as u64)?;
    }
    Ok(())
}

/// ENOSPC and its kin have a variant of their own.
fn full_or_io(path: &Path, op: &'static str, bytes: usize, error: io::Error) -> JournalError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            JournalError::DiskFull { path: path.to_owned(), needed_bytes: bytes as u64 }
        }
        _ => JournalError::io(path, op, error),
    }
}
