//! *Owns* what goes to the terminal. *Invariant*: a lost cell is printed like a won one, and a
//! placement that was not seen is said so. *Source*: none.

use crate::report::{CellReport, Report};
use crate::rounds::{Kind, Metric, Placement};
use crate::scenarios::Scenario;
use crate::verdict::{Row, Standing, Summary};
use std::collections::HashSet;

const NAME_WIDTH: usize = 30;
const FIGURE_WIDTH: usize = 25;

pub(crate) fn print_head(report: &Report, quick: bool) {
    for (what, value) in &report.machine {
        println!("{what:24} {value}");
    }
    println!("{:24} until {} runs of each contender are kept", "rounds", report.wanted);
    if quick {
        println!("quick: a tenth of the work, one kept run is enough; these figures prove nothing");
    }
}

pub(crate) fn print_scenario(scenario: &Scenario, missing: Option<&str>) {
    println!("\n== {}: {}", scenario.name, scenario.about);
    if let Some(missing) = missing {
        println!("   {missing}");
    }
}

pub(crate) fn print_cell(report: &CellReport) {
    let runs: usize = report.taken.iter().map(Vec::len).sum();
    println!("\n-- {}", report.cell.name);
    println!(
        "   of {runs} runs {} thrown away; in {} the kernel took a core for a while",
        report.thrown(),
        report.preempted(),
    );
    for placement in Placement::ALL {
        if !report.has_seen(placement) {
            println!("   {}: not seen", placement.name());
        }
    }
    for standing in &report.standings {
        print_standing(report, standing);
    }
}

fn print_standing(report: &CellReport, standing: &Standing) {
    print!("   {:NAME_WIDTH$}", format!("{}: median (min, max)", standing.placement.name()));
    for metric in &report.cell.metrics {
        print!(" {:>FIGURE_WIDTH$}", titled(metric));
    }
    println!("  kept");
    for row in &standing.rows {
        print_row(report, row);
    }
    for verdict in &standing.verdicts {
        let metric = report.cell.metrics[verdict.metric].name;
        let (ours, peer) = (report.name_of(verdict.ours), report.name_of(verdict.best_peer));
        let ratio = verdict.ratio.map_or("no ratio".to_owned(), |ratio| format!("{ratio:.2}"));
        println!("   {:6} {metric}: {ours} / {peer} = {ratio}", verdict.word);
    }
}

pub(crate) fn titled(metric: &Metric) -> String {
    if metric.unit.is_empty() {
        return metric.name.to_owned();
    }
    format!("{}, {}", metric.name, metric.unit)
}

fn print_row(report: &CellReport, row: &Row) {
    let mark = match report.cell.contenders[row.contender].kind {
        Kind::Ours => "*",
        Kind::Peer => " ",
        Kind::Limit => "|",
    };
    print!("  {mark}{:NAME_WIDTH$}", report.name_of(row.contender));
    match &row.summaries {
        Some(summaries) => summaries.iter().for_each(print_figure),
        None => report.cell.metrics.iter().for_each(|_| print!(" {:>FIGURE_WIDTH$}", "no result")),
    }
    println!("  {} of {}", row.kept, report.taken[row.contender].len());
}

fn print_figure(summary: &Summary) {
    let [median, min, max] = [summary.median, summary.min, summary.max].map(figure);
    print!(" {:>FIGURE_WIDTH$}", format!("{median} ({min}, {max})"));
}

/// Three digits that mean something.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

pub(crate) fn print_findings(findings: &[String]) {
    if !findings.is_empty() {
        println!();
    }
    for finding in findings {
        println!("   = {finding}");
    }
}

/// What each row of these cells was, once.
pub(crate) fn print_contenders(cells: &[CellReport]) {
    println!("\n   * ours, | a limit; how each was used:");
    let mut said = HashSet::new();
    for contender in cells.iter().flat_map(|report| &report.cell.contenders) {
        let about = contender.about;
        if said.insert((about.name, about.configuration)) {
            println!("   {:NAME_WIDTH$}{}", about.name, about.configuration);
            if let Some(published) = about.published {
                println!("   {:NAME_WIDTH$}its own figures: {published}", "");
            }
        }
    }
}
