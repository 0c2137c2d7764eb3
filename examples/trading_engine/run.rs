//! *Owns* the two buses and one run over them. *Invariant*: an intent leaves only after the input
//! that caused it is journaled; the feed goes on exactly where the journal ends. *Source*: the LMAX
//! architecture: input disruptor, business logic, output disruptor.
//!
//! ```text
//!  feed ─► input ring ─┬─► journal ─► telemetry (published → journaled)
//!                      └─► engine ──► telemetry (published → engine)
//!                             │ then: Caused<Intent>
//!                             └─► output ring ─► gateway, behind the input's journaled
//! ```

use crate::engine::Engine;
use crate::events::{ArchivedIntent, FeedEvent, Intent};
use crate::feed::{Feed, FeedSpec, Taken};
use hdrhistogram::Histogram;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tourbillon::{
    ArchivedCaused, ArchivedStamped, Bus, BusBuilder, Caused, Drain, Handler, JournalOptions,
    Journaled, Placement, Producer, Projected, Recovery, Report, Sequence, Stamped, WhenFull,
};

type Input = Stamped<FeedEvent>;
type Output = Caused<Intent>;

/// Slots of the input ring: small, so that a full ring is no long queue.
const INPUT_SLOTS: usize = 1 << 12;
const OUTPUT_SLOTS: usize = 1 << 12;

/// The stages that measure.
const TO_ENGINE: &str = "to engine";
const TO_JOURNALED: &str = "to journaled";

/// Events between two words to whoever asked to be told.
const TELL_EVERY: u64 = 1 << 13;

/// What a run is asked to do.
#[derive(Debug)]
pub struct Request<'a> {
    pub dir: &'a Path,
    pub snapshot_every: u64,
    pub segment_bytes: u64,
    pub kill_at: Option<u64>,
    pub pin: &'a [usize],
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    pub engine: Engine,
    /// What the recovery did, where there was one.
    pub recovery: Option<Recovered>,
    /// Events published by this run, and how long that took until all were handled.
    pub published: u64,
    pub elapsed: Duration,
    pub to_engine: Histogram<u64>,
    pub to_journaled: Histogram<u64>,
    pub intents_out: u64,
    pub journal_bytes: u64,
    pub snapshots: u64,
    pub snapshot_pause: Duration,
    pub placements: Vec<Placement>,
}

/// What a recovery did.
#[derive(Clone, Copy, Debug)]
pub struct Recovered {
    pub snapshot: Option<Sequence>,
    pub replayed: u64,
    pub load_time: Duration,
    pub replay_time: Duration,
}

/// What went wrong, in one line.
#[derive(Debug)]
pub struct RunError(pub String);

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for RunError {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Told how many feed messages are done, of how many.
pub type Tell<'a> = &'a mut dyn FnMut(u64);

/// Runs a feed over a new journal.
pub fn fresh(feed: &Feed, request: &Request<'_>, tell: Tell<'_>) -> Result<Outcome, RunError> {
    let mut input = Bus::builder(INPUT_SLOTS);
    pin(input.journal(request.dir, options(request)), request.pin, 0);
    run(feed, Engine::default(), input, request, None, tell)
}

/// Rebuilds the state from the journal, then goes on with the feed.
pub fn recover(
    spec: &FeedSpec,
    request: &Request<'_>,
    on_progress: impl FnMut(tourbillon::Progress) + 'static,
    tell: Tell<'_>,
) -> Result<Outcome, RunError> {
    let recovery = Recovery::<Input>::open_with(request.dir, &options(request))?;
    let recovered = recovery.on_progress(on_progress).state::<Engine>()?;
    for aside in recovered.set_aside() {
        let (path, why) = (aside.path.display(), &aside.why);
        warn(format_args!("snapshot {path} not used: {why}"));
    }
    let state = recovered.state();
    let taken = state.identity.zip(state.last).map(|(identity, last)| Taken {
        identity,
        messages: state.events,
        sum: state.taken,
        last,
    });
    let feed = match &taken {
        Some(taken) => Feed::resume(spec, taken)?,
        None => Feed::load(spec)?,
    };
    if state.identity.is_some_and(|identity| identity != feed.identity()) {
        let why = "the journal was filled from another feed; --recover needs the same one";
        return Err(RunError(format!("{spec}: {why}")));
    }
    let did = Recovered {
        snapshot: recovered.snapshot_sequence(),
        replayed: recovered.replayed(),
        load_time: recovered.load_time(),
        replay_time: recovered.replay_time(),
    };
    let mut input = Bus::builder(INPUT_SLOTS);
    let (engine, journal) = recovered.resume(&mut input);
    pin(journal, request.pin, 0);
    run(&feed, engine, input, request, Some(did), tell)
}

/// One line on standard error.
#[allow(clippy::print_stderr, reason = "a program tells its user")]
pub fn warn(what: impl fmt::Display) {
    eprintln!("trading_engine: {what}");
}

fn options(request: &Request<'_>) -> JournalOptions {
    JournalOptions::default().segment_bytes(request.segment_bytes)
}

/// Gives a stage the `nth` core of the list, which may be shorter than the stages are many.
fn pin<E: tourbillon::Event>(stage: tourbillon::StageBuilder<'_, E>, cores: &[usize], nth: usize) {
    if let Some(&core) = cores.get(nth % cores.len().max(1)) {
        let _ = stage.core(core);
    }
}

fn run(
    feed: &Feed,
    engine: Engine,
    mut input: BusBuilder<Input>,
    request: &Request<'_>,
    recovery: Option<Recovered>,
    tell: Tell<'_>,
) -> Result<Outcome, RunError> {
    let mut output = Bus::<Output>::builder(OUTPUT_SLOTS);
    output.when_full(WhenFull::Yield(None));
    let gateway =
        output
            .handler("gateway", Gateway::default())
            .behind_ring(&input, Journaled, |intent| intent.cause.to_native());
    pin(gateway, request.pin, 2);
    let (intents, output) = output.start()?;

    let is_new = engine.identity.is_none();
    let stage = Projected::new(engine).snapshot_every(request.snapshot_every);
    pin(input.projection("engine", stage.then(forward(intents))), request.pin, 1);
    for (name, upstream) in [(TO_ENGINE, "engine"), (TO_JOURNALED, "journal")] {
        pin(input.handler(name, Telemetry::new()?).after([upstream]), request.pin, 2);
    }
    input.when_full(WhenFull::Yield(None));
    let (mut producer, input) = input.start()?;

    let placements = input.placements().iter().chain(output.placements()).cloned().collect();
    let since = Instant::now();
    let first = producer.next_sequence();
    if is_new {
        publish(&mut producer, FeedEvent::Identity(feed.identity()), request)?;
    }
    for message in feed.messages() {
        let sequence = publish(&mut producer, FeedEvent::Message(message), request)?;
        if sequence.get().is_multiple_of(TELL_EVERY) {
            tell(sequence.get());
        }
    }
    let published = producer.next_sequence().events_since(first);
    let report = input.shutdown(Drain::Complete)?;
    let elapsed = since.elapsed();
    let gateway: Gateway = take(&mut output.shutdown(Drain::Complete)?, "gateway")?;
    outcome(report, Run { recovery, published, elapsed, intents_out: gateway.out, placements })
}

/// Sends the engine's intents into the output ring, each with the event that caused it.
fn forward(mut intents: Producer<Output>) -> impl FnMut(&mut Engine, Sequence) + Send {
    move |engine, cause| {
        for (n, intent) in (0..).zip(&engine.intents) {
            // A closed output ring means that its bus halted, and its own shutdown says why.
            let _ = intents.publish(&Caused { cause, n, payload: *intent });
        }
    }
}

/// What a run knows besides its input bus's report.
struct Run {
    recovery: Option<Recovered>,
    published: u64,
    elapsed: Duration,
    intents_out: u64,
    placements: Vec<Placement>,
}

fn outcome(mut report: Report, run: Run) -> Result<Outcome, RunError> {
    let Run { recovery, published, elapsed, intents_out, placements } = run;
    let snapshots = report.snapshots("engine").unwrap_or_default();
    if let Some(error) = &snapshots.error {
        warn(format_args!("a snapshot failed: {error}"));
    }
    Ok(Outcome {
        engine: take(&mut report, "engine")?,
        recovery,
        published,
        elapsed,
        to_engine: take::<Telemetry>(&mut report, TO_ENGINE)?.histogram,
        to_journaled: take::<Telemetry>(&mut report, TO_JOURNALED)?.histogram,
        intents_out,
        journal_bytes: report.journal().map_or(0, |stats| stats.frames_bytes),
        snapshots: snapshots.installed,
        snapshot_pause: Duration::from_nanos(snapshots.pause_ns_max),
        placements,
    })
}

fn take<H: 'static>(report: &mut Report, stage: &str) -> Result<H, RunError> {
    report.take(stage).ok_or_else(|| RunError(format!("stage `{stage}` did not come back")))
}

/// Publishes one event with its time, and dies where that was asked for.
fn publish(
    producer: &mut Producer<Input>,
    payload: FeedEvent,
    request: &Request<'_>,
) -> Result<Sequence, RunError> {
    let sequence = producer.publish(&Stamped { time_ns: unix_time_ns(), payload })?;
    if request.kill_at == Some(sequence.get()) {
        let me = rustix::process::getpid();
        rustix::process::kill_process(me, rustix::process::Signal::KILL)?;
    }
    Ok(sequence)
}

fn unix_time_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Where intents leave. A real one would talk to an exchange.
#[derive(Debug, Default)]
struct Gateway {
    out: u64,
}

impl Handler<Output> for Gateway {
    fn on_event(&mut self, intent: &ArchivedCaused<Intent>, _: Sequence, _: bool) {
        let _: &ArchivedIntent = std::hint::black_box(&intent.payload);
        self.out += 1;
    }
}

/// Measures how long ago each event was published.
#[derive(Debug)]
struct Telemetry {
    histogram: Histogram<u64>,
}

impl Telemetry {
    fn new() -> Result<Self, RunError> {
        // Up to a minute, three significant digits; never grows.
        Ok(Self { histogram: Histogram::new_with_bounds(1, 60_000_000_000, 3)? })
    }
}

impl Handler<Input> for Telemetry {
    fn on_event(&mut self, event: &ArchivedStamped<FeedEvent>, _: Sequence, _: bool) {
        let ago_ns = unix_time_ns().saturating_sub(event.time_ns.to_native());
        self.histogram.saturating_record(ago_ns.max(1));
    }
}
