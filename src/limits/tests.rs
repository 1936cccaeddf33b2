use super::{Gcra, Limiter};
use crate::format::id_place::IdTag;
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::Barrier;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::scope;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_764_000_000 * SECOND;

fn tag(realm: &str, id: &str) -> IdTag {
    IdTag::of(realm, id)
}

fn number(number: u64) -> IdTag {
    IdTag::from_number(number)
}

fn rate(requests: u64, period: u64, burst: u64) -> Gcra {
    Gcra::new(requests, period, burst).expect("no zero")
}

/// Sends `count` requests at `seconds` after the start and returns what became of the last.
fn send(limiter: &Limiter, tag: IdTag, rate: Gcra, seconds: f64, count: usize) -> Result<(), u64> {
    let now = START.saturating_add_signed((seconds * SECOND as f64) as i64);
    (0..count).map(|_| limiter.admit(tag, rate, now)).last().expect("count is not 0")
}

#[test]
fn a_burst_then_one_each_interval() {
    let (limiter, usual, key) = (Limiter::new(64), rate(5, 10, 5), tag("meter", "usual-1"));
    assert_eq!(send(&limiter, key, usual, 0.0, 5), Ok(()));
    assert_eq!(send(&limiter, key, usual, 0.0, 1), Err(2));
    assert_eq!(send(&limiter, key, usual, 0.0, 50), Err(2), "asking again costs nothing");
    assert_eq!(send(&limiter, tag("meter", "usual-2"), usual, 0.0, 5), Ok(()), "another key has its own");
    assert_eq!(send(&limiter, key, usual, 1.0, 1), Err(1));
    assert_eq!(send(&limiter, key, usual, 2.0, 1), Ok(()));
    assert_eq!(send(&limiter, key, usual, 2.0, 1), Err(2));
    assert_eq!(send(&limiter, key, usual, 1000.0, 5), Ok(()), "a long rest fills the burst");
    assert_eq!(send(&limiter, key, usual, 1000.0, 1), Err(2), "and no more than that");
}

#[test]
fn a_burst_of_one_and_a_clock_that_steps_back() {
    let (limiter, single, key) = (Limiter::new(64), rate(60, 60, 1), tag("meter", "single"));
    assert_eq!(send(&limiter, key, single, 0.0, 1), Ok(()));
    assert_eq!(send(&limiter, key, single, 0.0, 1), Err(1));
    assert_eq!(send(&limiter, key, single, 1.0, 1), Ok(()));
    assert_eq!(send(&limiter, key, single, -5.0, 1), Err(7));
}

#[test]
fn intervals_that_do_not_divide() {
    let (limiter, thirds, key) = (Limiter::new(64), rate(3, 10, 3), tag("meter", "thirds"));
    assert_eq!(send(&limiter, key, thirds, 0.0, 3), Ok(()));
    assert_eq!(send(&limiter, key, thirds, 0.0, 1), Err(4));
    assert_eq!(send(&limiter, key, thirds, 3.0, 1), Err(1));
    assert_eq!(send(&limiter, key, thirds, 4.0, 1), Ok(()));
    assert_eq!(send(&limiter, key, thirds, 4.0, 1), Err(3));

    let (third, key) = (rate(3, 1, 3), tag("meter", "third"));
    assert_eq!(send(&limiter, key, third, 0.0, 3), Ok(()));
    assert_eq!(send(&limiter, key, third, 0.25, 1), Err(1));
    assert_eq!(send(&limiter, key, third, 0.5, 1), Ok(()));
    assert_eq!(send(&limiter, key, third, 0.75, 1), Ok(()));
    assert_eq!(send(&limiter, key, third, 0.75, 1), Err(1));
    assert_eq!(send(&limiter, key, third, 1.0, 1), Ok(()));
}

#[test]
fn a_burst_above_the_rate() {
    let (limiter, deep, key) = (Limiter::new(64), rate(1, 60, 3), tag("meter", "deep"));
    assert_eq!(send(&limiter, key, deep, 0.0, 3), Ok(()));
    assert_eq!(send(&limiter, key, deep, 1.0, 1), Err(59));
    assert_eq!(send(&limiter, key, deep, 60.0, 1), Ok(()));
    assert_eq!(send(&limiter, key, deep, 60.0, 1), Err(60));
}

#[test]
fn more_requests_than_nanoseconds_refuse_only_a_clock_that_steps_back() {
    let (limiter, fast, key) = (Limiter::new(64), rate(u64::MAX, 1, 1), tag("meter", "fast"));
    assert_eq!(send(&limiter, key, fast, 0.0, 10_000), Ok(()));
    assert_eq!(send(&limiter, key, fast, -7.0, 1), Err(7));
    assert_eq!(send(&limiter, key, fast, 0.0, 1), Ok(()));
}

#[test]
fn numbers_at_their_ends() {
    for (requests, period, burst) in [(0, 1, 1), (1, 0, 1), (1, 1, 0)] {
        assert_eq!(Gcra::new(requests, period, burst), None);
    }
    let limiter = Limiter::new(64);

    // Once in half a trillion years: the first passes, and nothing after it.
    let never = rate(1, u64::MAX, 1);
    assert_eq!(send(&limiter, number(1), never, 0.0, 1), Ok(()));
    assert!(send(&limiter, number(1), never, 1.0, 1).is_err());
    let never = rate(1, u64::MAX, u64::MAX);
    assert_eq!(send(&limiter, number(2), never, 0.0, 1), Ok(()));
    assert!(send(&limiter, number(2), never, 1.0, 1).is_err(), "what cannot be counted is refused");

    // A burst that nobody can send.
    assert_eq!(send(&limiter, number(3), rate(5, 10, u64::MAX), 0.0, 10_000), Ok(()));

    // The last times that there are.
    let single = rate(1, 1, 1);
    assert_eq!(limiter.admit(number(4), single, u64::MAX - 1), Ok(()));
    assert_eq!(limiter.admit(number(4), single, u64::MAX - 1), Err(1));
    assert_eq!(limiter.admit(number(4), single, u64::MAX), Err(1));
    assert_eq!(limiter.admit(number(5), single, u64::MAX), Err(1));
    assert_eq!(limiter.admit(number(6), single, 0), Ok(()));
    assert_eq!(limiter.admit(number(6), single, 0), Err(1));
}

/// Section 7.1 word for word, in numbers that have no end.
#[derive(Default)]
struct Model(HashMap<IdTag, i128>);

impl Model {
    fn admit(&mut self, tag: IdTag, (requests, period, burst): (u64, u64, u64), now: u64) -> Result<(), u64> {
        let second = i128::from(SECOND);
        let interval = i128::from(period) * second / i128::from(requests);
        let tolerance = (i128::from(burst) - 1) * interval;
        let now = i128::from(now);
        let arrival = self.0.get(&tag).copied().unwrap_or(now);
        let wait = arrival - tolerance - now;
        if wait > 0 {
            return Err(u64::try_from((wait + second - 1) / second).expect("no test waits that long"));
        }
        self.0.insert(tag, now.max(arrival) + interval);
        Ok(())
    }
}

proptest! {
    #[test]
    fn the_table_says_what_the_model_says(
        rates in prop::collection::vec((1_u64..2_000_000_000, 1_u64..100_000, 1_u64..50), 1..5),
        slow in prop::collection::vec((1_u64..20, 1_u64..100, 1_u64..6), 1..5),
        slots in 64_usize..300,
        steps in prop::collection::vec((0_u64..20, 0_usize..10, -3 * SECOND as i64..10 * SECOND as i64), 1..400),
    ) {
        // At most 20 keys, below the 64 of a window: nothing is displaced, so that everything is exact.
        let rates: Vec<_> = rates.into_iter().chain(slow).collect();
        let (limiter, mut model, mut now) = (Limiter::new(slots), Model::default(), START);
        for (key, choice, step) in steps {
            now = now.saturating_add_signed(step);
            let numbers = rates[choice % rates.len()];
            let tag = tag("model", &key.to_string());
            let expected = model.admit(tag, numbers, now);
            prop_assert_eq!(limiter.admit(tag, rate(numbers.0, numbers.1, numbers.2), now), expected);
        }
        prop_assert_eq!(limiter.displaced(), 0);
    }

    #[test]
    fn any_numbers_end_in_an_answer(
        slots in 0_usize..100,
        calls in prop::collection::vec(any::<(u64, u64, u64, u64, u64)>(), 1..300),
    ) {
        let limiter = Limiter::new(slots);
        for (tag, requests, period, burst, now) in calls {
            if let Some(rate) = Gcra::new(requests, period, burst) {
                prop_assert_ne!(limiter.admit(number(tag), rate, now), Err(0));
            }
        }
    }
}

#[test]
fn eight_threads_pass_one_burst_between_them() {
    let (limiter, rate, passed) = (Limiter::new(1), rate(1000, 1000, 1000), AtomicU64::new(0));
    scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                let admitted = (0..2000).filter(|_| limiter.admit(number(7), rate, START).is_ok()).count();
                passed.fetch_add(admitted as u64, Relaxed);
            });
        }
    });
    assert_eq!(passed.into_inner(), 1000);
}

#[test]
fn threads_that_insert_one_key_meet() {
    const THREADS: usize = 4;
    const KEYS: u64 = 5000;
    // Room for all: what is counted twice or lost could only come from the race to insert.
    let (limiter, single) = (Limiter::new(4 * KEYS as usize), rate(1, 3600, 1));
    let passed: Vec<_> = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
    let barrier = Barrier::new(THREADS);
    scope(|threads| {
        for _ in 0..THREADS {
            threads.spawn(|| {
                barrier.wait();
                for (key, passed) in passed.iter().enumerate() {
                    let tag = tag("race", &key.to_string());
                    passed.fetch_add(u64::from(limiter.admit(tag, single, START).is_ok()), Relaxed);
                }
            });
        }
    });
    assert!(passed.iter().all(|passed| passed.load(Relaxed) == 1));
    assert_eq!(limiter.displaced(), 0);
}

#[test]
fn keys_beyond_capacity_displace_and_end() {
    let (limiter, single) = (Limiter::new(64), rate(1, 3600, 1));
    assert_eq!(limiter.slots(), 64);
    for key in 1..=1000 {
        assert_eq!(limiter.admit(tag("many", &key.to_string()), single, START + key), Ok(()));
    }
    assert_eq!(limiter.displaced(), 1000 - 64);
    // The oldest are nearest to their expiry, so they went; the last one is still counted.
    assert!(limiter.admit(tag("many", "1000"), single, START + 1000).is_err());
}

#[test]
fn expired_entries_are_taken_over_without_a_loss() {
    let (limiter, single) = (Limiter::new(64), rate(1, 1, 1));
    for round in 0..10 {
        for key in 0..64 {
            let tag = tag(&format!("round {round}"), &key.to_string());
            assert_eq!(limiter.admit(tag, single, START + round * SECOND), Ok(()));
            assert_eq!(limiter.admit(tag, single, START + round * SECOND), Err(1));
        }
    }
    assert_eq!(limiter.displaced(), 0);
}

#[test]
fn a_crowd_on_a_full_table_ends_and_stays_near_its_rate() {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 20;
    // Twice as many keys as slots, so that every thread displaces what the others count.
    let (limiter, single, passed) = (Limiter::new(64), rate(1, 3600, 1), AtomicU64::new(0));
    scope(|threads| {
        for thread in 0..THREADS {
            let (limiter, passed) = (&limiter, &passed);
            threads.spawn(move || {
                for request in 0..ROUNDS * 128 {
                    let tag = tag("crowd", &((request * 31 + thread * 17) % 128).to_string());
                    passed.fetch_add(u64::from(limiter.admit(tag, single, START).is_ok()), Relaxed);
                }
            });
        }
    });
    // A key passes anew only after it was displaced, or once for each thread in a race.
    let passed = passed.into_inner();
    assert!(passed >= 128, "{passed}");
    assert!(passed <= 128 + limiter.displaced() * (1 + THREADS), "{passed}, {}", limiter.displaced());
    // The table is as good as before: an hour later everything has expired.
    assert_eq!(limiter.admit(tag("crowd", "new"), single, START + 3600 * SECOND), Ok(()));
    assert_eq!(limiter.admit(tag("crowd", "new"), single, START + 3600 * SECOND), Err(3600));
}
