//! The main job, killed for real: whatever the instant, the state comes back the same.

#![cfg(unix)]

mod common;

use common::Scratch;
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

fn command(engine: &Path, dir: &Path) -> Command {
    let mut command = over(&format!("generated:42:{EVENTS}"), engine, dir);
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

#[test]
fn a_killed_engine_comes_back_with_the_same_digest_every_time() {
    let engine = engine();
    let whole = Scratch::new("crash-whole");
    let expected = json(&mut command(&engine, whole.path()));
    assert_eq!(number(&expected, "events"), EVENTS);

    let mut state = SEED;
    for kill in 0..KILLS {
        let scratch = Scratch::new(&format!("crash-{kill}"));
        let at = 1 + random(&mut state) % (EVENTS * 3 / 4);
        let context = format!("kill {kill} at {at}, seed {SEED:#x}");
        let mut run = command(&engine, scratch.path());
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
            let mut again = command(&engine, scratch.path());
            again.args(["--recover", "--kill-at", &later.to_string()]);
            let status = again.stdout(Stdio::null()).status().expect("ran");
            assert_eq!(status.signal(), Some(SIGKILL), "{context}, again at {later}");
        }

        // The feed before the journal's end is noise now: nothing is rebuilt from it.
        let mut recover = command(&engine, scratch.path());
        let recovered = json(recover.args(["--recover", "--garble-journaled"]));
        assert_eq!(state_of(&recovered), state_of(&expected), "{context}");
        let end = journal_end(&recovered);
        assert!(end < EVENTS, "{context}: the journal ended at {end}, behind the feed");

        // And what the second run wrote is whole: a third finds all of it in the journal.
        let again =
            json(command(&engine, scratch.path()).args(["--recover", "--garble-journaled"]));
        assert_eq!(state_of(&again), state_of(&expected), "{context}");
        assert_eq!(journal_end(&again), EVENTS + 1, "{context}: event 0 names the feed");
    }
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
    let word = |at: usize| u32::from_le_bytes(sound[at..at + 4].try_into().expect("four bytes"));

    let (mut at, mut altered) = (4096, 0);
    while word(at) != 0 {
        let (len_word, used) = (word(at), (word(at) & 0x7FFF_FFFF) as usize);
        let space = used.next_multiple_of(16);
        // Events of the feed: not control frames, and not event 0. The order's reference is altered.
        if len_word == used as u32 && sound[at + 8..at + 16] != [0; 8] && altered % 3 == 0 {
            let mut rotten = sound.clone();
            rotten[at + 32 + 24] ^= 0x10;
            let summed = salt.iter().chain(&sound[at..at + 4]).chain(&rotten[at + 8..at + space]);
            let crc = crc32c(summed.copied());
            rotten[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
            let copy = Scratch::new("crash-altered-copy");
            std::fs::create_dir_all(copy.path()).expect("a directory");
            std::fs::write(copy.path().join(segment.file_name().expect("a name")), rotten)
                .expect("written");
            let mut recover = over("generated:42:300", &engine, copy.path());
            let recovered = json(recover.arg("--recover"));
            assert_eq!(number(&recovered, "replayed"), 301);
            assert_ne!(state_of(&recovered), state_of(&expected), "the event at byte {at}");
        }
        altered += usize::from(len_word == used as u32);
        at += space;
    }
    assert_eq!(altered, 301);
}
