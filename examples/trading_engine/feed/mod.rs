//! *Owns* the feeds: where messages come from. *Invariant*: a feed is checked whole before its first
//! message is published, so bad input never reaches a journal. *Source*: its own.

mod generated;
mod itch;
mod lobster;

use crate::events::{FeedIdentity, FeedKind, FeedSum, Message};
use generated::Generator;
use itch::Window;
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

impl fmt::Display for FeedSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generated { seed, count } => write!(f, "generated:{seed}:{count}"),
            Self::Lobster(path) => path.display().fmt(f),
            Self::Itch { path, symbol: None } => path.display().fmt(f),
            Self::Itch { path, symbol: Some(symbol) } => write!(f, "{}:{symbol}", path.display()),
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

/// What a journal has taken of a feed.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// The feed that it names.
    pub identity: FeedIdentity,
    /// How many messages it holds.
    pub messages: u64,
    /// Their sum.
    pub sum: FeedSum,
    /// The last of them.
    pub last: Message,
}

/// A feed that was found sound, from where it is to be published.
#[derive(Debug)]
pub struct Feed {
    identity: FeedIdentity,
    /// Messages, those that a journal has taken included.
    len: u64,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Generated { seed: u64, taken: u64 },
    Lobster { bytes: Vec<u8>, taken: u64 },
    Itch { bytes: Vec<u8>, window: Window },
}

impl Feed {
    /// Reads and checks a whole feed.
    pub fn load(spec: &FeedSpec) -> Result<Self, FeedError> {
        let (len, source) = match spec {
            FeedSpec::Generated { seed, count } => {
                if *count == 0 {
                    return Err(FeedError::new("generated", "a feed has at least one message"));
                }
                (*count, Source::Generated { seed: *seed, taken: 0 })
            }
            FeedSpec::Lobster(path) => {
                let bytes = read(path)?;
                (lobster::check(&bytes, path, 0)?, Source::Lobster { bytes, taken: 0 })
            }
            FeedSpec::Itch { path, symbol } => {
                let bytes = read(path)?;
                let locate = symbol.as_ref().map(|symbol| itch::locate_of(&bytes, path, symbol));
                let window = Window { from_bytes: 0, locate: locate.transpose()? };
                (itch::check(&bytes, path, window)?, Source::Itch { bytes, window })
            }
        };
        let mut feed = Self { identity: name(spec, FeedSum::default()), len, source };
        feed.identity = name(spec, feed.sum());
        Ok(feed)
    }

    /// Reads and checks what a journal has not taken. The rest must make up the feed that the journal
    /// names, together with what it holds; what stands before it is not even looked at.
    pub fn resume(spec: &FeedSpec, taken: &Taken) -> Result<Self, FeedError> {
        let (rest, source) = match spec {
            FeedSpec::Generated { seed, count } => {
                let rest = count.saturating_sub(taken.messages);
                (rest, Source::Generated { seed: *seed, taken: taken.messages })
            }
            FeedSpec::Lobster(path) => {
                let bytes = read(path)?;
                let rest = lobster::check(&bytes, path, taken.last.position)?;
                (rest, Source::Lobster { bytes, taken: taken.last.position })
            }
            FeedSpec::Itch { path, symbol } => {
                let bytes = read(path)?;
                let end = taken.last.position + u64::from(taken.last.record_bytes);
                let from_bytes = usize::try_from(end).unwrap_or(usize::MAX);
                let locate = symbol.is_some().then_some(taken.last.instrument);
                let window = Window { from_bytes, locate };
                (itch::check(&bytes, path, window)?, Source::Itch { bytes, window })
            }
        };
        let len = taken.messages + rest;
        let mut feed = Self { identity: name(spec, FeedSum::default()), len, source };
        feed.identity = name(spec, taken.sum.with(&feed.sum()));
        if feed.identity == taken.identity {
            return Ok(feed);
        }
        let why = "the journal was filled from another feed; --recover needs the same one";
        Err(FeedError::new(spec, why))
    }

    /// What names this feed in a journal.
    pub fn identity(&self) -> FeedIdentity {
        self.identity
    }

    /// How many messages it has, those that a journal has taken included.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Every message that no journal has taken, in order.
    pub fn messages(&self) -> Box<dyn Iterator<Item = Message> + '_> {
        match &self.source {
            Source::Generated { seed, taken } => {
                let all = Generator::new(*seed).take(self.len as usize);
                Box::new(all.skip(*taken as usize))
            }
            Source::Lobster { bytes, taken } => Box::new(lobster::messages(bytes, *taken)),
            Source::Itch { bytes, window } => Box::new(itch::messages(bytes, *window)),
        }
    }

    /// The sum over `messages`; a generated feed is named by its seed and count instead.
    fn sum(&self) -> FeedSum {
        let mut sum = FeedSum::default();
        if !matches!(self.source, Source::Generated { .. }) {
            self.messages().for_each(|message| sum.add(&message));
        }
        sum
    }
}

fn read(path: &PathBuf) -> Result<Vec<u8>, FeedError> {
    std::fs::read(path).map_err(|error| FeedError::new(path.display(), error))
}

/// The name of a feed whose messages have this sum.
fn name(spec: &FeedSpec, sum: FeedSum) -> FeedIdentity {
    let (kind, symbol, digest) = match spec {
        FeedSpec::Generated { seed, count } => {
            (FeedKind::Generated, None, FeedSum([*seed, *count]))
        }
        FeedSpec::Lobster(_) => (FeedKind::Lobster, None, sum),
        FeedSpec::Itch { symbol, .. } => (FeedKind::Itch, symbol.as_deref(), sum),
    };
    FeedIdentity { kind, symbol: padded(symbol.unwrap_or("")), digest }
}

/// A symbol as ITCH writes it: eight bytes, padded with spaces.
fn padded(symbol: &str) -> [u8; 8] {
    let mut padded = [b' '; 8];
    for (to, from) in padded.iter_mut().zip(symbol.bytes()) {
        *to = from;
    }
    padded
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
}
