//! *Owns* the list of scenarios and how a contender becomes a row. *Invariant*: within a cell all
//! contenders do the same work. *Source*: none.

mod batches;
mod fan_out;
mod flow;
mod idle;
mod multi;
mod one_way;
mod round_trip;
mod serialized;
mod throughput;

use crate::machine::Machine;
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
}

fn nothing_missing(_: &Machine) -> Option<String> {
    None
}

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "round_trip",
        about: "one event there, one back, over two rings; the mean of 64 trips, the median of means",
        cells: round_trip::cells,
        missing: nothing_missing,
    },
    Scenario {
        name: "one_way",
        about: "one event per microsecond by intended send time; receive time less intended time",
        cells: one_way::cells,
        missing: nothing_missing,
    },
    Scenario {
        name: "throughput",
        about: "one event per publish, as fast as the ring takes them",
        cells: throughput::cells,
        missing: nothing_missing,
    },
    Scenario {
        name: "batches",
        about: "as throughput, 64 events per publish",
        cells: batches::cells,
        missing: nothing_missing,
    },
    Scenario {
        name: "multi_one",
        about: "flavours for several producers, with one producer",
        cells: multi::cells_of_one,
        missing: multi::missing_flavour,
    },
    Scenario {
        name: "multi_several",
        about: "2, 4 and 8 producers for a fixed time: ns per event, and Jain's index over them",
        cells: multi::cells_of_several,
        missing: multi::missing_cores,
    },
    Scenario {
        name: "fan_out",
        about: "every event to two consumers, polled from one thread",
        cells: fan_out::cells_of_two,
        missing: nothing_missing,
    },
    Scenario {
        name: "pipeline",
        about: "three stages in a row on one thread, behind the producer's",
        cells: fan_out::cells_of_three,
        missing: nothing_missing,
    },
    Scenario {
        name: "serialized",
        about: "rkyv into the slot: an event with string and vector, and one of fixed size",
        cells: serialized::cells,
        missing: serialized::missing_flavour,
    },
    Scenario {
        name: "idle",
        about: "the first event after a pause of 1 s, against the steady median",
        cells: idle::cells,
        missing: idle::missing_call,
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
