//! *Owns* what a run says at its end. *Invariant*: the JSON line but for its last two fields follows
//! from the state alone, so a recovered run says the same as an uninterrupted one. *Source*: its own.

use crate::run::Outcome;
use hdrhistogram::Histogram;
use std::fmt::Write;
use std::time::Duration;

/// The line of `--json`.
pub fn json(outcome: &Outcome) -> String {
    let engine = &outcome.engine;
    let ladder = engine.books.only();
    let price = |price: Option<i64>| price.map_or("null".to_owned(), |price| price.to_string());
    let recovery = outcome.recovery.as_ref();
    let snapshot = recovery.and_then(|recovery| recovery.snapshot);
    format!(
        concat!(
            "{{\"events\":{},\"unknown_refs\":{},\"trades_seen\":{},\"open_orders\":{},",
            "\"best_bid\":{},\"best_ask\":{},\"intents\":{},\"refused\":{},\"position\":{},",
            "\"state_digest\":\"{:016x}\",\"snapshot_sequence\":{},\"replayed\":{}}}"
        ),
        engine.events,
        engine.unknown_refs,
        engine.trades_seen,
        engine.books.open_orders(),
        price(ladder.and_then(|ladder| ladder.best_bid())),
        price(ladder.and_then(|ladder| ladder.best_ask())),
        engine.strategy.sent,
        engine.strategy.refused,
        engine.strategy.position,
        engine.digest(),
        snapshot.map_or("null".to_owned(), |sequence| sequence.to_string()),
        recovery.map_or(0, |recovery| recovery.replayed),
    )
}

/// The table for a person.
pub fn table(outcome: &Outcome) -> String {
    let engine = &outcome.engine;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<22} {value}");
    };
    line("events", grouped(engine.events));
    let rate = outcome.published as f64 / outcome.elapsed.as_secs_f64().max(1e-9);
    line("events/s", format!("{} (published, journaled and applied)", grouped(rate as u64)));
    line("publish → engine", latency(&outcome.to_engine));
    line("publish → journaled", latency(&outcome.to_journaled));
    line("journaled", format!("{} bytes of frames", grouped(outcome.journal_bytes)));
    let pause = micros(outcome.snapshot_pause);
    line("snapshots", format!("{}, longest pause of the engine {pause}", outcome.snapshots));
    if let Some(recovery) = &outcome.recovery {
        let covered = recovery.snapshot.map_or("none".to_owned(), |at| grouped(at.get()));
        line("snapshot loaded", format!("{covered}, in {}", micros(recovery.load_time)));
        let rate = recovery.replayed as f64 / recovery.replay_time.as_secs_f64().max(1e-9);
        let (events, time) = (grouped(recovery.replayed), micros(recovery.replay_time));
        line("replayed", format!("{events} events in {time}, {} events/s", grouped(rate as u64)));
    }
    let ladder = engine.books.only();
    let price = |price: Option<i64>| price.map_or("–".to_owned(), |price| price.to_string());
    let bid = price(ladder.and_then(|ladder| ladder.best_bid()));
    let ask = price(ladder.and_then(|ladder| ladder.best_ask()));
    line("best bid / ask", format!("{bid} / {ask}"));
    line("open orders", grouped(engine.books.open_orders() as u64));
    line("position", format!("{}, cash {}", engine.strategy.position, engine.strategy.cash));
    let (sent, refused) = (grouped(engine.strategy.sent), grouped(engine.strategy.refused));
    let out = grouped(outcome.intents_out);
    line("intents", format!("{sent} sent, {refused} refused by risk; {out} left in this run"));
    line("state digest", format!("{:016x}", engine.digest()));
    for (n, placement) in outcome.placements.iter().enumerate() {
        line(if n == 0 { "placement" } else { "" }, placement.to_string());
    }
    let threads = outcome.placements.len() + 1;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if threads > cores {
        let note = format!("{threads} threads on {cores} cores: latency says little here");
        line("note", note);
    }
    text
}

fn latency(histogram: &Histogram<u64>) -> String {
    let at = |quantile| micros(Duration::from_nanos(histogram.value_at_quantile(quantile)));
    let max = micros(Duration::from_nanos(histogram.max()));
    format!("p50 {}, p99 {}, p99.9 {}, max {max}", at(0.5), at(0.99), at(0.999))
}

fn micros(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    if micros < 1_000.0 { format!("{micros:.1} µs") } else { format!("{:.1} ms", micros / 1e3) }
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn digits_stand_in_groups_of_three() {
        let grouped = [0, 12, 999, 1_000, 1_234_567].map(super::grouped);
        assert_eq!(grouped, ["0", "12", "999", "1,000", "1,234,567"]);
    }
}
