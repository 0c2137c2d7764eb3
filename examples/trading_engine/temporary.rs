//! *Owns* a directory that goes with its value. *Invariant*: nothing is left behind by a process
//! that is not killed. *Source*: its own.

use std::io;
use std::path::{Path, PathBuf};

/// A directory of this process, removed at the end.
#[derive(Debug)]
pub struct Temporary(PathBuf);

impl Temporary {
    /// A directory whose name holds `purpose`.
    pub fn new(purpose: &str) -> io::Result<Self> {
        let name = format!("trading_engine-{}-{purpose}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir)?;
        Ok(Self(dir))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // It lies in the system's temporary directory, which is cleared sooner or later.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
