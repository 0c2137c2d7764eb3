//! *Owns* the plots: per scenario its charts, and a group of bars per other cell, placement and metric. *Invariant*: a
//! bar ends at the median, its whisker spans all kept runs, all axes start at zero. *Source*: none.

use crate::report::{CellReport, Report, ScenarioReport};
use crate::rounds::Kind;
use crate::table::{figure, titled};
use crate::verdict::Standing;
use std::fmt::Write;
use std::path::Path;

const WIDTH: f64 = 760.0;
const LABEL_WIDTH: f64 = 240.0;
const FIGURE_WIDTH: f64 = 70.0;
const LINE: f64 = 20.0;
const GAP: f64 = 14.0;

pub(crate) fn write_all(report: &Report, dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    for scenario in &report.scenarios {
        let plot = plot(report, scenario);
        std::fs::write(dir.join(format!("{}.svg", scenario.scenario.name)), plot)?;
    }
    Ok(())
}

/// Writing to a string never fails.
macro_rules! put {
    ($($args:tt)*) => {
        let _ = writeln!($($args)*);
    };
}

fn plot(report: &Report, scenario: &ScenarioReport) -> String {
    let mut body = String::new();
    let mut y = 0.0;
    text(&mut body, 0.0, &mut y, "bold", scenario.scenario.name);
    text(&mut body, 0.0, &mut y, "normal", scenario.scenario.about);
    let processor = report.machine.iter().find(|(what, _)| *what == "processor");
    let processor = processor.map_or("", |(_, value)| value);
    text(
        &mut body,
        0.0,
        &mut y,
        "normal",
        &format!("{processor}; {} kept runs wanted", report.wanted),
    );
    for finding in &scenario.findings {
        text(&mut body, 0.0, &mut y, "normal", finding);
    }
    crate::chart::put_all(&mut body, &mut y, scenario);
    // What is in a chart needs no bars.
    for cell in scenario.cells.iter().filter(|cell| cell.cell.on_axis.is_none()) {
        for standing in &cell.standings {
            for metric in 0..cell.cell.metrics.len() {
                group(&mut body, &mut y, cell, standing, metric);
            }
        }
    }
    let height = y + GAP;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-10 -10 {} {}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect x=\"-10\" y=\"-10\" width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n",
        WIDTH + 20.0,
        height + 20.0,
    )
}

fn text(body: &mut String, x: f64, y: &mut f64, weight: &str, words: &str) {
    *y += LINE;
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    put!(body, "<text x=\"{x}\" y=\"{:.0}\" font-weight=\"{weight}\">{words}</text>", *y - 6.0);
}

/// One bar per contender that has a result.
fn group(body: &mut String, y: &mut f64, report: &CellReport, standing: &Standing, metric: usize) {
    let rows = standing.rows.iter().filter_map(|row| {
        let summary = row.summaries.as_ref()?[metric];
        Some((&report.cell.contenders[row.contender], summary))
    });
    let rows: Vec<_> = rows.collect();
    let longest = rows.iter().map(|(_, summary)| summary.max).fold(0.0, f64::max);
    if longest <= 0.0 {
        return;
    }
    *y += GAP;
    let placement = standing.placement.name();
    let titled = titled(&report.cell.metrics[metric]);
    text(body, 0.0, y, "bold", &format!("{}, {placement}: {titled}", report.cell.name));
    let scale = (WIDTH - LABEL_WIDTH - FIGURE_WIDTH) / longest;
    let at = |value: f64| LABEL_WIDTH + value.max(0.0) * scale;
    for (contender, summary) in rows {
        text(body, 0.0, y, "normal", contender.about.name);
        let color = match contender.kind {
            Kind::Ours => "#b3541e",
            Kind::Peer => "#7a8ca3",
            Kind::Limit => "#d5d5d5",
        };
        let (top, mid) = (*y - LINE + 3.0, *y - LINE / 2.0);
        let length = at(summary.median) - LABEL_WIDTH;
        put!(
            body,
            "<rect x=\"{LABEL_WIDTH}\" y=\"{top:.0}\" width=\"{length:.1}\" height=\"14\" fill=\"{color}\"/>"
        );
        let (min, max) = (at(summary.min), at(summary.max));
        put!(body, "<path d=\"M{min:.1} {mid:.0}H{max:.1}\" stroke=\"black\"/>");
        let (end, base) = (max + 4.0, *y - 6.0);
        put!(body, "<text x=\"{end:.1}\" y=\"{base:.0}\">{}</text>", figure(summary.median));
    }
}
