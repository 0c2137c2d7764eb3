//! *Owns* work sharing by key. *Invariant*: each event is handled by one member of a group, and events
//! of one key by the same member, in order. *Source*: the partitions of a partitioned log, inside
//! one ring.
//!
//! Every member walks every event and handles its own share: a look at the key each, and no line
//! that members share. Members have no order among themselves.

use super::{BusBuilder, StageBuilder};
use crate::event::Event;
use crate::processor::Handler;
use crate::sequence::Sequence;
use crate::topology::Role;
use rkyv::Archived;
use std::any::Any;
use std::sync::Arc;

/// One member's share of a group's work.
struct Sharing<H, K> {
    handler: H,
    key: Arc<K>,
    member: u64,
    members: u64,
}

/// Which of `members` handles `key`: spread by the golden ratio, so that neighbours part.
#[inline(always)]
fn member_of(key: u64, members: u64) -> u64 {
    let spread = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    (spread * members) >> 32
}

impl<E, H, K> Handler<E> for Sharing<H, K>
where
    E: Event,
    H: Handler<E>,
    K: Fn(&Archived<E>) -> u64 + Send + Sync + 'static,
{
    const WANTS_BATCH_START: bool = H::WANTS_BATCH_START;

    #[inline]
    fn on_event(&mut self, event: &Archived<E>, sequence: Sequence, end_of_batch: bool) {
        if member_of((self.key)(event), self.members) == self.member {
            self.handler.on_event(event, sequence, end_of_batch);
        }
    }

    fn on_batch_end(&mut self, last: Sequence) {
        self.handler.on_batch_end(last);
    }

    fn on_batch_start(&mut self, batch_events: u64, queue_depth: u64) {
        self.handler.on_batch_start(batch_events, queue_depth);
    }

    fn on_idle(&mut self) {
        self.handler.on_idle();
    }

    fn on_start(&mut self) {
        self.handler.on_start();
    }

    fn on_stop(&mut self) {
        self.handler.on_stop();
    }
}

impl<E: Event> BusBuilder<E> {
    /// Adds a group of `members` stages that share the events by key: events of one key go to one
    /// member, in order, each once. The stages are called `name/0`, `name/1`, …; `after([name])` on
    /// another stage stands behind all of them. `make` gives the handler of each member, `each` sets
    /// what else is to be said of its stage.
    ///
    /// `end_of_batch` is about the ring and not about a member's share, so a member may not see it;
    /// `on_batch_end` fires for every member.
    ///
    /// ```
    /// # use tourbillon::{Bus, Drain, Sequence};
    /// # #[derive(rkyv::Archive, rkyv::Serialize, tourbillon::Event)]
    /// # #[event(name = "doc.order", version = 1)]
    /// # struct Order { account: u64 }
    /// let mut builder = Bus::<Order>::builder(64);
    /// builder.group(
    ///     "risk",
    ///     4,
    ///     |order: &ArchivedOrder| order.account.to_native(),
    ///     |_member| |_order: &ArchivedOrder, _: Sequence, _: bool| { /* this account's own */ },
    ///     |stage| stage,
    /// );
    /// builder.poller("gateway").after(["risk"]);
    /// let (mut producer, bus) = builder.start()?;
    /// producer.publish(&Order { account: 7 })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// If `members` is 0.
    pub fn group<H: Handler<E>>(
        &mut self,
        name: &str,
        members: usize,
        key: impl Fn(&Archived<E>) -> u64 + Send + Sync + 'static,
        mut make: impl FnMut(usize) -> H,
        each: impl Fn(StageBuilder<'_, E>) -> StageBuilder<'_, E>,
    ) -> &mut Self {
        assert!(members > 0, "a group has a member at least");
        let key = Arc::new(key);
        let names: Vec<String> = (0..members).map(|member| format!("{name}/{member}")).collect();
        for (member, stage) in names.iter().enumerate() {
            let sharing = Sharing {
                handler: make(member),
                key: Arc::clone(&key),
                member: member as u64,
                members: members as u64,
            };
            each(self.stage(stage, Role::Handler, sharing, give_back));
        }
        self.groups.push((name.to_owned(), names));
        self
    }

    /// Puts a group's members in place of its name.
    pub(super) fn spread_groups(&mut self) {
        for spec in &mut self.stages {
            let after = std::mem::take(&mut spec.node.after);
            spec.node.after = after
                .into_iter()
                .flat_map(|name| match self.groups.iter().find(|group| group.0 == name) {
                    Some((_, members)) => members.clone(),
                    None => vec![name],
                })
                .collect();
        }
    }
}

/// What a member's handler is given back as: itself.
fn give_back<H: Send + 'static, K>(sharing: Sharing<H, K>) -> Box<dyn Any + Send> {
    Box::new(sharing.handler)
}

#[cfg(test)]
mod tests {
    use super::member_of;

    #[test]
    fn every_member_gets_a_share_of_consecutive_keys() {
        for members in 1..=8 {
            let mut shares = vec![0; members as usize];
            (0..1_000).for_each(|key| shares[member_of(key, members) as usize] += 1);
            let fair = 1_000 / members;
            let is_fair = |share: &u64| *share > fair / 2 && *share < fair * 2;
            assert!(shares.iter().all(is_fair), "{members} members: {shares:?}");
        }
    }
}
