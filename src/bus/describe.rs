//! *Owns* the account of what was built. *Invariant*: it says what runs, not what was asked for; where
//! the two differ, it says both. *Source*: its own; cache sizes from Linux's
//! `/sys/devices/system/cpu/cpu0/cache`.

use super::Counters;
use crate::control::OnPanic;
use crate::ring::{Granted, Ring};
use crate::sequence::Sequence;
use crate::topology::{JOURNAL, Milestone, Node, Plan, Role};
use crate::wait::{Wait, WhenFull};
use core::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One thread of a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Its stages, in graph order.
    pub stages: Vec<Arc<str>>,
    /// The core it is pinned to, if it is. One that was asked for and not granted refuses the bus.
    pub core: Option<usize>,
    /// What it does when there is nothing to do.
    pub wait: Wait,
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → ", self.stages.join(" + "))?;
        match self.core {
            Some(core) => write!(f, "core {core}")?,
            None => f.write_str("any core")?,
        }
        write!(f, ", {}", self.wait)
    }
}

/// The smallest memory that holds the whole ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fits {
    /// A cache of the first core, alone in it.
    Cache {
        /// Its level, from 1.
        level: u32,
        /// Its size.
        bytes: u64,
    },
    /// No cache.
    Memory,
    /// The machine does not tell its caches.
    Unknown,
}

impl fmt::Display for Fits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cache { level, bytes } => write!(f, "fits L{level} of {} KiB", bytes >> 10),
            Self::Memory => f.write_str("exceeds every cache"),
            Self::Unknown => f.write_str("cache sizes unknown"),
        }
    }
}

/// One gate of a bus: a stage, and what it stands behind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GateLine {
    /// The stage.
    pub stage: Arc<str>,
    /// `handler`, `projection`, `reactor`, `journal` or `poller`.
    pub kind: &'static str,
    /// What it stands behind; empty straight on the ring.
    pub behind: Vec<String>,
    /// Most events of one of its batches.
    pub batch_events_max: u64,
    /// What follows a panic. Of no account for a poller.
    pub on_panic: OnPanic,
    /// Whether it hangs on a kill switch.
    pub has_kill_switch: bool,
}

/// A consumer that is no stage of the bus: it joined while the bus ran.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JoinedLine {
    /// Its name.
    pub name: Arc<str>,
    /// Everything below was handled; `None` for a tap, which gates producers only while it copies.
    pub sequence: Option<Sequence>,
}

impl fmt::Display for JoinedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sequence {
            Some(sequence) => write!(f, "joined `{}` at {sequence}", self.name),
            None => write!(f, "tap `{}`", self.name),
        }
    }
}

/// A bus as it was built, with who has joined and what was counted by the time it was asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Description {
    /// Slots of the ring.
    pub slots: u64,
    /// Bytes from one slot to the next.
    pub stride_bytes: u64,
    /// Bytes of all slots.
    pub ring_bytes: u64,
    /// The smallest memory that holds them.
    pub fits: Fits,
    /// Bytes that a slot keeps for an archive, as asked for; `None` for inline events, whose type says
    /// it.
    pub framed_slot_bytes: Option<usize>,
    /// The file that the ring lies in, if it has a name.
    pub path: Option<PathBuf>,
    /// Which wishes for its memory were granted.
    pub granted: Granted,
    /// Whether several producers share it.
    pub has_several_producers: bool,
    /// What a producer does when the ring is full.
    pub when_full: WhenFull,
    /// Whether there is a journal.
    pub has_journal: bool,
    /// The threads.
    pub threads: Vec<Placement>,
    /// The stages, in the order of declaration.
    pub gates: Vec<GateLine>,
    /// Consumers and taps that had joined when this was asked.
    pub joined: Vec<JoinedLine>,
    /// What was counted by then.
    pub counters: Counters,
    /// What was asked for and not granted, one sentence each.
    pub not_granted: Vec<String>,
}

impl Description {
    pub(super) fn new(ring: &Ring, nodes: &[Node], plan: &Plan, when_full: WhenFull) -> Self {
        let shape = ring.region().shape();
        let slots = shape.capacity;
        let names: Vec<Arc<str>> = nodes.iter().map(|node| Arc::from(node.name.as_str())).collect();
        let threads: Vec<Placement> = plan
            .threads
            .iter()
            .map(|thread| Placement {
                stages: thread.stages.iter().map(|&at| Arc::clone(&names[at])).collect(),
                core: thread.core,
                wait: thread.wait.clone(),
            })
            .collect();
        let gates = nodes.iter().zip(names).map(|(node, stage)| gate(node, stage, slots)).collect();
        Self {
            slots,
            stride_bytes: shape.stride as u64,
            ring_bytes: slots * shape.stride as u64,
            fits: Fits::Unknown,
            framed_slot_bytes: None,
            path: None,
            granted: ring.region().granted().clone(),
            has_several_producers: false,
            when_full,
            has_journal: nodes.iter().any(|node| node.role == Role::Journal),
            not_granted: not_granted(nodes, &threads, slots, plan.cores),
            joined: Vec::new(),
            counters: Counters::default(),
            threads,
            gates,
        }
    }

    /// With who has joined `ring` beside the stages, and what was counted.
    pub(super) fn asked_now(mut self, ring: &Ring, counters: Counters) -> Self {
        let is_stage = |name: &Arc<str>| self.gates.iter().any(|gate| gate.stage == *name);
        let lines = ring.consumers().into_iter().filter(|(name, _)| !is_stage(name));
        self.joined = lines.map(|(name, sequence)| JoinedLine { name, sequence }).collect();
        self.counters = counters;
        self
    }

    /// With what the machine says of its caches.
    pub(super) fn measured(mut self) -> Self {
        let caches = caches(Path::new("/sys/devices/system/cpu/cpu0/cache"));
        self.fits = fits(self.ring_bytes, &caches);
        self
    }
}

fn gate(node: &Node, stage: Arc<str>, slots: u64) -> GateLine {
    let kind = match node.role {
        Role::Poller => "poller",
        Role::Handler if node.has_state => "projection",
        Role::Handler => "handler",
        Role::Reactor => "reactor",
        Role::Journal => "journal",
    };
    let milestones = node.behind.iter().map(|milestone| match milestone {
        Milestone::Journaled => format!("{JOURNAL} (journaled)"),
        Milestone::Durable => format!("{JOURNAL} (durable)"),
    });
    let other = node.is_behind_ring.then(|| "another bus".to_owned());
    GateLine {
        stage,
        kind,
        behind: node.after.iter().cloned().chain(milestones).chain(other).collect(),
        batch_events_max: node.batch_events_max.unwrap_or(slots / 4).clamp(1, slots),
        on_panic: node.on_panic,
        has_kill_switch: node.switch.is_some(),
    }
}

fn not_granted(nodes: &[Node], threads: &[Placement], slots: u64, cores: usize) -> Vec<String> {
    let mut missing = Vec::new();
    for node in nodes {
        if let Some(asked) = node.batch_events_max.filter(|&asked| asked > slots) {
            missing.push(format!(
                "stage `{}` asked for batches of {asked} events; the ring bounds them to {slots}",
                node.name
            ));
        }
    }
    let spinners = threads.iter().filter(|thread| thread.wait.spins()).count();
    if spinners > cores {
        missing.push(format!(
            "{spinners} threads asked to spin; {cores} cores are there, so they take turns"
        ));
    }
    let autos = threads.iter().filter(|thread| thread.wait == Wait::Auto).count();
    if autos > 0 && threads.len() >= cores {
        missing.push(format!(
            "{autos} threads wait by `auto` and yield and park: {} threads leave no core of {cores} to a producer",
            threads.len()
        ));
    }
    missing
}

/// Level and bytes of each cache for data that the directory `dir` lists.
fn caches(dir: &Path) -> Vec<(u32, u64)> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let cache = |dir: &Path| {
        let read = |name: &str| std::fs::read_to_string(dir.join(name)).ok();
        if read("type")?.trim() == "Instruction" {
            return None;
        }
        Some((read("level")?.trim().parse().ok()?, bytes(read("size")?.trim())?))
    };
    entries.flatten().filter_map(|entry| cache(&entry.path())).collect()
}

/// Reads a size such as `48K`.
fn bytes(size: &str) -> Option<u64> {
    let digits = size.trim_end_matches(['K', 'M', 'G']);
    let shift = match &size[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

fn fits(ring_bytes: u64, caches: &[(u32, u64)]) -> Fits {
    let large_enough = caches.iter().filter(|(_, bytes)| *bytes >= ring_bytes);
    match large_enough.min() {
        Some(&(level, bytes)) => Fits::Cache { level, bytes },
        None if caches.is_empty() => Fits::Unknown,
        None => Fits::Memory,
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { slots, stride_bytes, ring_bytes, fits, when_full, granted, .. } = self;
        writeln!(f, "ring: {slots} slots of {stride_bytes} bytes = {ring_bytes} bytes, {fits}")?;
        match self.framed_slot_bytes {
            Some(bytes) => writeln!(f, "events: framed, archives of {bytes} bytes at most")?,
            None => writeln!(f, "events: inline")?,
        }
        let path = self.path.as_ref().map(|path| path.display().to_string());
        write!(f, "memory: {}", path.as_deref().unwrap_or("anonymous"))?;
        writeln!(f, "; huge pages {}; locked {}", granted.huge_pages, granted.locked)?;
        let kind = if self.has_several_producers { "several" } else { "one" };
        writeln!(f, "producers: {kind}; when full, {when_full:?}")?;
        writeln!(f, "journal: {}", if self.has_journal { "yes" } else { "no" })?;
        for thread in &self.threads {
            writeln!(f, "thread: {thread}")?;
        }
        for gate in &self.gates {
            writeln!(f, "{gate}")?;
        }
        for joined in &self.joined {
            writeln!(f, "{joined}")?;
        }
        let Counters { aborted, stalls } = self.counters;
        writeln!(f, "counted: {aborted} sequences aborted, {stalls} stalls of producers")?;
        for missing in &self.not_granted {
            writeln!(f, "not granted: {missing}")?;
        }
        Ok(())
    }
}

impl fmt::Display for GateLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}` ", self.kind, self.stage)?;
        if self.behind.is_empty() {
            f.write_str("straight on the ring")?;
        } else {
            write!(f, "behind {}", self.behind.join(", "))?;
        }
        write!(f, "; batches of {} at most", self.batch_events_max)?;
        if self.kind != "poller" {
            write!(f, "; on panic {}", self.on_panic)?;
        }
        if self.has_kill_switch {
            f.write_str("; kill switch")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_cache_that_holds_the_ring_is_named() {
        let caches = [(3, 32 << 20), (1, 48 << 10), (2, 2 << 20)];
        assert_eq!(fits(48 << 10, &caches), Fits::Cache { level: 1, bytes: 48 << 10 });
        assert_eq!(fits(49 << 10, &caches), Fits::Cache { level: 2, bytes: 2 << 20 });
        assert_eq!(fits(33 << 20, &caches), Fits::Memory);
        assert_eq!(fits(1, &[]), Fits::Unknown);
    }

    #[test]
    fn sizes_are_read_as_the_kernel_writes_them() {
        let read = ["48K", "2M", "1G", "512", "K", "", "4T", "-1K"].map(bytes);
        let (k, m, g) = (48 << 10, 2 << 20, 1 << 30);
        assert_eq!(read, [Some(k), Some(m), Some(g), Some(512), None, None, None, None]);
    }

    #[test]
    fn a_machine_that_does_not_tell_its_caches_has_none() {
        assert!(caches(Path::new("/nowhere/at/all")).is_empty());
    }
}
