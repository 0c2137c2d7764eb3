//! *Owns* the story: run, kill, recover, finish, compare. *Invariant*: the kill is a real SIGKILL of
//! a process of its own, and the comparison is with a run that nobody interrupted. *Source*: its own.

use crate::args::Args;
use crate::feed::Feed;
use crate::report;
use crate::run::{self, Request, RunError};
use crate::temporary::Temporary;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// SIGKILL's number, everywhere.
const SIGKILL: i32 = 9;

/// Tells the story; gives whether the digests were equal.
pub fn tell(args: &Args) -> Result<bool, RunError> {
    let feed = Feed::load(&args.feed)?;
    let (killed, whole) = (Temporary::new("killed")?, Temporary::new("whole")?);
    let kill_at = feed.len() / 2;

    say("1. a child process runs the feed and is killed with SIGKILL in the middle")?;
    let signal = run_child(args, killed.path(), kill_at, feed.len())?;
    say(&format!("   it died of signal {signal}, when event {kill_at} was published\n"))?;
    if signal != SIGKILL {
        return Err(RunError(format!("the child died of signal {signal}, not of SIGKILL")));
    }

    say("2. this process rebuilds the state from the journal and finishes the feed")?;
    let bar = bar(feed.len());
    let (replay_bar, mut feed_bar) = (bar.clone(), bar.clone());
    let recovered = run::recover(
        &args.feed,
        &request(args, killed.path()),
        move |progress| replay_bar.set_position(progress.sequence.get()),
        &mut |at| feed_bar.set_position(at),
    )?;
    bar.finish_and_clear();
    say(&report::table(&recovered))?;

    say("3. the same feed, uninterrupted")?;
    let bar = self::bar(feed.len());
    feed_bar = bar.clone();
    let uninterrupted =
        run::fresh(&feed, &request(args, whole.path()), &mut |at| feed_bar.set_position(at))?;
    bar.finish_and_clear();
    say(&report::table(&uninterrupted))?;

    let (left, right) = (recovered.engine.digest(), uninterrupted.engine.digest());
    let verdict = if left == right { "yes" } else { "NO" };
    say(&format!("digest equal: {verdict} ({left:016x}, {right:016x})"))?;
    Ok(left == right)
}

fn request<'a>(args: &'a Args, dir: &'a Path) -> Request<'a> {
    Request {
        dir,
        snapshot_every: args.snapshot_every,
        segment_bytes: args.segment_bytes,
        kill_at: None,
        pin: &args.pin,
    }
}

/// Runs the feed in a child until it kills itself; gives the signal it died of.
fn run_child(args: &Args, dir: &Path, kill_at: u64, len: u64) -> Result<i32, RunError> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--tell", "--json", "--kill-at", &kill_at.to_string(), "--dir"])
        .arg(dir)
        .args(["--snapshot-every", &args.snapshot_every.to_string()])
        .args(["--segment-bytes", &args.segment_bytes.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let bar = bar(len);
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            bar.set_position(line?.parse().unwrap_or(0));
        }
    }
    bar.finish_and_clear();
    Ok(child.wait()?.signal().unwrap_or(0))
}

/// A bar on a terminal, and nothing elsewhere.
fn bar(len: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("   {bar:40} {human_pos} of {human_len} events");
    let bar = ProgressBar::new(len);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn say(text: &str) -> Result<(), RunError> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
