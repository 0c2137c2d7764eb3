//! *Owns* what is said of the figures: medians, ratios, first or lost. *Invariant*: only kept runs
//! of one placement are put side by side, and what has fewer than the rules ask is no result.
//! *Source*: none.

use crate::rounds::{Cell, Kind, Metric, Placement, Taken};

/// What counts.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    /// Fewer kept runs are no result.
    pub(crate) kept_runs_min: usize,
    /// One step of the clock: stamped figures that differ by no more are a tie.
    pub(crate) step_ns: f64,
}

#[derive(Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Summary {
    fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let (min, max) = (values[0], values[values.len() - 1]);
        Self { median: median_of_sorted(&values), min, max }
    }
}

fn median_of_sorted(values: &[f64]) -> f64 {
    let mid = values.len() / 2;
    if values.len() % 2 == 1 { values[mid] } else { f64::midpoint(values[mid - 1], values[mid]) }
}

/// The median of what is not empty.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    median_of_sorted(&values)
}

/// One contender in one placement.
pub(crate) struct Row {
    pub(crate) contender: usize,
    pub(crate) kept: usize,
    /// One per metric, or none: too few runs were kept.
    pub(crate) summaries: Option<Vec<Summary>>,
}

/// How tourbillon stands against the best peer in one metric.
pub(crate) struct Verdict {
    pub(crate) ours: usize,
    pub(crate) metric: usize,
    pub(crate) best_peer: usize,
    /// Tourbillon's figure over the peer's, if both are above zero.
    pub(crate) ratio: Option<f64>,
    pub(crate) word: &'static str,
}

/// A cell in one placement.
pub(crate) struct Standing {
    pub(crate) placement: Placement,
    pub(crate) rows: Vec<Row>,
    pub(crate) verdicts: Vec<Verdict>,
}

impl Standing {
    /// `None` if the placement was never seen.
    pub(crate) fn new(
        cell: &Cell,
        taken: &[Vec<Taken>],
        placement: Placement,
        rules: Rules,
    ) -> Option<Self> {
        let row = |(contender, runs): (usize, &Vec<Taken>)| {
            let kept: Vec<&Taken> =
                runs.iter().filter(|run| run.is_kept() && run.placement() == placement).collect();
            let column = |at: usize| Summary::new(kept.iter().map(|run| run.values[at]).collect());
            let is_result = kept.len() >= rules.kept_runs_min;
            let summaries = is_result.then(|| (0..cell.metrics.len()).map(column).collect());
            Row { contender, kept: kept.len(), summaries }
        };
        let rows: Vec<Row> = taken.iter().enumerate().map(row).collect();
        if rows.iter().all(|row| row.kept == 0) {
            return None;
        }
        let verdicts = verdicts(cell, &rows, rules.step_ns);
        Some(Self { placement, rows, verdicts })
    }
}

fn verdicts(cell: &Cell, rows: &[Row], step_ns: f64) -> Vec<Verdict> {
    let metrics = cell.metrics.iter().enumerate();
    metrics.flat_map(|(at, metric)| verdicts_in(cell, rows, at, metric, step_ns)).collect()
}

/// Each of our rows against the best of the peers.
fn verdicts_in(
    cell: &Cell,
    rows: &[Row],
    metric_at: usize,
    metric: &Metric,
    step_ns: f64,
) -> Vec<Verdict> {
    let medians = |kind: Kind| {
        let of_kind = rows.iter().filter(move |row| cell.contenders[row.contender].kind == kind);
        of_kind.filter_map(move |row| {
            let summaries = row.summaries.as_ref()?;
            Some((row.contender, summaries[metric_at].median))
        })
    };
    let is_better = |one: f64, other: f64| {
        if metric.more_is_better { one > other } else { one < other }
    };
    let best = medians(Kind::Peer)
        .reduce(|best, peer| if is_better(peer.1, best.1) { peer } else { best });
    let Some((best_peer, best)) = best else { return Vec::new() };
    let verdict = |(ours, figure): (usize, f64)| {
        let is_tie = metric.is_stamped && (figure - best).abs() <= step_ns;
        let word = match (is_tie, is_better(figure, best)) {
            (true, _) => "tie",
            (false, true) => "first",
            (false, false) => "lost",
        };
        let ratio = (figure > 0.0 && best > 0.0).then(|| figure / best);
        Verdict { ours, metric: metric_at, best_peer, ratio, word }
    };
    medians(Kind::Ours).map(verdict).collect()
}
