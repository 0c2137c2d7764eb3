//! *Owns* the list of scenarios and how a contender becomes a row. *Invariant*: within a cell all
//! contenders do the same work. *Source*: none.

mod batches;
mod burst;
mod fan_out;
mod flow;
mod growth;
mod idle;
mod mixed;
mod multi;
mod named;
mod observed;
mod offered;
mod one_way;
mod open_loop;
mod round_trip;
mod serialized;
mod telemetry;
mod throughput;

pub(crate) use observed::observe;

use crate::machine::Machine;
use crate::report::CellReport;
use crate::rounds::{Cell, Contender, Kind};
use crate::transport::{About, Transport};

/// How much work there is.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) quick: bool,
    /// How many cores there are.
    pub(crate) cores: usize,
}

impl Plan {
    /// `full`, or a tenth of it.
    pub(crate) fn events(self, full: u64) -> u64 {
        if self.quick { full / 10 } else { full }
    }
}

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) cells: fn(Plan) -> Vec<Cell>,
    /// Why it cannot run here, wholly or in part.
    pub(crate) missing: fn(&Machine) -> Option<String>,
    /// What the cells say together.
    pub(crate) findings: fn(&[CellReport]) -> Vec<String>,
}

impl Scenario {
    /// One that misses nothing and finds nothing but its cells.
    const fn new(name: &'static str, about: &'static str, cells: fn(Plan) -> Vec<Cell>) -> Self {
        Self { name, about, cells, missing: |_| None, findings: |_| Vec::new() }
    }
}

pub(crate) const ALL: &[Scenario] = &[
    Scenario::new(
        "round_trip",
        "one event there, one back, over two rings; the mean of 64 trips, the median of means",
        round_trip::cells,
    ),
    Scenario::new(
        "one_way",
        "one event per microsecond by intended send time; receive time less intended time",
        one_way::cells,
    ),
    Scenario::new(
        "throughput",
        "one event per publish, as fast as the ring takes them",
        throughput::cells,
    ),
    Scenario::new("batches", "as throughput, 64 events per publish", batches::cells),
    Scenario::new(
        "multi_one",
        "flavours for several producers, with one producer",
        multi::cells_of_one,
    ),
    Scenario {
        missing: multi::missing_cores,
        ..Scenario::new(
            "multi_several",
            "2, 4 and 8 producers for a fixed time: ns per event, and Jain's index over them",
            multi::cells_of_several,
        )
    },
    Scenario::new(
        "fan_out",
        "every event to two consumers, polled from one thread",
        fan_out::cells_of_two,
    ),
    Scenario::new(
        "pipeline",
        "three stages in a row on one thread, behind the producer's",
        fan_out::cells_of_three,
    ),
    Scenario::new(
        "growth",
        "consumers 1 to 8, polled from one thread; rings of 2^8 to 2^20 slots",
        growth::cells,
    ),
    Scenario::new(
        "serialized",
        "rkyv into the slot: an event with string and vector, and one of fixed size",
        serialized::cells,
    ),
    Scenario::new(
        "mixed",
        "framed events: 90 % of 40 B, 9 % of 120 B, 1 % of 4 KiB, against all of 40 B",
        mixed::cells,
    ),
    Scenario::new(
        "idle",
        "the first event after a pause of 1 s, against the steady median",
        idle::cells,
    ),
    Scenario::new(
        "burst",
        "a saturated millisecond, then single events 1 to 50 us apart: the first of them",
        burst::cells,
    ),
    Scenario {
        findings: offered::findings,
        ..Scenario::new(
            "offered",
            "latency against offered rate, with a handler of some 150 ns: where is the knee",
            offered::cells,
        )
    },
    Scenario {
        missing: named::missing_place,
        ..Scenario::new(
            "named",
            "a ring in a file in memory: publishing, adopting, and being observed by a process",
            named::cells,
        )
    },
    Scenario {
        findings: telemetry::findings,
        ..Scenario::new(
            "telemetry",
            "what a publish takes with one more stage that sleeps, one event per microsecond",
            telemetry::cells,
        )
    },
];

/// A contender that does `run`.
fn contender<T: Transport>(kind: Kind, run: impl Fn(&Machine) -> Vec<f64> + 'static) -> Contender {
    Contender { about: T::about(), kind, run: Box::new(run) }
}

/// A row that is no transport.
fn limit(
    name: &'static str,
    configuration: &'static str,
    run: impl Fn(&Machine) -> Vec<f64> + 'static,
) -> Contender {
    let about = About { name, configuration, published: None };
    Contender { about, kind: Kind::Limit, run: Box::new(run) }
}
