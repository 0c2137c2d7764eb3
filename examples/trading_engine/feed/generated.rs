//! *Owns* a seeded order flow. *Invariant*: the same seed gives the same messages on every machine:
//! integers alone, and no collection is walked in an order of its own. *Source*: a zero-intelligence
//! flow around a random walk; the generator is splitmix64 by Steele, Lea and Flood.

use crate::events::{Action, Message, Side};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// The flow keeps about this many orders open.
const OPEN_TARGET: usize = 5_000;
/// Prices lie within this many ticks of the walk.
const TICKS: u64 = 60;
/// The price of a tick, in units.
const TICK: i64 = 100;
/// Messages of a burst: executions that sweep one side.
const BURST_MAX: u64 = 12;

/// An endless order flow.
#[derive(Debug)]
pub struct Generator {
    random: SplitMix,
    position: u64,
    next_order: u64,
    mid: i64,
    open: HashMap<u64, Open>,
    /// References by which a random open order is found; some are gone.
    pool: Vec<u64>,
    /// Time priority at each price; some references are gone.
    bids: BTreeMap<i64, VecDeque<u64>>,
    asks: BTreeMap<i64, VecDeque<u64>>,
    burst: Option<(Side, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    price: i64,
    remaining: u32,
}

#[derive(Debug)]
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; the bias of the remainder is of no matter here.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Self {
            random: SplitMix(seed),
            position: 0,
            next_order: 1,
            mid: 1_000_000,
            open: HashMap::new(),
            pool: Vec::new(),
            bids: BTreeMap::new(),
            asks: BTreeMap::new(),
            burst: None,
        }
    }

    fn add(&mut self) -> Message {
        let side = if self.random.below(2) == 0 { Side::Buy } else { Side::Sell };
        let offset = TICK * (1 + self.random.below(TICKS).min(self.random.below(TICKS)) as i64);
        let price = match side {
            Side::Buy => {
                let ceiling = self.best(Side::Sell).map_or(i64::MAX, |ask| ask - TICK);
                (self.mid - offset).min(ceiling)
            }
            Side::Sell => {
                let floor = self.best(Side::Buy).map_or(i64::MIN, |bid| bid + TICK);
                (self.mid + offset).max(floor)
            }
        };
        let quantity = 10 * (1 + self.random.below(50) as u32);
        let order = self.next_order;
        self.next_order += 1;
        self.open.insert(order, Open { price, remaining: quantity });
        self.pool.push(order);
        self.levels(side).entry(price).or_default().push_back(order);
        let action = if side == Side::Buy { Action::Bid } else { Action::Ask };
        self.message(action, order, Open { price, remaining: quantity }, quantity)
    }

    /// Executes against the best order of a side; adds one where there is none.
    fn execute(&mut self, side: Side) -> Message {
        let Some((order, open)) = self.front(side) else { return self.add() };
        let quantity = 1 + self.random.below(u64::from(open.remaining)) as u32;
        self.take(order, quantity);
        self.message(Action::Execute, order, open, quantity)
    }

    fn execute_hidden(&mut self) -> Message {
        let mid = Open { price: self.mid, remaining: 0 };
        let quantity = 10 * (1 + self.random.below(10) as u32);
        self.message(Action::ExecuteHidden, 0, mid, quantity)
    }

    /// Cancels part or all of a random order; adds one where there is none.
    fn cancel(&mut self, is_whole: bool) -> Message {
        let Some((order, open)) = self.any() else { return self.add() };
        if is_whole || open.remaining == 1 {
            self.take(order, open.remaining);
            return self.message(Action::Delete, order, open, open.remaining);
        }
        let quantity = 1 + self.random.below(u64::from(open.remaining) - 1) as u32;
        self.take(order, quantity);
        self.message(Action::Cancel, order, open, quantity)
    }

    fn take(&mut self, order: u64, quantity: u32) {
        if let Some(open) = self.open.get_mut(&order) {
            open.remaining -= quantity;
            if open.remaining == 0 {
                self.open.remove(&order);
            }
        }
    }

    fn levels(&mut self, side: Side) -> &mut BTreeMap<i64, VecDeque<u64>> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    fn best(&mut self, side: Side) -> Option<i64> {
        self.front(side).map(|(_, open)| open.price)
    }

    /// The first open order at the best price; forgets those in front of it that are gone.
    fn front(&mut self, side: Side) -> Option<(u64, Open)> {
        loop {
            let levels = match side {
                Side::Buy => &mut self.bids,
                Side::Sell => &mut self.asks,
            };
            let mut level = match side {
                Side::Buy => levels.last_entry()?,
                Side::Sell => levels.first_entry()?,
            };
            match level.get().front() {
                None => {
                    level.remove();
                }
                Some(order) => match self.open.get(order) {
                    Some(open) => return Some((*order, *open)),
                    None => {
                        level.get_mut().pop_front();
                    }
                },
            }
        }
    }

    /// A random open order; forgets those drawn that are gone.
    fn any(&mut self) -> Option<(u64, Open)> {
        while !self.pool.is_empty() {
            let at = self.random.below(self.pool.len() as u64) as usize;
            let order = self.pool[at];
            match self.open.get(&order) {
                Some(open) => return Some((order, *open)),
                None => {
                    self.pool.swap_remove(at);
                }
            }
        }
        None
    }

    fn message(&self, action: Action, order: u64, open: Open, quantity: u32) -> Message {
        Message {
            position: self.position,
            order,
            replaces: 0,
            price: open.price,
            quantity,
            instrument: 1,
            action,
            record_bytes: 0,
        }
    }
}

impl Iterator for Generator {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        self.position += 1;
        if let Some((side, left)) = self.burst {
            self.burst = (left > 1).then_some((side, left - 1));
            return Some(self.execute(side));
        }
        if self.random.below(16) == 0 {
            self.mid += TICK * (self.random.below(3) as i64 - 1);
        }
        // More adds while the book is thin, more cancels while it is thick.
        let (adds, deletes) = if self.open.len() < OPEN_TARGET { (55, 22) } else { (25, 52) };
        let message = match self.random.below(100) {
            roll if roll < adds => self.add(),
            roll if roll < adds + deletes => self.cancel(true),
            roll if roll < adds + deletes + 6 => self.cancel(false),
            roll if roll < adds + deletes + 8 => self.execute_hidden(),
            roll => {
                let side = if roll % 2 == 0 { Side::Buy } else { Side::Sell };
                if self.random.below(50) == 0 {
                    self.burst = Some((side, 1 + self.random.below(BURST_MAX)));
                }
                self.execute(side)
            }
        };
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flow_of_a_seed_is_golden() {
        let mut digest = crate::events::Digest::default();
        for message in Generator::new(42).take(20_000) {
            digest.eat_all([message.position, message.order, message.price as u64]);
            digest.eat_all([u64::from(message.quantity), message.action as u64]);
        }
        assert_eq!(digest.finish(), 13_737_101_790_920_504_922);
    }

    #[test]
    fn the_book_is_plausible_and_never_crossed() {
        let mut books = crate::book::Books::default();
        let mut kinds = [0; 8];
        for (n, message) in Generator::new(7).take(100_000).enumerate() {
            kinds[message.action as usize] += 1;
            let order = |side| crate::book::Order {
                price: message.price,
                remaining: message.quantity,
                instrument: 1,
                side,
            };
            match message.action {
                Action::Bid => books.add(message.order, order(Side::Buy)),
                Action::Ask => books.add(message.order, order(Side::Sell)),
                Action::Delete => assert!(books.delete(message.order).is_some()),
                Action::Cancel | Action::Execute => {
                    let was = books.reduce(message.order, message.quantity).expect("it is open");
                    assert!(was.remaining >= message.quantity);
                }
                _ => {}
            }
            let ladder = books.only().expect("one instrument");
            if let (Some(bid), Some(ask)) = (ladder.best_bid(), ladder.best_ask()) {
                assert!(bid < ask, "crossed at {n}: {bid} {ask}");
            }
        }
        assert!(books.open_orders() > 1_000 && books.open_orders() < 20_000);
        assert!((0..6).all(|kind: usize| kinds[kind] > 500), "{kinds:?}");
    }
}
