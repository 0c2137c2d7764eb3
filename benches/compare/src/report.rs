//! *Owns* all that was measured, for the table, the file and the plots alike. *Invariant*: runs
//! that were thrown away are in it too. *Source*: none.

use crate::rounds::{Cell, Placement, Taken};
use crate::scenarios::Scenario;
use crate::verdict::{Rules, Standing};

pub(crate) struct Report {
    pub(crate) machine: Vec<(&'static str, String)>,
    pub(crate) rules: Rules,
    pub(crate) rounds: usize,
    pub(crate) scenarios: Vec<ScenarioReport>,
}

pub(crate) struct ScenarioReport {
    pub(crate) scenario: &'static Scenario,
    pub(crate) missing: Option<String>,
    pub(crate) cells: Vec<CellReport>,
}

pub(crate) struct CellReport {
    pub(crate) cell: Cell,
    /// The runs of each contender.
    pub(crate) taken: Vec<Vec<Taken>>,
    /// Per placement that was seen.
    pub(crate) standings: Vec<Standing>,
}

impl CellReport {
    pub(crate) fn new(cell: Cell, taken: Vec<Vec<Taken>>, rules: Rules) -> Self {
        let standing = |placement| Standing::new(&cell, &taken, placement, rules);
        let standings = Placement::ALL.into_iter().filter_map(standing).collect();
        Self { cell, taken, standings }
    }

    pub(crate) fn has_seen(&self, placement: Placement) -> bool {
        self.standings.iter().any(|standing| standing.placement == placement)
    }

    pub(crate) fn thrown(&self) -> usize {
        self.taken.iter().flatten().filter(|run| !run.is_kept()).count()
    }

    /// Runs in which a measured thread lost its core.
    pub(crate) fn preempted(&self) -> usize {
        self.taken.iter().flatten().filter(|run| run.preempted > 0).count()
    }

    pub(crate) fn name_of(&self, contender: usize) -> &'static str {
        self.cell.contenders[contender].about.name
    }
}
