//! *Owns* why a bus was not built. *Invariant*: whatever concerns a stage names it, and says how to go
//! on. *Source*: its own.

use core::fmt;

/// Why a bus was not built. Every variant that concerns a stage names it.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The capacity is not a power of two, or below 2.
    Capacity {
        /// What was asked for.
        asked: usize,
        /// The next capacity that would do.
        next: usize,
    },
    /// Two stages have one name.
    Duplicate {
        /// The name.
        stage: String,
    },
    /// A stage stands behind a name that no stage has.
    Unknown {
        /// The stage that asks.
        stage: String,
        /// The name it asks for.
        upstream: String,
    },
    /// The graph goes in a circle.
    Cycle {
        /// A stage on the circle.
        stage: String,
    },
    /// A stage stands behind a journal, or takes snapshots, and the bus has no journal.
    NoJournal {
        /// The stage.
        stage: String,
    },
    /// A reactor would act on events that a crash can take back.
    ReactorNotBehindJournal {
        /// The stage.
        stage: String,
    },
    /// More stages than the ring has gates.
    TooManyStages {
        /// Stages asked for.
        stages: usize,
        /// Gates in the ring.
        gates: usize,
    },
    /// The core cannot be had.
    Core {
        /// The stage.
        stage: String,
        /// The core.
        core: usize,
        /// Why not.
        why: String,
    },
    /// No isolated core is left for the stage.
    NoIsolatedCore {
        /// The stage.
        stage: String,
        /// The machine's isolated cores; other stages have them.
        isolated: Vec<usize>,
    },
    /// More spinning threads than cores: each would steal from the others.
    TooManySpinners {
        /// Threads that spin, named by their stages.
        threads: Vec<String>,
        /// Cores this process may run on.
        cores: usize,
    },
    /// Stages on one core ask for different waits.
    WaitConflict {
        /// The second stage.
        stage: String,
        /// The core.
        core: usize,
    },
    /// The stage cannot have what was asked for it.
    Refused {
        /// The stage.
        stage: String,
        /// What was asked for.
        asked: String,
        /// Why it cannot have it.
        why: &'static str,
    },
    /// The operating system refused a thread.
    Thread {
        /// The stage.
        stage: String,
        /// Its error.
        source: std::io::Error,
    },
    /// A stage's `on_start` panicked.
    StartPanicked {
        /// The stage.
        stage: String,
        /// The panic's message.
        message: String,
    },
    /// The region of this capacity and stride does not fit the address space.
    TooLarge {
        /// Slots.
        capacity: usize,
        /// Bytes of a slot.
        stride: usize,
    },
    /// The event is inline: its type says how large a slot is.
    SlotBytesOfInline {
        /// The event's name.
        event: &'static str,
    },
    /// The slots would be larger than an archive can be.
    SlotBytes {
        /// What was asked for.
        asked: usize,
        /// The most that would do.
        most: usize,
    },
    /// The ring did not get its memory, or was not adopted.
    Region(crate::ring::RegionError),
    /// The journal could not be opened or started.
    #[cfg(feature = "journal")]
    Journal(crate::journal::JournalError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capacity { asked, next } => {
                write!(f, "capacity {asked} is not a power of two of at least 2; {next} is")
            }
            Self::Duplicate { stage } => {
                write!(f, "two stages are named `{stage}`; a name is a stage's only address")
            }
            Self::Unknown { stage, upstream } => {
                write!(f, "stage `{stage}` stands behind `{upstream}`, which no stage is named")
            }
            Self::Cycle { stage } => {
                write!(f, "stage `{stage}` stands behind itself; cut the circle")
            }
            Self::NoJournal { stage } => {
                write!(
                    f,
                    "stage `{stage}` stands behind the journal, or beside it with snapshots, but the bus has none"
                )
            }
            Self::ReactorNotBehindJournal { stage } => write!(
                f,
                "reactor `{stage}` could act on events that a crash takes back; add `.behind(Journaled)` or `.behind(Durable)`"
            ),
            Self::TooManyStages { stages, gates } => {
                write!(f, "{stages} stages on one ring, which has {gates} gates; use a second ring")
            }
            Self::Core { stage, core, why } => {
                write!(f, "stage `{stage}` cannot have core {core}: {why}")
            }
            Self::NoIsolatedCore { stage, isolated } => no_isolated_core(f, stage, isolated),
            Self::TooManySpinners { threads, cores } => write!(
                f,
                "{} spinning threads ({}) on {cores} cores; fuse stages on one core, choose another wait, or allow it by `allow_more_spinners_than_cores`",
                threads.len(),
                threads.join(", ")
            ),
            Self::WaitConflict { stage, core } => write!(
                f,
                "stage `{stage}` shares core {core} with a stage of another wait; fused stages wait together"
            ),
            Self::Refused { stage, asked, why } => {
                write!(f, "stage `{stage}` cannot have {asked}: {why}")
            }
            Self::Thread { stage, source } => write!(f, "no thread for stage `{stage}`: {source}"),
            Self::StartPanicked { stage, message } => {
                write!(f, "stage `{stage}` panicked in `on_start`: {message}")
            }
            Self::TooLarge { capacity, stride } => {
                write!(f, "{capacity} slots of {stride} bytes exceed the address space")
            }
            Self::SlotBytesOfInline { event } => write!(
                f,
                "event `{event}` is inline, so its type says how large a slot is; drop `slot_bytes`, or mark the event `framed`"
            ),
            Self::SlotBytes { asked, most } => {
                write!(f, "slots of {asked} bytes exceed what an archive can have; at most {most}")
            }
            Self::Region(error) => error.fmt(f),
            #[cfg(feature = "journal")]
            Self::Journal(error) => error.fmt(f),
        }
    }
}

fn no_isolated_core(f: &mut fmt::Formatter<'_>, stage: &str, isolated: &[usize]) -> fmt::Result {
    write!(f, "stage `{stage}` asks for an isolated core, and ")?;
    if isolated.is_empty() {
        return f.write_str(
            "this machine has none; boot it with `isolcpus=`, or choose a core by `core`",
        );
    }
    let cores: Vec<String> = isolated.iter().map(usize::to_string).collect();
    let cores = cores.join(", ");
    write!(f, "other stages have all of them ({cores}); isolate more, or fuse stages by `core`")
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Thread { source, .. } => Some(source),
            Self::Region(error) => Some(error),
            #[cfg(feature = "journal")]
            Self::Journal(error) => Some(error),
            _ => None,
        }
    }
}

impl From<crate::ring::RegionError> for BuildError {
    fn from(error: crate::ring::RegionError) -> Self {
        Self::Region(error)
    }
}

#[cfg(feature = "journal")]
impl From<crate::journal::JournalError> for BuildError {
    fn from(error: crate::journal::JournalError) -> Self {
        Self::Journal(error)
    }
}
