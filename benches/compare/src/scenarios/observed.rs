//! *Owns* a ring that another process observes, and the same one polled in this process.
//! *Invariant*: an event's number is its intended send time, so whoever reads it needs no more than
//! the event to know its latency. *Source*: none.

use super::flow::warm_events;
use super::named::{File, LONG_SLOTS, Named, Payload};
use super::open_loop::quantiles;
use crate::clock::Clock;
use crate::contenders::{tourbillon_builder, tourbillon_start};
use crate::machine::{Machine, pin};
use crate::numbered::{Numbered, Plain};
use crate::transport::{Rx, Transport, Tx};
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use tourbillon::{Observed, Observer};

const PERIOD_NS: f64 = 1_000.0;
/// Numbers below are of the warm-up; the counter passes it within a second of the start.
const WARM_NUMBERS_MAX: u64 = 1 << 24;
const QUANTILES: [f64; 2] = [0.5, 0.99];

/// Sends `events` with their intended times as numbers, one per microsecond.
fn send(machine: &Machine, tx: &mut impl Tx, events: u64) {
    let clock = &machine.clock;
    let (first, period) = (clock.now() + clock.ticks(1_000_000.0), clock.ticks(PERIOD_NS));
    for at in 0..events {
        let intended = first + at * period;
        clock.wait_until(intended);
        tx.send(intended);
    }
}

/// p50 and p99 with a poller in this process.
pub(super) fn polled(machine: &Machine, events: u64) -> [f64; 2] {
    let clock = &machine.clock;
    let (mut tx, mut rx) = Named::open(LONG_SLOTS);
    let total = warm_events(LONG_SLOTS) + events;
    let ((), delays) = machine.both(
        || {
            (0..total - events).for_each(|n| tx.send(n));
            send(machine, &mut tx, events);
        },
        || {
            let (mut delays, mut count) = (Vec::with_capacity(events as usize), 0);
            while count < total {
                rx.drain(|seen| {
                    let now = clock.now();
                    assert_eq!(seen.sum, Payload::expected(seen.number), "every word");
                    if seen.number > WARM_NUMBERS_MAX {
                        delays.push(clock.ns(now.saturating_sub(seen.number)));
                    }
                    count += 1;
                });
            }
            delays
        },
    );
    quantiles(delays, QUANTILES)
}

/// p50, p99 and how many events were missed with an observer in a process of its own.
pub(super) fn observed(machine: &Machine, events: u64) -> [f64; 3] {
    let file = File::new();
    let mut builder = tourbillon_builder::<Payload>(LONG_SLOTS);
    builder.named(&file.0);
    let (mut tx, []) = tourbillon_start(builder, []);
    // Two laps, so that every page was touched.
    (0..warm_events(LONG_SLOTS)).for_each(|n| tx.send(n));
    let mut observer = Command::new(std::env::current_exe().expect("this program's own path"))
        .arg("--observe")
        .arg(&file.0)
        .arg(machine.cores[1].to_string())
        .arg(events.to_string())
        .arg(machine.clock.ns(1).to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program again");
    let mut output = BufReader::new(observer.stdout.take().expect("piped above"));
    let mut line = String::new();
    output.read_line(&mut line).expect("a line of the observer");
    assert_eq!(line, "ready\n", "the observer has attached");
    send(machine, &mut tx, events);
    let mut answer = String::new();
    output.read_to_string(&mut answer).expect("its answer");
    assert!(
        observer.wait().is_ok_and(|status| status.success()),
        "the observer's own words: above"
    );
    let mut words = answer.split_whitespace().map(|word| word.parse().expect("a number"));
    core::array::from_fn(|_| words.next().expect("three numbers"))
}

/// The other process: attaches, says `ready`, looks at `events`, says what it saw.
pub(crate) fn observe(
    ring: &str,
    core: &str,
    events: &str,
    ns_per_tick: &str,
) -> Result<(), String> {
    let read = |text: &str| text.parse::<f64>().map_err(|error| error.to_string());
    let clock = Clock::of_another(read(ns_per_tick)?);
    let events = read(events)? as u64;
    pin(read(core)? as usize);
    let mut observer = Observer::<Payload>::attach(ring).map_err(|error| error.to_string())?;
    observer.skip_to_now().map_err(|error| error.to_string())?;
    let end = observer.sequence().get() + events;
    println!("ready");
    let (mut delays, mut missed) = (Vec::with_capacity(events as usize), 0);
    while observer.sequence().get() < end {
        match observer.poll().map_err(|error| error.to_string())? {
            Observed::Event { event, .. } => {
                let now = clock.now();
                let seen = Payload::look_archived(event);
                if seen.sum != Payload::expected(seen.number) {
                    return Err(format!("event {} is torn", seen.number));
                }
                delays.push(clock.ns(now.saturating_sub(seen.number)));
            }
            Observed::Lagged { skipped } => missed += skipped,
            Observed::Idle => {}
        }
    }
    if delays.len() as u64 + missed != events {
        return Err(format!("{} seen and {missed} missed are not {events}", delays.len()));
    }
    let [p50, p99] = quantiles(delays, QUANTILES);
    println!("{p50} {p99} {missed}");
    Ok(())
}
