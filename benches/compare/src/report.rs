//! *Owns* all that was measured, for the table, the file and the plots alike. *Invariant*: runs
//! that were thrown away are in it too. *Source*: none.

use crate::rounds::{Cell, Placement, Taken};
use crate::scenarios::Scenario;
use crate::verdict::{Rules, Standing};

pub(crate) struct Report {
    pub(crate) machine: Vec<(&'static str, String)>,
    pub(crate) rules: Rules,
    /// Kept runs to aim for.
    pub(crate) wanted: usize,
    pub(crate) scenarios: Vec<ScenarioReport>,
}

pub(crate) struct ScenarioReport {
    pub(crate) scenario: &'static Scenario,
    pub(crate) missing: Option<String>,
    pub(crate) cells: Vec<CellReport>,
    /// What the cells say together.
    pub(crate) findings: Vec<String>,
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

    /// The median of a contender in one metric, where there is a result.
    pub(crate) fn median(
        &self,
        placement: Placement,
        contender: usize,
        metric: usize,
    ) -> Option<f64> {
        let standing = self.standings.iter().find(|standing| standing.placement == placement)?;
        let row = standing.rows.iter().find(|row| row.contender == contender)?;
        Some(row.summaries.as_ref()?[metric].median)
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
