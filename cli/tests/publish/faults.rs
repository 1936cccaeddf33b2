//! A publisher that is killed, that runs into a full disk or a folder it may not write to, that loses its database,
//! and that is not alone: each many times, at random moments. Afterwards what is in place is whole, says what the
//! keystore has noted of it, and the next publisher goes on; no generation has two contents.

use crate::support::{History, House, Kind, MANY, Random, assert_code, json, on_both, stderr};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often each fault is brought about, where nobody asks for more.
const TIMES: u32 = 200;

pub(crate) fn times() -> u32 {
    std::env::var("KEYWARD_FAULTS").ok().and_then(|times| times.parse().ok()).unwrap_or(TIMES)
}

on_both!(a_killed_publisher_loses_nothing, a_full_disk_changes_nothing, two_publishers_take_turns);

/// Changes something, so that there is something to publish: mostly little, sometimes much.
fn change(house: &House, turn: u32) {
    let mut store = house.store();
    house.revoke(&mut store, turn..turn + 1).unwrap();
    if turn.is_multiple_of(3) {
        house.add(&mut store, MANY + turn..MANY + turn + 1);
    }
}

/// A full snapshot is asked for now and then, since both ways have their own steps.
fn arguments(turn: u32) -> &'static [&'static str] {
    if turn.is_multiple_of(2) { &["publish", "--full"] } else { &["publish"] }
}

/// How long a publication of each of those two ways takes here.
fn durations(house: &House) -> [Duration; 2] {
    [MANY - 2, MANY - 1].map(|turn| {
        change(house, turn);
        let started = Instant::now();
        assert_code(&house.run(arguments(turn)), 0);
        started.elapsed()
    })
}

/// The next publisher publishes, and everything is in it.
fn assert_goes_on(house: &House, history: &mut History) {
    let published = json(&house.publish(["--json"]));
    let generation = history.check(house);
    assert_eq!(published["generation"], generation);
    assert_eq!(generation, history.newest());
    let status = json(&house.run(&["status", "--json"]));
    assert_eq!(status["agree"], true, "{status}");
}

fn a_killed_publisher_loses_nothing(kind: Kind) {
    let house = House::published(kind, MANY);
    let took = durations(&house);
    let (mut history, mut random, mut killed) = (History::default(), Random(1), 0);
    for turn in 0..times() {
        change(&house, turn);
        let mut child = house.command(arguments(turn)).spawn().unwrap();
        thread::sleep(took[turn as usize % 2].mul_f64(random.below(1_200) as f64 / 1_000.0));
        child.kill().unwrap();
        killed += u32::from(child.wait().unwrap().signal().is_some());
        history.check(&house);
        if turn % 10 == 9 {
            assert_goes_on(&house, &mut history);
        }
    }
    assert!(killed > times() / 4, "{killed} were killed at work");
    assert_goes_on(&house, &mut history);
}

fn a_full_disk_changes_nothing(kind: Kind) {
    let house = House::published(kind, MANY);
    let blocks = fs::metadata(house.snapshot()).unwrap().len() / 512;
    let (mut history, mut random, mut refused) = (History::default(), Random(2), 0);
    for turn in 0..times() {
        change(&house, turn);
        // No file may grow beyond so many blocks of 512 bytes; what is too much is an error, as on a full disk.
        let limit = random.below(blocks * 11 / 10).to_string();
        let publish = house.command(arguments(turn));
        let mut limited = Command::new("/bin/sh");
        limited
            .args(["-c", "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"", &limit])
            .arg(publish.get_program());
        limited.args(publish.get_args()).stdin(Stdio::null());
        for (name, value) in publish.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        let output = limited.output().unwrap();
        match output.status.code() {
            Some(0) => {}
            Some(3) => refused += 1,
            _ => panic!("{:?}: {}", output.status, stderr(&output)),
        }
        history.check(&house);
        if turn % 10 == 9 {
            assert_goes_on(&house, &mut history);
        }
    }
    assert!(refused > times() / 4, "{refused} ran into the limit");
    assert_goes_on(&house, &mut history);
}

fn two_publishers_take_turns(kind: Kind) {
    let house = House::published(kind, MANY);
    let mut history = History::default();
    let (mut published, mut gave_way) = (0, 0);
    for turn in 0..times() {
        change(&house, turn);
        let children: Vec<_> = (0..3).map(|_| house.command(arguments(turn)).spawn().unwrap()).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            match output.status.code() {
                Some(0) => published += 1,
                Some(3) if stderr(&output).contains("somebody else") => gave_way += 1,
                _ => panic!("{:?}: {}", output.status, stderr(&output)),
            }
        }
        history.check(&house);
    }
    assert!(published >= times(), "{published} of {}", published + gave_way);
    assert_goes_on(&house, &mut history);
}

/// A folder that cannot be written to any more, from a random moment on, by a publisher that is not root.
#[test]
fn a_read_only_folder_changes_nothing() {
    let house = House::published(Kind::Sqlite, MANY);
    let took = durations(&house);
    // The keystore stands elsewhere: it is the snapshot's folder that is lost.
    let place = house.path("out");
    fs::create_dir(&place).unwrap();
    let output = place.join("keys.kwd");
    let output = output.to_str().unwrap();
    let own = house.path("keyward");
    fs::copy(env!("CARGO_BIN_EXE_keyward"), &own).unwrap();
    let root = nix_is_root();
    let publish = |more: &[&str]| {
        let inner = house.command(&[&["publish", "-o", output, "--json"], more].concat());
        let mut command = if root {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&own);
            command
        } else {
            Command::new(&own)
        };
        command.args(inner.get_args()).env_remove("KEYWARD_STORE").env_remove("KEYWARD_DIR").current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let give = || {
        for entry in fs::read_dir(house.path(".")).unwrap() {
            let path = entry.unwrap().path();
            if root {
                chown(path, Some(65534), Some(65534)).unwrap();
            }
        }
        if root {
            chown(house.path("."), Some(65534), Some(65534)).unwrap();
        }
    };
    give();
    assert_code(&publish(&["--yes"]).output().unwrap(), 0);
    let (mut random, mut refused, mut seen) = (Random(3), 0, 0);
    let mut generations = std::collections::BTreeMap::new();
    for turn in 0..times() {
        change(&house, turn);
        give();
        let more: &[&str] = if turn % 2 == 0 { &["--full"] } else { &[] };
        let child = publish(more).spawn().unwrap();
        thread::sleep(took[turn as usize % 2].mul_f64(random.below(1_000) as f64 / 1_000.0));
        fs::set_permissions(&place, Permissions::from_mode(0o555)).unwrap();
        let ended = child.wait_with_output().unwrap();
        fs::set_permissions(&place, Permissions::from_mode(0o755)).unwrap();
        match ended.status.code() {
            Some(0) => {}
            Some(3) => {
                refused += 1;
                assert!(stderr(&ended).contains("Permission denied"), "{}", stderr(&ended));
            }
            _ => panic!("{:?}: {}", ended.status, stderr(&ended)),
        }
        let layers = crate::support::open(&place.join("keys.kwd"));
        let (full, delta) = layers.hashes();
        let generation = layers.header().generation;
        assert!(generation >= seen);
        seen = generation;
        let known = *generations.entry(generation).or_insert(*delta.unwrap_or(full));
        assert_eq!(known, *delta.unwrap_or(full));
    }
    assert!(refused > 0, "no publication met the folder");
    give();
    assert_code(&publish(&[]).output().unwrap(), 0);
    let status = json(&house.run(&["status", "--json", "-o", output]));
    assert_eq!(status["agree"], true, "{status}");
}

fn nix_is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout == b"0\n"
}

/// A connection that is lost at a random moment, as when the server or the network goes.
#[test]
fn a_lost_connection_changes_nothing() {
    let house = House::published(Kind::Postgres, MANY);
    let took = durations(&house);
    let mut client = ::postgres::Client::connect(house.url.as_ref().unwrap(), ::postgres::NoTls).unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let (mut history, mut random, mut lost) = (History::default(), Random(4), 0);
    for turn in 0..times() {
        change(&house, turn);
        let child = house.command(arguments(turn)).spawn().unwrap();
        thread::sleep(took[turn as usize % 2].mul_f64(random.below(1_000) as f64 / 1_000.0));
        client.execute(cut, &[]).unwrap();
        let output = child.wait_with_output().unwrap();
        match output.status.code() {
            Some(0) => {}
            Some(3) => {
                lost += 1;
                assert!(stderr(&output).contains("the keystore"), "{}", stderr(&output));
            }
            _ => panic!("{:?}: {}", output.status, stderr(&output)),
        }
        history.check(&house);
        if turn % 10 == 9 {
            assert_goes_on(&house, &mut history);
        }
    }
    assert!(lost > 0, "no publisher lost its connection");
    assert_goes_on(&house, &mut history);
}
