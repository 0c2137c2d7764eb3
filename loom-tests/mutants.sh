#!/usr/bin/env bash
# Shows that the models can fail: breaks a copy of the crate in one place at a time, runs one model,
# and wants it to fail.
#
#   ./mutants.sh            all of them
#   ./mutants.sh --quick    a few of different kinds, for CI
#   ./mutants.sh --equal    those that no model can tell from the crate, see below
#   ./mutants.sh --places   runs nothing; wants each place to be there exactly once
#   ./mutants.sh NAME...    those named
#
# Exit 1 if a mutant survives, does not compile, or its place is not found exactly once; with
# `--equal` if one is killed after all, and then the words below are wrong.
#
# Orderings that no model misses when they are weakened, and why they stand all the same:
#
# - Acquire of the gates in `Gates::slowest`: every answer of `free_below` is at most what its first
#   scan saw, and the fence between the scans makes an acquire of that scan's loads. It is free on
#   x86-64, and the proof does not have to lean on the fence twice.
# - Acquire of the exchange in `Gates::join`: the fence behind it acquires what the exchange read.
# - Release of `Cursor::raise`, which announces the limit: nothing is read behind the limit, and the
#   fence that follows orders it.
# - Release of an aborted stamp of an only producer: none but its own later writes could race with its
#   half-written bytes. With a second producer they do, and a model says so.
# - Acquire of the stamps in `Region::stamped`: a slot is lapped on their account only behind the fence
#   of `announce`, which acquires what was read before it.
# - Release of the claim counter: what is read behind it is stamped on its own account. The same
#   store publishes cursors outside the ring, for which it is needed.
# - The Acquire half of `State::advance`: it orders two callers of it; no model has two.
# - `Roll`: it counts threads of the standard library, which no model starts.
set -euo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
copy=$(mktemp -d "${TMPDIR:-/tmp}/tourbillon-mutants.XXXXXX")
trap 'rm -rf "$copy"' EXIT
# The tests' own target folder: the dependencies are built there already.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$here/target}

want=("$@")
kinds=' quick full '
is_dry=
case ${1:-} in
--quick) kinds=' quick ' want=() ;;
--equal) kinds=' equal ' want=() ;;
--places) kinds=' quick full equal ' want=() is_dry=1 ;;
*) if (($#)); then kinds=' quick full equal '; fi ;;
esac
failed=0
ran=0

mkdir "$copy/loom-tests"
cp -r "$here"/../{Cargo.toml,Cargo.lock,src,derive,examples,benches,tests} "$copy/"
cp -r "$here/Cargo.toml" "$here/Cargo.lock" "$here/.cargo" "$here/tests" "$copy/loom-tests/"

row() { printf '%-40s %-63s %s\n' "$1" "$2" "$3"; }

bad() {
    row "$@"
    failed=1
}

# The first panic in a log: by the models, by the crate's own assertions, or by loom.
finding() { grep -m1 -A1 "panicked at " "$1" | tail -n 1 | cut -c 1-60; }

# mutant NAME KIND MODEL FILE OLD NEW: KIND is `quick`, `full` or `equal`.
mutant() {
    local name=$1 kind=$2 model=$3 file=$4 old=$5 new=$6 text rest log=$copy/log status=0
    [[ $kinds == *" $kind "* ]] || return 0
    if ((${#want[@]})) && [[ " ${want[*]} " != *" $name "* ]]; then return 0; fi
    ran=$((ran + 1))
    text=$(<"$here/../src/$file")
    rest=${text#*"$old"}
    if [[ $text != *"$old"* || $rest == *"$old"* ]]; then
        bad "$name" "$model" "NOT FOUND once in src/$file"
        return 0
    fi
    if [[ -n $is_dry ]]; then return 0; fi
    printf '%s\n' "${text%%"$old"*}$new$rest" >"$copy/src/$file"
    (cd "$copy/loom-tests" && RUST_BACKTRACE=0 timeout 300 cargo test --release --quiet --locked \
        -- --exact "$model") >"$log" 2>&1 || status=$?
    cp "$here/../src/$file" "$copy/src/$file"
    if ! grep -q '^running ' "$log"; then
        bad "$name" "$model" "DOES NOT COMPILE"
        grep -m1 -A6 '^error' "$log" || true
    elif ! grep -q '^running 1 test' "$log"; then
        bad "$name" "$model" "NO SUCH MODEL"
    elif ((status == 124)); then
        bad "$name" "$model" "TIMED OUT"
    elif ((status == 0)) && [[ $kind == equal ]]; then
        row "$name" "$model" "survived, as said"
    elif ((status == 0)); then
        bad "$name" "$model" "SURVIVED"
    elif ! grep -q 'panicked at ' "$log"; then
        bad "$name" "$model" "FAILED WITHOUT A FINDING"
        tail -n 20 "$log"
    elif [[ $kind == equal ]]; then
        bad "$name" "$model" "KILLED AFTER ALL: $(finding "$log")"
    else
        row "$name" "$model" "killed: $(finding "$log")"
    fi
}

row mutant model outcome

# R2: the stamp is the publication.
mutant stamp_store_relaxed quick publish::one_to_one_wraps_twice ring/slot.rs \
    'stamp.store(sequence.get() + 1, Ordering::Release)' \
    'stamp.store(sequence.get() + 1, Ordering::Relaxed)'
mutant stamp_load_relaxed full publish::one_to_one_wraps_twice ring/slot.rs \
    'self.head(sequence).stamp.load(Ordering::Acquire)' \
    'self.head(sequence).stamp.load(Ordering::Relaxed)'
mutant stamp_before_bytes full publish::one_to_one_wraps_twice ring/slot.rs \
    'let (payload, bytes) = (self.payload(sequence), self.slot_bytes);' \
    'let (payload, bytes) = (self.payload(sequence), self.slot_bytes); self.publish(sequence);'
mutant stamp_of_any_lap full publish::one_to_one_wraps_twice ring/slot.rs \
    'if stamp == sequence.get() + 1 {' \
    'if stamp != 0 && stamp & ABORTED == 0 {'

# R1: what is not published is aborted, and never seen.
mutant abort_stamped_as_published quick publish::dropped_claims_are_skipped ring/slot.rs \
    'stamp.store((sequence.get() + 1) | ABORTED, Ordering::Release)' \
    'stamp.store(sequence.get() + 1, Ordering::Release)'
abort='self.abort_tail(range.clone());
        self.settle(range.end);'
mutant dropped_claim_not_stamped full publish::dropped_claims_are_skipped producer/mod.rs \
    "$abort" 'self.settle(range.end);'
mutant abort_relaxed_of_one_producer equal publish::unwound_claims_are_skipped ring/slot.rs \
    'stamp.store((sequence.get() + 1) | ABORTED, Ordering::Release)' \
    'stamp.store((sequence.get() + 1) | ABORTED, Ordering::Relaxed)'
mutant unwound_batch_not_stamped full publish::unwound_claims_are_skipped producer/mod.rs \
    "$abort" 'self.settle(range.end);'
mutant unwound_batch_published_as_far_as_filled full publish::unwound_claims_are_skipped producer/guard.rs \
    'self.producer.abort(self.range.clone());' \
    'self.producer.slots.publish_all(self.range.start..self.filled); self.producer.abort(self.filled..self.range.end);'

# R4: a batch becomes visible at once.
batch='for sequence in (batch.start.get()..batch.end.get()).rev() {
            self.publish('
mutant batch_forwards quick publish::a_batch_is_visible_at_once ring/slot.rs \
    "$batch" "${batch/.rev()/}"
mutant batch_forwards_one_by_one full publish::a_batch_is_visible_to_the_next_polls ring/slot.rs \
    "$batch" "${batch/.rev()/}"
mutant batch_forwards_wrapped full publish::a_batch_wraps ring/slot.rs \
    "$batch" "${batch/.rev()/}"
whole_batch="$batch"'Sequence::from_word(sequence));
        }'
mutant batch_released_by_its_first_alone full publish::a_joiner_in_the_middle_of_a_batch_finds_it_published ring/slot.rs \
    "$whole_batch" \
    'for sequence in (batch.start.get()..batch.end.get()).rev() {
            let order = if sequence == batch.start.get() { Ordering::Release } else { Ordering::Relaxed };
            self.head(Sequence::from_word(sequence)).stamp.store(sequence + 1, order);
        }'

# R3, R5: a slot is overwritten only after every gate has passed it.
mutant one_slot_too_many quick gating::a_held_event_is_not_overwritten ring/claim.rs \
    'self.next.advance(count) <= self.limit)' \
    'self.next.advance(count) <= self.limit.next())'
mutant gate_publish_relaxed full gating::one_to_two ring/gate.rs \
    'store(next.get(), Ordering::Release)' \
    'store(next.get(), Ordering::Relaxed)'
mutant gate_before_view full gating::a_held_event_is_not_overwritten poller/batch.rs \
    '// SAFETY: as in `next_with_end`.' \
    'self.poller.ring.header().gate_table.publish(self.poller.gate, self.next);'
mutant gate_before_handling full gating::a_held_event_is_not_overwritten poller/batch.rs \
    '(unsafe { self.poller.slots.view(sequence) }, sequence)' \
    '{ let event = unsafe { self.poller.slots.view(sequence) };
       self.poller.ring.header().gate_table.publish(self.poller.gate, self.next); (event, sequence) }'
mutant only_the_last_gate_counts full gating::one_to_two ring/gate.rs \
    'if at < slowest.0 {' \
    'if index + 1 == joined && at < slowest.0 {'
mutant scan_without_acquire equal gating::one_to_two ring/gate.rs \
    'Sequence::from_word(gate.load(Ordering::Acquire))' \
    'Sequence::from_word(gate.load(Ordering::Relaxed))'

# R3: several producers, each sequence with one winner and a slot that nobody fills any more.
mutant claim_stored_without_a_look quick multi::two_producers_race_for_each_sequence ring/claim.rs \
    'match header.claimed.win(next, next.advance(count)) {' \
    'header.claimed.publish(next.advance(count));
            match Ok::<(), Sequence>(()) {'
mutant claim_beyond_the_limit full multi::two_producers_race_for_each_sequence ring/claim.rs \
    'while next.advance(count) <= self.limit {' \
    'while next.advance(count) <= self.limit.next() {'
mutant without_a_gate_all_claimed_is_free quick multi::without_a_gate_nobody_laps_a_slot_that_is_being_filled ring/claim.rs \
    '|from| ring.region().stamped(from..next)' \
    '|_| next'
mutant now_is_behind_what_is_claimed full multi::a_newcomer_from_now_opens_no_slot_that_is_being_filled poller/mod.rs \
    'self.ring.region().stamped(self.next..self.ring.claimed_from(self.next))' \
    'self.ring.claimed_from(self.next)'
mutant forgotten_claim_stays full multi::consumers_stop_at_a_forgotten_claim_and_go_on_when_it_is_let_go producer/mod.rs \
    'if !forgotten.is_empty() {' \
    'if forgotten.is_empty() {'
mutant abort_relaxed_of_two_producers full multi::a_dropped_claim_of_one_is_skipped_and_its_slot_goes_to_another ring/slot.rs \
    'stamp.store((sequence.get() + 1) | ABORTED, Ordering::Release)' \
    'stamp.store((sequence.get() + 1) | ABORTED, Ordering::Relaxed)'
mutant stamped_run_relaxed equal multi::without_a_gate_nobody_laps_a_slot_that_is_being_filled ring/slot.rs \
    'stamp.load(Ordering::Acquire);
        stamp & !ABORTED' \
    'stamp.load(Ordering::Relaxed);
        stamp & !ABORTED'

# What an only producer leaves its stamps to say.
mutant counter_never_told full publish::one_to_one_wraps_twice ring/claim.rs \
    'ring.header().claimed.publish(next);
        self.limit' \
    'self.limit'
mutant counter_without_its_stamps quick life::what_was_published_before_a_drain_is_drained ring/slot.rs \
    'if self.shape().producers == Producers::Multi {' \
    'if self.shape().capacity > 0 {'

# R6: nobody overtakes whom it stands behind.
mutant upstream_relaxed full gating::a_chain_keeps_its_order ring/gate.rs \
    'self.gates[gate.0].load(Ordering::Acquire)' \
    'self.gates[gate.0].load(Ordering::Relaxed)'
mutant upstream_ignored full gating::a_chain_keeps_its_order poller/mod.rs \
    'let end = match self.barrier.available() {' \
    'let end = match None::<Sequence> { Some(available) if available > self.next => available.min(most),'
mutant first_upstream_only full gating::a_diamond_keeps_its_order barrier.rs \
    'least.min(cursor.acquire())' \
    '{ let _ = cursor; least }'

# R5: gates come and go.
mutant no_fence_in_announce quick joining::a_joiner_at_a_free_ring_misses_nothing ring/gate.rs \
    '// ORDERING: SeqCst fence; partner of the fence in `join`, see the proof above.
        fence(Ordering::SeqCst);' \
    ''
mutant no_fence_in_join full joining::a_joiner_at_a_free_ring_misses_nothing ring/gate.rs \
    '// ORDERING: SeqCst fence; partner of the fence in `announce`, see the proof above.
        fence(Ordering::SeqCst);' \
    ''
mutant no_second_scan full joining::a_joiner_at_a_free_ring_misses_nothing ring/gate.rs \
    'if sure.0 < wanted { sure } else { (wanted, gate) }' \
    '{ let _ = sure; (wanted, gate) }'
mutant second_scan_beyond_the_announced full joining::a_joiner_beside_a_consumer_misses_nothing ring/gate.rs \
    'if sure.0 < wanted { sure } else { (wanted, gate) }' \
    '{ let _ = gate; sure }'
mutant not_announced full joining::a_joiner_at_a_free_ring_misses_nothing ring/gate.rs \
    'self.limit.raise(below);' \
    ''
mutant joiner_stays_below_the_limit full joining::a_joiner_at_a_free_ring_misses_nothing ring/gate.rs \
    'from.max(limit)' \
    '{ let _ = limit; from }'
mutant joiner_is_not_made_sure full joining::a_joiner_beside_a_consumer_misses_nothing ring/gate.rs \
    'Some((gate, self.make_sure(gate, from)))' \
    'Some((gate, from))'
mutant leave_relaxed full joining::a_leaver_lets_go_of_what_it_read ring/gate.rs \
    'store(VACANT, Ordering::Release)' \
    'store(VACANT, Ordering::Relaxed)'
mutant taken_over_relaxed equal joining::a_gate_changes_hands ring/gate.rs \
    'Ordering::Acquire, Ordering::Relaxed' \
    'Ordering::Relaxed, Ordering::Relaxed'
mutant joined_not_counted full joining::a_joiner_beside_a_consumer_misses_nothing ring/gate.rs \
    'self.joined.fetch_max(index as u64 + 1, Ordering::Relaxed);' \
    'self.joined.fetch_max(1, Ordering::Relaxed);'
mutant limit_raise_relaxed equal joining::a_joiner_beside_a_consumer_misses_nothing cursor.rs \
    'self.0.fetch_max(next.get(), Ordering::Release)' \
    'self.0.fetch_max(next.get(), Ordering::Relaxed)'

# Taps: pinned while they copy.
tap=joining::a_tap_copies_what_nobody_overwrites_and_counts_what_it_missed
mutant tap_copies_unpinned quick "$tap" tap.rs \
    'let skipped = oldest.events_since(self.next);' \
    'gates.park(self.gate); let skipped = oldest.events_since(self.next);'
mutant tap_pins_without_a_fence full "$tap" ring/gate.rs \
    'self.publish(gate, from);
        self.make_sure(gate, from)' \
    'self.publish(gate, from);
        let limit = self.limit.acquire();
        if from < limit { self.publish(gate, limit); }
        from.max(limit)'
mutant tap_is_not_made_sure full "$tap" ring/gate.rs \
    'self.publish(gate, from);
        self.make_sure(gate, from)' \
    'self.publish(gate, from); from'

# Parking against the end of a bus.
mutant bell_without_its_lock quick life::a_halt_wakes_one_sleeper sleepers.rs \
    'drop(self.monitor.lock());
        self.monitor.notify_all();' \
    'self.monitor.notify_all();'
mutant looks_before_it_locks full life::a_halt_wakes_one_sleeper sleepers.rs \
    'let guard = self.monitor.lock();
        let tired = !awake();' \
    'let tired = !awake();
        let guard = self.monitor.lock();'
mutant bell_not_rung full life::a_halt_wakes_one_sleeper ring/mod.rs \
    'self.header().state.advance(life);
        self.sleepers.ring();' \
    'self.header().state.advance(life);'
mutant rung_before_the_news full life::a_drain_wakes_a_sleeper_who_then_handles_everything ring/mod.rs \
    'self.header().state.advance(life);
        self.sleepers.ring();' \
    'self.sleepers.ring(); self.header().state.advance(life);'
mutant one_of_two_woken full life::a_halt_wakes_two_sleepers sync.rs \
    'self.condvar.notify_all();
        }
    }
}

pub(crate) use' \
    'self.condvar.notify_one();
        }
    }
}

pub(crate) use'

# Sleeping until called against publishing.
mutant no_fence_in_call quick wake::a_publish_wakes_who_sleeps sleepers.rs \
    '// ORDERING: SeqCst fence; partner of the fence in `announce`, see the proof above.
        fence(Ordering::SeqCst);' \
    ''
mutant no_fence_in_announce_of_sleep full wake::a_publish_wakes_who_sleeps sleepers.rs \
    '// ORDERING: SeqCst fence; partner of the fence in `call`, see the proof above.
        fence(Ordering::SeqCst);' \
    ''
mutant call_fence_acq_rel full wake::a_publish_wakes_who_sleeps sleepers.rs \
    '// ORDERING: SeqCst fence; partner of the fence in `announce`, see the proof above.
        fence(Ordering::SeqCst);' \
    'fence(Ordering::AcqRel);'
mutant announced_after_the_look full wake::a_publish_wakes_who_sleeps idle.rs \
    'let Some(ticket) = self.ticket.take() else {
            self.ticket = Some(ring.sleepers().announce());
            return;
        };' \
    'let ticket = ring.sleepers().announce();'
mutant called_before_the_stamp full wake::a_publish_wakes_who_sleeps producer/guard.rs \
    'claim.producer.slots.publish(sequence);' \
    'claim.producer.sleepers.after_publish();
        claim.producer.sleepers = crate::sleepers::Sleepers::new(false).caller();
        claim.producer.slots.publish(sequence);'
mutant sleeps_on_a_past_ticket full wake::a_publish_wakes_who_sleeps sleepers.rs \
    'self.word.load(Ordering::Relaxed) != ticket.0 || awake()' \
    '{ let _ = ticket.0; awake() }'
mutant called_without_waking full wake::a_publish_wakes_who_sleeps sleepers.rs \
    'drop(guard);
        self.monitor.notify_all();' \
    'drop(guard);'
mutant called_without_a_round full wake::a_publish_wakes_who_sleeps sleepers.rs \
    'self.word.fetch_add(1, Ordering::Relaxed);' \
    ''
mutant woken_without_the_lock full wake::a_publish_wakes_who_sleeps sleepers.rs \
    'let guard = self.monitor.lock();
        if !self.is_wanted() {' \
    'let guard = ();
        if !self.is_wanted() {'
mutant publish_calls_nobody full wake::every_publish_wakes_who_sleeps producer/mod.rs \
    'self.sleepers.after_publish();' \
    ''
mutant stage_calls_nobody full wake::a_stage_wakes_the_stage_behind_it processor/mod.rs \
    'idler.went_on();' \
    ''
mutant direct_sleeper_deaf_to_a_halt full wake::a_halt_wakes_who_sleeps_until_called idle.rs \
    'sleep_on(ticket, self.called_park_max, ends)' \
    'sleep_on(ticket, self.called_park_max, || false)'
mutant full_ring_deaf_to_a_halt full wake::a_halt_frees_a_producer_that_sleeps_at_a_full_ring idle.rs \
    'sleep(max, || ring.life() != Life::Open)' \
    'sleep(max, || false)'
mutant waker_wakes_nobody full wake::the_waker_thread_wakes_who_sleeps waker.rs \
    'sleepers.wake();' \
    'let _ = sleepers;'
mutant waker_looks_the_wrong_way full wake::the_waker_thread_wakes_who_sleeps waker.rs \
    'self.cursor.acquire() < available' \
    'self.cursor.acquire() > available'

# Stopping against publishing against draining.
mutant life_advance_relaxed quick life::what_was_published_before_a_drain_is_drained ring/state.rs \
    'fetch_max(life as u64, Ordering::AcqRel)' \
    'fetch_max(life as u64, Ordering::Relaxed)'
mutant life_get_relaxed full life::what_was_published_before_a_drain_is_drained ring/state.rs \
    'Self::decode(self.0.load(Ordering::Acquire))' \
    'Self::decode(self.0.load(Ordering::Relaxed))'
mutant closed_with_one_to_go full life::what_was_published_before_a_drain_is_drained poller/mod.rs \
    'Life::Draining if self.next < self.ring.claimed_from(self.next) => {}' \
    'Life::Draining if self.next.next() < self.ring.claimed_from(self.next) => {}'
mutant life_advance_release_alone equal life::what_was_published_before_a_drain_is_drained ring/state.rs \
    'fetch_max(life as u64, Ordering::AcqRel)' \
    'fetch_max(life as u64, Ordering::Release)'
mutant claimed_relaxed equal life::what_was_published_before_a_drain_is_drained cursor.rs \
    'self.0.store(next.get(), Ordering::Release)' \
    'self.0.store(next.get(), Ordering::Relaxed)'

if ((ran == 0)); then
    echo "no such mutant: ${want[*]}" >&2
    exit 1
fi
exit "$failed"
