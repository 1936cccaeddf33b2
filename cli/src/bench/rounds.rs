//! Everything that takes nanoseconds, measured in turn, round after round, so that whatever else the
//! machine does hits all of it alike.

use super::clock::{Clock, quantile};
use keyward::digest::Digest;
use keyward::engine::Engine;
use keyward::reason::Reason;
use keyward::request::Request;
use keyward::request::credential::{Extractor, Form, Scratch, Source};
use keyward::snapshot::Snapshot;
use keyward::time::Timestamp;
use keyward_benches::chain::Chain;
use keyward_benches::chase::Chase;
use keyward_benches::peers::Peer;
use keyward_benches::random::Random;
use keyward_benches::requests::{BATCH, Batch, Kind};
use keyward_benches::{Error, keys, store};
use std::hint::black_box;

/// How often each is measured in turn.
const ROUNDS: usize = 200;
/// Batches of a round that are timed.
const BATCHES: usize = 32;
/// Batches before them, which bring back into the caches what the others pushed out.
const WARM: usize = BATCHES / 2;
/// Batches of a round whose calls are timed each.
const ALONE: usize = 8;

/// Times one batch: nanoseconds a call.
type Together<'a> = Box<dyn FnMut(&mut Random) -> f64 + 'a>;
/// Times each call of one batch.
type Alone<'a> = Box<dyn FnMut(&mut Random, &mut Vec<f64>) + 'a>;

/// One thing that is measured.
struct Subject<'a> {
    name: &'static str,
    /// Batches before those that are timed.
    warm: usize,
    together: Together<'a>,
    alone: Option<Alone<'a>>,
    together_samples: Vec<f64>,
    alone_samples: Vec<f64>,
}

impl<'a> Subject<'a> {
    fn new(name: &'static str, together: impl FnMut(&mut Random) -> f64 + 'a) -> Self {
        Self {
            name,
            warm: WARM,
            together: Box::new(together),
            alone: None,
            together_samples: Vec::new(),
            alone_samples: Vec::new(),
        }
    }

    fn and_alone(mut self, alone: impl FnMut(&mut Random, &mut Vec<f64>) + 'a) -> Self {
        self.alone = Some(Box::new(alone));
        self
    }

    /// Warms up until each of so many keys has been used, but one in fifty: as far as the caches hold them, they do.
    fn warmed(self, keys: u64) -> Self {
        let batches = usize::try_from(4 * keys).unwrap_or(usize::MAX) / BATCH;
        Self { warm: batches.max(WARM), ..self }
    }

    fn run(&mut self, random: &mut Random) {
        for _ in 0..self.warm {
            (self.together)(random);
        }
        for _ in 0..BATCHES {
            self.together_samples.push((self.together)(random));
        }
        for _ in 0..ALONE {
            if let Some(alone) = &mut self.alone {
                alone(random, &mut self.alone_samples);
            }
        }
    }

    fn row(mut self) -> Row {
        let has_alone = self.alone.is_some();
        let mut alone = |share| has_alone.then(|| quantile(&mut self.alone_samples, share));
        Row {
            name: self.name,
            alone: alone(0.5),
            p99: alone(0.99),
            median: quantile(&mut self.together_samples, 0.5),
        }
    }
}

/// What came out for one thing, in nanoseconds a call.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// The median of batches.
    pub(super) median: f64,
    /// The median of calls that were timed each, so that nothing of the next runs ahead in the processor.
    pub(super) alone: Option<f64>,
    /// Their 99th percentile.
    pub(super) p99: Option<f64>,
}

/// What everything is measured with.
pub(super) struct Stage<'a> {
    pub(super) keys: u64,
    pub(super) engine: &'a Engine,
    pub(super) snapshot: &'a Snapshot,
    pub(super) peers: &'a [Box<dyn Peer>],
    /// One that counts usage and limits in a state file, of all keys.
    pub(super) all_active: &'a Engine,
    /// Another, of few: a state has room for as many as are active.
    pub(super) few_active: &'a Engine,
    /// Another, for requests of other times.
    pub(super) last_use: &'a Engine,
}

/// The most keys that are active at one time where counting is measured: there is room for twice as many.
const MOST_ACTIVE: u64 = 1_000_000;

impl Stage<'_> {
    /// Keys that are active at one time, where all are and where few are.
    pub(super) fn active(keys: u64) -> [u64; 2] {
        [keys.min(MOST_ACTIVE), keys.min(2000)]
    }

    /// Among how many keys as many have a limit as are active, where few are.
    fn among(few: u64, keys: u64) -> u64 {
        few.saturating_mul(keys::LIMITED).min(keys)
    }
}

/// The names of H and M among the rows.
pub(super) const HASH: &str = "hash";
pub(super) const READ: &str = "read";

/// Measures; `tick` is told how many of how many rounds are done.
pub(super) fn measure(
    stage: &Stage<'_>,
    mut chase: Chase,
    clock: Clock,
    tick: &dyn Fn(usize, usize),
) -> Result<Vec<Row>, Error> {
    let mut random = Random::new(1);
    stage.check(&mut random)?;
    stage.use_all(&mut random);
    let chain = Chain::default();
    let each = |nanoseconds: f64| nanoseconds / BATCH as f64;
    let mut subjects = vec![
        Subject::new(HASH, |_| each(clock.time(|| chain.steps(BATCH)))),
        Subject::new(READ, move |_| each(clock.time(|| chase.steps(BATCH)))),
        stage.verify("verify", Kind::Allowed, clock),
        stage.verify("miss", Kind::Unknown, clock),
        stage.verify("malformed", Kind::Malformed, clock),
        stage.verify("limited", Kind::Limited, clock),
        stage.batch(clock),
        stage.extraction(clock)?,
        stage.digest(clock),
        stage.lookup("lookup_hit", Kind::Allowed, clock, |digest| {
            let entry = stage.snapshot.find(&digest).ok()??;
            Some(entry.attributes().environment)
        }),
        stage.lookup("lookup_miss", Kind::Unknown, clock, |digest| {
            let entry = stage.snapshot.find(&digest).ok()??;
            Some(entry.attributes().environment)
        }),
    ];
    let [all, few] = Stage::active(stage.keys);
    subjects.extend(stage.counting(ALL_ACTIVE, stage.all_active, [all, all], clock));
    let among = Stage::among(few, stage.keys);
    let mut of_few = stage.counting(FEW_ACTIVE, stage.few_active, [few, among], clock);
    of_few.push(stage.verify_at(SAME_SECOND, few, 0, clock));
    of_few.push(stage.verify_at(NEW_SECOND, few, 1, clock));
    subjects.extend(of_few.into_iter().map(|subject| subject.warmed(few)));
    for peer in stage.peers {
        subjects.push(stage.lookup(peer.name(), Kind::Allowed, clock, |digest| {
            let [first, ..] = peer.get(digest.as_bytes())?;
            Some(first)
        }));
    }
    for round in 0..ROUNDS {
        tick(round, ROUNDS);
        for subject in &mut subjects {
            subject.run(&mut random);
        }
    }
    Ok(subjects.into_iter().map(Subject::row).collect())
}

/// The names of rows about counting.
pub(super) struct Counted {
    /// Verifies that count no use of a key, beside those that do.
    pub(super) plain: &'static str,
    pub(super) usage: &'static str,
    /// The same of as many keys as have a limit, and of those.
    pub(super) plain_limited: &'static str,
    pub(super) limited: &'static str,
}

/// All keys are active.
pub(super) const ALL_ACTIVE: Counted = Counted {
    plain: "all_plain",
    usage: "all_usage",
    plain_limited: "all_plain_limited",
    limited: "all_usage_limited",
};
/// Few are.
pub(super) const FEW_ACTIVE: Counted = Counted {
    plain: "few_plain",
    usage: "few_usage",
    plain_limited: "few_plain_limited",
    limited: "few_usage_limited",
};
/// Counted requests that all come in one second, and each in a second of its own, so that each changes when the
/// key was last used.
pub(super) const SAME_SECOND: &str = "same_second";
pub(super) const NEW_SECOND: &str = "new_second";

impl<'a> Stage<'a> {
    /// Uses the active keys so often that nearly all have their place: what is measured is counting, not the
    /// first use of a key.
    fn use_all(&self, random: &mut Random) {
        let [all, few] = Self::active(self.keys);
        for (engine, kind, among, active) in [
            (self.all_active, Kind::Allowed, all, all),
            (self.all_active, Kind::Limited, all, all),
            (self.few_active, Kind::Allowed, few, few),
            (self.few_active, Kind::Limited, Self::among(few, self.keys), few),
        ] {
            for _ in 0..3 * active / BATCH as u64 {
                let batch = Batch::new(kind, among, random);
                let headers = batch.headers();
                batch.requests(&headers).iter().for_each(|request| drop(engine.verify(request)));
            }
        }
    }

    /// Verifies with and without counting, of so many active keys, and of those among so many that have a limit.
    fn counting(
        &self,
        names: Counted,
        engine: &'a Engine,
        [active, among]: [u64; 2],
        clock: Clock,
    ) -> Vec<Subject<'_>> {
        let limited = keys::limited_among(among).max(1);
        vec![
            self.verify_of(names.plain, self.engine, Kind::Allowed, active, clock),
            self.verify_of(names.usage, engine, Kind::Allowed, active, clock),
            self.verify_of(names.plain_limited, self.engine, Kind::Allowed, limited, clock),
            self.verify_of(names.limited, engine, Kind::Limited, among, clock),
        ]
    }

    /// Verifies that are counted, each `step` seconds after the one before it.
    fn verify_at(&self, name: &'static str, active: u64, step: u64, clock: Clock) -> Subject<'_> {
        let mut second = Timestamp::coarse_now().seconds();
        Subject::new(name, move |random| {
            let batch = Batch::new(Kind::Allowed, active, random);
            let headers = batch.headers();
            let requests = batch.requests(&headers).map(|request| {
                second += step;
                Request { now: Some(Timestamp::from_seconds(second)), ..request }
            });
            let all = || requests.iter().for_each(|request| drop(black_box(self.last_use.verify(request))));
            clock.time(all) / BATCH as f64
        })
    }

    /// Verifies of the first `active` keys.
    fn verify_of<'s>(
        &'s self,
        name: &'static str,
        engine: &'s Engine,
        kind: Kind,
        active: u64,
        clock: Clock,
    ) -> Subject<'s> {
        Subject::new(name, move |random| {
            let batch = Batch::new(kind, active, random);
            let headers = batch.headers();
            let requests = batch.requests(&headers);
            let all = || requests.iter().for_each(|request| drop(black_box(engine.verify(request))));
            clock.time(all) / BATCH as f64
        })
    }

    /// Whole verifies, header list in and verdict out.
    fn verify<'s>(&'s self, name: &'static str, kind: Kind, clock: Clock) -> Subject<'s> {
        Subject::new(name, move |random| {
            let batch = Batch::new(kind, self.keys, random);
            let headers = batch.headers();
            let requests = batch.requests(&headers);
            let all = || requests.iter().for_each(|request| drop(black_box(self.engine.verify(request))));
            clock.time(all) / BATCH as f64
        })
        .and_alone(move |random, samples| {
            let batch = Batch::new(kind, self.keys, random);
            let headers = batch.headers();
            for request in &batch.requests(&headers) {
                samples.push(clock.time(|| drop(black_box(self.engine.verify(request)))));
            }
        })
    }

    /// The same, handed over together.
    fn batch(&self, clock: Clock) -> Subject<'_> {
        Subject::new("batch", move |random| {
            let batch = Batch::new(Kind::Allowed, self.keys, random);
            let headers = batch.headers();
            let requests = batch.requests(&headers);
            let pinned = self.engine.pin();
            let mut verdicts = Vec::with_capacity(BATCH);
            clock.time(|| pinned.verify_batch(&requests, &mut verdicts)) / BATCH as f64
        })
    }

    /// Taking the key out of the header list.
    fn extraction(&self, clock: Clock) -> Result<Subject<'_>, Error> {
        let extractor = Extractor::new(&[Source::Bearer], Form::Key);
        let extractor = extractor.map_err(|_| Error::Lookup { what: "extraction" })?;
        Ok(Subject::new("extraction", move |random| {
            let batch = Batch::new(Kind::Allowed, self.keys, random);
            let headers = batch.headers();
            let all = || {
                for headers in &headers {
                    let mut scratch = Scratch::new();
                    black_box(extractor.extract(&headers[..], &mut scratch).is_ok());
                }
            };
            clock.time(all) / BATCH as f64
        }))
    }

    /// Digests of keys, side by side as far as the processor can.
    fn digest(&self, clock: Clock) -> Subject<'_> {
        let digest_key = store::digest_key();
        Subject::new("digest", move |random| {
            let batch = Batch::new(Kind::Allowed, self.keys, random);
            let all = || {
                batch.samples().iter().for_each(|sample| {
                    black_box(digest_key.digest(sample.credential()));
                })
            };
            clock.time(all) / BATCH as f64
        })
    }

    /// The digest of a key and what `find` finds of it. Where the next key's text starts depends on what
    /// was found, so that one lookup waits for the other.
    fn lookup<'s>(
        &'s self,
        name: &'static str,
        kind: Kind,
        clock: Clock,
        find: impl Fn(Digest) -> Option<u8> + Copy + 's,
    ) -> Subject<'s> {
        let (digest_key, alone_key) = (store::digest_key(), store::digest_key());
        // Zero, which the compiler does not know.
        let zero = black_box(0u8);
        Subject::new(name, move |random| {
            let batch = Batch::new(kind, self.keys, random);
            let all = || {
                batch.samples().iter().fold(0, |last, sample| {
                    let text = sample.credential().get(usize::from(last & zero)..).unwrap_or_default();
                    find(digest_key.digest(text)).unwrap_or(0)
                })
            };
            clock.time(all) / BATCH as f64
        })
        .and_alone(move |random, samples| {
            let batch = Batch::new(kind, self.keys, random);
            for sample in batch.samples() {
                samples.push(clock.time(|| find(alone_key.digest(sample.credential()))));
            }
        })
    }

    /// Whether everything does what it should, before its time is taken.
    fn check(&self, random: &mut Random) -> Result<(), Error> {
        let digest_key = store::digest_key();
        for (what, kind, expected) in [
            ("a request with a good key", Kind::Allowed, Reason::Ok),
            ("a request with a good key and a limit", Kind::Limited, Reason::Ok),
            ("a request with an unknown key", Kind::Unknown, Reason::UnknownKey),
            ("a request with a malformed key", Kind::Malformed, Reason::MalformedCredential),
        ] {
            for _ in 0..100 {
                let batch = Batch::new(kind, self.keys, random);
                let headers = batch.headers();
                for (request, sample) in batch.requests(&headers).iter().zip(batch.samples()) {
                    let found = self.engine.verify(request).reason();
                    if found != expected {
                        return Err(Error::Verdict { what, found, expected });
                    }
                    let digest = digest_key.digest(sample.credential());
                    let present = matches!(kind, Kind::Allowed | Kind::Limited);
                    for peer in self.peers {
                        if peer.get(digest.as_bytes()).is_some() != present {
                            return Err(Error::Lookup { what: peer.name() });
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
