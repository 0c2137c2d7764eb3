//! The way of an event makes no system call: shown under a seccomp filter that kills whoever makes
//! one other than `read` and `write`.
//!
//! Without libtest, whose threads and exit make calls of their own: each case is this program again,
//! as a child that says `done` when it has come through.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(target_os = "linux")]
#[allow(clippy::print_stdout, reason = "this program is its own harness")]
mod linux {
    use rustix::thread::{SecureComputingMode, set_secure_computing_mode};
    use std::io::Write;
    use std::process::Command;
    use std::time::{Duration, Instant};
    use tourbillon::{Bus, Event, Handler, Polled, Sequence, Tapped, Wait, WhenFull};

    const EVENTS: u64 = 300_000;
    /// What one publish, or batch, puts at most between two polls.
    const BATCH: u64 = 64;

    #[derive(Clone, Copy, rkyv::Archive, rkyv::Serialize, Event)]
    #[event(name = "test.tick", version = 1)]
    struct Tick {
        value: u64,
    }

    #[derive(rkyv::Archive, rkyv::Serialize, Event)]
    #[event(name = "test.note", version = 1, framed)]
    struct Note {
        text: String,
        levels: Vec<u64>,
    }

    /// From here on the calling thread dies of any call but `read` and `write`.
    fn forbid_system_calls() {
        if set_secure_computing_mode(SecureComputingMode::Strict).is_err() {
            say("no seccomp");
            std::process::abort();
        }
    }

    fn done() {
        say("done");
    }

    fn say(word: &str) {
        let mut pipe = std::io::stdout();
        pipe.write_all(word.as_bytes()).expect("a pipe");
        pipe.flush().expect("a pipe");
    }

    /// One producer, a poller behind a poller and a tap, all on this thread.
    fn polled() {
        let mut builder = Bus::<Tick>::builder(1 << 10);
        builder.poller("first");
        builder.poller("second").after(["first"]);
        let (mut producer, mut bus) = builder.start().expect("a sound bus");
        let mut first = bus.take_poller("first").expect("named");
        let mut second = bus.take_poller("second").expect("named");
        let mut tap = bus.tap("tap", tourbillon::From::Now, 32).expect("a gate");
        let mut sum = 0_u64;
        forbid_system_calls();
        for n in (0..EVENTS).step_by(2 + BATCH as usize) {
            producer.publish(&Tick { value: n }).expect("room");
            producer.publish_with(|sequence| Tick { value: sequence.get() }).expect("room");
            let batch = (0..BATCH as usize).map(|at| Tick { value: at as u64 });
            producer.publish_batch(batch).expect("room");
            for poller in [&mut first, &mut second] {
                while let Polled::Batch(mut batch) = poller.poll() {
                    while let Some((tick, _)) = batch.next() {
                        sum = sum.wrapping_add(tick.value.to_native());
                    }
                }
            }
            while let Tapped::Event(..) | Tapped::Lagged { .. } = tap.poll() {}
        }
        if sum > 0 && first.lag_events() == 0 && second.lag_events() == 0 {
            done();
        }
    }

    /// Two producers of framed events and a poller, on this thread.
    fn shared() {
        let mut builder = Bus::<Note>::builder(1 << 10);
        builder.when_full(WhenFull::Fail).poller("book");
        let (mut one, mut bus) = builder.start_multi().expect("a sound bus");
        let mut book = bus.take_poller("book").expect("named");
        let mut other = one.clone();
        let note = Note { text: "fourteen bytes".to_owned(), levels: vec![7; 8] };
        let mut seen = 0;
        forbid_system_calls();
        for _ in 0..EVENTS / 2 {
            one.publish(&note).expect("room");
            drop(other.claim().expect("room"));
            other.publish(&note).expect("room");
            let Polled::Batch(mut batch) = book.poll() else { return };
            while let Some((note, _)) = batch.next() {
                seen += note.levels.len();
            }
        }
        if seen as u64 == 8 * EVENTS {
            done();
        }
    }

    /// Enters the filter with its first event, on the thread of the bus.
    #[derive(Default)]
    struct Filtered(u64);

    impl Handler<Tick> for Filtered {
        fn on_event(&mut self, tick: &ArchivedTick, _: Sequence, _: bool) {
            if self.0 == 0 {
                forbid_system_calls();
            }
            self.0 += 1 + tick.value.to_native();
        }
    }

    /// A handler on a thread of the bus that spins.
    fn handled() {
        let mut builder = Bus::<Tick>::builder(1 << 16);
        builder
            .when_full(WhenFull::Yield(None))
            .handler("filtered", Filtered::default())
            .wait(Wait::Spin);
        let (mut producer, bus) = builder.start().expect("a sound bus");
        for n in 0..EVENTS {
            producer.publish(&Tick { value: n }).expect("the handler goes on");
        }
        // A handler that died never gets there, and this is no test of time.
        let give_up = Instant::now() + Duration::from_secs(30);
        while bus.sequence("filtered") != Some(Sequence::new(EVENTS)) && Instant::now() < give_up {
            std::thread::yield_now();
        }
        if bus.sequence("filtered") == Some(Sequence::new(EVENTS)) {
            done();
        }
        // The thread would die of ending; nobody waits for it.
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
            .expect("killed");
    }

    /// Shows that the filter kills.
    fn canary() {
        forbid_system_calls();
        std::thread::yield_now();
        done();
    }

    const CASES: [(&str, fn(), bool); 4] = [
        ("publishing_and_polling_make_no_system_call", polled, true),
        ("several_producers_of_framed_events_make_no_system_call", shared, true),
        ("a_handler_that_spins_makes_no_system_call", handled, true),
        ("whoever_makes_a_system_call_is_killed", canary, false),
    ];

    /// What libtest says to whoever lists tests, or names one.
    pub(super) fn main() {
        let args: Vec<String> = std::env::args().skip(1).collect();
        if let [flag, case] = args.as_slice()
            && flag == "--child"
        {
            let case = CASES.iter().find(|(name, ..)| name == case);
            return case.expect("a case of this program").1();
        }
        let is_listed = args.iter().any(|arg| arg == "--list");
        let is_ignored = args.iter().any(|arg| arg == "--ignored");
        let filter = args.iter().find(|arg| !arg.starts_with('-') && *arg != "terse");
        let mut failed = false;
        for (name, _, comes_through) in CASES {
            if is_ignored || filter.is_some_and(|filter| !name.contains(filter.as_str())) {
                continue;
            }
            if is_listed {
                println!("{name}: test");
                continue;
            }
            let me = std::env::current_exe().expect("this program has a file");
            let child = Command::new(me).args(["--child", name]).output().expect("a child");
            if child.stdout == b"no seccomp" {
                println!("test {name} ... ignored, this system has no seccomp");
                continue;
            }
            let is_fine = (child.stdout == b"done") == comes_through;
            println!("test {name} ... {}", if is_fine { "ok" } else { "FAILED" });
            failed |= !is_fine;
        }
        assert!(!failed, "a case failed; strace says which call it was");
    }
}
