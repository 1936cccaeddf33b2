//! Publishing that is cut off: whoever looks at the path finds the old snapshot whole or the new one whole.

use keyward::build::{BuildError, Draft, Form, PublishError, Published, Publisher};
use keyward::engine::{Engine, ReloadError};
use keyward::format::header::Header;
use keyward::snapshot::DeltaError;
use keyward_testkit::{
    CONFIGURATION, GOOD, KEYRING, KEYS, build, build_delta, keyring, options, request, stamp,
};
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a publisher may leave behind, for a full snapshot and for a delta.
const TEMPORARY: [&str; 2] = [".keys.kwd.tmp", ".keys.kwd.delta.tmp"];

/// A folder of the test's own, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the target directory is ours");
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("it is there");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("it is readable").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Publishes the fixture as the generation that follows what stands at `path`.
fn publish(path: &Path) -> Result<Published, PublishError> {
    let publisher = Publisher::lock(path)?;
    let generation = publisher.next_generation()?;
    let bytes = build(CONFIGURATION, KEYRING, KEYS, stamp(generation));
    publisher.publish(generation, false, |file| {
        // In pieces, so that there is something to cut.
        for piece in bytes.chunks(5000) {
            file.write_all(piece).map_err(BuildError::Write)?;
        }
        Ok(Header::read(&bytes, bytes.len() as u64).expect("it is good"))
    })
}

/// The same as a delta, for three of four generations.
fn publish_deltas(path: &Path) -> Result<Published, PublishError> {
    let publisher = Publisher::lock(path)?;
    let generation = publisher.next_generation()?;
    if generation % 4 == 1 {
        drop(publisher);
        return publish(path);
    }
    let base = fs::read(path).expect("a full one was first");
    let line =
        format!("{{\"realm\":\"files\",\"id\":\"new-{generation}\",\"key\":\"new-key-{generation}\"}}");
    let delta =
        build_delta(&base, CONFIGURATION, KEYRING, &line, [], stamp(generation)).expect("it is sound");
    publisher.publish_delta(generation, false, |file| {
        for piece in delta.chunks(5000) {
            file.write_all(piece).map_err(BuildError::Write)?;
        }
        Ok(Header::read(&delta, delta.len() as u64).expect("it is good"))
    })
}

/// The path that a child of [`again`] publishes to.
const PATH: &str = "KEYWARD_TEST_PUBLISH";
/// How often it does, if not for ever.
const TIMES: &str = "KEYWARD_TEST_TIMES";

/// This test binary once more, as the program that publishes to `path`; `shell` is what a shell does before.
fn again(test: &str, path: &Path, times: usize, shell: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{shell} exec \"$0\" --exact \"$1\" --nocapture --test-threads=1"));
    command.arg(std::env::current_exe().expect("a test has a file")).arg(test);
    command.env(PATH, path).env(TIMES, times.to_string()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What that program does: publish, and end with the first error. Its parent reads what it says.
fn publish_as_told(publish: impl Fn(&Path) -> Result<Published, PublishError>) -> bool {
    let Some(path) = std::env::var_os(PATH) else { return false };
    let times = std::env::var(TIMES).ok().and_then(|times| times.parse().ok()).unwrap_or(usize::MAX);
    for _ in 0..times {
        if let Err(error) = publish(Path::new(&path)) {
            panic!("refused: {error}");
        }
    }
    true
}

/// Takes the place at `path`. A child that another test has just forked off holds a copy of every lock
/// until it becomes another program.
fn lock(path: &Path) -> Publisher {
    let started = Instant::now();
    loop {
        match Publisher::lock(path) {
            Err(PublishError::Busy { .. }) if started.elapsed() < Duration::from_secs(10) => {
                std::thread::yield_now()
            }
            other => return other.expect("nobody else has it"),
        }
    }
}

fn opens(path: &Path) -> u64 {
    let engine = Engine::open(path, keyring(KEYRING), options()).unwrap_or_else(|error| panic!("{error}"));
    for (realm, headers) in GOOD {
        assert!(engine.verify(&request(realm, headers)).is_allowed());
    }
    engine.info().loaded.map_or(0, |loaded| loaded.generation)
}

/// Ends a process that this test started.
fn kill(mut child: Child) {
    child.kill().expect("it is ours");
    child.wait().expect("it was ours");
}

#[test]
fn a_publisher_killed_at_any_moment_leaves_a_whole_snapshot() {
    if publish_as_told(publish) {
        return;
    }
    kill_and_look("a_publisher_killed_at_any_moment_leaves_a_whole_snapshot", "killed", publish);
}

#[test]
fn a_publisher_of_deltas_killed_at_any_moment_leaves_a_whole_pair() {
    if publish_as_told(publish_deltas) {
        return;
    }
    kill_and_look(
        "a_publisher_of_deltas_killed_at_any_moment_leaves_a_whole_pair",
        "killed-deltas",
        publish_deltas,
    );
}

/// Kills 200 of those that `test` starts, each at another moment, and looks what they leave behind.
fn kill_and_look(test: &str, name: &str, publish: impl Fn(&Path) -> Result<Published, PublishError>) {
    let folder = folder(name);
    let path = folder.join("keys.kwd");
    drop(lock(&path));
    publish(&path).expect("nothing stands there");
    let (mut before, mut left_behind) = (opens(&path), 0);
    let first = before;
    // When the temporary files were made, which tells them from those that were left behind before.
    let made = || {
        TEMPORARY.map(|name| {
            let found = fs::metadata(folder.join(name)).ok()?;
            Some((found.ino(), found.ctime(), found.ctime_nsec()))
        })
    };
    for kills in 0..200 {
        let left = made();
        let child = again(test, &path, usize::MAX, "")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it is this program");
        // From the first sign of life on, at another moment each time.
        let started = Instant::now();
        let alive = || made() != left || opens(&path) > before;
        while !alive() {
            assert!(started.elapsed() < Duration::from_secs(60), "the publisher does nothing");
        }
        std::thread::sleep(Duration::from_micros(kills * 97 % 5000));
        kill(child);
        left_behind += usize::from(TEMPORARY.iter().any(|name| folder.join(name).exists()));
        let generation = opens(&path);
        assert!(generation >= before, "{generation} after {before}");
        before = generation;
        assert!(names(&folder).iter().all(|name| {
            TEMPORARY.contains(&&**name)
                || [".keys.kwd.lock", "keys.kwd", "keys.kwd.delta"].contains(&&**name)
        }));
    }
    assert!(
        before > first && left_behind > 0,
        "kills hit: {before} generations, {left_behind} left a file behind"
    );
    // The next one cleans up.
    publish(&path).expect("the lock died with its holder");
    assert!(!folder.join(".keys.kwd.tmp").exists());
    assert_eq!(opens(&path), before + 1);
}

/// Writes a draft whose keys are the fixture's.
fn draft(publisher: &Publisher) -> Draft {
    let bytes = build(CONFIGURATION, KEYRING, KEYS, stamp(1));
    Draft::write(publisher.draft_path(), |file| {
        file.write_all(&bytes).map_err(BuildError::Write)?;
        Ok(Header::read(&bytes, bytes.len() as u64).expect("it is good"))
    })
    .expect("there is room")
}

#[test]
fn what_was_written_before_its_generation_was_known_is_what_is_built_with_it() {
    let path = folder("draft").join("keys.kwd");
    let publisher = lock(&path);
    drop(draft(&publisher));
    assert_eq!(names(path.parent().expect("it has one")), [".keys.kwd.lock"], "a draft that nobody wants");
    let staged = publisher.stage_draft(draft(&publisher), stamp(7), false, &[]).expect("it is good");
    publisher.put(&staged).expect("it is staged");
    let built = build(CONFIGURATION, KEYRING, KEYS, stamp(7));
    assert_eq!(fs::read(&path).expect("it is there"), built);
    assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o222, 0);
    assert_eq!(names(path.parent().expect("it has one")), [".keys.kwd.lock", "keys.kwd"]);
}

#[test]
fn what_needs_a_delta_is_not_served_without_one() {
    let folder = folder("needed");
    let path = folder.join("keys.kwd");
    publish(&path).expect("nothing is there");
    let engine = Engine::open(&path, keyring(KEYRING), options()).expect("it is good");
    let mut publisher = lock(&path);
    let full = publisher.stage_draft(draft(&publisher), stamp(5), true, &[]).expect("it is good");
    assert!(full.header().needs_delta);
    let mut bytes = Vec::new();
    publisher.open_staged(&full).expect("it is there").read_to_end(&mut bytes).expect("it can be read");
    let line = "{\"realm\":\"files\",\"id\":\"new\",\"key\":\"new-key\"}";
    let over = build_delta(&bytes, CONFIGURATION, KEYRING, line, [], stamp(6)).expect("it is sound");
    let delta = publisher.stage(Form::Delta, |file| {
        file.write_all(&over).map_err(BuildError::Write)?;
        Ok(Header::read(&over, over.len() as u64).expect("it is good"))
    });
    let delta = delta.expect("there is room");
    publisher.put_both(&full, &delta).expect("both are staged");
    publisher.look().expect("they can be read");
    assert_eq!(publisher.newest(), Some(6));
    engine.reload().expect("both are there");
    assert_eq!(engine.info().loaded.expect("it serves").generation, 6);
    fs::remove_file(folder.join("keys.kwd.delta")).expect("it is there");
    let missing = |error| matches!(error, ReloadError::Delta(DeltaError::Missing { generation: 5 }));
    for other in [
        Engine::open(&path, keyring(KEYRING), options()).err(),
        engine.reload().err(),
        engine.replace(bytes).err(),
    ] {
        assert!(other.is_some_and(missing));
    }
    assert_eq!(engine.info().loaded.expect("it serves").generation, 6);
    // A delta on another snapshot is not put beside it.
    let other = publisher.stage_draft(draft(&publisher), stamp(7), true, &[]).expect("it is good");
    assert!(matches!(
        publisher.put_both(&other, &delta),
        Err(PublishError::OtherBase { base: 5, found: 7, .. })
    ));
}

#[test]
fn no_room_leaves_the_old_one() {
    if publish_as_told(publish) {
        return;
    }
    let folder = folder("no-room");
    let path = folder.join("keys.kwd");
    drop(lock(&path));
    publish(&path).expect("nothing stands there");
    let bytes = fs::read(&path).expect("it is there");
    // Blocks of 512 bytes: from none to all but one of what it takes. The signal is ignored, as a server would.
    for blocks in [0, 1, 8, 24, bytes.len() / 512 - 1] {
        let limit = format!("trap '' XFSZ; ulimit -f {blocks};");
        let ended =
            again("no_room_leaves_the_old_one", &path, 1, &limit).output().expect("it is this program");
        let said =
            format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(!ended.status.success() && said.contains("refused: "), "{blocks} blocks: {said}");
        assert_eq!(names(&folder), [".keys.kwd.lock", "keys.kwd"]);
        // Whoever can open the lock can hold it.
        let lock = fs::metadata(folder.join(".keys.kwd.lock")).expect("it stays");
        assert_eq!(lock.mode() & 0o077, 0);
        assert!(fs::read(&path).is_ok_and(|now| now == bytes));
    }
    let ended = again("no_room_leaves_the_old_one", &path, 1, "").output().expect("it is this program");
    assert!(ended.status.success());
    assert_eq!(opens(&path), 2);
}

#[test]
fn of_two_publishers_one_is_told_to_wait() {
    let path = folder("two").join("keys.kwd");
    let first = lock(&path);
    assert!(matches!(Publisher::lock(&path), Err(PublishError::Busy { path: busy }) if busy == path));
    assert_eq!(first.next_generation().expect("nothing stands there"), 1);
    drop(first);
    drop(lock(&path));
}

#[test]
fn many_publishers_at_once_lose_nothing() {
    let path = folder("many").join("keys.kwd");
    let published: Vec<u64> = std::thread::scope(|scope| {
        let publisher = || {
            let mut generations = Vec::new();
            while generations.len() < 25 {
                match publish(&path) {
                    Ok(published) => generations.push(published.header.generation),
                    Err(PublishError::Busy { .. }) => std::thread::yield_now(),
                    Err(error) => panic!("{error}"),
                }
            }
            generations
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(publisher)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("it does not panic")).collect()
    });
    let mut sorted = published;
    sorted.sort_unstable();
    assert_eq!(sorted, (1..=100).collect::<Vec<u64>>());
    assert_eq!(opens(&path), 100);
}

#[test]
fn what_stands_there_is_not_lost_by_mistake() {
    let folder = folder("mistakes");
    let path = folder.join("keys.kwd");
    let bytes = |generation| build(CONFIGURATION, KEYRING, KEYS, stamp(generation));
    let write = |publisher: &Publisher, generation, going_back| {
        let bytes = bytes(generation);
        publisher.publish(generation, going_back, |file| {
            file.write_all(&bytes).map_err(BuildError::Write)?;
            Ok(Header::read(&bytes, bytes.len() as u64).expect("it is good"))
        })
    };
    let lock = || lock(&path);
    assert_eq!(write(&lock(), 7, false).expect("nothing stands there").replaced, None);
    assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o222, 0);
    for stale in [1, 6, 7] {
        let refused = write(&lock(), stale, false);
        assert!(
            matches!(refused, Err(PublishError::Stale { found: 7, asked, .. }) if asked == stale),
            "{refused:?}"
        );
        assert_eq!(opens(&path), 7);
    }
    assert_eq!(write(&lock(), 3, true).expect("it was asked for").replaced, Some(7));
    assert_eq!(opens(&path), 3);
    let fails = lock().publish(9, false, |_| Err(BuildError::NoCreated));
    assert!(matches!(fails, Err(PublishError::Build(BuildError::NoCreated))));
    assert_eq!((opens(&path), names(&folder)), (3, vec![".keys.kwd.lock".to_owned(), "keys.kwd".to_owned()]));

    fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("it is ours");
    fs::write(&path, b"a letter to somebody").expect("it is ours");
    let publisher = lock();
    assert!(matches!(publisher.next_generation(), Err(PublishError::Foreign { .. })));
    assert_eq!(fs::read(&path).expect("it is there"), b"a letter to somebody");
    drop(publisher);

    let nowhere = folder.join("nowhere").join("keys.kwd");
    assert!(matches!(Publisher::lock(&nowhere), Err(PublishError::Io { .. })));
    // A folder in which nothing can be made, not even by root.
    assert!(matches!(Publisher::lock(Path::new("/proc/keys.kwd")), Err(PublishError::Io { .. })));
    assert!(matches!(Publisher::lock(Path::new("/")), Err(PublishError::Io { .. })));
}
