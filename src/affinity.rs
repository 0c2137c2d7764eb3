//! *Owns* which core a thread runs on. *Invariant*: a thread that was promised a core runs there, or
//! the bus does not start. *Source*: `sched_setaffinity(2)`; the answer is read back, and isolated
//! cores, which no thread inherits, can be had by name.

use std::thread::available_parallelism;

/// Cores that threads of this process can count on; at least 1.
pub(crate) fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// Cores that the scheduler leaves alone, in order; empty where it does not say.
pub(crate) fn isolated() -> Vec<usize> {
    let list = std::fs::read_to_string("/sys/devices/system/cpu/isolated").unwrap_or_default();
    numbers(list.trim())
}

/// Reads the kernel's list format, as `2-3,5`; what is no such list is empty.
fn numbers(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
        (first <= last).then(|| usize::from(first)..=usize::from(last))
    };
    let ranges: Option<Vec<_>> = list.split(',').map(range).collect();
    ranges.unwrap_or_default().into_iter().flatten().collect()
}

/// Pins the calling thread to `core`.
#[cfg(target_os = "linux")]
pub(crate) fn pin(core: usize) -> Result<(), String> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    if core >= CpuSet::MAX_CPU {
        return Err(format!("cores are numbered below {}", CpuSet::MAX_CPU));
    }
    let mut wanted = CpuSet::new();
    wanted.set(core);
    sched_setaffinity(None, &wanted)
        .map_err(|error| format!("{error}; it is absent, or outside this process's cpuset"))?;
    match sched_getaffinity(None) {
        Ok(granted) if granted == wanted => Ok(()),
        Ok(_) => Err("the system granted another set of cores".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Pins the calling thread to `core`.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pin(_core: usize) -> Result<(), String> {
    Err("this platform has no way to pin a thread; leave the core out".to_owned())
}

/// Has the calling thread's sleeps end when they should, not up to 50 µs later: Linux lets timers
/// slip by that much, to wake up less often.
pub(crate) fn sharpen_sleeps() {
    #[cfg(target_os = "linux")]
    // Where it is refused, sleeps are late, and nothing else is wrong.
    let _ = rustix::thread::set_current_timer_slack(core::num::NonZeroU64::new(1_000));
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn lists_of_cores_are_read_as_the_kernel_writes_them() {
        assert_eq!(numbers("2-3,5"), [2, 3, 5]);
        assert_eq!(numbers("7"), [7]);
        assert_eq!(numbers("0-1,4-4,126-128"), [0, 1, 4, 126, 127, 128]);
        for other in ["", "3-2", "a", "1,", "-1", "1-2-3", "0-99999999", " 1"] {
            assert!(numbers(other).is_empty(), "{other:?}");
        }
    }
}
