//! *Owns* the feeds: where messages come from. *Invariant*: a feed is checked whole before its first
//! message is published, so bad input never reaches a journal. *Source*: its own.

mod generated;
mod itch;
mod lobster;

use crate::events::{Action, FeedIdentity, FeedKind, Message, Side};
use generated::Generator;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Which feed is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedSpec {
    /// `generated:SEED:COUNT`
    Generated {
        /// Seed of the order flow.
        seed: u64,
        /// Messages.
        count: u64,
    },
    /// `lobster:FILE`
    Lobster(PathBuf),
    /// `itch:FILE[:SYMBOL]`
    Itch {
        /// The file.
        path: PathBuf,
        /// Only messages of this symbol.
        symbol: Option<String>,
    },
}

impl FromStr for FeedSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = "a feed is generated:SEED:COUNT, lobster:FILE or itch:FILE[:SYMBOL]";
        let (kind, rest) = text.split_once(':').ok_or(usage)?;
        match kind {
            "generated" => {
                let (seed, count) = rest.split_once(':').ok_or(usage)?;
                let number = |text: &str| text.parse().map_err(|_| format!("`{text}`: {usage}"));
                Ok(Self::Generated { seed: number(seed)?, count: number(count)? })
            }
            "lobster" if !rest.is_empty() => Ok(Self::Lobster(PathBuf::from(rest))),
            "itch" if !rest.is_empty() => Ok(Self::itch(rest)),
            _ => Err(usage.to_owned()),
        }
    }
}

impl FeedSpec {
    /// A colon may be part of the path: only what is no file by its whole name is split.
    fn itch(rest: &str) -> Self {
        let split = rest.rsplit_once(':').filter(|(path, symbol)| {
            let is_symbol = !symbol.is_empty() && symbol.len() <= 8 && !symbol.contains('/');
            is_symbol && !path.is_empty() && !PathBuf::from(rest).exists()
        });
        match split {
            Some((path, symbol)) => {
                Self::Itch { path: PathBuf::from(path), symbol: Some(symbol.to_owned()) }
            }
            None => Self::Itch { path: PathBuf::from(rest), symbol: None },
        }
    }
}

/// What is wrong with a feed.
#[derive(Debug)]
pub struct FeedError {
    place: String,
    why: String,
}

impl FeedError {
    fn new(place: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self { place: place.to_string(), why: why.to_string() }
    }
}

impl fmt::Display for FeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.why)
    }
}

impl std::error::Error for FeedError {}

/// A feed that was found sound.
#[derive(Debug)]
pub struct Feed {
    identity: FeedIdentity,
    messages: u64,
    source: Source,
    /// Messages up to this position come out as noise.
    garbled_through: Option<u64>,
}

#[derive(Debug)]
enum Source {
    Generated { seed: u64 },
    Lobster(Vec<u8>),
    Itch { bytes: Vec<u8>, locate: Option<u16> },
}

impl Feed {
    /// Reads and checks a feed.
    pub fn load(spec: &FeedSpec) -> Result<Self, FeedError> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|error| FeedError::new(path.display(), error))
        };
        let (kind, symbol, digest, messages, source) = match spec {
            &FeedSpec::Generated { seed, count } => {
                if count == 0 {
                    return Err(FeedError::new("generated", "a feed has at least one message"));
                }
                (FeedKind::Generated, None, [seed, count], count, Source::Generated { seed })
            }
            FeedSpec::Lobster(path) => {
                let bytes = read(path)?;
                let messages = lobster::check(&bytes, path)?;
                let digest = digest_of(&bytes);
                (FeedKind::Lobster, None, digest, messages, Source::Lobster(bytes))
            }
            FeedSpec::Itch { path, symbol } => {
                let bytes = read(path)?;
                let (messages, locate) = itch::check(&bytes, path, symbol.as_deref())?;
                let (digest, source) = (digest_of(&bytes), Source::Itch { bytes, locate });
                (FeedKind::Itch, symbol.as_deref(), digest, messages, source)
            }
        };
        let identity = FeedIdentity { kind, symbol: padded(symbol.unwrap_or("")), digest };
        Ok(Self { identity, messages, source, garbled_through: None })
    }

    /// What names this feed in a journal.
    pub fn identity(&self) -> FeedIdentity {
        self.identity
    }

    /// How many messages it has.
    pub fn len(&self) -> u64 {
        self.messages
    }

    /// Turns every message up to `position` into noise: a state that comes out right afterwards was
    /// not rebuilt from the feed.
    pub fn garble(&mut self, position: Option<u64>) {
        self.garbled_through = position;
    }

    /// Every message, in order.
    pub fn messages(&self) -> impl Iterator<Item = Message> + '_ {
        let messages: Box<dyn Iterator<Item = Message> + '_> = match &self.source {
            Source::Generated { seed } => {
                Box::new(Generator::new(*seed).take(self.messages as usize))
            }
            Source::Lobster(bytes) => Box::new(lobster::messages(bytes)),
            Source::Itch { bytes, locate } => Box::new(itch::messages(bytes, *locate)),
        };
        messages.map(|message| {
            let is_garbled = self.garbled_through.is_some_and(|last| message.position <= last);
            if is_garbled { noise(message) } else { message }
        })
    }
}

/// A message in which all but the position is wrong.
fn noise(message: Message) -> Message {
    Message {
        position: message.position,
        order: !message.order,
        replaces: !message.replaces,
        price: message.price.wrapping_mul(31).wrapping_add(7),
        quantity: message.quantity ^ 0x5555,
        instrument: !message.instrument,
        action: Action::Add,
        side: Side::Sell,
    }
}

/// A symbol as ITCH writes it: eight bytes, padded with spaces.
fn padded(symbol: &str) -> [u8; 8] {
    let mut padded = [b' '; 8];
    for (to, from) in padded.iter_mut().zip(symbol.bytes()) {
        *to = from;
    }
    padded
}

/// Two independent digests over 8-byte words: files are told apart, not authenticated.
fn digest_of(bytes: &[u8]) -> [u64; 2] {
    let mut digests = [crate::engine::Digest::default(), crate::engine::Digest::default()];
    digests[1].eat(1);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        digests.iter_mut().for_each(|digest| digest.eat(u64::from_le_bytes(word)));
    }
    digests.map(|mut digest| {
        digest.eat(bytes.len() as u64);
        digest.finish()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_say_what_they_mean() {
        let spec = |text: &str| text.parse::<FeedSpec>();
        assert_eq!(spec("generated:42:7"), Ok(FeedSpec::Generated { seed: 42, count: 7 }));
        assert_eq!(spec("lobster:a:b.csv"), Ok(FeedSpec::Lobster("a:b.csv".into())));
        let itch = |path: &str, symbol: Option<&str>| FeedSpec::Itch {
            path: path.into(),
            symbol: symbol.map(str::to_owned),
        };
        assert_eq!(spec("itch:f"), Ok(itch("f", None)));
        assert_eq!(spec("itch:f:AAPL"), Ok(itch("f", Some("AAPL"))));
        assert_eq!(spec("itch:d:x/f"), Ok(itch("d:x/f", None)));
        for bad in ["", "generated", "generated:1", "generated:x:1", "lobster:", "fix:f", "itch:"] {
            assert!(spec(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn digests_tell_files_apart() {
        let files: [&[u8]; 5] = [b"", b"\0", b"\0\0", b"abcdefgh", b"abcdefghi"];
        for (n, left) in files.iter().enumerate() {
            for right in &files[n + 1..] {
                assert_ne!(digest_of(left), digest_of(right));
            }
        }
    }
}
