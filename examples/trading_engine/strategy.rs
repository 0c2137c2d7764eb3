//! *Owns* a small market maker and its limits. *Invariant*: it is a function of the events alone:
//! integers, no clock, no randomness; the position stays within the limit. *Source*: quoting around
//! the mid with an inventory skew, as Avellaneda and Stoikov made popular, in its simplest form.

use crate::events::{Intent, Side};
use rkyv::{Archive, Deserialize, Serialize};
use tourbillon::Schema;

/// Shares of each quote.
const QUOTE_QUANTITY: u32 = 100;
/// The largest position, long or short.
const POSITION_MAX: i64 = 2_000;
/// A full position moves both quotes by this part of the spread's half, in per cent.
const SKEW_PERCENT: i64 = 80;
/// Quotes that are off by less than this part of the spread, in per cent, stay where they are.
const REQUOTE_PERCENT: i64 = 25;

/// A quote at the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize, Schema)]
#[schema(name = "trading.quote", version = 1)]
pub struct Quote {
    /// In the feed's own unit.
    pub price: i64,
    /// What is left of it.
    pub remaining: u32,
}

/// The market maker's state: part of the engine's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize, Schema)]
#[schema(name = "trading.strategy", version = 1)]
pub struct Strategy {
    /// Shares held; negative when short.
    pub position: i64,
    /// Money earned less money spent, in price units.
    pub cash: i64,
    /// Intents let through by risk.
    pub sent: u64,
    /// Intents stopped by risk.
    pub refused: u64,
    /// Our bid.
    pub bid: Option<Quote>,
    /// Our ask.
    pub ask: Option<Quote>,
}

impl Strategy {
    /// A resting order of `side` at `price` was executed: the deterministic stand-in for fills. Our
    /// quote is filled where it was at least as good.
    pub fn on_execution(&mut self, side: Side, price: i64, quantity: u32) {
        let (quote, sign) = match side {
            Side::Buy => (&mut self.bid, 1),
            Side::Sell => (&mut self.ask, -1),
        };
        let Some(ours) = quote else { return };
        let is_better = if side == Side::Buy { ours.price >= price } else { ours.price <= price };
        if !is_better {
            return;
        }
        let filled = quantity.min(ours.remaining);
        self.position += sign * i64::from(filled);
        self.cash = self.cash.saturating_sub(sign * i64::from(filled) * ours.price);
        ours.remaining -= filled;
        if ours.remaining == 0 {
            *quote = None;
        }
    }

    /// Quotes around the mid, leaning against the position.
    pub fn on_top(&mut self, instrument: u16, bid: i64, ask: i64, out: &mut Vec<Intent>) {
        let spread = (ask - bid).max(1);
        let mid = bid + (ask - bid) / 2;
        let half = (spread / 2).max(1);
        let skew = half * SKEW_PERCENT * self.position / (100 * POSITION_MAX);
        let slack = spread * REQUOTE_PERCENT / 100;
        // Never across the other side of the book.
        let wanted_bid = (mid - half - skew).min(ask - 1);
        let wanted_ask = (mid + half - skew).max(bid + 1);
        self.requote(Side::Buy, wanted_bid, slack, instrument, out);
        self.requote(Side::Sell, wanted_ask, slack, instrument, out);
    }

    fn requote(
        &mut self,
        side: Side,
        price: i64,
        slack: i64,
        instrument: u16,
        out: &mut Vec<Intent>,
    ) {
        let current = if side == Side::Buy { self.bid } else { self.ask };
        if current.is_some_and(|quote| (quote.price - price).abs() <= slack) {
            return;
        }
        let sign = if side == Side::Buy { 1 } else { -1 };
        let after_fill = sign * self.position + i64::from(QUOTE_QUANTITY);
        let is_allowed = after_fill <= POSITION_MAX;
        let quote = is_allowed.then_some(Quote { price, remaining: QUOTE_QUANTITY });
        if is_allowed {
            self.sent += 1;
            out.push(Intent { price, quantity: QUOTE_QUANTITY, instrument, side });
        } else {
            self.refused += 1;
            if current.is_some() {
                self.sent += 1;
                out.push(Intent { price: 0, quantity: 0, instrument, side });
            }
        }
        match side {
            Side::Buy => self.bid = quote,
            Side::Sell => self.ask = quote,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_move_only_when_they_are_off_and_lean_against_the_position() {
        let (mut strategy, mut out) = (Strategy::default(), Vec::new());
        strategy.on_top(1, 1_000, 1_100, &mut out);
        assert_eq!(out.iter().map(|i| i.price).collect::<Vec<_>>(), [1_000, 1_100]);
        out.clear();
        strategy.on_top(1, 1_002, 1_102, &mut out);
        assert!(out.is_empty());
        strategy.position = 1_900;
        strategy.on_top(1, 1_000, 1_100, &mut out);
        assert!(out.iter().all(|intent| intent.price < 1_100), "{out:?}");
    }

    #[test]
    fn the_position_stays_within_its_limit_and_refusals_are_counted() {
        let (mut strategy, mut out) = (Strategy::default(), Vec::new());
        for n in 0..200 {
            let bid = 1_000 - n * 60;
            strategy.on_top(1, bid, bid + 100, &mut out);
            strategy.on_execution(Side::Buy, bid - 50, 1_000);
        }
        assert_eq!(strategy.position, POSITION_MAX);
        assert!(strategy.refused > 0);
        assert_eq!(strategy.bid, None);
    }

    #[test]
    fn a_fill_happens_only_where_our_quote_was_as_good() {
        let (mut strategy, mut out) = (Strategy::default(), Vec::new());
        strategy.on_top(1, 1_000, 1_100, &mut out);
        strategy.on_execution(Side::Buy, 1_001, 50);
        assert_eq!(strategy.position, 0);
        strategy.on_execution(Side::Buy, 1_000, 30);
        assert_eq!((strategy.position, strategy.cash), (30, -30_000));
        strategy.on_execution(Side::Sell, 1_200, 1_000);
        assert_eq!((strategy.position, strategy.cash), (-70, -30_000 + 110_000));
    }
}
