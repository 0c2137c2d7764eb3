//! *Owns* the command line. *Invariant*: whatever it accepts means something. *Source*: its own.

use crate::feed::FeedSpec;
use clap::Parser;
use std::path::PathBuf;

/// A trading engine whose state survives SIGKILL.
///
/// Without any argument it shows the whole story: run, kill, recover, compare.
#[derive(Clone, Debug, Parser)]
#[command(name = "trading_engine")]
pub struct Args {
    /// generated:SEED:COUNT, lobster:FILE or itch:FILE[:SYMBOL]
    #[arg(long, default_value = "generated:42:2000000")]
    pub feed: FeedSpec,

    /// Directory of journal and snapshots; created where missing. A temporary one by default.
    #[arg(long)]
    pub dir: Option<PathBuf>,

    /// Take a snapshot after every N events; 0 takes none.
    #[arg(long, value_name = "N", default_value_t = 250_000)]
    pub snapshot_every: u64,

    /// Kill this process with SIGKILL when event SEQ is published.
    #[arg(long, value_name = "SEQ")]
    pub kill_at: Option<u64>,

    /// Rebuild the state from DIR, then go on with the same feed.
    #[arg(long, requires = "dir")]
    pub recover: bool,

    /// Cores of journal, engine, and gateway with telemetry; fewer cores are shared.
    #[arg(long, value_name = "C1,C2,C3", value_delimiter = ',', num_args = 1..)]
    pub pin: Vec<usize>,

    /// Print one line of JSON at the end, and nothing else.
    #[arg(long)]
    pub json: bool,

    /// Bytes of a journal segment.
    #[arg(long, value_name = "BYTES", default_value_t = 32 << 20)]
    pub segment_bytes: u64,

    /// For the story: print the number of published events now and then.
    #[arg(long, hide = true)]
    pub tell: bool,
}
