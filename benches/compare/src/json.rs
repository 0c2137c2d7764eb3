//! *Owns* the file. *Invariant*: every run is in it, kept or not, with both of its probes, so that
//! anyone may judge by other rules. *Source*: none.

use crate::report::{CellReport, Report, ScenarioReport};
use crate::rounds::{Kind, Taken};
use crate::verdict::{Standing, Verdict};
use serde_json::{Map, Value, json};

pub(crate) fn of(report: &Report) -> Value {
    let machine: Map<String, Value> =
        report.machine.iter().map(|(what, value)| ((*what).to_owned(), json!(value))).collect();
    json!({
        "machine": machine,
        "kept_runs_wanted": report.wanted,
        "kept_runs_min": report.rules.kept_runs_min,
        "clock_step_ns": report.rules.step_ns,
        "scenarios": report.scenarios.iter().map(scenario).collect::<Vec<_>>(),
    })
}

fn scenario(report: &ScenarioReport) -> Value {
    json!({
        "name": report.scenario.name,
        "about": report.scenario.about,
        "missing": report.missing,
        "findings": report.findings,
        "cells": report.cells.iter().map(cell).collect::<Vec<_>>(),
    })
}

fn cell(report: &CellReport) -> Value {
    let metrics: Vec<_> = report.cell.metrics.iter().map(crate::table::titled).collect();
    let contender = |(at, runs): (usize, &Vec<Taken>)| {
        let contender = &report.cell.contenders[at];
        let kind = match contender.kind {
            Kind::Ours => "ours",
            Kind::Peer => "peer",
            Kind::Limit => "limit",
        };
        json!({
            "name": contender.about.name,
            "kind": kind,
            "configuration": contender.about.configuration,
            "published": contender.about.published,
            "runs": runs.iter().map(run).collect::<Vec<_>>(),
        })
    };
    json!({
        "name": report.cell.name,
        "axis": report.cell.on_axis.map(|at| json!({ "name": at.axis, "value": at.value })),
        "metrics": metrics,
        "contenders": report.taken.iter().enumerate().map(contender).collect::<Vec<_>>(),
        "placements": report.standings.iter().map(|it| standing(report, it)).collect::<Vec<_>>(),
    })
}

fn run(taken: &Taken) -> Value {
    json!({
        "round": taken.round,
        "probes_ns": taken.probes_ns,
        "placement": taken.placement().name(),
        "kept": taken.is_kept(),
        "times_preempted": taken.preempted,
        "values": taken.values,
    })
}

fn standing(report: &CellReport, standing: &Standing) -> Value {
    let row = |row: &crate::verdict::Row| {
        let summaries = row.summaries.as_ref().map(|summaries| {
            let summary = |it: &crate::verdict::Summary| {
                json!({ "median": it.median, "min": it.min, "max": it.max })
            };
            summaries.iter().map(summary).collect::<Vec<_>>()
        });
        json!({
            "contender": report.name_of(row.contender),
            "kept": row.kept,
            "figures": summaries,
        })
    };
    let verdict = |it: &Verdict| {
        json!({
            "metric": report.cell.metrics[it.metric].name,
            "ours": report.name_of(it.ours),
            "best_peer": report.name_of(it.best_peer),
            "ratio": it.ratio,
            "verdict": it.word,
        })
    };
    json!({
        "placement": standing.placement.name(),
        "rows": standing.rows.iter().map(row).collect::<Vec<_>>(),
        "verdicts": standing.verdicts.iter().map(verdict).collect::<Vec<_>>(),
    })
}
