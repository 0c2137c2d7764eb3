//! *Owns* the engine: books, strategy, counters, as one projection. *Invariant*: state follows from
//! the events alone, and its digest goes over it in canonical order. *Source*: event sourcing; the
//! matching engines whose state is a fold over their input.

use crate::book::{Books, Order};
use crate::events::{
    Action, ArchivedFeedEvent, Digest, FeedEvent, FeedIdentity, FeedSum, Intent, Message, Side,
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
    /// The last message.
    pub last: Option<Message>,
    /// Sum over every message applied: one altered event alters the state.
    pub taken: FeedSum,
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
            ArchivedFeedEvent::Message(message) => {
                let Ok(message) = rkyv::deserialize::<Message, Panic>(message);
                self.message(&message);
            }
        }
    }
}

impl Engine {
    fn message(&mut self, message: &Message) {
        self.events += 1;
        self.taken.add(message);
        self.last = Some(*message);
        match message.action {
            Action::Bid => self.add(message, Side::Buy),
            Action::Ask => self.add(message, Side::Sell),
            Action::Cancel => {
                let reduced = self.books.reduce(message.order, message.quantity);
                self.note_if_unknown(message.order, reduced);
            }
            Action::Delete => {
                let deleted = self.books.delete(message.order);
                self.note_if_unknown(message.order, deleted);
            }
            Action::Execute => self.execute(message),
            Action::ExecuteHidden => self.trades_seen += 1,
            Action::Replace => self.replace(message),
            Action::Other => return,
        }
        self.quote(message.instrument);
    }

    fn add(&mut self, message: &Message, side: Side) {
        let order = Order {
            price: message.price,
            remaining: message.quantity,
            instrument: message.instrument,
            side,
        };
        self.books.add(message.order, order);
    }

    fn execute(&mut self, message: &Message) {
        self.trades_seen += 1;
        let executed = self.books.reduce(message.order, message.quantity);
        self.note_if_unknown(message.order, executed);
        if let Some(resting) = executed.filter(|order| Some(order.instrument) == self.quoted) {
            self.strategy.on_execution(resting.side, resting.price, message.quantity);
        }
    }

    /// The new order keeps the side of the one it replaces. An unknown one adds nothing; one that
    /// is known and gone says no side any more, so it adds nothing either.
    fn replace(&mut self, message: &Message) {
        let old = self.books.delete(message.replaces);
        self.note_if_unknown(message.replaces, old);
        if let Some(old) = old {
            let order = Order { price: message.price, remaining: message.quantity, ..old };
            self.books.add(message.order, order);
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
        let strategy = &self.strategy;
        if let Some(FeedIdentity { kind, symbol, digest: FeedSum([low, high]) }) = self.identity {
            digest.eat_all([kind as u64, u64::from_le_bytes(symbol), low, high]);
        }
        let FeedSum([low, high]) = self.taken;
        digest.eat_all([self.events, self.unknown_refs, self.trades_seen, low, high]);
        digest.eat(self.quoted.map_or(0, |quoted| 1 + u64::from(quoted)));
        digest.eat_all([strategy.position as u64, strategy.cash as u64]);
        digest.eat_all([strategy.sent, strategy.refused]);
        for quote in [strategy.bid, strategy.ask] {
            let (price, remaining) = quote.map_or((0, 0), |quote| (quote.price, quote.remaining));
            digest.eat_all([u64::from(quote.is_some()), price as u64, u64::from(remaining)]);
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
