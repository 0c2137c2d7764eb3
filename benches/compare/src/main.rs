//! The same work through tourbillon, through its peers, and through hand-written limits, side by
//! side and in turns. `docs/compare.md` says how to read it.
//!
//! *Owns* the command line. *Invariant*: what is printed was measured in this process, now.
//! *Source*: none.

mod chart;
mod clock;
mod contenders;
mod json;
mod machine;
mod numbered;
mod report;
mod rounds;
mod scenarios;
mod svg;
mod table;
mod transport;
mod verdict;

use clap::Parser;
use machine::Machine;
use report::{CellReport, Report, ScenarioReport};
use rounds::Size;
use scenarios::{Plan, Scenario};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use verdict::Rules;

const QUICK_SECONDS_MAX: u64 = 10;
const KEPT_RUNS_MIN: usize = 5;

/// Compares tourbillon with its peers on this machine.
#[derive(Parser)]
struct Options {
    /// Only this scenario; may be given several times
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// Cells of `throughput` and `batches`: bytes of a payload x slots; default: all
    #[arg(long, value_name = "BYTESxSLOTS,…", value_delimiter = ',', value_parser = size)]
    cells: Vec<Size>,
    /// Goes on until every contender has so many kept runs in one placement
    #[arg(long, value_name = "N", default_value_t = 7)]
    rounds: usize,
    /// … or until a scenario has taken so long
    #[arg(long, value_name = "N", default_value_t = 120)]
    seconds_max: u64,
    /// One kept run of a tenth of the work: shows that it works, proves nothing
    #[arg(long)]
    quick: bool,
    /// Writes everything that was measured
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes a plot per scenario
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
    /// The sender's core, the receiver's, more for more producers; default: the first ones
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    cores: Vec<usize>,
    /// Names the scenarios
    #[arg(long)]
    list: bool,
    /// What the scenario `named` starts: this program as observer of a ring
    #[arg(long, hide = true, num_args = 4, value_names = ["RING", "CORE", "EVENTS", "NS_PER_TICK"])]
    observe: Vec<String>,
}

/// Reads `32x1024`.
fn size(text: &str) -> Result<Size, String> {
    let parsed = text
        .split_once('x')
        .and_then(|(bytes, slots)| Some((bytes.parse().ok()?, slots.parse().ok()?)));
    parsed.ok_or_else(|| "say bytes x slots, as in 32x1024".to_owned())
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    if let [ring, core, events, ns_per_tick] = &options.observe[..] {
        return scenarios::observe(ring, core, events, ns_per_tick);
    }
    if options.list {
        for scenario in scenarios::ALL {
            println!("{:14} {}", scenario.name, scenario.about);
        }
        return Ok(());
    }
    let chosen = chosen(&options.scenario)?;
    let has_twins =
        (1..options.cores.len()).any(|at| options.cores[..at].contains(&options.cores[at]));
    if has_twins && !options.quick {
        return Err("a core is named twice, which only --quick puts up with".to_owned());
    }
    let machine = Machine::new(&options.cores)?;
    let rules = Rules {
        kept_runs_min: if options.quick { 1 } else { KEPT_RUNS_MIN },
        step_ns: machine.clock.step_ns,
    };
    let wanted = if options.quick { 1 } else { options.rounds };
    let mut report = Report { machine: machine.lines(), rules, wanted, scenarios: Vec::new() };
    table::print_head(&report, options.quick);
    for scenario in chosen {
        let measured = measure(scenario, &machine, options, &report);
        report.scenarios.push(measured);
    }
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&json::of(&report)).map_err(said)?;
        std::fs::write(path, text).map_err(said)?;
    }
    if let Some(dir) = &options.svg {
        svg::write_all(&report, dir).map_err(said)?;
    }
    Ok(())
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn chosen(names: &[String]) -> Result<Vec<&'static Scenario>, String> {
    if names.is_empty() {
        return Ok(scenarios::ALL.iter().collect());
    }
    let find = |name: &String| {
        let found = scenarios::ALL.iter().find(|scenario| scenario.name == name);
        found.ok_or_else(|| format!("no scenario is named {name}; --list names all"))
    };
    names.iter().map(find).collect()
}

/// Runs a scenario; prints each cell once it is done.
fn measure(
    scenario: &'static Scenario,
    machine: &Machine,
    options: &Options,
    report: &Report,
) -> ScenarioReport {
    let missing = (scenario.missing)(machine);
    table::print_scenario(scenario, missing.as_deref());
    let quick = options.quick;
    let mut asked = (scenario.cells)(Plan { quick, cores: machine.cores.len() });
    let is_chosen = |size: Size| options.cells.is_empty() || options.cells.contains(&size);
    let had_cells = !asked.is_empty();
    asked.retain(|cell| cell.size.is_none_or(is_chosen));
    if had_cells && asked.is_empty() {
        println!("   none of its cells is one of --cells");
    }
    let seconds_max = if quick { QUICK_SECONDS_MAX } else { options.seconds_max };
    let (began, count) = (Instant::now(), asked.len() as u32);
    let mut cells = Vec::new();
    for (at, cell) in (1..).zip(asked) {
        // What one cell leaves of its share is for those behind it.
        let end = began + Duration::from_secs(seconds_max) * at / count;
        let taken = rounds::take(&cell, machine, report.wanted, end);
        let cell = CellReport::new(cell, taken, report.rules);
        table::print_cell(&cell);
        cells.push(cell);
    }
    let findings = (scenario.findings)(&cells);
    table::print_findings(&findings);
    table::print_contenders(&cells);
    ScenarioReport { scenario, missing, cells, findings }
}
