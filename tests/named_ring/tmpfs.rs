//! A place for rings.

#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use crate::child::{Entry, builder};
use parking_lot::{Mutex, MutexGuard};
use std::path::PathBuf;
use tourbillon::{BuildError, RegionError};

/// A directory in memory, gone at the end; `None`, with a notice, where there is none.
///
/// One test has one at a time. A child that one test starts holds, from its fork to its exec, a copy of
/// every file that is open, and with it the lock of a ring which another test has let go just then.
pub(crate) struct Tmpfs(
    pub(crate) PathBuf,
    #[allow(dead_code, reason = "held until it is dropped")] MutexGuard<'static, ()>,
);

static TURN: Mutex<()> = Mutex::new(());

impl Tmpfs {
    pub(crate) fn new(name: &str) -> Option<Self> {
        let turn = TURN.lock();
        let dir = PathBuf::from(format!("/dev/shm/tourbillon-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let is_there = std::fs::create_dir(&dir).is_ok();
        let probe = is_there.then(|| builder(&["probe"]).named(dir.join("probe")).is_refused());
        if probe != Some(false) {
            eprintln!("skipped: no tmpfs at /dev/shm");
            return None;
        }
        std::fs::remove_file(dir.join("probe")).expect("made just now");
        Some(Self(dir, turn))
    }

    pub(crate) fn ring(&self) -> PathBuf {
        self.0.join("ring")
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether a file is refused for where it lies.
pub(crate) trait Refused {
    fn is_refused(&mut self) -> bool;
}

impl Refused for tourbillon::BusBuilder<Entry> {
    fn is_refused(&mut self) -> bool {
        let builder = std::mem::replace(self, builder(&[]));
        matches!(builder.start(), Err(BuildError::Region(RegionError::NotInMemory { .. })))
    }
}
