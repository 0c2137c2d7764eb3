//! The same work through tourbillon, through its peers, and through hand-written limits, side by
//! side and in turns. `docs/compare.md` says how to read it.
//!
//! *Owns* the command line. *Invariant*: what is printed was measured in this process, now.
//! *Source*: none.

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
use scenarios::{Plan, Scenario};
use std::path::PathBuf;
use std::process::ExitCode;
use verdict::Rules;

const QUICK_ROUNDS: usize = 3;
const KEPT_RUNS_MIN: usize = 5;

/// Compares tourbillon with its peers on this machine.
#[derive(Parser)]
struct Options {
    /// Only this scenario; may be given several times
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// How often every contender runs
    #[arg(long, value_name = "N", default_value_t = 9)]
    rounds: usize,
    /// Three rounds of a tenth of the work: shows that it works, proves nothing
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
    let rounds = if options.quick { QUICK_ROUNDS.min(options.rounds) } else { options.rounds };
    let mut report = Report { machine: machine.lines(), rules, rounds, scenarios: Vec::new() };
    table::print_head(&report, options.quick);
    for scenario in chosen {
        let measured = measure(scenario, &machine, options.quick, &report);
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
    quick: bool,
    report: &Report,
) -> ScenarioReport {
    let missing = (scenario.missing)(machine);
    table::print_scenario(scenario, missing.as_deref());
    let mut cells = Vec::new();
    for cell in (scenario.cells)(Plan { quick, cores: machine.cores.len() }) {
        let taken = rounds::take(&cell, machine, report.rounds);
        let cell = CellReport::new(cell, taken, report.rules);
        table::print_cell(&cell, report);
        cells.push(cell);
    }
    table::print_contenders(&cells);
    ScenarioReport { scenario, missing, cells }
}
