//! *Owns* the charts: a line per contender over the axis that cells share, one chart per axis,
//! placement and metric. *Invariant*: a point is the median over kept runs of one placement; both
//! scales are logarithmic, and a cell without a result leaves no point. *Source*: none.

use crate::report::{CellReport, ScenarioReport};
use crate::rounds::{Kind, Placement};
use crate::table::{figure, titled};
use std::fmt::Write;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 230.0;
const LINE: f64 = 18.0;
const PEERS: [&str; 4] = ["#3b6ea5", "#4a8f5c", "#8a6bb1", "#7a8ca3"];

/// Writing to a string never fails.
macro_rules! put {
    ($($args:tt)*) => {
        let _ = writeln!($($args)*);
    };
}

/// One contender's points, as (on the axis, median).
struct Series {
    name: &'static str,
    kind: Kind,
    points: Vec<(f64, f64)>,
}

/// From the least to the most of what is shown, on a line of so many units.
struct Scale {
    least: f64,
    most: f64,
    from: f64,
    to: f64,
}

impl Scale {
    fn new(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let least = values.clone().fold(f64::MAX, f64::min);
        Self { least, most: values.fold(least, f64::max), from, to }
    }

    fn at(&self, value: f64) -> f64 {
        let share = match self.most > self.least {
            true => (value / self.least).ln() / (self.most / self.least).ln(),
            false => 0.5,
        };
        self.from + share * (self.to - self.from)
    }
}

/// All charts of a scenario below each other, from `y` on; moves `y` past them.
pub(crate) fn put_all(body: &mut String, y: &mut f64, scenario: &ScenarioReport) {
    let mut axes: Vec<&'static str> = Vec::new();
    for at in scenario.cells.iter().filter_map(|cell| cell.cell.on_axis) {
        if !axes.contains(&at.axis) {
            axes.push(at.axis);
        }
    }
    for axis in axes {
        let on_axis = |cell: &&CellReport| cell.cell.on_axis.is_some_and(|at| at.axis == axis);
        let cells: Vec<&CellReport> = scenario.cells.iter().filter(on_axis).collect();
        for placement in Placement::ALL {
            for metric in 0..cells[0].cell.metrics.len() {
                let all = series(&cells, placement, metric);
                if all.iter().any(|series| series.points.len() > 1) {
                    let what = titled(&cells[0].cell.metrics[metric]);
                    let title = format!("{what}, over {axis}; {}", placement.name());
                    put_chart(body, y, &title, &all);
                }
            }
        }
    }
}

/// By the contenders of the first cell, which the others have too.
fn series(cells: &[&CellReport], placement: Placement, metric: usize) -> Vec<Series> {
    let mut names: Vec<(&'static str, Kind)> = Vec::new();
    for contender in cells.iter().flat_map(|cell| &cell.cell.contenders) {
        let named = (contender.about.name, contender.kind);
        if !names.contains(&named) {
            names.push(named);
        }
    }
    let point = |cell: &CellReport, name| {
        let contenders = &cell.cell.contenders;
        let at = contenders.iter().position(|contender| contender.about.name == name)?;
        let median = cell.median(placement, at, metric)?;
        (median > 0.0).then_some((cell.cell.on_axis?.value, median))
    };
    let of = |(name, kind)| Series {
        name,
        kind,
        points: cells.iter().filter_map(|cell| point(cell, name)).collect(),
    };
    names.into_iter().map(of).collect()
}

fn put_chart(body: &mut String, y: &mut f64, title: &str, all: &[Series]) {
    *y += 2.0 * LINE;
    put!(body, "<text x=\"0\" y=\"{y:.0}\" font-weight=\"bold\">{title}</text>");
    let (top, bottom) = (*y + LINE, *y + HEIGHT);
    let points = || all.iter().flat_map(|series| series.points.iter().copied());
    let across = Scale::new(points().map(|point| point.0), LEFT, WIDTH - RIGHT);
    let up = Scale::new(points().map(|point| point.1), bottom, top);
    put!(
        body,
        "<path d=\"M{LEFT} {top:.0}V{bottom:.0}H{:.0}\" fill=\"none\" stroke=\"black\"/>",
        WIDTH - RIGHT
    );
    let mut ticks: Vec<f64> = points().map(|point| point.0).collect();
    ticks.sort_by(f64::total_cmp);
    ticks.dedup();
    let mut last = f64::MIN;
    for tick in ticks {
        let x = across.at(tick);
        if x - last > 50.0 {
            last = x;
            let base = bottom + 16.0;
            put!(body, "<text x=\"{x:.1}\" y=\"{base:.0}\" text-anchor=\"middle\">{tick}</text>");
        }
    }
    for value in [up.least, (up.least * up.most).sqrt(), up.most] {
        let (x, base) = (LEFT - 6.0, up.at(value) + 4.0);
        let value = figure(value);
        put!(body, "<text x=\"{x}\" y=\"{base:.0}\" text-anchor=\"end\">{value}</text>");
    }
    put_lines(body, all, &across, &up);
    *y = bottom + LINE;
}

fn put_lines(body: &mut String, all: &[Series], across: &Scale, up: &Scale) {
    let mut peers = PEERS.iter().cycle();
    let mut base = up.to + 4.0;
    for series in all.iter().filter(|series| !series.points.is_empty()) {
        let (color, dashes) = match series.kind {
            Kind::Ours => ("#b3541e", ""),
            Kind::Peer => (*peers.next().expect("a cycle"), ""),
            Kind::Limit => ("#a0a0a0", " stroke-dasharray=\"4 3\""),
        };
        let mut path = String::new();
        for &(x, y) in &series.points {
            let (x, y) = (across.at(x), up.at(y));
            let step = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{step}{x:.1} {y:.1}");
            put!(body, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{color}\"/>");
        }
        put!(
            body,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.5\"{dashes}/>"
        );
        let x = WIDTH - RIGHT + 12.0;
        put!(body, "<text x=\"{x}\" y=\"{base:.0}\" fill=\"{color}\">{}</text>", series.name);
        base += LINE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_is_logarithmic_and_one_value_stands_in_its_middle() {
        let scale = Scale::new([1.0, 10.0, 100.0].into_iter(), 0.0, 200.0);
        assert_eq!([1.0, 10.0, 100.0].map(|value| scale.at(value)), [0.0, 100.0, 200.0]);
        assert_eq!(Scale::new([5.0].into_iter(), 0.0, 200.0).at(5.0), 100.0);
    }
}
