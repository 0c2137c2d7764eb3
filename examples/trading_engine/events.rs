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
    /// Digest over its bytes, or over seed and count.
    pub digest: [u64; 2],
}

/// What a feed message does to the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize, Schema)]
#[rkyv(derive(Clone, Copy, PartialEq, Eq))]
#[schema(name = "trading.action", version = 1)]
#[repr(u8)]
pub enum Action {
    /// A new order.
    Add,
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
    /// On which side, where the message says so.
    pub side: Side,
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
