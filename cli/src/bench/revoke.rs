//! How long a revoked key goes on: from the moment when its revocation is asked for to the first refusal.
//!
//! Everything is as in use: a keystore, `keyward publish --watch` as a process of its own, and an engine that is
//! asked to reload as a server's timer does.

use super::clock::quantile;
use crate::failure::Failure;
use clap::Args;
use keyward::build::Digests;
use keyward::engine::{Engine, Options};
use keyward::keyring::Keyring;
use keyward::realm::Configuration;
use keyward::reason::Reason;
use keyward::record::{KeyRecord, RecordRules, Status};
use keyward::request::{Peer, Request};
use keyward_benches::keys::{self, CONFIGURATION, KEYRING, Lines, REALM};
use keyward_benches::random::Random;
use keyward_keystore::{Actor, Change, Entry, Place, Store, StoreError, StoredKey, file_in};
use serde_json::{Map, json};
use std::env;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often the engine is asked to reload.
const RELOAD: Duration = Duration::from_millis(2);
/// How often the key is presented.
const PRESENT: Duration = Duration::from_micros(50);
/// How long a refusal is waited for.
const PATIENCE: Duration = Duration::from_secs(600);
/// The pause before the next key, so that each revocation is one by itself.
const PAUSE: Duration = Duration::from_millis(5);
/// Keys of one transaction, while the keystore is filled.
const BATCH: usize = 50_000;

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Measure instead how long a revoked key goes on: a keystore with that many keys, `keyward publish --watch`, and
    /// an engine that follows.
    #[arg(long)]
    pub(super) revoke: bool,
    /// How many keys are revoked, one by one.
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "revoke")]
    revocations: u64,
    /// A database of PostgreSQL to do that in, which must be empty [default: a file].
    #[arg(long, value_name = "URL", requires = "revoke")]
    store: Option<String>,
    /// Keys of a delta past which the publisher folds it meanwhile [default: the publisher's].
    #[arg(long, value_name = "N", requires = "revoke")]
    fold: Option<u64>,
}

/// What is measured.
struct Plan<'p> {
    keys: u64,
    revocations: u64,
    store: Option<&'p str>,
}

/// A process that is ended with this.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Measures, and prints what came out.
pub(super) fn run(arguments: &super::Arguments) -> Result<(), Failure> {
    let keys = arguments.keys;
    let Arguments { revocations, store, fold, .. } = &arguments.revoke;
    let plan = &Plan { keys, revocations: (*revocations).min(keys / 2), store: store.as_deref() };
    let folder = match &arguments.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let line = super::Line::new();
    let folder = folder.path();
    fs::write(folder.join("keyward.toml"), CONFIGURATION)?;
    let keyring = folder.join("keyring.toml");
    fs::write(&keyring, KEYRING)?;
    fs::set_permissions(&keyring, Permissions::from_mode(0o600))?;
    let place = plan.store.map_or_else(|| Ok(Place::Sqlite(file_in(folder))), str::parse)?;
    line.start("filling the keystore");
    let (mut store, _) = Store::create(&place)?;
    fill(&mut store, plan.keys, &|done| line.tick(done as usize, plan.keys as usize))?;
    line.start("publishing");
    let started = Instant::now();
    let (_publisher, snapshot, folds) = start_publisher(folder, plan.store, *fold)?;
    let published = started.elapsed();
    let engine = Engine::open(&snapshot, Keyring::load(&keyring)?, Options::default())?;
    engine.check()?;
    line.start("revoking");
    let mut times = revoke(&mut store, &engine, plan, &|done| line.tick(done, plan.revocations as usize))?;
    line.0.finish_and_clear();
    let (median, p99, worst) =
        (quantile(&mut times, 0.5), quantile(&mut times, 0.99), quantile(&mut times, 1.0));
    let folds = folds.load(Ordering::Relaxed);
    let mut output = std::io::stdout().lock();
    let database = if plan.store.is_some() { "PostgreSQL" } else { "SQLite" };
    if arguments.json {
        let report = json!({
            "keys": plan.keys, "revocations": plan.revocations, "store": database,
            "first_publication_s": published.as_secs_f64(),
            "folds": folds,
            "revoke_to_refused_ms": {"median": median, "p99": p99, "worst": worst},
        });
        writeln!(output, "{report:#}")?;
    } else {
        writeln!(output, "{} keys in {database}, {} revocations one by one", plan.keys, plan.revocations)?;
        writeln!(output, "first publication  {:.1} s", published.as_secs_f64())?;
        writeln!(output, "revoke to refused  median {median:.1} ms, p99 {p99:.1} ms, worst {worst:.1} ms")?;
        writeln!(output, "                   {folds} deltas were folded into a full snapshot meanwhile")?;
        let reload = RELOAD.as_millis();
        writeln!(
            output,
            "                   from before the transaction to the first refusal, reload every {reload} ms"
        )?;
    }
    Ok(())
}

/// Puts the bench's keys into the keystore.
fn fill(store: &mut Store, keys: u64, tick: &dyn Fn(u64)) -> Result<(), Failure> {
    let configuration = Configuration::read(CONFIGURATION, "the bench's configuration")?;
    let keyring = Keyring::read(KEYRING, "the bench's keyring")?;
    let pepper = keyring.newest_pepper().ok_or_else(|| Failure::data("the bench's keyring has no pepper"))?;
    let rules = RecordRules::new(&configuration).map_err(Failure::data)?;
    let digests = Digests::new(&configuration, pepper);
    let actor = Actor::current(None);
    let mut lines = BufReader::new(Lines::new(keys)).lines();
    let mut done = 0;
    while done < keys {
        let mut batch = Vec::with_capacity(BATCH);
        let mut tenants = Vec::new();
        for line in lines.by_ref().take(BATCH) {
            let line = line?;
            let record = KeyRecord::parse(line.as_bytes()).map_err(Failure::data)?;
            let key = rules.resolve(&record).map_err(Failure::data)?;
            let stored = digests.of(&key).ok_or_else(|| Failure::data("a key of the bench has no digest"))?;
            let tenant = key.tenant.map(str::to_owned);
            if tenants.last() != tenant.as_ref() {
                tenants.extend(tenant.clone());
            }
            let environment =
                key.environment.and_then(|number| configuration.realms.first()?.environments.get(number));
            batch.push(StoredKey {
                realm: REALM.to_owned(),
                id: key.id.to_owned(),
                credential: keys::CREDENTIAL.to_owned(),
                digest: stored.digest,
                pepper: stored.pepper,
                sha256: stored.sha256,
                login: None,
                tenant,
                environment: environment.cloned(),
                status: Status::Active,
                scopes: key.scopes.iter().map(|scope| scope.as_ref().to_owned()).collect(),
                allow_ips: Vec::new(),
                rate_limit: None,
                not_before: None,
                expires_at: None,
                metadata: Map::new(),
                replaces: None,
                created_at: 0,
                added: 0,
                changed: 0,
                revoked: None,
            });
        }
        if batch.is_empty() {
            break;
        }
        done += batch.len() as u64;
        store.change::<_, Failure>(&actor, |change| {
            change.use_pepper(pepper).map_err(Failure::data)?;
            for tenant in &tenants {
                add_tenant(change, tenant)?;
            }
            change.add_keys(&mut batch)?;
            Ok(change.log(&Entry::new("bench.fill"))?)
        })?;
        tick(done);
    }
    Ok(())
}

/// A tenant may have keys in two batches.
fn add_tenant(change: &mut Change<'_>, name: &str) -> Result<(), StoreError> {
    match change.tenant(REALM, name)? {
        Some(_) => Ok(()),
        None => change.add_tenant(REALM, name, None, true),
    }
}

/// Starts the publisher, and waits until it has published everything. The number is how often it has folded a delta.
fn start_publisher(
    folder: &Path,
    store: Option<&str>,
    fold: Option<u64>,
) -> Result<(Ended, PathBuf, Arc<AtomicUsize>), Failure> {
    let snapshot = folder.join("keys.kwd");
    let mut command = Command::new(env::current_exe()?);
    command.args(["publish", "--watch", "--json", "--dir"]).arg(folder).arg("-o").arg(&snapshot);
    if let Some(fold) = fold {
        command.args(["--fold", &fold.to_string()]);
    }
    command.env_remove("KEYWARD_STORE").stdin(Stdio::null()).stdout(Stdio::piped());
    if let Some(store) = store {
        command.env("KEYWARD_STORE", store);
    }
    let mut child = command.spawn()?;
    let output = child.stdout.take();
    let publisher = Ended(child);
    let mut lines =
        BufReader::new(output.ok_or_else(|| Failure::data("the publisher has no output"))?).lines();
    match lines.next() {
        Some(line) => line?,
        None => return Err(Failure::data("the publisher ended")),
    };
    // It goes on to say what it publishes, and must not wait for somebody to read it.
    let folds = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&folds);
    thread::spawn(move || {
        let folded = lines.map_while(Result::ok).filter(|line| line.contains("folded"));
        folded.for_each(|_| _ = counted.fetch_add(1, Ordering::Relaxed));
    });
    Ok((publisher, snapshot, folds))
}

/// Revokes keys one by one, and measures each in milliseconds.
fn revoke(
    store: &mut Store,
    engine: &Engine,
    plan: &Plan<'_>,
    tick: &dyn Fn(usize),
) -> Result<Vec<f64>, Failure> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reloader = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                thread::sleep(RELOAD);
                // What cannot be taken yet is looked at again; a key that is never refused ends the measurement.
                let _ = engine.reload();
            }
        });
        let mut random = Random::new(7);
        let mut revoked = std::collections::HashSet::new();
        let actor = Actor::current(None);
        let mut times = Vec::new();
        let mut measure = || -> Result<(), Failure> {
            while (times.len() as u64) < plan.revocations {
                let number = random.below(plan.keys);
                if !revoked.insert(number) {
                    continue;
                }
                thread::sleep(PAUSE);
                expect(engine, number, Reason::Ok)?;
                let started = Instant::now();
                store.change::<_, Failure>(&actor, |change| {
                    let id = format!("key_{number:08}");
                    let key = change.key(REALM, &id)?;
                    let mut key =
                        key.ok_or_else(|| Failure::data("a key of the bench is not in the keystore"))?;
                    key.status = Status::Revoked;
                    change.update_key(&mut key)?;
                    Ok(change.log(&Entry::new("key.revoke").realm(REALM).key(&id))?)
                })?;
                while decide(engine, number) != Reason::Revoked {
                    if started.elapsed() > PATIENCE {
                        return Err(Failure::data("a revoked key is still not refused"));
                    }
                    thread::sleep(PRESENT);
                }
                times.push(started.elapsed().as_secs_f64() * 1e3);
                tick(times.len());
            }
            Ok(())
        };
        let measured = measure();
        over.store(true, Ordering::Relaxed);
        let _ = reloader.join();
        measured.map(|()| times)
    })
}

fn decide(engine: &Engine, number: u64) -> Reason {
    let mut value = b"Bearer ".to_vec();
    value.extend(keys::text(number));
    let headers: [(&[u8], &[u8]); 1] = [(b"Authorization", &value)];
    let host: &[u8] = if keys::is_test(number) { b"sandbox.bench.example" } else { b"api.bench.example" };
    let request = Request {
        method: Some(b"GET"),
        path: Some(b"/v1/invoices/inv_1"),
        host: Some(host),
        peer: Peer::Address(keys::address(number).into()),
        ..Request::new(REALM, &headers[..])
    };
    engine.verify(&request).reason()
}

fn expect(engine: &Engine, number: u64, expected: Reason) -> Result<(), Failure> {
    match decide(engine, number) {
        found if found == expected => Ok(()),
        found => Err(Failure::data(format_args!(
            "a key of the bench was decided as `{}`, not `{}`: the figures would mean nothing",
            found.name(),
            expected.name()
        ))),
    }
}
