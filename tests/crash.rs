//! The main job, killed for real: whatever the instant, the state comes back the same.

#![cfg(unix)]

mod common;

use common::Scratch;
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

const EVENTS: u64 = 200_000;
const SEED: u64 = 0x5EED_0000_0000_0009;
const KILLS: usize = 20;
const SIGKILL: i32 = 9;

/// The example, built in the profile of this test.
fn engine() -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--example", "trading_engine"]);
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    assert!(build.status().expect("cargo runs").success());
    let mut path = std::env::current_exe().expect("this test has a file");
    path.pop();
    path.pop();
    path.join("examples").join("trading_engine")
}

fn command(engine: &Path, feed: &Path, dir: &Path) -> Command {
    let mut command = over(&format!("lobster:{}", feed.display()), engine, dir);
    command.args(["--snapshot-every", "20000"]);
    command
}

fn over(feed: &str, engine: &Path, dir: &Path) -> Command {
    let mut command = Command::new(engine);
    command.args(["--json", "--segment-bytes", "4194304", "--feed", feed, "--dir"]).arg(dir);
    command
}

/// The last line of a run that ends well.
fn json(command: &mut Command) -> String {
    let output = command.output().expect("the example runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(
        output.status.success(),
        "{:?}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text.lines().last().expect("a line").to_owned()
}

/// A line without the two fields in which a recovered run may differ.
fn state_of(json: &str) -> &str {
    json.split_once(",\"snapshot_sequence\"").expect("the field").0
}

fn number(json: &str, field: &str) -> u64 {
    let (_, rest) = json.split_once(&format!("\"{field}\":")).expect("the field");
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    if rest.starts_with("null") { 0 } else { digits.parse().expect("a number") }
}

/// Where the journal ended when it was recovered.
fn journal_end(json: &str) -> u64 {
    number(json, "snapshot_sequence") + number(json, "replayed")
}

/// Runs until the parent kills it, which is once it tells of event `at`.
fn kill_from_outside(command: &mut Command, at: u64) -> ExitStatus {
    let mut child = command.arg("--tell").stdout(Stdio::piped()).spawn().expect("it runs");
    let stdout = child.stdout.take().expect("piped");
    for line in BufReader::new(stdout).lines() {
        if line.expect("a line").parse::<u64>().is_ok_and(|told| told >= at) {
            child.kill().expect("SIGKILL is sent");
        }
    }
    child.wait().expect("it ended")
}

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A LOBSTER message file: orders that come, shrink, trade and go around a price that wanders.
fn lobster() -> String {
    let (mut state, mut text, mut open) = (SEED, String::new(), Vec::new());
    let (mut next_order, mut mid) = (1u64, 1_000_000u64);
    for line in 0..EVENTS {
        let roll = random(&mut state) % 100;
        let (kind, order, size, price, side) = if open.len() < 50 || roll < 48 {
            mid = mid + random(&mut state) % 3 * 100 - 100;
            let is_bid = random(&mut state).is_multiple_of(2);
            let offset = 100 * (1 + random(&mut state) % 40);
            let price = if is_bid { mid - offset } else { mid + offset };
            let size = 1 + random(&mut state) % 500;
            next_order += 1;
            open.push((next_order, size, price, is_bid));
            (1, next_order, size, price, is_bid)
        } else {
            let at = (random(&mut state) % open.len() as u64) as usize;
            let (order, left, price, is_bid) = open[at];
            let part = 1 + random(&mut state) % left;
            let (kind, size) = match roll {
                48..58 => (2, part),
                58..80 => (3, left),
                80..98 => (4, part),
                _ => (5, part),
            };
            match left - size {
                _ if kind == 5 => {}
                0 => drop(open.swap_remove(at)),
                rest => open[at].1 = rest,
            }
            (kind, if kind == 5 { 0 } else { order }, size, price, is_bid)
        };
        let side = if side { 1 } else { -1 };
        let time = 34_200_000_000_000 + line * 1_000;
        let (seconds, nanos) = (time / 1_000_000_000, time % 1_000_000_000);
        writeln!(text, "{seconds}.{nanos:09},{kind},{order},{size},{price},{side}").expect("text");
    }
    text
}

/// One past the last sequence of a journal, read from its bytes.
fn end_of(journal: &Scratch) -> u64 {
    let segments = journal.files(".seg").into_iter();
    let segments = segments.map(|path| std::fs::read(path).expect("read"));
    let frames = segments.flat_map(|bytes| frames(&bytes));
    frames.filter(|frame| frame.is_event).map(|frame| frame.sequence + 1).max().unwrap_or(0)
}

struct Frame {
    at: usize,
    space: usize,
    is_event: bool,
    sequence: u64,
}

/// The frames of a segment whose header has 4096 bytes, up to the first length of zero.
fn frames(bytes: &[u8]) -> Vec<Frame> {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let (mut at, mut frames) = (4096, Vec::new());
    while word(at) != 0 {
        let space = ((word(at) & 0x7FFF_FFFF) as usize).next_multiple_of(16);
        let is_event = word(at) & 0x8000_0000 == 0;
        frames.push(Frame { at, space, is_event, sequence: long(at + 8) });
        at += space;
    }
    frames
}

/// The feed with its first lines turned to noise.
fn garbled(feed: &str, lines: u64) -> String {
    let noise = |(number, line): (u64, &str)| match number {
        n if n >= lines => line.to_owned(),
        n if n % 2 == 0 => "noise".repeat(1 + line.len() % 7),
        _ => line.chars().rev().collect(),
    };
    (0..).zip(feed.lines()).map(noise).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_killed_engine_comes_back_with_the_same_digest_every_time() {
    let engine = engine();
    let (feeds, whole) = (Scratch::new("crash-feeds"), Scratch::new("crash-whole"));
    std::fs::create_dir_all(feeds.path()).expect("a directory");
    let (feed, noise) = (feeds.path().join("day.csv"), feeds.path().join("garbled.csv"));
    let text = lobster();
    std::fs::write(&feed, &text).expect("written");
    let expected = json(&mut command(&engine, &feed, whole.path()));
    assert_eq!(number(&expected, "events"), EVENTS);

    let mut state = SEED;
    for kill in 0..KILLS {
        let scratch = Scratch::new(&format!("crash-{kill}"));
        let at = 1 + random(&mut state) % (EVENTS * 3 / 4);
        let context = format!("kill {kill} at {at}, seed {SEED:#x}");
        let mut run = command(&engine, &feed, scratch.path());
        let status = match kill % 2 {
            0 => run
                .args(["--kill-at", &at.to_string()])
                .stdout(Stdio::null())
                .status()
                .expect("ran"),
            _ => kill_from_outside(&mut run, at),
        };
        assert_eq!(status.signal(), Some(SIGKILL), "{context}");

        // Every fourth time the recovered run is killed as well.
        if kill % 4 == 0 {
            let later = at + (EVENTS - at) / 2;
            let mut again = command(&engine, &feed, scratch.path());
            again.args(["--recover", "--kill-at", &later.to_string()]);
            let status = again.stdout(Stdio::null()).status().expect("ran");
            assert_eq!(status.signal(), Some(SIGKILL), "{context}, again at {later}");
        }

        // The feed before the journal's end is noise now: nothing is rebuilt from it.
        let end = end_of(&scratch);
        assert!(end < EVENTS, "{context}: the journal ended at {end}");
        std::fs::write(&noise, garbled(&text, end.saturating_sub(1))).expect("written");
        let recovered = json(command(&engine, &noise, scratch.path()).arg("--recover"));
        assert_eq!(state_of(&recovered), state_of(&expected), "{context}");
        assert_eq!(
            journal_end(&recovered),
            end,
            "{context}: snapshot and replay make up the journal"
        );

        // And what the second run wrote is whole: a third finds all of it in the journal.
        let again = json(command(&engine, &noise, scratch.path()).arg("--recover"));
        assert_eq!(state_of(&again), state_of(&expected), "{context}");
        assert_eq!(journal_end(&again), EVENTS + 1, "{context}: event 0 names the feed");
    }
}

#[test]
fn another_feed_is_refused_and_the_journal_stays_as_it_is() {
    let engine = engine();
    let (feeds, scratch) = (Scratch::new("crash-other-feeds"), Scratch::new("crash-other"));
    std::fs::create_dir_all(feeds.path()).expect("a directory");
    let (feed, other) = (feeds.path().join("day.csv"), feeds.path().join("other.csv"));
    let text: String = lobster().lines().take(20_000).flat_map(|line| [line, "\n"]).collect();
    std::fs::write(&feed, &text).expect("written");
    // Far enough that the ring, of 4,096 slots, has let go of what is journaled.
    let mut run = command(&engine, &feed, scratch.path());
    let status = run.args(["--kill-at", "15000"]).stdout(Stdio::null()).status().expect("ran");
    assert_eq!(status.signal(), Some(SIGKILL));
    // One line behind the journal's end is another; a generated feed is another altogether.
    let last = text.trim_end().rfind('\n').expect("many lines");
    std::fs::write(&other, format!("{}\n60000,1,7,10,100,1\n", &text[..last])).expect("written");
    let before = end_of(&scratch);
    for feed in [format!("lobster:{}", other.display()), "generated:1:20000".to_owned()] {
        let output = over(&feed, &engine, scratch.path()).arg("--recover").output().expect("ran");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.lines().count() == 1 && text.contains("another feed"), "{text}");
        assert_eq!(end_of(&scratch), before);
    }
    json(command(&engine, &feed, scratch.path()).arg("--recover"));
}

/// CRC-32C, bit by bit: the test mends what it alters without the crate's help.
fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg())
        })
    })
}

#[test]
fn altering_any_one_journaled_event_changes_the_digest() {
    let engine = engine();
    let scratch = Scratch::new("crash-altered");
    let expected = json(&mut over("generated:42:300", &engine, scratch.path()));
    let segment = scratch.files(".seg").remove(0);
    let sound = std::fs::read(&segment).expect("read");
    let salt = &sound[40..48];
    let events = frames(&sound).into_iter().filter(|frame| frame.is_event);
    let mut altered = 0;
    for Frame { at, space, sequence, .. } in events {
        altered += 1;
        if sequence % 3 != 0 {
            continue;
        }
        // A byte of the order's reference, or in event 0 of the symbol.
        let mut rotten = sound.clone();
        rotten[at + 32 + 24] ^= 0x10;
        let summed = salt.iter().chain(&sound[at..at + 4]).chain(&rotten[at + 8..at + space]);
        let crc = crc32c(summed.copied());
        rotten[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
        let copy = Scratch::new("crash-altered-copy");
        std::fs::create_dir_all(copy.path()).expect("a directory");
        let name = segment.file_name().expect("a name");
        std::fs::write(copy.path().join(name), rotten).expect("written");
        let mut recover = over("generated:42:300", &engine, copy.path());
        let output = recover.arg("--recover").output().expect("ran");
        if sequence == 0 {
            assert_eq!(output.status.code(), Some(2), "event 0 names another feed now");
            continue;
        }
        let recovered = String::from_utf8(output.stdout).expect("text");
        assert_eq!(number(&recovered, "replayed"), 301);
        assert_ne!(state_of(&recovered), state_of(&expected), "event {sequence}");
    }
    assert_eq!(altered, 301);
}
