//! The main job: a trading engine whose state survives `kill -9`.
//!
//! A feed is published into an input ring; a journal stage and an engine (order books, a market
//! maker, its limits) consume it; the engine's intents go through an output ring to a gateway, which
//! lets one out only after the input that caused it is journaled. See `--help`, or run it without
//! arguments for the whole story.

#![allow(unreachable_pub, reason = "a program: its modules are private to it")]

mod args;
mod book;
mod engine;
mod events;
mod feed;
mod report;
mod run;
mod story;
mod strategy;
mod temporary;

use args::Args;
use clap::Parser;
use feed::Feed;
use run::{Outcome, Request, RunError};
use std::io::Write;
use std::process::ExitCode;
use temporary::Temporary;

/// Bad input: a missing file, a malformed line, a journal that is none.
const BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            let lines = text.lines().take_while(|line| !line.is_empty()).map(str::trim);
            let line = lines.collect::<Vec<_>>().join(" ");
            run::warn(line.trim_start_matches("error: "));
            return ExitCode::from(BAD_INPUT);
        }
        Err(help) => return help.print().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS),
    };
    let is_story = std::env::args_os().len() == 1;
    let done = if is_story { story::tell(&args) } else { once(&args).map(|()| true) };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            run::warn(error);
            ExitCode::from(BAD_INPUT)
        }
    }
}

/// One run over one feed.
fn once(args: &Args) -> Result<(), RunError> {
    let temporary = if args.dir.is_none() { Some(Temporary::new("journal")?) } else { None };
    let request = Request {
        dir: match (&args.dir, &temporary) {
            (Some(dir), _) => dir,
            (None, Some(temporary)) => temporary.path(),
            (None, None) => unreachable!("one of both was chosen above"),
        },
        snapshot_every: args.snapshot_every,
        segment_bytes: args.segment_bytes,
        kill_at: args.kill_at,
        pin: &args.pin,
    };
    let mut stdout = std::io::stdout();
    let mut tell = |published: u64| {
        if args.tell {
            // Whoever asked to be told may be gone.
            let _ = writeln!(stdout, "{published}");
        }
    };
    let outcome = if args.recover {
        run::recover(&args.feed, &request, |_| {}, &mut tell)?
    } else {
        run::fresh(&Feed::load(&args.feed)?, &request, &mut tell)?
    };
    print(args, &outcome)
}

fn print(args: &Args, outcome: &Outcome) -> Result<(), RunError> {
    let text = if args.json { report::json(outcome) } else { report::table(outcome) };
    Ok(writeln!(std::io::stdout(), "{}", text.trim_end())?)
}
