//! *Owns* the order books: every open order by its reference, every price level of every instrument.
//! *Invariant*: a level's quantity is the sum of its orders' remaining quantities; empty levels are
//! gone; nothing underflows, whatever a feed says. *Source*: the order messages of ITCH 5.0.

use crate::events::Side;
use rkyv::{Archive, Deserialize, Serialize};
use std::collections::BTreeMap;
use tourbillon::Schema;

/// An open order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize, Schema)]
#[schema(name = "trading.order", version = 1)]
pub struct Order {
    /// In the feed's own unit.
    pub price: i64,
    /// What is left of it; never 0.
    pub remaining: u32,
    /// Which book.
    pub instrument: u16,
    /// On which side.
    pub side: Side,
}

/// The price levels of one instrument: quantity by price.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize, Schema)]
#[schema(name = "trading.ladder", version = 1)]
pub struct Ladder {
    bids: BTreeMap<i64, u64>,
    asks: BTreeMap<i64, u64>,
}

impl Ladder {
    /// The highest bid.
    pub fn best_bid(&self) -> Option<i64> {
        self.bids.last_key_value().map(|(&price, _)| price)
    }

    /// The lowest ask.
    pub fn best_ask(&self) -> Option<i64> {
        self.asks.first_key_value().map(|(&price, _)| price)
    }

    /// Every level: bids, then asks, each from the lowest price up.
    pub fn levels(&self) -> impl Iterator<Item = (i64, u64)> + '_ {
        self.bids.iter().chain(&self.asks).map(|(&price, &quantity)| (price, quantity))
    }

    fn side(&mut self, side: Side) -> &mut BTreeMap<i64, u64> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    fn grow(&mut self, order: &Order) {
        *self.side(order.side).entry(order.price).or_default() += u64::from(order.remaining);
    }

    fn shrink(&mut self, order: &Order, by: u32) {
        let levels = self.side(order.side);
        if let Some(quantity) = levels.get_mut(&order.price) {
            *quantity = quantity.saturating_sub(u64::from(by));
            if *quantity == 0 {
                levels.remove(&order.price);
            }
        }
    }
}

/// All books of a feed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize, Schema)]
#[schema(name = "trading.books", version = 1)]
pub struct Books {
    orders: BTreeMap<u64, Order>,
    /// One for each instrument that ever had an order.
    ladders: BTreeMap<u16, Ladder>,
    known: KnownOrders,
}

impl Books {
    /// Adds an order. It takes the place of one that is open under the same reference; one of
    /// quantity 0 is known, and gone.
    pub fn add(&mut self, reference: u64, order: Order) {
        self.known.insert(reference);
        self.delete(reference);
        let ladder = self.ladders.entry(order.instrument).or_default();
        if order.remaining > 0 {
            ladder.grow(&order);
            self.orders.insert(reference, order);
        }
    }

    /// Takes `quantity` from an order, or what is left of it. Gives the order as it was.
    pub fn reduce(&mut self, reference: u64, quantity: u32) -> Option<Order> {
        let order = self.orders.get_mut(&reference)?;
        let was = *order;
        let taken = quantity.min(was.remaining);
        order.remaining -= taken;
        if order.remaining == 0 {
            self.orders.remove(&reference);
        }
        self.ladder(was.instrument).shrink(&was, taken);
        Some(was)
    }

    /// Takes an order off the book.
    pub fn delete(&mut self, reference: u64) -> Option<Order> {
        self.reduce(reference, u32::MAX)
    }

    /// Whether an order by this reference was ever added.
    pub fn is_known(&self, reference: u64) -> bool {
        self.orders.contains_key(&reference) || self.known.contains(reference)
    }

    /// Orders with remaining quantity.
    pub fn open_orders(&self) -> usize {
        self.orders.len()
    }

    /// Every open order by its reference, in order.
    pub fn orders(&self) -> impl Iterator<Item = (&u64, &Order)> {
        self.orders.iter()
    }

    /// The levels of every instrument that ever had an order.
    pub fn ladders(&self) -> impl Iterator<Item = (&u16, &Ladder)> {
        self.ladders.iter()
    }

    /// The levels of one instrument.
    pub fn of(&self, instrument: u16) -> Option<&Ladder> {
        self.ladders.get(&instrument)
    }

    /// The levels of the only instrument; `None` if there are none, or several.
    pub fn only(&self) -> Option<&Ladder> {
        if self.ladders.len() == 1 { self.ladders.values().next() } else { None }
    }

    /// The references ever added, as ranges.
    pub fn known(&self) -> &KnownOrders {
        &self.known
    }

    fn ladder(&mut self, instrument: u16) -> &mut Ladder {
        self.ladders.entry(instrument).or_default()
    }
}

/// The references of all orders ever added, as sorted ranges: exchanges hand them out rising, so
/// most insertions lengthen the last range.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize, Schema)]
#[schema(name = "trading.known_orders", version = 1)]
pub struct KnownOrders {
    /// First and last of each range.
    ranges: Vec<(u64, u64)>,
}

impl KnownOrders {
    /// First and last of each range, rising.
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    fn contains(&self, reference: u64) -> bool {
        let after = self.ranges.partition_point(|&(first, _)| first <= reference);
        after > 0 && reference <= self.ranges[after - 1].1
    }

    fn insert(&mut self, reference: u64) {
        match self.ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(reference) => *last = reference,
            Some((_, last)) if *last >= reference => self.insert_within(reference),
            _ => self.ranges.push((reference, reference)),
        }
    }

    fn insert_within(&mut self, reference: u64) {
        if self.contains(reference) {
            return;
        }
        let at = self.ranges.partition_point(|&(first, _)| first <= reference);
        let joins_left = at > 0 && self.ranges[at - 1].1 + 1 == reference;
        let joins_right = at < self.ranges.len() && self.ranges[at].0 == reference + 1;
        match (joins_left, joins_right) {
            (true, true) => {
                self.ranges[at - 1].1 = self.ranges[at].1;
                self.ranges.remove(at);
            }
            (true, false) => self.ranges[at - 1].1 = reference,
            (false, true) => self.ranges[at].0 = reference,
            (false, false) => self.ranges.insert(at, (reference, reference)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(price: i64, remaining: u32, side: Side) -> Order {
        Order { price, remaining, instrument: 1, side }
    }

    #[test]
    fn levels_follow_their_orders() {
        let mut books = Books::default();
        books.add(1, order(100, 10, Side::Buy));
        books.add(2, order(100, 5, Side::Buy));
        books.add(3, order(101, 7, Side::Sell));
        let top = |books: &Books| {
            let ladder = books.only().expect("one instrument");
            (ladder.best_bid(), ladder.best_ask())
        };
        assert_eq!(top(&books), (Some(100), Some(101)));
        assert_eq!(books.reduce(1, 4).map(|order| order.remaining), Some(10));
        assert_eq!(books.reduce(1, 400).map(|order| order.remaining), Some(6));
        assert_eq!(books.reduce(1, 1), None);
        assert!(books.is_known(1) && !books.is_known(4));
        assert_eq!(books.only().expect("one").levels().collect::<Vec<_>>(), [(100, 5), (101, 7)]);
        books.delete(2);
        assert_eq!(top(&books), (None, Some(101)));
        assert_eq!(books.open_orders(), 1);
    }

    #[test]
    fn an_order_added_twice_counts_once() {
        let mut books = Books::default();
        books.add(1, order(100, 10, Side::Buy));
        books.add(1, order(99, 3, Side::Buy));
        assert_eq!(books.only().expect("one").levels().collect::<Vec<_>>(), [(99, 3)]);
        assert_eq!(books.open_orders(), 1);
        books.add(1, order(98, 0, Side::Buy));
        assert_eq!(books.open_orders(), 0);
        assert_eq!(books.only().expect("one").levels().count(), 0);
    }

    #[test]
    fn known_orders_agree_with_a_plain_set() {
        let mut known = KnownOrders::default();
        let mut plain = std::collections::BTreeSet::new();
        let mut state = 7u64;
        for _ in 0..5_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let reference = (state >> 33) % 3_000;
            assert_eq!(known.contains(reference), plain.contains(&reference));
            known.insert(reference);
            plain.insert(reference);
        }
        let total: u64 = known.ranges().iter().map(|(first, last)| last - first + 1).sum();
        assert_eq!(total, plain.len() as u64);
        assert!(known.ranges().windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
    }
}
