//! *Owns* the way back to a sound journal after whatever happened. *Invariant*: what was acknowledged
//! as durable is served whole or refused loudly; what was not may be cut, and what is cut is kept.
//! *Source*: the recovery tables of TigerBeetle; Aeron Archive, for what not to refuse.
//!
//! The acknowledged bound is the largest `seq − lag`, or MARK, of every valid frame of all unsealed
//! segments, also beyond damage. For each segment, first row that fits:
//!
//! | footer | frames | is last | first hole | decision |
//! |---|---|---|---|---|
//! | sound | – | yes | – | *missing*: a sealed segment has a successor |
//! | sound | – | no | – | *keep* |
//! | none | none | yes | – | *discard*: prepared ahead, never used; its name is used again |
//! | none | none, or cut | – | below the bound | *refuse* |
//! | none | none, or cut | – | at or above the bound | *cut* here and all behind it |
//! | none | whole | – | – | *keep* |
//!
//! A crash during recovery is one more crash: cutting copies, syncs, then zeroes, and a copy that is
//! already there is written again under the next free name.

use crate::journal::error::JournalError;
use crate::journal::scan::{self, Scan};
use crate::journal::segment::{self, Footer, Header, SchemaEntry};
use crate::journal::storage::{self, Access, Directory};
use crate::sequence::Sequence;
use core::ops::Range;
use memmap2::Mmap;
use std::path::PathBuf;

/// A segment that is part of the journal.
#[derive(Clone, Debug)]
pub(crate) struct SegmentInfo {
    pub(crate) name: String,
    pub(crate) header: Header,
    pub(crate) first: Sequence,
    /// One past its last sequence.
    pub(crate) end: Sequence,
    pub(crate) frames_end: usize,
    pub(crate) last_time_ns: u64,
    /// The digest in its footer; `None` while it is not sealed.
    pub(crate) chain: Option<u128>,
}

/// What recovery cut off, and where it kept it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cut {
    /// The segment.
    pub segment: PathBuf,
    /// Where the first unusable byte was.
    pub offset_bytes: u64,
    /// How many bytes were cut.
    pub bytes: u64,
    /// The file that holds them now.
    pub kept: PathBuf,
}

/// A segment as found.
#[derive(Debug)]
struct Found {
    name: String,
    header: Header,
    state: State,
}

#[derive(Debug)]
enum State {
    Sealed(Footer),
    Unsealed(Scan),
}

/// What to do with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Missing,
    Keep,
    Discard,
    Refuse,
    Cut,
}

/// What the table asks of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Case {
    is_sealed: bool,
    /// No frame, and nothing else either.
    is_blank: bool,
    /// Its frames stop making sense, or do not reach its successor.
    has_hole: bool,
    is_last: bool,
    /// The hole lies below the acknowledged bound.
    is_acknowledged: bool,
}

/// The table above.
const fn decide(case: Case) -> Decision {
    match case {
        Case { is_sealed: true, is_last: true, .. } => Decision::Missing,
        Case { is_sealed: true, .. } => Decision::Keep,
        Case { is_blank: true, is_last: true, .. } => Decision::Discard,
        Case { is_blank: true, is_acknowledged: true, .. }
        | Case { has_hole: true, is_acknowledged: true, .. } => Decision::Refuse,
        Case { is_blank: true, .. } | Case { has_hole: true, .. } => Decision::Cut,
        Case { .. } => Decision::Keep,
    }
}

/// A sound journal.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) segments: Vec<SegmentInfo>,
    pub(crate) journal_id: u128,
    /// The ordinal of the segment to open next.
    pub(crate) next_ordinal: u64,
    pub(crate) next: Sequence,
    pub(crate) cuts: Vec<Cut>,
    /// Segments without a frame, rising: the first stays, since the one before it may be sealed and
    /// needs a successor; the writer's next segment takes its name.
    blanks: Vec<(u64, String)>,
}

/// Recovers the journal in `directory`, whose lock the caller holds.
pub(crate) fn recover(
    directory: &Directory,
    schemas: &[SchemaEntry],
) -> Result<Recovered, JournalError> {
    let names = directory.names()?;
    for name in names.iter().filter(|name| name.ends_with(".seg.tmp")) {
        directory.remove(name)?;
    }
    let found = find(directory, &names, schemas)?;
    let Some(journal_id) = found.first().map(|found| found.header.journal_id) else {
        return Err(JournalError::NoJournal { dir: directory.path().to_owned() });
    };
    let bound = acknowledged(&found);
    let next_ordinal = found.len() as u64;
    let mut recovered = Recovered {
        segments: Vec::new(),
        journal_id,
        next_ordinal,
        next: Sequence::ZERO,
        cuts: Vec::new(),
        blanks: Vec::new(),
    };
    let mut is_cut = false;
    for (at, segment) in found.iter().enumerate() {
        is_cut = recovered.take(directory, segment, found.get(at + 1), bound, is_cut)?;
    }
    if let Some((ordinal, _)) = recovered.blanks.first() {
        recovered.next_ordinal = *ordinal;
    }
    // From the last down, so that a crash in between leaves no gap.
    for (_, name) in recovered.blanks.iter().skip(1).rev() {
        directory.remove(name)?;
    }
    Ok(recovered)
}

impl Recovered {
    /// Decides on one segment and does it; gives whether the journal ends here.
    fn take(
        &mut self,
        directory: &Directory,
        found: &Found,
        successor: Option<&Found>,
        bound: Sequence,
        is_cut: bool,
    ) -> Result<bool, JournalError> {
        let scan = match &found.state {
            State::Sealed(footer) => return self.take_sealed(directory, found, footer, successor),
            State::Unsealed(scan) => scan,
        };
        let continues = scan.first == Some(self.next);
        let hole = if continues { scan.end } else { self.next };
        let reaches = |next: &Found| next.first().is_none_or(|first| first == scan.end);
        let case = Case {
            is_sealed: false,
            is_blank: scan.first.is_none() && scan.fault.is_none(),
            has_hole: is_cut
                || scan.fault.is_some()
                || (scan.first.is_some() && !continues)
                || !successor.is_none_or(reaches),
            is_last: successor.is_none(),
            is_acknowledged: hole < bound,
        };
        match decide(case) {
            Decision::Keep => {
                self.keep(found.info(scan));
                self.sync(directory, &found.name)?;
                Ok(false)
            }
            Decision::Discard => {
                self.blanks.push((found.header.ordinal, found.name.clone()));
                Ok(is_cut)
            }
            Decision::Refuse => Err(found.refuse(directory, scan, hole..bound)),
            Decision::Cut | Decision::Missing => {
                self.cut(directory, found, scan, is_cut)?;
                Ok(true)
            }
        }
    }

    fn take_sealed(
        &mut self,
        directory: &Directory,
        found: &Found,
        footer: &Footer,
        successor: Option<&Found>,
    ) -> Result<bool, JournalError> {
        let path = directory.path_of(&found.name);
        let missing =
            |ordinal| JournalError::MissingSegment { dir: directory.path().to_owned(), ordinal };
        if successor.is_none() {
            return Err(missing(found.header.ordinal + 1));
        }
        let frames = found.header.frames_range();
        let frames_end = usize::try_from(footer.frames_end).unwrap_or(usize::MAX);
        let is_sound = footer.ordinal == found.header.ordinal
            && footer.first == self.next
            && self
                .segments
                .last()
                .is_none_or(|last| last.chain.is_none_or(|chain| chain == footer.previous))
            && (frames.start..=frames.end).contains(&frames_end);
        if !is_sound {
            let lost = self.next..footer.end.max(self.next);
            let (offset_bytes, fault) = (footer.frames_end, "the footer contradicts its segment");
            return Err(JournalError::Corrupt { path, offset_bytes, lost, fault });
        }
        self.keep(SegmentInfo {
            name: found.name.clone(),
            header: found.header.clone(),
            first: footer.first,
            end: footer.end,
            frames_end,
            last_time_ns: footer.last_time_ns,
            chain: Some(footer.chain),
        });
        Ok(false)
    }

    fn keep(&mut self, info: SegmentInfo) {
        self.next = info.end;
        self.segments.push(info);
    }

    /// Nothing is served before it is synced.
    fn sync(&self, directory: &Directory, name: &str) -> Result<(), JournalError> {
        directory
            .open_file(name, Access::ReadWrite)?
            .sync_all()
            .map_err(|error| JournalError::io(&directory.path_of(name), "sync", error))
    }

    /// Copies what is unusable aside, syncs the copy, then zeroes it.
    fn cut(
        &mut self,
        directory: &Directory,
        found: &Found,
        scan: &Scan,
        is_cut: bool,
    ) -> Result<(), JournalError> {
        let is_whole = is_cut || scan.first != Some(self.next);
        let frames = found.header.frames_range();
        let from = if is_whole { frames.start } else { scan.frames_end };
        let path = directory.path_of(&found.name);
        let bytes = map(directory, &found.name)?;
        let written = bytes[from..].iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        if written > 0 {
            let kept = free_name(directory, &found.name)?;
            directory.install(&kept, &[&bytes[from..from + written]])?;
            self.cuts.push(Cut {
                segment: path.clone(),
                offset_bytes: from as u64,
                bytes: written as u64,
                kept: directory.path_of(&kept),
            });
        }
        drop(bytes);
        let file = directory.open_file(&found.name, Access::ReadWrite)?;
        storage::zero(&file, from, written)
            .and_then(|()| file.sync_all())
            .map_err(|error| JournalError::io(&path, "cut", error))?;
        if is_whole {
            self.blanks.push((found.header.ordinal, found.name.clone()));
        } else {
            self.keep(found.info(scan));
        }
        Ok(())
    }
}

impl Found {
    /// The first sequence of the segment, if it says one.
    fn first(&self) -> Option<Sequence> {
        match &self.state {
            State::Sealed(footer) => Some(footer.first),
            State::Unsealed(scan) => scan.first,
        }
    }

    fn info(&self, scan: &Scan) -> SegmentInfo {
        SegmentInfo {
            name: self.name.clone(),
            header: self.header.clone(),
            first: scan.first.unwrap_or(scan.end),
            end: scan.end,
            frames_end: scan.frames_end,
            last_time_ns: scan.last_time_ns,
            chain: None,
        }
    }

    fn refuse(&self, directory: &Directory, scan: &Scan, lost: Range<Sequence>) -> JournalError {
        JournalError::Corrupt {
            path: directory.path_of(&self.name),
            offset_bytes: scan.frames_end as u64,
            lost: lost.start..lost.end.max(scan.seen),
            fault: scan.fault.unwrap_or("its frames do not reach the next segment"),
        }
    }
}

/// Every segment, in order, with what it says of itself.
fn find(
    directory: &Directory,
    names: &[String],
    schemas: &[SchemaEntry],
) -> Result<Vec<Found>, JournalError> {
    let mut found: Vec<Found> = Vec::new();
    let ordinals = names.iter().filter_map(|name| Some((segment::ordinal_of(name)?, name)));
    for (expected, (ordinal, name)) in (0u64..).zip(ordinals) {
        if ordinal != expected {
            let dir = directory.path().to_owned();
            return Err(JournalError::MissingSegment { dir, ordinal: expected });
        }
        let path = directory.path_of(name);
        let bytes = map(directory, name)?;
        let header = Header::decode(&path, &bytes)?;
        if header.ordinal != ordinal {
            let why = "its name and its header disagree on the ordinal";
            return Err(JournalError::NotASegment { path, why });
        }
        if let Some(other) = found.first().map(|first| first.header.journal_id)
            && other != header.journal_id
        {
            return Err(JournalError::OtherJournal {
                path,
                found: header.journal_id,
                expected: other,
            });
        }
        check_schemas(path, &header, schemas)?;
        let state = match Footer::decode(&bytes) {
            Ok(Some(footer)) => State::Sealed(footer),
            // A footer torn while it was written: the frames still speak for themselves.
            Ok(None) | Err(_) => State::Unsealed(scan::scan(&bytes, &header)),
        };
        found.push(Found { name: name.clone(), header, state });
    }
    Ok(found)
}

/// Refuses another schema by name and version, before a byte of an event is viewed.
fn check_schemas(
    path: PathBuf,
    header: &Header,
    expected: &[SchemaEntry],
) -> Result<(), JournalError> {
    if header.schemas == expected {
        return Ok(());
    }
    let list = |schemas: &[SchemaEntry]| {
        schemas.iter().map(SchemaEntry::to_string).collect::<Vec<_>>().join(", ")
    };
    let (found, expected) = (list(&header.schemas), list(expected));
    Err(JournalError::OtherSchema { path, found, expected })
}

/// The bound below which nothing may be missing.
fn acknowledged(found: &[Found]) -> Sequence {
    let bound = |found: &Found| match &found.state {
        State::Sealed(footer) => footer.end,
        State::Unsealed(scan) => scan.acknowledged,
    };
    found.iter().map(bound).max().unwrap_or(Sequence::ZERO)
}

/// A segment's file, mapped for reading.
pub(crate) fn map(directory: &Directory, name: &str) -> Result<Mmap, JournalError> {
    let file = directory.open_file(name, Access::Read)?;
    // SAFETY: the caller holds the journal's lock, so no writer of ours shortens or rewrites the
    // file while it is mapped; that nobody else does is assumption A3 of the crate's documentation.
    unsafe { Mmap::map(&file) }
        .map_err(|error| JournalError::io(&directory.path_of(name), "map", error))
}

/// A name for what is cut that no earlier cut has.
fn free_name(directory: &Directory, segment: &str) -> Result<String, JournalError> {
    let names = directory.names()?;
    let stem = segment.trim_end_matches(".seg");
    let candidates =
        std::iter::once(format!("{stem}.torn")).chain((1u64..).map(|n| format!("{stem}.{n}.torn")));
    Ok(candidates.into_iter().find(|name| !names.contains(name)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{Case, Decision, decide};

    /// Each row of the table in the module's documentation, as a predicate.
    fn rows(case: Case) -> Vec<Decision> {
        let Case { is_sealed, is_blank, has_hole, is_last, is_acknowledged } = case;
        let is_discarded = is_blank && is_last;
        let is_broken = !is_sealed && !is_discarded && (is_blank || has_hole);
        [
            (is_sealed && is_last, Decision::Missing),
            (is_sealed && !is_last, Decision::Keep),
            (!is_sealed && is_discarded, Decision::Discard),
            (is_broken && is_acknowledged, Decision::Refuse),
            (is_broken && !is_acknowledged, Decision::Cut),
            (!is_sealed && !is_blank && !has_hole, Decision::Keep),
        ]
        .into_iter()
        .filter_map(|(fits, decision)| fits.then_some(decision))
        .collect()
    }

    #[test]
    fn every_case_fits_exactly_one_row_and_is_decided_by_it() {
        for bits in 0u8..32 {
            let bit = |n: u8| bits >> n & 1 == 1;
            let case = Case {
                is_sealed: bit(0),
                is_blank: bit(1),
                has_hole: bit(2),
                is_last: bit(3),
                is_acknowledged: bit(4),
            };
            assert_eq!(rows(case), [decide(case)], "{case:?}");
        }
    }
}
