//! *Owns* the events of both rings. *Invariant*: all prices and quantities are integers, in the
//! feed's own unit; an event fits one cache line with its time and its stamp. *Source*: the order
//! messages of NASDAQ TotalView-ITCH 5.0 and of LOBSTER, reduced to what a book needs.

use rkyv::{Archive, Deserialize, Serialize};
use tourbillon::{Event, Schema};

/// Buy or sell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize, Schema)]
#[rkyv(derive(Clone, Copy, PartialEq, Eq))]
#[schema(name = "trading.side", version = 1)]
#[repr(u8)]
pub enum Side {
    /// To buy: a bid.
    Buy,
    /// To sell: an ask.
    Sell,
}

/// Where a feed comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize, Schema)]
#[rkyv(derive(Clone, Copy, PartialEq, Eq))]
#[schema(name = "trading.feed_kind", version = 1)]
#[repr(u8)]
pub enum FeedKind {
    /// A seeded order flow.
    Generated,
    /// A LOBSTER message file.
    Lobster,
    /// A NASDAQ TotalView-ITCH 5.0 file.
    Itch,
}

/// Which feed a journal was filled from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize, Schema)]
#[schema(name = "trading.feed_identity", version = 1)]
pub struct FeedIdentity {
    /// Its kind.
    pub kind: FeedKind,
    /// The symbol it is filtered by, space-padded; all spaces without one.
    pub symbol: [u8; 8],
    /// Seed and count, or the sum over its messages.
    pub digest: FeedSum,
}

/// What a feed message does to the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize, Schema)]
#[rkyv(derive(Clone, Copy, PartialEq, Eq))]
#[schema(name = "trading.action", version = 1)]
#[repr(u8)]
pub enum Action {
    /// A new order to buy.
    Bid,
    /// A new order to sell.
    Ask,
    /// Part of an order is cancelled.
    Cancel,
    /// An order is deleted.
    Delete,
    /// A resting order is executed, in whole or in part.
    Execute,
    /// An execution against hidden liquidity, or off the book: no resting order is named.
    ExecuteHidden,
    /// `replaces` goes, `order` comes in its place.
    Replace,
    /// A message that concerns no order.
    Other,
}

/// One message of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize, Schema)]
#[schema(name = "trading.message", version = 1)]
pub struct Message {
    /// Its line, or its byte offset, in the feed.
    pub position: u64,
    /// The order's reference.
    pub order: u64,
    /// For [`Action::Replace`]: the order that goes.
    pub replaces: u64,
    /// In the feed's own unit.
    pub price: i64,
    /// Shares, or contracts.
    pub quantity: u32,
    /// Which book.
    pub instrument: u16,
    /// What happens.
    pub action: Action,
    /// Bytes from its byte offset to the next message's; 0 where positions are lines.
    pub record_bytes: u8,
}

impl Message {
    /// Two independent hashes over every field.
    fn hashes(&self) -> [u64; 2] {
        let low = u64::from(self.instrument) << 16 | (self.action as u64) << 8;
        let words = [
            self.position,
            self.order,
            self.replaces,
            self.price as u64,
            u64::from(self.quantity) << 32 | low | u64::from(self.record_bytes),
        ];
        [0, 1].map(|seed| {
            let mut digest = Digest::default();
            digest.eat(seed);
            digest.eat_all(words);
            digest.finish()
        })
    }
}

/// A digest over messages of which any part can be taken out: the sum of their hashes. What a
/// journal has taken and what is left of the feed make up the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize, Schema)]
#[schema(name = "trading.feed_sum", version = 1)]
pub struct FeedSum(pub [u64; 2]);

impl FeedSum {
    /// Takes in one message.
    pub fn add(&mut self, message: &Message) {
        *self = self.with(&Self(message.hashes()));
    }

    /// The sum of both parts.
    pub fn with(&self, other: &Self) -> Self {
        Self([0, 1].map(|n| self.0[n].wrapping_add(other.0[n])))
    }
}

/// FNV-1a over 64-bit words, with a last mix so that short inputs spread.
#[derive(Clone, Copy, Debug)]
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

/// An event of the input ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize, Event)]
#[event(name = "trading.feed", version = 1)]
pub enum FeedEvent {
    /// Event 0: which feed this is.
    Identity(FeedIdentity),
    /// A message of it.
    Message(Message),
}

/// What the strategy wants done at the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize, Event)]
#[event(name = "trading.intent", version = 1)]
pub struct Intent {
    /// In the feed's own unit.
    pub price: i64,
    /// 0 cancels the quote.
    pub quantity: u32,
    /// Which book.
    pub instrument: u16,
    /// On which side.
    pub side: Side,
}
