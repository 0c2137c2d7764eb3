//! *Owns* what an operator may ask of a running bus and say to its stages. *Invariant*: nothing here
//! waits for a consumer, and a consumer reads what is said here once per batch. *Source*: its own.

use super::{Bus, Description};
use crate::control::{KillSwitch, StageFaults};
use crate::error::ControlError;
use crate::event::Event;

impl<E: Event> Bus<E> {
    /// Pauses the stage `name` after its current batch; returns at once. Pausing twice is pausing once.
    ///
    /// A paused stage keeps its gate: stages behind it wait, and producers do once the ring is full.
    /// Other stages of its thread go on. It sees the pause at the latest when it could see an event
    /// that the caller publishes afterwards, or another thread that learned of the pause. A bus that
    /// drains or halts takes no notice of pauses: the stage handles what is left, or ends. Pausing a
    /// stage that has ended does nothing.
    ///
    /// # Errors
    /// [`ControlError`]: there is no such stage, or it is a poller.
    pub fn pause(&self, name: &str) -> Result<(), ControlError> {
        self.set_paused(name, true)
    }

    /// Lets the stage `name` go on after [`Bus::pause`]. Nothing was lost meanwhile.
    ///
    /// # Errors
    /// As for [`Bus::pause`].
    pub fn resume(&self, name: &str) -> Result<(), ControlError> {
        self.set_paused(name, false)?;
        self.core.ring.sleepers().ring();
        Ok(())
    }

    fn set_paused(&self, name: &str, paused: bool) -> Result<(), ControlError> {
        let stage = || name.to_owned();
        let line = self.core.stages.iter().find(|line| &*line.name == name);
        match line {
            None => Err(ControlError::Unknown { stage: stage() }),
            Some(line) if line.is_callers => Err(ControlError::Poller { stage: stage() }),
            Some(line) => {
                line.control.pause(paused);
                Ok(())
            }
        }
    }

    /// A switch that halts this bus for good: see [`KillSwitch`] for what it promises and when.
    #[must_use]
    pub fn kill_switch(&self) -> KillSwitch {
        KillSwitch::of_bus(&self.core.ring)
    }

    /// What went wrong in each stage so far, in the order of declaration. What a stage has counted is
    /// in here once [`Bus::sequence`] shows it beyond the event.
    #[must_use]
    pub fn faults(&self) -> Vec<StageFaults> {
        self.core.stages.iter().map(|line| line.control.faults(&line.name)).collect()
    }

    /// What was built: sizes, memory, threads, gates, policies, and what was asked for and not granted;
    /// who has joined since, and what was counted. Prints as a few lines. Allocates, and reads the sizes of the machine's caches.
    #[must_use]
    pub fn describe(&self) -> Description {
        self.core.description.clone().asked_now(&self.core.ring, self.counters()).measured()
    }
}
