//! *Owns* state that follows from events, and its snapshots. *Invariant*: a snapshot is never ahead
//! of the durable journal, so state can always be rebuilt from what is on the disk. *Source*: event
//! sourcing with snapshots.

mod projection;
mod snapshot;

pub use projection::{Projection, State};
pub use snapshot::SetAside;
pub(crate) use snapshot::{SnapshotExpected, SnapshotHead, load_newest, write};
