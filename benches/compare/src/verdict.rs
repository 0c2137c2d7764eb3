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
    let metrics = cell.metrics.iter().enumerate().filter(|(_, metric)| metric.is_judged);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::Contender;
    use crate::transport::About;

    fn contender(name: &'static str, kind: Kind) -> Contender {
        let about = About { name, configuration: "", published: None };
        Contender { about, kind, run: Box::new(|_| Vec::new()) }
    }

    fn runs(probes_ns: [f64; 2], values: &[f64]) -> Vec<Taken> {
        let run = |(round, &value)| Taken { round, probes_ns, preempted: 0, values: vec![value] };
        values.iter().enumerate().map(run).collect()
    }

    /// Ours, two peers and a limit, in one placement.
    fn standing(metric: Metric, ours: f64, peers: [f64; 2], limit: f64) -> Standing {
        let kinds = [("a", Kind::Ours), ("b", Kind::Peer), ("c", Kind::Peer), ("d", Kind::Limit)];
        let contenders = kinds.map(|(name, kind)| contender(name, kind)).into();
        let cell = Cell::new(String::new(), vec![metric], contenders);
        let taken = [ours, peers[0], peers[1], limit].map(|value| runs([100.0; 2], &[value; 5]));
        let rules = Rules { kept_runs_min: 5, step_ns: 2.0 };
        assert!(Standing::new(&cell, &taken, Placement::Far, rules).is_none());
        Standing::new(&cell, &taken, Placement::Near, rules).expect("runs that are near")
    }

    fn word(metric: Metric, ours: f64, peers: [f64; 2], limit: f64) -> (&'static str, usize) {
        let verdicts = standing(metric, ours, peers, limit).verdicts;
        let [verdict] = &verdicts[..] else { panic!("one of ours, one metric") };
        (verdict.word, verdict.best_peer)
    }

    #[test]
    fn the_best_peer_counts_and_a_limit_never_does() {
        let ns = Metric::ns("time");
        assert_eq!(word(ns, 10.0, [30.0, 11.0], 1.0), ("first", 2));
        assert_eq!(word(ns, 12.0, [11.0, 30.0], 99.0), ("lost", 1));
        let share = Metric { more_is_better: true, ..ns };
        assert_eq!(word(share, 12.0, [11.0, 9.0], 99.0), ("first", 1));
        assert_eq!(word(share, 10.0, [9.0, 11.0], 1.0), ("lost", 2));
    }

    #[test]
    fn one_step_of_the_clock_is_a_tie_where_the_clock_was_read() {
        assert_eq!(word(Metric::stamped("p50"), 12.0, [10.0, 30.0], 1.0).0, "tie");
        assert_eq!(word(Metric::stamped("p50"), 12.5, [10.0, 30.0], 1.0).0, "lost");
        assert_eq!(word(Metric::ns("mean"), 11.0, [10.0, 30.0], 1.0).0, "lost");
    }

    #[test]
    fn few_kept_runs_are_no_result_and_spoilt_ones_are_not_kept() {
        let contenders = vec![contender("a", Kind::Ours)];
        let cell = Cell::new(String::new(), vec![Metric::ns("time")], contenders);
        let rules = Rules { kept_runs_min: 5, step_ns: 1.0 };
        let mut taken = vec![runs([100.0, 114.0], &[3.0, 1.0, 2.0, 5.0, 4.0])];
        taken[0].extend(runs([100.0, 116.0], &[900.0]));
        taken[0].extend(runs([199.0, 201.0], &[900.0]));
        taken[0].extend(runs([300.0, 300.0], &[900.0]));
        let near = Standing::new(&cell, &taken, Placement::Near, rules).expect("near runs");
        let summary = near.rows[0].summaries.as_ref().expect("five runs")[0];
        assert_eq!((summary.median, summary.min, summary.max), (3.0, 1.0, 5.0));
        let far = Standing::new(&cell, &taken, Placement::Far, rules).expect("one far run");
        assert!(far.rows[0].summaries.is_none() && far.rows[0].kept == 1);
    }
}
