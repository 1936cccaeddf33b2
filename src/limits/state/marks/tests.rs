use super::*;
use crate::limits::state::layout::MARKS;
use proptest::prelude::*;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

fn state() -> State {
    State::inherited(8).expect("there is memory")
}

/// A snapshot of that generation; `bytes` tells those of one generation apart.
fn snapshot(generation: u64, bytes: u8) -> Mark {
    Mark::new(generation, &[bytes; 32])
}

fn serve(state: &State, realms: &[&str], generation: u64) -> Result<Vec<Mark>, Passed> {
    state.serve(realms, snapshot(generation, generation as u8), false)
}

fn generation(state: &State, realm: &str) -> Option<u64> {
    state.mark(realm).map(|mark| mark.generation)
}

/// Where the two copies of a realm's mark stand.
fn places(state: &State, realm: &str) -> [usize; 2] {
    state.layout.marks(usize::from(state.realm(realm).0))
}

#[test]
fn marks_rise_and_nothing_goes_back() {
    let state = state();
    assert_eq!(state.mark("a"), None);
    assert_eq!(serve(&state, &["a", "b"], 5).map(|marks| marks.len()), Ok(2));
    assert_eq!(serve(&state, &["a", "b"], 5).map(|marks| marks.len()), Ok(2), "the same once more");
    for older in [1, 4] {
        let passed = serve(&state, &["a", "b"], older).expect_err("it is older");
        assert_eq!((passed.realm.as_str(), passed.mark.generation), ("a", 5));
    }
    let passed = state.serve(&["b"], snapshot(5, 77), false).expect_err("it has other bytes");
    assert_eq!((passed.realm.as_str(), passed.mark.generation), ("b", 5));
    assert!(serve(&state, &["a", "b"], u64::MAX).is_ok());
    assert_eq!((generation(&state, "a"), generation(&state, "b")), (Some(u64::MAX), Some(u64::MAX)));
    assert_eq!(state.moves_back(), 0);
}

#[test]
fn snapshots_with_other_realms_are_not_in_the_way() {
    let state = state();
    assert!(serve(&state, &["a", "b"], 9).is_ok());
    assert!(serve(&state, &["c"], 3).is_ok());
    assert!(serve(&state, &["c", "d"], 4).is_ok());
    assert!(serve(&state, &["c"], 3).is_err());
    // One realm is enough to be refused, and nothing of the others moves.
    assert!(serve(&state, &["d", "b"], 5).is_err());
    assert_eq!(generation(&state, "d"), Some(4));
    assert_eq!((generation(&state, "a"), generation(&state, "c")), (Some(9), Some(4)));
}

#[test]
fn going_back_is_for_everybody() {
    let state = state();
    assert!(serve(&state, &["a"], 9).is_ok());
    let back = state.serve(&["a"], snapshot(4, 4), true).expect("it was asked for");
    assert_eq!((back[0].generation, back[0].moves_back, state.moves_back()), (4, 1, 1));
    assert!(serve(&state, &["a"], 3).is_err());
    assert!(serve(&state, &["a"], 4).is_ok());
    assert!(serve(&state, &["a"], 8).is_ok(), "what lies behind the mark is open again");
    assert!(serve(&state, &["a"], 5).is_err());
    // Other bytes of the same generation are a way back as well.
    assert!(state.serve(&["a"], snapshot(8, 99), false).is_err());
    assert!(state.serve(&["a"], snapshot(8, 99), true).is_ok());
    assert_eq!(state.mark("a").map(|mark| (mark.generation, mark.moves_back)), Some((8, 2)));
    // Nothing moves back where nothing has to.
    assert!(state.serve(&["a"], snapshot(10, 10), true).is_ok());
    assert_eq!(state.moves_back(), 2);
}

#[test]
fn a_mark_that_is_damaged_loses_to_its_copy() {
    for word in 0..MARK {
        for copy in 0..2 {
            for bit in 0..64 {
                let state = state();
                assert!(serve(&state, &["a"], 9).is_ok());
                let place = places(&state, "a")[copy] + word;
                state.words[place].fetch_xor(1 << bit, Relaxed);
                assert!(serve(&state, &["a"], 8).is_err(), "word {word}, bit {bit} of copy {copy}");
                assert!(serve(&state, &["a"], 9).is_ok());
                assert!(serve(&state, &["a"], 10).is_ok());
                let both =
                    places(&state, "a").map(|place| Mark::read(words_at(&state, place), realm_hash("a")));
                assert!(
                    both.iter().all(|mark| mark.is_some_and(|mark| mark.generation == 10)),
                    "it is mended"
                );
            }
        }
    }
}

#[test]
fn marks_that_are_all_damaged_lock_nobody_out() {
    for filling in [0, 1, u64::MAX, 0xdead_beef_dead_beef] {
        let state = state();
        assert!(serve(&state, &["a"], 9).is_ok());
        for place in places(&state, "a") {
            for word in &state.words[place..place + MARK] {
                word.store(filling, Relaxed);
            }
        }
        assert_eq!(state.mark("a"), None);
        assert!(serve(&state, &["a"], 10).is_ok());
        assert!(serve(&state, &["a"], 9).is_err());
    }
}

#[test]
fn a_realm_that_lost_its_row_keeps_its_mark() {
    let state = state();
    assert!(serve(&state, &["a"], 9).is_ok());
    let row = usize::from(state.realm("a").0);
    state.words[state.layout.realm_row(row).start].fetch_xor(1 << 40, Relaxed);
    assert!(serve(&state, &["a"], 8).is_err());
    assert!(serve(&state, &["a"], 10).is_ok());
    assert_ne!(usize::from(state.realm("a").0), row);
    assert!(serve(&state, &["a"], 9).is_err());
}

fn words_at(state: &State, place: usize) -> [u64; MARK] {
    std::array::from_fn(|at| state.words[place + at].load(Relaxed))
}

/// Stops after each word that is changed, as a process does that is killed there, and lets others go on.
#[test]
fn whoever_is_killed_between_two_words_leaves_what_was_served() {
    let realm = realm_hash("a");
    for stop in 0..=8 {
        for next in [8, 9, 10, 11] {
            let state = state();
            assert!(serve(&state, &["a"], 9).is_ok());
            let target = snapshot(10, 10).words(realm);
            let all = places(&state, "a").map(|place| {
                steps(words_at(&state, place), target).map(|(at, old, new)| (place + at, old, new))
            });
            for &(at, old, new) in all.as_flattened().iter().take(stop) {
                assert_eq!(state.words[at].swap(new, Relaxed), old);
            }
            // Generation 10 counts once one copy is whole, and it is served only after that.
            let expected = if stop < 4 { 9 } else { 10 };
            assert_eq!(generation(&state, "a"), Some(expected), "stopped after {stop} words");
            assert_eq!(serve(&state, &["a"], next).is_ok(), next >= expected, "{next} after {stop} words");
            assert_eq!(generation(&state, "a"), Some(next.max(expected)));
            let both = places(&state, "a").map(|place| Mark::read(words_at(&state, place), realm));
            assert!(next < expected || both[0] == both[1], "what was left is mended");
        }
    }
}

/// Everything that two who raise a mark can do to each other, word by word: whatever the order of their steps, and
/// wherever each of them is killed, what one of them has served is known.
#[test]
fn every_order_of_the_steps_of_two() {
    let realm = realm_hash("a");
    // Who goes at each of ten steps; the others come after.
    for order in 0_u32..1 << 10 {
        let state = state();
        assert!(serve(&state, &["a"], 9).is_ok());
        let mut writers = [Writer::new(10), Writer::new(11)];
        for at in 0..60 {
            let who = if at < 10 { order >> at & 1 } else { u32::from(at >= 35) };
            writers[who as usize].step(&state, realm);
            let highest = writers.iter().filter(|one| one.served).map(|one| one.target.generation).max();
            let mark = generation(&state, "a").expect("there is always one");
            assert!(mark >= highest.unwrap_or(9), "order {order:b}, step {at}");
        }
        assert!(writers[1].served);
        assert_eq!(generation(&state, "a"), Some(11));
    }
}

/// One that raises a mark as [`State::raise`] does, and stops after every word.
struct Writer {
    target: Mark,
    left: Vec<(usize, u64, u64)>,
    served: bool,
    refused: bool,
}

impl Writer {
    fn new(generation: u64) -> Self {
        Self {
            target: snapshot(generation, generation as u8),
            left: Vec::new(),
            served: false,
            refused: false,
        }
    }

    fn step(&mut self, state: &State, realm: u64) {
        if self.served || self.refused {
            return;
        }
        if self.left.is_empty() {
            let row = usize::from(state.realm("a").0);
            let view = state.view();
            self.refused = view.best(realm).is_some_and(|mark| !mark.admits(&self.target));
            let [first, second] = view.of(row).map(|words| Mark::read(words, realm));
            self.served = !self.refused && first == second && first == Some(self.target);
            if self.served || self.refused {
                return;
            }
            let which = usize::from(first > second);
            let (place, words) = (state.layout.marks(row)[which], view.of(row)[which]);
            let steps = steps(words, self.target.words(realm));
            self.left = steps.into_iter().map(|(at, old, new)| (place + at, old, new)).rev().collect();
            return;
        }
        let (at, old, new) = self.left.pop().expect("there is one");
        if state.words[at].compare_exchange(old, new, Relaxed, Relaxed).is_err() {
            self.left.clear();
        }
    }
}

#[test]
fn threads_that_raise_it_at_once_leave_the_highest() {
    for round in 0..200 {
        let state = state();
        let base = 1 + round * 100;
        thread::scope(|scope| {
            for first in 0..4 {
                let state = &state;
                scope.spawn(move || {
                    for step in 0..10 {
                        let mine = base + first + step * 4;
                        match serve(state, &["a", "b"], mine) {
                            // What was served is never forgotten, not for a moment.
                            Ok(_) => {
                                for _ in 0..5 {
                                    assert!(generation(state, "a").is_some_and(|mark| mark >= mine));
                                    assert!(generation(state, "b").is_some_and(|mark| mark >= mine));
                                }
                            }
                            Err(passed) => assert!(passed.mark.generation > mine),
                        }
                    }
                });
            }
        });
        assert_eq!(generation(&state, "a"), Some(base + 39));
        assert_eq!(state.mark("a"), state.mark("b"));
    }
}

#[test]
fn of_two_that_are_one_generation_one_is_served() {
    for _ in 0..200 {
        let state = state();
        assert!(serve(&state, &["a"], 1).is_ok());
        let served: usize = thread::scope(|scope| {
            let one = |bytes| {
                let state = &state;
                scope.spawn(move || usize::from(state.serve(&["a"], snapshot(2, bytes), false).is_ok()))
            };
            [one(7), one(8)].map(|thread| thread.join().expect("it ends")).iter().sum()
        });
        assert_eq!(served, 1);
    }
}

#[test]
fn marks_and_names_do_not_touch() {
    let state = state();
    let names: Vec<String> = (0..255).map(|at| format!("{at:0>255}")).collect();
    for name in &names {
        assert!(serve(&state, &[name], 3).is_ok());
    }
    assert!(names.iter().all(|name| generation(&state, name) == Some(3)));
    let rows: std::collections::BTreeSet<_> = names.iter().map(|name| state.realm(name).0).collect();
    assert_eq!(rows.len(), 255);
    // There is no row for it, and so no mark.
    assert_eq!(serve(&state, &["one more"], 3), Ok(Vec::new()));
    assert_eq!(state.mark("one more"), None);
    let used = 2 + 32;
    assert_eq!(MARKS, used);
}

#[test]
fn a_state_of_one_process_has_no_marks() {
    let state = State::private(8);
    assert_eq!(serve(&state, &["a"], 9), Ok(Vec::new()));
    assert_eq!(serve(&state, &["a"], 8), Ok(Vec::new()));
    assert_eq!(state.mark("a"), None);
}

proptest! {
    /// Against the one rule, kept in a variable: what is older is refused, unless it is asked for.
    #[test]
    fn marks_do_what_the_rule_says(steps in proptest::collection::vec((1_u64..6, 0_u8..2, any::<bool>()), 1..40)) {
        let state = state();
        let mut last: Option<(u64, u8)> = None;
        for (generation, bytes, going_back) in steps {
            let older = last.is_some_and(|(served, of)| {
                generation < served || (generation == served && bytes != of)
            });
            let served = state.serve(&["a"], snapshot(generation, bytes), going_back).is_ok();
            prop_assert_eq!(served, !older || going_back);
            if served {
                last = Some((generation, bytes));
            }
            let mark = state.mark("a").map(|mark| (mark.generation, mark.fingerprint));
            prop_assert_eq!(mark, last.map(|(generation, bytes)| (generation, snapshot(1, bytes).fingerprint)));
        }
    }
}
