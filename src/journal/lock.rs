//! *Owns* who may write a journal: one holder in all processes. *Invariant*: the lock is held as
//! long as the value lives. *Source*: flock(2), which refuses a second open in the same process too;
//! a forked child keeps it, and the error says so.

use crate::journal::error::JournalError;
use crate::journal::storage::{Access, Directory};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Write};

const NAME: &str = "lock";

/// The lock of a journal's directory.
#[derive(Debug)]
pub(crate) struct Lock {
    /// Closing it gives the lock back.
    _file: File,
}

impl Lock {
    /// Takes the lock, or says who has it.
    pub(crate) fn take(directory: &Directory) -> Result<Self, JournalError> {
        let path = directory.path_of(NAME);
        let mut file = directory.open_file(NAME, Access::Keep)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let holder =
                    file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(JournalError::Locked { dir: directory.path().to_owned(), holder });
            }
            Err(error) => return Err(JournalError::io(&path, "lock", error.into())),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|error| JournalError::io(&path, "write", error))?;
        Ok(Self { _file: file })
    }
}
