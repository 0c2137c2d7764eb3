//! A directory of a test's own, removed at the end.

#![allow(dead_code, reason = "each test uses a part")]

use std::path::{Path, PathBuf};

/// A directory that does not exist yet and is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// A directory for the test `name`.
    pub(crate) fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("tourbillon-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        Self(dir)
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Its files whose names end in `suffix`, sorted.
    pub(crate) fn files(&self, suffix: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.0).expect("the directory is there");
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("listed").path()).collect();
        files.retain(|path| path.to_string_lossy().ends_with(suffix));
        files.sort();
        files
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A core that this process may run on.
pub(crate) fn a_core() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let digits =
        |text: &str| text.trim().chars().take_while(char::is_ascii_digit).collect::<String>();
    list.and_then(|list| digits(list).parse().ok()).unwrap_or(0)
}
