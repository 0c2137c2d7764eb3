//! *Owns* the engine: books, strategy, counters, as one projection. *Invariant*: state follows from
//! the events alone, and its digest goes over it in canonical order. *Source*: event sourcing; the
//! matching engines whose state is a fold over their input.

use crate::book::{Books, Order};
use crate::events::{
    Action, ArchivedFeedEvent, ArchivedMessage, FeedEvent, FeedIdentity, Intent, Side,
};
use crate::strategy::Strategy;
use rkyv::{Archive, Archived, Deserialize, Serialize, rancor::Panic};
use tourbillon::{Projection, Schema, Sequence, Stamped};

/// The state that survives.
#[derive(Debug, Default, Archive, Serialize, Deserialize, Schema)]
#[schema(name = "trading.engine", version = 1)]
pub struct Engine {
    /// The feed that event 0 named.
    pub identity: Option<FeedIdentity>,
    /// Feed messages applied since the journal's start.
    pub events: u64,
    /// Messages that name an order never added.
    pub unknown_refs: u64,
    /// Executions of every kind.
    pub trades_seen: u64,
    /// Where in the feed the last message stood.
    position: u64,
    /// Digest over every message applied: one altered event alters the state.
    inputs: Digest,
    /// Every open order, every level.
    pub books: Books,
    /// The market maker, on the first instrument that had two sides.
    pub strategy: Strategy,
    /// The instrument that the market maker quotes.
    pub quoted: Option<u16>,
    /// What the last event made the strategy want; no part of the state.
    #[rkyv(with = rkyv::with::Skip)]
    #[schema(fp = "scratch")]
    pub intents: Vec<Intent>,
}

impl Projection for Engine {
    type Event = Stamped<FeedEvent>;

    fn apply(&mut self, event: &Archived<Stamped<FeedEvent>>, _: Sequence) {
        self.intents.clear();
        match &event.payload {
            ArchivedFeedEvent::Identity(identity) => {
                let Ok(identity) = rkyv::deserialize::<FeedIdentity, Panic>(identity);
                self.identity = Some(identity);
            }
            ArchivedFeedEvent::Message(message) => self.message(message),
        }
    }
}

impl Engine {
    /// Where in the feed the last message stood; `None` before the first.
    pub fn last_position(&self) -> Option<u64> {
        (self.events > 0).then_some(self.position)
    }

    fn message(&mut self, message: &ArchivedMessage) {
        self.events += 1;
        self.position = message.position.to_native();
        let order = message.order.to_native();
        let quantity = message.quantity.to_native();
        self.note_input(message);
        let Ok(action) = rkyv::deserialize::<Action, Panic>(&message.action);
        match action {
            Action::Add => self.add(message),
            Action::Cancel => {
                let reduced = self.books.reduce(order, quantity);
                self.note_if_unknown(order, reduced);
            }
            Action::Delete => {
                let deleted = self.books.delete(order);
                self.note_if_unknown(order, deleted);
            }
            Action::Execute => {
                self.trades_seen += 1;
                let executed = self.books.reduce(order, quantity);
                self.note_if_unknown(order, executed);
                if let Some(resting) =
                    executed.filter(|order| Some(order.instrument) == self.quoted)
                {
                    self.strategy.on_execution(resting.side, resting.price, quantity);
                }
            }
            Action::ExecuteHidden => self.trades_seen += 1,
            Action::Replace => self.replace(message),
            Action::Other => return,
        }
        self.quote(message.instrument.to_native());
    }

    fn note_input(&mut self, message: &ArchivedMessage) {
        let instrument = u64::from(message.instrument.to_native());
        let (action, side) = (message.action as u64, message.side as u64);
        self.inputs.eat_all([
            message.position.to_native(),
            message.order.to_native(),
            message.replaces.to_native(),
            message.price.to_native() as u64,
            u64::from(message.quantity.to_native()) << 32 | instrument << 16 | action << 8 | side,
        ]);
    }

    fn add(&mut self, message: &ArchivedMessage) {
        let Ok(side) = rkyv::deserialize::<Side, Panic>(&message.side);
        let order = Order {
            price: message.price.to_native(),
            remaining: message.quantity.to_native(),
            instrument: message.instrument.to_native(),
            side,
        };
        self.books.add(message.order.to_native(), order);
    }

    /// The new order keeps the side of the one it replaces. An unknown one adds nothing; one that
    /// is known and gone says no side any more, so it adds nothing either.
    fn replace(&mut self, message: &ArchivedMessage) {
        let replaced = message.replaces.to_native();
        let old = self.books.delete(replaced);
        self.note_if_unknown(replaced, old);
        if let Some(old) = old {
            let order = Order {
                price: message.price.to_native(),
                remaining: message.quantity.to_native(),
                ..old
            };
            self.books.add(message.order.to_native(), order);
        }
    }

    fn note_if_unknown(&mut self, reference: u64, found: Option<Order>) {
        if found.is_none() && !self.books.is_known(reference) {
            self.unknown_refs += 1;
        }
    }

    /// Lets the strategy look at the top of the book that changed.
    fn quote(&mut self, instrument: u16) {
        if self.quoted.is_some_and(|quoted| quoted != instrument) {
            return;
        }
        let Some(ladder) = self.books.of(instrument) else { return };
        if let (Some(bid), Some(ask)) = (ladder.best_bid(), ladder.best_ask())
            && bid < ask
        {
            self.quoted = Some(instrument);
            self.strategy.on_top(instrument, bid, ask, &mut self.intents);
        }
    }

    /// Digest of the whole state, in canonical order.
    pub fn digest(&self) -> u64 {
        let mut digest = Digest::default();
        let identity = self.identity.map(|identity| identity.digest).unwrap_or_default();
        let strategy = &self.strategy;
        digest.eat_all([identity[0], identity[1], self.events, self.unknown_refs]);
        digest.eat_all([self.trades_seen, self.position, self.inputs.finish()]);
        digest.eat(u64::from(self.quoted.unwrap_or(0)));
        digest.eat_all([strategy.position as u64, strategy.cash as u64]);
        digest.eat_all([strategy.sent, strategy.refused]);
        for quote in [strategy.bid, strategy.ask] {
            let (price, remaining) = quote.map_or((0, 0), |quote| (quote.price, quote.remaining));
            digest.eat_all([price as u64, u64::from(remaining)]);
        }
        for (&reference, order) in self.books.orders() {
            digest.eat_all([reference, order.price as u64, u64::from(order.remaining)]);
            digest.eat_all([u64::from(order.instrument), order.side as u64]);
        }
        for (&instrument, ladder) in self.books.ladders() {
            digest.eat(u64::from(instrument));
            for (price, quantity) in ladder.levels() {
                digest.eat_all([price as u64, quantity]);
            }
        }
        for &(first, last) in self.books.known().ranges() {
            digest.eat_all([first, last]);
        }
        digest.finish()
    }
}

/// FNV-1a over 64-bit words, with a last mix so that short inputs spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize, Schema)]
#[schema(name = "trading.digest", version = 1)]
pub struct Digest(u64);

impl Default for Digest {
    /// The digest of nothing.
    fn default() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl Digest {
    /// Takes in one word.
    pub fn eat(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(23);
    }

    /// Takes in some words.
    pub fn eat_all<const N: usize>(&mut self, words: [u64; N]) {
        for word in words {
            self.eat(word);
        }
    }

    /// The digest.
    pub fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        mixed ^ (mixed >> 29)
    }
}
