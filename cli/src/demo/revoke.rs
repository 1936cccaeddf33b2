//! How long a key goes on after it was revoked.

use super::scene::Scene;
use super::stage::Stage;
use crate::failure::Failure;
use keyward::build::Published;
use keyward::engine::Engine;
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
    /// From the new snapshot being in its place to the first refusal.
    pub(super) delay: Duration,
    /// Requests that were decided meanwhile, all allowed but the last.
    pub(super) decided: u64,
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
        let (delay, decided) = presented?;
        Ok(Revocation { published, build, delay, decided })
    })
}

/// Presents a key until it is refused; how long that took once another file was in the snapshot's place,
/// and how often it was presented.
fn present(
    stage: &Stage,
    engine: &Engine,
    scene: &Scene,
    is_over: &impl Fn() -> bool,
) -> Result<(Duration, u64), Failure> {
    let before = inode(&stage.snapshot)?;
    let mut in_place = None;
    let mut decided = 0;
    while !is_over() {
        // Asked before the request is decided, so that a refusal is never counted from too late.
        if in_place.is_none() && inode(&stage.snapshot)? != before {
            in_place = Some(Instant::now());
        }
        decided += 1;
        if !scene.decide(engine, |verdict| verdict.is_allowed()) {
            return Ok((in_place.map_or(Duration::ZERO, |since| since.elapsed()), decided));
        }
        thread::sleep(PRESENT);
    }
    Err(Failure::data("the revoked key was still allowed when the demo stopped waiting"))
}

fn inode(path: &Path) -> Result<u64, Failure> {
    fs::metadata(path).map(|metadata| metadata.ino()).map_err(|error| Failure::file(path, error))
}
