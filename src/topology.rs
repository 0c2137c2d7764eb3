//! *Owns* the shape of a bus before it runs: who stands behind whom, who shares a thread. *Invariant*:
//! a plan is acyclic, each name means one stage, and threads are data: the same plan on four cores
//! or on one. *Source*: the LMAX Disruptor's dependency graph.
//!
//! ```text
//!                 ┌─► journal ──┐
//!   producer ─────┤             ├─► gateway      after(["engine"]).behind(Journaled)
//!                 └─► engine ───┘
//! ```

use crate::control::{KillSwitch, OnPanic};
use crate::error::BuildError;
use crate::wait::Wait;
use std::collections::BTreeMap;

/// The journal stage's name.
pub(crate) const JOURNAL: &str = "journal";

/// What a stage may stand behind besides other stages: how safe an event must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Milestone {
    /// The event's whole frame is in the journal's map: it survives the process.
    Journaled,
    /// A sync that covers the event has returned: it survives the power.
    Durable,
}

/// What a stage is, as far as the plan cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs on the caller's thread.
    Poller,
    /// Runs on a thread of the bus.
    Handler,
    /// As a handler, with effects outside the process.
    Reactor,
    /// The journal stage.
    Journal,
}

/// One stage as asked for.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) after: Vec<String>,
    pub(crate) behind: Vec<Milestone>,
    /// Stands behind `Journaled` or `Durable` of another bus.
    pub(crate) is_behind_ring: bool,
    /// Takes snapshots, which live beside a journal.
    pub(crate) needs_journal: bool,
    /// A projection: what it has applied cannot be left out.
    pub(crate) has_state: bool,
    pub(crate) on_panic: OnPanic,
    pub(crate) switch: Option<KillSwitch>,
    pub(crate) batch_events_max: Option<u64>,
    pub(crate) core: Option<usize>,
    /// Asks for a core that the scheduler leaves alone; it is in `core` once it is chosen.
    pub(crate) is_isolated: bool,
    pub(crate) wait: Wait,
}

impl Node {
    /// A stage that nothing was asked of yet.
    pub(crate) fn new(name: &str, role: Role) -> Self {
        Self {
            name: name.to_owned(),
            role,
            after: Vec::new(),
            behind: Vec::new(),
            is_behind_ring: false,
            needs_journal: false,
            has_state: false,
            on_panic: OnPanic::Halt,
            switch: None,
            batch_events_max: None,
            core: None,
            is_isolated: false,
            wait: Wait::Auto,
        }
    }
}

/// One thread: stages in graph order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ThreadPlan {
    pub(crate) stages: Vec<usize>,
    pub(crate) core: Option<usize>,
    pub(crate) wait: Wait,
}

/// A graph found sound.
#[derive(Debug)]
pub(crate) struct Plan {
    /// For each stage the stages it stands behind, straight.
    pub(crate) upstream: Vec<Vec<usize>>,
    pub(crate) threads: Vec<ThreadPlan>,
    /// Cores that its threads can count on.
    pub(crate) cores: usize,
}

impl Plan {
    /// Whether nobody stands behind `stage`.
    pub(crate) fn is_leaf(&self, stage: usize) -> bool {
        self.upstream.iter().all(|upstream| !upstream.contains(&stage))
    }
}

/// Gives each stage that asks for it the next of the cores `isolated` that no other stage has. Gives how
/// many were given.
///
/// # Errors
/// [`BuildError::NoIsolatedCore`], naming the first stage that is left without one.
pub(crate) fn isolate(nodes: &mut [Node], isolated: &[usize]) -> Result<usize, BuildError> {
    let mut given = 0;
    for at in 0..nodes.len() {
        if !nodes[at].is_isolated || nodes[at].role == Role::Poller {
            continue;
        }
        let is_free = |core: &&usize| nodes.iter().all(|node| node.core != Some(**core));
        let Some(&core) = isolated.iter().find(is_free) else {
            let (stage, isolated) = (nodes[at].name.clone(), isolated.to_vec());
            return Err(BuildError::NoIsolatedCore { stage, isolated });
        };
        nodes[at].core = Some(core);
        given += 1;
    }
    Ok(given)
}

/// Validates the graph once and lays it out on threads.
///
/// # Errors
/// The first unsound thing found, with the stage's name.
pub(crate) fn plan(
    nodes: &[Node],
    cores: usize,
    allow_more_spinners: bool,
) -> Result<Plan, BuildError> {
    let index = index_by_name(nodes)?;
    let upstream = nodes.iter().map(|node| resolve(node, &index)).collect::<Result<Vec<_>, _>>()?;
    for node in nodes {
        check_reactor(node)?;
    }
    let order = sort(nodes, &upstream)?;
    for (at, node) in nodes.iter().enumerate() {
        check_policies(node, upstream.iter().any(|upstream| upstream.contains(&at)))?;
    }
    let threads = fuse(nodes, &order)?;
    check_spinners(nodes, &threads, cores, allow_more_spinners)?;
    Ok(Plan { upstream, threads, cores })
}

fn index_by_name(nodes: &[Node]) -> Result<BTreeMap<&str, usize>, BuildError> {
    let mut index = BTreeMap::new();
    for (at, node) in nodes.iter().enumerate() {
        if index.insert(node.name.as_str(), at).is_some() {
            return Err(BuildError::Duplicate { stage: node.name.clone() });
        }
    }
    Ok(index)
}

/// The stages that `node` stands behind.
fn resolve(node: &Node, index: &BTreeMap<&str, usize>) -> Result<Vec<usize>, BuildError> {
    let mut upstream = Vec::new();
    for name in &node.after {
        let at = index.get(name.as_str()).ok_or_else(|| BuildError::Unknown {
            stage: node.name.clone(),
            upstream: name.clone(),
        })?;
        upstream.push(*at);
    }
    let no_journal = || BuildError::NoJournal { stage: node.name.clone() };
    if !node.behind.is_empty() {
        upstream.push(*index.get(JOURNAL).ok_or_else(no_journal)?);
    }
    if node.needs_journal && !index.contains_key(JOURNAL) {
        return Err(no_journal());
    }
    upstream.sort_unstable();
    upstream.dedup();
    Ok(upstream)
}

fn check_reactor(node: &Node) -> Result<(), BuildError> {
    let is_safe = node.is_behind_ring
        || !node.behind.is_empty()
        || node.after.iter().any(|name| name == JOURNAL);
    if node.role == Role::Reactor && !is_safe {
        return Err(BuildError::ReactorNotBehindJournal { stage: node.name.clone() });
    }
    Ok(())
}

/// Refuses what would let others see events as handled that never were.
fn check_policies(node: &Node, has_dependents: bool) -> Result<(), BuildError> {
    let refuse =
        |asked: String, why| Err(BuildError::Refused { stage: node.name.clone(), asked, why });
    if node.batch_events_max == Some(0) {
        return refuse("batch_events_max(0)".to_owned(), "a batch holds at least one event");
    }
    let leaves_out = match node.role {
        Role::Poller => Some("a poller runs on the caller's thread, who sees to it there"),
        Role::Journal => Some("what the journal leaves out is lost, and others stand behind it"),
        _ if has_dependents => Some("other stages stand behind it and take its events for handled"),
        _ if node.has_state => Some("a state that has missed an event is wrong for good"),
        _ => None,
    };
    if let (Some(_), Some(why)) = (&node.switch, leaves_out) {
        return refuse("kill_switch".to_owned(), why);
    }
    let why = match (node.on_panic, leaves_out) {
        (OnPanic::Halt, _) => None,
        (_, Some(why)) => Some(why),
        (_, None) if node.role == Role::Reactor => {
            Some("whether an effect that unwound has happened is not known")
        }
        (OnPanic::Restart { .. }, None) if node.is_behind_ring => {
            Some("the cause of the event behind may have unwound, and this one would be skipped")
        }
        _ => None,
    };
    why.map_or(Ok(()), |why| refuse(format!("on_panic({})", node.on_panic), why))
}

/// Kahn's sort; what is left over lies on, or behind, a circle.
fn sort(nodes: &[Node], upstream: &[Vec<usize>]) -> Result<Vec<usize>, BuildError> {
    let mut order: Vec<usize> = Vec::with_capacity(nodes.len());
    while order.len() < nodes.len() {
        let next = (0..nodes.len()).find(|at| {
            !order.contains(at) && upstream[*at].iter().all(|above| order.contains(above))
        });
        match next {
            Some(at) => order.push(at),
            None => return Err(BuildError::Cycle { stage: on_a_circle(nodes, upstream, &order) }),
        }
    }
    Ok(order)
}

/// Walks upstream among the unsorted until a stage comes up twice.
fn on_a_circle(nodes: &[Node], upstream: &[Vec<usize>], order: &[usize]) -> String {
    let is_left = |at: &usize| !order.contains(at);
    let mut seen = Vec::new();
    let mut at = (0..nodes.len()).find(is_left).unwrap_or(0);
    while !seen.contains(&at) {
        seen.push(at);
        at = upstream[at].iter().copied().find(|above| is_left(above)).unwrap_or(at);
    }
    nodes[at].name.clone()
}

/// Stages on one core share a thread, in graph order; stages without a core have one each.
fn fuse(nodes: &[Node], order: &[usize]) -> Result<Vec<ThreadPlan>, BuildError> {
    let mut threads: Vec<ThreadPlan> = Vec::new();
    for &at in order {
        let node = &nodes[at];
        if node.role == Role::Poller {
            continue;
        }
        let shared = node.core.and_then(|core| threads.iter_mut().find(|t| t.core == Some(core)));
        match shared {
            None => threads.push(ThreadPlan {
                stages: vec![at],
                core: node.core,
                wait: node.wait.clone(),
            }),
            Some(thread) => {
                thread.stages.push(at);
                if thread.wait == Wait::Auto {
                    thread.wait = node.wait.clone();
                } else if node.wait != Wait::Auto && node.wait != thread.wait {
                    let (stage, core) = (node.name.clone(), node.core.unwrap_or_default());
                    return Err(BuildError::WaitConflict { stage, core });
                }
            }
        }
    }
    Ok(threads)
}

/// Spinning threads that are more than the cores steal from each other.
fn check_spinners(
    nodes: &[Node],
    threads: &[ThreadPlan],
    cores: usize,
    allow_more_spinners: bool,
) -> Result<(), BuildError> {
    let spinners: Vec<&ThreadPlan> = threads.iter().filter(|thread| thread.wait.spins()).collect();
    if spinners.len() > cores && !allow_more_spinners {
        let threads = spinners.iter().map(|thread| nodes[thread.stages[0]].name.clone()).collect();
        return Err(BuildError::TooManySpinners { threads, cores });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, after: &[&str]) -> Node {
        Node {
            after: after.iter().map(|name| (*name).to_owned()).collect(),
            ..Node::new(name, Role::Handler)
        }
    }

    #[test]
    fn upstream_comes_first_whatever_the_order_of_declaration() {
        let nodes = [node("c", &["a", "b"]), node("b", &["a"]), node("a", &[])];
        let plan = plan(&nodes, 8, false).expect("a sound graph");
        let order: Vec<_> = plan.threads.iter().map(|thread| thread.stages[0]).collect();
        assert_eq!(order, [2, 1, 0]);
        assert_eq!(plan.upstream, [vec![1, 2], vec![2], vec![]]);
        assert!(plan.is_leaf(0) && !plan.is_leaf(1) && !plan.is_leaf(2));
    }

    #[test]
    fn each_refusal_names_its_stage() {
        let refuse = |nodes: &[Node]| plan(nodes, 2, false).expect_err("refused").to_string();
        assert!(refuse(&[node("a", &[]), node("a", &[])]).contains("`a`"));
        assert!(refuse(&[node("a", &["ghost"])]).contains("`a` stands behind `ghost`"));
        let circle = [node("leaf", &["b"]), node("a", &["b"]), node("b", &["a"])];
        let text = refuse(&circle);
        assert!(text.contains("`a`") || text.contains("`b`"), "{text}");
        let behind = Node { behind: vec![Milestone::Journaled], ..node("gateway", &[]) };
        assert!(refuse(&[behind]).contains("`gateway` stands behind the journal"));
        let reactor = Node { role: Role::Reactor, ..node("gateway", &[]) };
        assert!(refuse(&[reactor]).contains("reactor `gateway`"));
    }

    #[test]
    fn a_policy_that_leaves_events_out_is_refused_where_somebody_counts_on_them() {
        let detach = |node: Node| Node { on_panic: OnPanic::Detach, ..node };
        let cut = |node: Node| Node { switch: Some(KillSwitch::new()), ..node };
        let base = Node::new("a", Role::Handler);
        let state = Node { has_state: true, ..base.clone() };
        let caller = Node::new("a", Role::Poller);
        let journal = Node::new(JOURNAL, Role::Journal);
        let reactor = Node { is_behind_ring: true, ..Node::new("a", Role::Reactor) };
        let linked = Node { is_behind_ring: true, ..base.clone() };
        let restart = |node: Node| Node { on_panic: OnPanic::Restart { max: 1 }, ..node };
        let sound = |nodes: &[Node]| plan(nodes, 8, false).map(drop);
        let behind = node("b", &["a"]);
        for refused in [
            vec![detach(base.clone()), behind.clone()],
            vec![cut(base.clone()), behind],
            vec![detach(state.clone())],
            vec![cut(state)],
            vec![detach(caller.clone())],
            vec![cut(caller)],
            vec![detach(journal.clone())],
            vec![cut(journal)],
            vec![detach(reactor.clone())],
            vec![restart(linked.clone())],
            vec![Node { batch_events_max: Some(0), ..base.clone() }],
        ] {
            let error = sound(&refused).expect_err("refused");
            let is_named =
                matches!(&error, BuildError::Refused { stage, .. } if *stage == refused[0].name);
            assert!(is_named, "{error}");
        }
        for fine in
            [detach(base.clone()), restart(base.clone()), cut(base), cut(reactor), detach(linked)]
        {
            sound(&[fine]).expect("sound");
        }
    }

    #[test]
    fn stages_on_one_core_share_a_thread_in_graph_order() {
        let on = |core, node: Node| Node { core: Some(core), ..node };
        let nodes = [on(1, node("b", &["a"])), node("free", &[]), on(1, node("a", &[]))];
        let plan = plan(&nodes, 8, false).expect("a sound graph");
        let threads: Vec<_> = plan.threads.iter().map(|t| (t.core, t.stages.clone())).collect();
        assert_eq!(threads, [(None, vec![1]), (Some(1), vec![2, 0])]);
    }

    #[test]
    fn a_stage_gets_the_next_isolated_core_that_no_other_has() {
        let asking = |name, role| Node { is_isolated: true, ..Node::new(name, role) };
        let pinned = Node { core: Some(3), ..node("pinned", &[]) };
        let [a, b] = ["a", "b"].map(|name| asking(name, Role::Handler));
        let mut nodes = [asking("screen", Role::Poller), a, pinned, b];
        assert_eq!(isolate(&mut nodes.clone(), &[2, 3, 5]).expect("two are free"), 2);
        let text = isolate(&mut nodes.clone(), &[2, 3]).expect_err("one is free").to_string();
        assert!(text.contains("`b`") && text.contains("2, 3"), "{text}");
        let text = isolate(&mut nodes.clone(), &[]).expect_err("none").to_string();
        assert!(text.contains("`a`") && text.contains("isolcpus"), "{text}");
        isolate(&mut nodes, &[2, 3, 5]).expect("as above");
        assert_eq!(nodes.map(|node| node.core), [None, Some(2), Some(3), Some(5)]);
    }

    #[test]
    fn fused_stages_agree_on_a_wait() {
        let with = |wait, name| Node { core: Some(0), wait, ..node(name, &[]) };
        let clash = [with(Wait::Spin, "a"), with(Wait::Yield, "b")];
        let text = plan(&clash, 2, false).expect_err("refused").to_string();
        assert!(text.contains("`b`") && text.contains("core 0"), "{text}");
        let fine = [with(Wait::Auto, "a"), with(Wait::Yield, "b")];
        assert_eq!(plan(&fine, 2, false).expect("sound").threads[0].wait, Wait::Yield);
    }

    #[test]
    fn more_spinners_than_cores_are_refused_unless_allowed_by_name() {
        let spin = |name| Node { wait: Wait::Spin, ..node(name, &[]) };
        let nodes = [spin("a"), spin("b"), spin("c")];
        let text = plan(&nodes, 2, false).expect_err("refused").to_string();
        assert!(text.contains("a, b, c") && text.contains("2 cores"), "{text}");
        assert!(plan(&nodes, 3, false).is_ok());
        assert!(plan(&nodes, 2, true).is_ok());
    }
}
