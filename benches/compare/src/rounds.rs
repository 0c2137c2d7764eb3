//! *Owns* the rounds: every contender once per round, in rotated order, each between two probes.
//! *Invariant*: a run counts only if its probes agree, and only beside runs of its own placement:
//! a virtual machine moves cores, and a round trip then costs three times as much. *Source*: none.

use crate::machine::{Machine, PROBE_TRIPS};
use crate::transport::About;
use std::time::Instant;

/// Below this the two cores share a cache, by the probe's round trip.
const NEAR_NS_MAX: f64 = 200.0;
/// Probes around a run that differ by more spoil it.
const PROBES_DIFFER_MAX: f64 = 0.15;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    Peer,
    /// What the machine asks for; no library, and never the best of the peers.
    Limit,
}

#[derive(Clone, Copy)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) more_is_better: bool,
    /// Taken with the clock, so that a difference of one step says nothing.
    pub(crate) is_stamped: bool,
    /// Whether tourbillon's is put beside the best peer's; some figures only explain others.
    pub(crate) is_judged: bool,
}

impl Metric {
    pub(crate) const fn ns(name: &'static str) -> Self {
        Self { name, unit: "ns", more_is_better: false, is_stamped: false, is_judged: true }
    }

    pub(crate) const fn stamped(name: &'static str) -> Self {
        Self { is_stamped: true, ..Self::ns(name) }
    }

    /// Explains other figures.
    pub(crate) const fn beside(name: &'static str) -> Self {
        Self { is_judged: false, ..Self::ns(name) }
    }
}

/// Does the work once; gives one value per metric.
pub(crate) type Run = Box<dyn Fn(&Machine) -> Vec<f64>>;

pub(crate) struct Contender {
    pub(crate) about: About,
    pub(crate) kind: Kind,
    pub(crate) run: Run,
}

/// One table: the same work through all contenders.
pub(crate) struct Cell {
    pub(crate) name: String,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) contenders: Vec<Contender>,
    /// Bytes of a payload and slots, where a scenario has cells of several sizes to choose from.
    pub(crate) size: Option<Size>,
    pub(crate) on_axis: Option<OnAxis>,
}

/// Bytes of a payload, slots.
pub(crate) type Size = (usize, usize);

/// Where a cell stands in a chart. Cells with one axis make one chart.
#[derive(Clone, Copy)]
pub(crate) struct OnAxis {
    pub(crate) axis: &'static str,
    pub(crate) value: f64,
}

impl Cell {
    pub(crate) fn new(name: String, metrics: Vec<Metric>, contenders: Vec<Contender>) -> Self {
        Self { name, metrics, contenders, size: None, on_axis: None }
    }

    pub(crate) fn of_size(self, bytes: usize, slots: usize) -> Self {
        Self { size: Some((bytes, slots)), ..self }
    }

    pub(crate) fn on_axis(self, axis: &'static str, value: f64) -> Self {
        Self { on_axis: Some(OnAxis { axis, value }), ..self }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    Near,
    Far,
}

impl Placement {
    pub(crate) const ALL: [Self; 2] = [Self::Near, Self::Far];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Far => "far",
        }
    }

    fn of(trip_ns: f64) -> Self {
        if trip_ns < NEAR_NS_MAX { Self::Near } else { Self::Far }
    }
}

/// One contender's run in one round.
pub(crate) struct Taken {
    pub(crate) round: usize,
    pub(crate) probes_ns: [f64; 2],
    /// How often a measured thread lost its core; noted, and nothing is thrown away for it.
    pub(crate) preempted: u64,
    pub(crate) values: Vec<f64>,
}

impl Taken {
    pub(crate) fn is_kept(&self) -> bool {
        let [before, after] = self.probes_ns;
        let is_close = (before - after).abs() < PROBES_DIFFER_MAX * before.min(after);
        is_close && Placement::of(before) == Placement::of(after)
    }

    pub(crate) fn placement(&self) -> Placement {
        Placement::of(self.probes_ns[0])
    }
}

/// Whether some placement has `wanted` kept runs of every contender.
fn has_enough(taken: &[Vec<Taken>], wanted: usize) -> bool {
    let kept = |runs: &Vec<Taken>, placement| {
        runs.iter().filter(|run| run.is_kept() && run.placement() == placement).count()
    };
    let is_full = |placement: &Placement| taken.iter().all(|runs| kept(runs, *placement) >= wanted);
    Placement::ALL.iter().any(is_full)
}

/// Runs rounds until some placement has `wanted` kept runs of every contender, or until `end`, and
/// one round at least; gives the runs of each contender.
pub(crate) fn take(cell: &Cell, machine: &Machine, wanted: usize, end: Instant) -> Vec<Vec<Taken>> {
    let count = cell.contenders.len();
    let mut taken: Vec<Vec<Taken>> = cell.contenders.iter().map(|_| Vec::new()).collect();
    for round in 0.. {
        if round > 0 && (has_enough(&taken, wanted) || Instant::now() >= end) {
            break;
        }
        let mut before = machine.ping_pong(PROBE_TRIPS);
        for turn in 0..count {
            let at = (round + turn) % count;
            let so_far = machine.preempted();
            let values = (cell.contenders[at].run)(machine);
            let preempted = machine.preempted() - so_far;
            assert_eq!(values.len(), cell.metrics.len(), "a value per metric");
            let after = machine.ping_pong(PROBE_TRIPS);
            taken[at].push(Taken { round, probes_ns: [before, after], preempted, values });
            before = after;
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(probes_ns: &[f64]) -> Vec<Taken> {
        let run =
            |(round, &ns)| Taken { round, probes_ns: [ns, ns], preempted: 0, values: Vec::new() };
        probes_ns.iter().enumerate().map(run).collect()
    }

    #[test]
    fn rounds_are_enough_once_one_placement_has_all_that_it_needs() {
        let [near, far] = [100.0, 300.0];
        assert!(has_enough(&[runs(&[near, near]), runs(&[near, far, near])], 2));
        assert!(!has_enough(&[runs(&[near, near]), runs(&[near, far, far])], 2));
        assert!(!has_enough(&[runs(&[near, near]), runs(&[far, far])], 2));
    }
}
