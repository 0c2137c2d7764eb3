//! *Owns* what is said when a bus ends. *Invariant*: every stage has its line, whatever became of it.
//! *Source*: its own.

use crate::error::{ConsumerReport, HeldClaim};
use crate::processor::Failure;
use crate::sequence::Sequence;
use core::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where everybody stood when the bus ended.
pub struct Report {
    /// Everything below was published.
    pub published: Sequence,
    /// Each stage, in the order of declaration.
    pub consumers: Vec<ConsumerReport>,
    /// What consumers waited for when they were told to stop: a claim that a producer held, or had
    /// leaked with its guard. As [`Bus::held_claims`](crate::Bus::held_claims).
    pub held_claims: Vec<HeldClaim>,
    pub(super) handlers: BTreeMap<Arc<str>, Box<dyn Any + Send>>,
    #[cfg_attr(not(feature = "journal"), allow(dead_code, reason = "there are none"))]
    pub(super) snapshots: super::journal_side::Snapshots,
    #[cfg(feature = "journal")]
    pub(super) journal: Option<crate::journal::JournalStats>,
}

/// A shutdown that was not clean, with the report of it.
#[derive(Debug)]
#[non_exhaustive]
pub enum ShutdownError {
    /// The bus had halted by itself.
    Failed {
        /// The first reason.
        failure: Failure,
        /// Where everybody stood.
        report: Box<Report>,
    },
    /// Consumers were behind when the time was up, or never returned.
    Behind {
        /// Where everybody stood.
        report: Box<Report>,
    },
}

impl Report {
    /// Takes the handler, reactor or projection of a stage back; `None` if there is no such stage,
    /// it is of another type, never returned, or was taken already.
    #[must_use]
    pub fn take<H: 'static>(&mut self, name: &str) -> Option<H> {
        let handler = self.handlers.get(name)?;
        if !handler.is::<H>() {
            return None;
        }
        self.handlers.remove(name)?.downcast::<H>().ok().map(|handler| *handler)
    }

    /// The line of the stage `name`.
    #[must_use]
    pub fn consumer(&self, name: &str) -> Option<&ConsumerReport> {
        self.consumers.iter().find(|consumer| &*consumer.name == name)
    }
}

impl core::fmt::Debug for Report {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Report")
            .field("published", &self.published)
            .field("consumers", &self.consumers)
            .field("held_claims", &self.held_claims)
            .finish_non_exhaustive()
    }
}

impl ShutdownError {
    /// Where everybody stood.
    #[must_use]
    pub fn report(&self) -> &Report {
        match self {
            Self::Failed { report, .. } | Self::Behind { report } => report,
        }
    }

    /// Where everybody stood, with the handlers to take.
    #[must_use]
    pub fn into_report(self) -> Report {
        match self {
            Self::Failed { report, .. } | Self::Behind { report } => *report,
        }
    }
}

impl core::fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Failed { failure, .. } => write!(f, "bus halted: {failure}"),
            Self::Behind { report } => {
                write!(f, "bus stopped at {} with stages behind:", report.published)?;
                for line in report.consumers.iter().filter(|line| line.lag_events > 0) {
                    write!(
                        f,
                        " `{}` by {} events ({:?})",
                        line.name, line.lag_events, line.outcome
                    )?;
                }
                report.held_claims.iter().try_for_each(|held| write!(f, "; {held}"))
            }
        }
    }
}

impl std::error::Error for ShutdownError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed { failure, .. } => Some(failure),
            Self::Behind { .. } => None,
        }
    }
}
