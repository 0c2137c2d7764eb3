//! *Owns* the scenario `named`: rings in files in memory. *Invariant*: a file goes with the run that
//! made it. *Source*: none.

use super::observed::{observed, polled};
use super::throughput::flow;
use super::{Plan, contender};
use crate::clock::Clock;
use crate::contenders::{
    Tourbillon, TourbillonRx, TourbillonTx, tourbillon_builder, tourbillon_start,
};
use crate::machine::Machine;
use crate::numbered::Bytes32;
use crate::rounds::{Cell, Kind, Metric};
use crate::transport::{About, Transport, Tx};
use crate::verdict::median;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

const SLOTS: usize = 1 << 10;
pub(super) const LONG_SLOTS: usize = 1 << 16;
const ADOPTIONS: usize = 5;
const EVENTS: u64 = 50_000;

pub(super) type Payload = Bytes32;

/// A path for a ring; the file goes with it.
pub(super) struct File(pub(super) PathBuf);

impl File {
    pub(super) fn new() -> Self {
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
pub(super) struct Named;

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
    seen.extend([
        ratio("observer / poller"),
        Metric::stamped("observer p99"),
        Metric { unit: "", ..Metric::beside("missed") },
    ]);
    vec![
        Cell::new(format!("flow, 32 B, {SLOTS} slots"), flows, vec![publish]),
        Cell::new(format!("adopting {LONG_SLOTS} slots of 32 B, full"), adopting, vec![adopt]),
        Cell::new(format!("one per us, {LONG_SLOTS} slots"), seen, vec![observe]),
    ]
}
