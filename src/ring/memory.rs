//! *Owns* the mapped bytes of a ring, whatever they come from. *Invariant*: they are zero when born,
//! faulted in before anyone publishes, stay where they are until dropped, and whoever shares them
//! with a file holds the file's lock or maps them read-only. *Source*: mmap(2), madvise(2).
//!
//! | source | born by | outlives the process |
//! |---|---|---|
//! | anonymous | a private map; the allocator where there is no Linux, and under loom | no |
//! | file | a shared map of a whole file on tmpfs or hugetlbfs | yes |

use core::ptr::NonNull;

pub(crate) const PAGE_BYTES: usize = 4096;

/// How a bus's memory is asked for.
///
/// The defaults are a private, prefaulted map of plain pages: no option costs the hot path anything,
/// huge pages save it misses of the address cache on large rings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryOptions {
    huge_pages: bool,
    locked: bool,
}

impl MemoryOptions {
    /// Plain pages, not locked.
    #[must_use]
    pub const fn new() -> Self {
        Self { huge_pages: false, locked: false }
    }

    /// Asks for pages of 2 MiB: reserved ones first, then the kernel's transparent ones. A named
    /// ring gets them from the mount: hugetlbfs, or tmpfs with `huge=`.
    #[must_use]
    pub const fn huge_pages(mut self, huge_pages: bool) -> Self {
        self.huge_pages = huge_pages;
        self
    }

    /// Asks for memory that is never swapped; the process's limit may refuse it.
    #[must_use]
    pub const fn locked(mut self, locked: bool) -> Self {
        self.locked = locked;
        self
    }
}

/// What became of one wish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grant {
    /// Nobody asked.
    #[default]
    NotAsked,
    /// Had.
    Granted,
    /// The kernel took the advice; it may follow it page by page.
    Advised,
    /// Refused, and the bus runs without.
    Refused {
        /// Why.
        why: String,
    },
}

impl core::fmt::Display for Grant {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotAsked => f.write_str("not asked for"),
            Self::Granted => f.write_str("granted"),
            Self::Advised => f.write_str("advised"),
            Self::Refused { why } => write!(f, "refused: {why}"),
        }
    }
}

/// What of the [`MemoryOptions`] a bus got. A refused wish is no error: the bus runs, only slower.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Granted {
    /// Pages of 2 MiB.
    pub huge_pages: Grant,
    /// Memory that is never swapped.
    pub locked: Grant,
}

/// Bytes that stay where they are.
pub(crate) struct Memory {
    base: NonNull<u8>,
    bytes: usize,
    granted: Granted,
    /// Closing the file gives its lock back: after the map is gone.
    #[cfg(all(target_os = "linux", not(any(loom, miri))))]
    _file: Option<std::fs::File>,
}

impl Memory {
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    #[cfg(not(loom))]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn granted(&self) -> &Granted {
        &self.granted
    }

    /// Touches every page, so that no publish takes a fault later. Changes no byte.
    fn prefault(&self) {
        #[cfg(all(target_os = "linux", not(any(loom, miri))))]
        if mapped::populate(self) {
            return;
        }
        for offset_bytes in (0..self.bytes).step_by(PAGE_BYTES) {
            // SAFETY: `offset_bytes` lies within the memory.
            let page = unsafe { self.base.add(offset_bytes) };
            // SAFETY: in bounds, initialised: zero, or the file's; nobody else writes it yet.
            let byte = unsafe { page.read_volatile() };
            // SAFETY: as above. Volatile, since the byte stays as it is.
            unsafe { page.write_volatile(byte) };
        }
    }
}

impl core::fmt::Debug for Memory {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Memory")
            .field("bytes", &self.bytes)
            .field("granted", &self.granted)
            .finish_non_exhaustive()
    }
}

#[cfg(not(all(target_os = "linux", not(any(loom, miri)))))]
mod heap {
    //! Where maps are not to be had: zeroed memory of the allocator.

    use super::{Grant, Granted, Memory, MemoryOptions, PAGE_BYTES};
    use crate::ring::error::RegionError;
    use core::ptr::NonNull;
    use std::alloc::{Layout, alloc_zeroed, dealloc};
    use std::io::ErrorKind;

    impl Memory {
        /// Zeroed, prefaulted memory of this process alone.
        pub(crate) fn anonymous(bytes: usize, options: MemoryOptions) -> Result<Self, RegionError> {
            let layout = Layout::from_size_align(bytes.max(PAGE_BYTES), PAGE_BYTES)
                .map_err(|_| RegionError::TooLarge)?;
            // SAFETY: the layout is not empty.
            let base = unsafe { alloc_zeroed(layout) };
            let source = ErrorKind::OutOfMemory.into();
            let base = NonNull::new(base).ok_or(RegionError::OutOfMemory { bytes, source })?;
            let refuse = |asked: bool| match asked {
                true => Grant::Refused { why: "needs Linux".to_owned() },
                false => Grant::NotAsked,
            };
            let granted =
                Granted { huge_pages: refuse(options.huge_pages), locked: refuse(options.locked) };
            let memory = Self { base, bytes: layout.size(), granted };
            memory.prefault();
            Ok(memory)
        }
    }

    impl Drop for Memory {
        fn drop(&mut self) {
            // SAFETY: allocated in `anonymous` with this size and alignment.
            let layout = unsafe { Layout::from_size_align_unchecked(self.bytes, PAGE_BYTES) };
            // SAFETY: as above, and nobody is left who knows it.
            unsafe { dealloc(self.base.as_ptr(), layout) };
        }
    }
}

#[cfg(all(target_os = "linux", not(any(loom, miri))))]
mod mapped {
    use super::{Grant, Granted, Memory, MemoryOptions, PAGE_BYTES};
    use crate::ring::error::RegionError;
    use core::ffi::c_void;
    use core::ptr::{NonNull, null_mut};
    use rustix::io::Errno;
    use rustix::mm::{self, Advice, MapFlags, ProtFlags};
    use std::fs::File;
    use std::io;

    const HUGE_PAGE_BYTES: usize = 2 << 20;

    impl Memory {
        /// Zeroed, prefaulted memory of this process alone.
        pub(crate) fn anonymous(bytes: usize, options: MemoryOptions) -> Result<Self, RegionError> {
            let plain = || private(bytes, PAGE_BYTES, MapFlags::PRIVATE);
            let huge = MapFlags::PRIVATE | MapFlags::HUGETLB | MapFlags::HUGE_2MB;
            let (mut memory, is_huge) = match options.huge_pages {
                false => (plain()?, false),
                true => match private(bytes, HUGE_PAGE_BYTES, huge) {
                    Ok(memory) => (memory, true),
                    Err(_) => (plain()?, false),
                },
            };
            memory.wish(options, is_huge);
            Ok(memory)
        }

        /// The whole of `file`, shared and writable, prefaulted. The file's lock lives as long.
        pub(crate) fn of_file(
            file: File,
            bytes: usize,
            options: MemoryOptions,
        ) -> io::Result<Self> {
            let mut memory = shared(file, bytes, ProtFlags::READ | ProtFlags::WRITE)?;
            memory.wish(options, false);
            Ok(memory)
        }

        /// The whole of `file`, read-only.
        pub(crate) fn observed(file: File, bytes: usize) -> io::Result<Self> {
            shared(file, bytes, ProtFlags::READ)
        }

        /// Asks for what was wished, then faults every page in.
        fn wish(&mut self, options: MemoryOptions, is_huge: bool) {
            let said = |said: Result<(), Errno>, good| match said {
                Ok(()) => good,
                Err(error) => Grant::Refused { why: io::Error::from(error).to_string() },
            };
            if is_huge {
                self.granted.huge_pages = Grant::Granted;
            } else if options.huge_pages {
                self.granted.huge_pages = said(advise(self, Advice::LinuxHugepage), Grant::Advised);
            }
            self.prefault();
            if options.locked {
                // SAFETY: the whole map, which lives as long as `self`.
                let locked = unsafe { mm::mlock(self.base.as_ptr().cast(), self.bytes) };
                self.granted.locked = said(locked, Grant::Granted);
            }
        }
    }

    /// A private map of `bytes`, rounded up to whole pages of `page_bytes`.
    fn private(bytes: usize, page_bytes: usize, flags: MapFlags) -> Result<Memory, RegionError> {
        let bytes = bytes.checked_next_multiple_of(page_bytes).ok_or(RegionError::TooLarge)?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the place, so no memory in use is touched.
        let base = unsafe { mm::mmap_anonymous(null_mut(), bytes, access, flags) };
        let refuse = |source| RegionError::OutOfMemory { bytes, source };
        let base = base.map_err(|error| refuse(error.into()))?;
        let base = NonNull::new(base.cast()).ok_or_else(|| refuse(io::ErrorKind::Other.into()))?;
        Ok(Memory { base, bytes, granted: Granted::default(), _file: None })
    }

    /// A shared map of the first `bytes` of `file`.
    fn shared(file: File, bytes: usize, access: ProtFlags) -> io::Result<Memory> {
        let (flags, place) = (MapFlags::SHARED, null_mut());
        // SAFETY: the kernel chooses the place. That nobody shortens the file is what the docs ask of
        // whoever has its permissions: then an access would be SIGBUS.
        let base: *mut c_void = unsafe { mm::mmap(place, bytes, access, flags, &file, 0) }?;
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::Other)?;
        Ok(Memory { base, bytes, granted: Granted::default(), _file: Some(file) })
    }

    fn advise(memory: &Memory, advice: Advice) -> Result<(), Errno> {
        // SAFETY: the whole map; none of the advices given here changes a byte.
        unsafe { mm::madvise(memory.base.as_ptr().cast(), memory.bytes, advice) }
    }

    /// Faults every page in for writing; `false` where the kernel is older than 5.14.
    pub(super) fn populate(memory: &Memory) -> bool {
        advise(memory, Advice::LinuxPopulateWrite).is_ok()
    }

    impl Drop for Memory {
        fn drop(&mut self) {
            // SAFETY: mapped with this size, and nobody is left who knows it.
            let unmapped = unsafe { mm::munmap(self.base.as_ptr().cast(), self.bytes) };
            debug_assert!(unmapped.is_ok());
        }
    }
}
