//! How long a key goes on after it was revoked.

use super::scene::Scene;
use super::stage::Stage;
use crate::failure::Failure;
use keyward::build::Published;
use keyward::engine::Engine;
use keyward::reason::Reason;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often the watcher asks whether there is a new snapshot.
pub(super) const WATCH: Duration = Duration::from_millis(2);
/// How often the key is presented.
const PRESENT: Duration = Duration::from_micros(50);
/// How long the refusal is waited for once the snapshot is published.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Revocation {
    pub(super) published: Published,
    /// Building and publishing.
    pub(super) build: Duration,
    /// From the last look at which the old snapshot was in its place to the first refusal: never less than
    /// it took.
    pub(super) delay: Duration,
    /// Requests that were decided meanwhile, all allowed but the last.
    pub(super) decided: u64,
    /// The slowest of them.
    pub(super) slowest: Duration,
}

/// Publishes a generation in which `revoked` are revoked, with the engine at work: one thread asks it to
/// reload, as a server's timer does, and another presents `scene` again and again.
pub(super) fn revoke(
    stage: &Stage,
    engine: &Engine,
    revoked: &[(&str, &str)],
    scene: &Scene,
) -> Result<Revocation, Failure> {
    let over = AtomicBool::new(false);
    let is_over = || over.load(Ordering::Relaxed);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !is_over() {
                thread::sleep(WATCH);
                engine.reload()?;
            }
            Ok::<_, keyward::engine::ReloadError>(())
        });
        let presenter = scope.spawn(|| present(stage, engine, scene, &is_over));
        let published = stage.publish(revoked);
        let deadline = Instant::now() + PATIENCE;
        while published.is_ok()
            && !presenter.is_finished()
            && !watcher.is_finished()
            && Instant::now() < deadline
        {
            thread::sleep(WATCH);
        }
        over.store(true, Ordering::Relaxed);
        let stopped = || Failure::data("a thread of the demo stopped");
        let presented = presenter.join().map_err(|_| stopped())?;
        watcher.join().map_err(|_| stopped())??;
        let (published, build) = published?;
        let Presented { delay, decided, slowest } = presented?;
        Ok(Revocation { published, build, delay, decided, slowest })
    })
}

struct Presented {
    delay: Duration,
    decided: u64,
    slowest: Duration,
}

/// Presents a key until it is refused as revoked. Any other refusal would be a mistake of the demo's.
fn present(
    stage: &Stage,
    engine: &Engine,
    scene: &Scene,
    is_over: &impl Fn() -> bool,
) -> Result<Presented, Failure> {
    let before = inode(&stage.snapshot)?;
    let mut seen_old = Instant::now();
    let (mut decided, mut slowest) = (0, Duration::ZERO);
    while !is_over() {
        let looked = Instant::now();
        if inode(&stage.snapshot)? == before {
            seen_old = looked;
        }
        let asked = Instant::now();
        let reason = scene.decide(engine, |verdict| verdict.reason());
        slowest = slowest.max(asked.elapsed());
        decided += 1;
        match reason {
            Reason::Ok => thread::sleep(PRESENT),
            Reason::Revoked => return Ok(Presented { delay: seen_old.elapsed(), decided, slowest }),
            other => {
                return Err(Failure::data(format_args!(
                    "the key was refused as {}, not as revoked",
                    other.name()
                )));
            }
        }
    }
    Err(Failure::data("the revoked key was still allowed when the demo stopped waiting"))
}

fn inode(path: &Path) -> Result<u64, Failure> {
    fs::metadata(path).map(|metadata| metadata.ino()).map_err(|error| Failure::file(path, error))
}
