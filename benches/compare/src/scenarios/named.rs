//! *Owns* the scenario `named`: rings in files in memory. *Invariant*: an event's number is its
//! intended send time, so another process needs no more than the event to know its latency.
//! *Source*: none.

use super::open_loop::quantiles;
use super::throughput::flow;
use super::{Plan, contender, flow::warm_events};
use crate::clock::Clock;
use crate::contenders::{
    Tourbillon, TourbillonRx, TourbillonTx, tourbillon_builder, tourbillon_start,
};
use crate::machine::{Machine, pin};
use crate::numbered::{Bytes32, Numbered, Plain};
use crate::rounds::{Cell, Kind, Metric};
use crate::transport::{About, Rx, Transport, Tx};
use crate::verdict::median;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;
use tourbillon::{Observed, Observer};

const SLOTS: usize = 1 << 10;
const LONG_SLOTS: usize = 1 << 16;
const ADOPTIONS: usize = 5;
const EVENTS: u64 = 50_000;
const PERIOD_NS: f64 = 1_000.0;
/// Numbers below are of the warm-up; the counter passes it within a second of the start.
const WARM_NUMBERS_MAX: u64 = 1 << 24;
const QUANTILES: [f64; 2] = [0.5, 0.99];

type Payload = Bytes32;

/// A path for a ring; the file goes with it.
struct File(PathBuf);

impl File {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // ORDERING: Relaxed; a number that nobody else has.
        let count = COUNT.fetch_add(1, Relaxed);
        Self(format!("/dev/shm/tourbillon-compare-{}-{count}", std::process::id()).into())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

pub(super) struct Sender(TourbillonTx<Payload>, #[expect(dead_code, reason = "lives on")] File);

impl Tx for Sender {
    #[inline(always)]
    fn send(&mut self, n: u64) {
        self.0.send(n);
    }
}

/// As [`Tourbillon`], in a file.
struct Named;

impl Transport for Named {
    type Payload = Payload;
    type Tx = Sender;
    type Rx = TourbillonRx<Payload>;

    fn about() -> About {
        About { name: "tourbillon", configuration: "named ring in /dev/shm", published: None }
    }

    fn open(slots: usize) -> (Self::Tx, Self::Rx) {
        let file = File::new();
        let mut builder = tourbillon_builder(slots);
        builder.named(&file.0).poller("sink");
        let (tx, [rx]) = tourbillon_start(builder, ["sink"]);
        (Sender(tx, file), rx)
    }
}

/// The median time, in µs, to adopt a full ring whose owner is gone.
fn adoption_us() -> f64 {
    let adopt = |_| {
        let file = File::new();
        let mut builder = tourbillon_builder::<Payload>(LONG_SLOTS);
        builder.named(&file.0).poller("sink");
        let (mut tx, rx) = tourbillon_start(builder, ["sink"]);
        (0..LONG_SLOTS as u64).for_each(|n| tx.send(n));
        // A poller holds the ring, too.
        drop((tx, rx));
        let began = Instant::now();
        let mut builder = tourbillon_builder::<Payload>(LONG_SLOTS);
        builder.adopt(&file.0).poller("sink");
        let (_, bus) = builder.start().expect("a ring to adopt");
        let took = began.elapsed();
        let published = bus.adopted().expect("adopted above").published.get();
        assert_eq!(published, LONG_SLOTS as u64, "every event is there");
        took.as_secs_f64() * 1e6
    };
    median((0..ADOPTIONS).map(adopt).collect())
}

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
fn polled(machine: &Machine, events: u64) -> [f64; 2] {
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
fn observed(machine: &Machine, events: u64) -> [f64; 3] {
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

fn is_there() -> bool {
    let file = File::new();
    let mut builder = tourbillon_builder::<Payload>(2);
    builder.named(&file.0);
    builder.start().is_ok() && Clock::is_shared()
}

pub(super) fn missing_place(_: &Machine) -> Option<String> {
    let notice = "skipped: it needs a tmpfs at /dev/shm, and a clock that processes share";
    (!is_there()).then(|| notice.to_owned())
}

pub(super) fn cells(plan: Plan) -> Vec<Cell> {
    if !is_there() {
        return Vec::new();
    }
    let (flow, events) = (flow(plan, SLOTS, 1), plan.events(EVENTS));
    let ratio = |name| Metric { unit: "", ..Metric::ns(name) };
    let publish = contender::<Named>(Kind::Ours, move |machine| {
        let anonymous = flow.ns_per_event::<Tourbillon<Payload>>(machine);
        let named = flow.ns_per_event::<Named>(machine);
        vec![anonymous, named, named / anonymous]
    });
    let flows = vec![Metric::ns("anonymous"), Metric::ns("named"), ratio("named / anonymous")];
    let adopt = contender::<Named>(Kind::Ours, |_| vec![adoption_us()]);
    let adopting = vec![Metric { unit: "us", ..Metric::ns("from start to a bus") }];
    let observe = contender::<Named>(Kind::Ours, move |machine| {
        let ([near, _], [far, p99, missed]) = (polled(machine, events), observed(machine, events));
        vec![near, far, far / near, p99, missed]
    });
    let mut seen = ["poller p50", "observer p50"].map(Metric::stamped).to_vec();
    seen.extend([ratio("observer / poller"), Metric::stamped("observer p99"), ratio("missed")]);
    vec![
        Cell::new(format!("flow, 32 B, {SLOTS} slots"), flows, vec![publish]),
        Cell::new(format!("adopting {LONG_SLOTS} slots of 32 B, full"), adopting, vec![adopt]),
        Cell::new(format!("one per us, {LONG_SLOTS} slots"), seen, vec![observe]),
    ]
}
