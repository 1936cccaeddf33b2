//! What fuzzing once found, and what it starts from: replayed.

use keyward_testkit::fuzz::TARGETS;
use std::fs;
use std::path::Path;

fn replay(folder: &str) -> Vec<(&'static str, usize)> {
    let replayed = TARGETS.into_iter().map(|(name, run)| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder).join(name);
        let files = fs::read_dir(folder).into_iter().flatten();
        let mut count = 0;
        for file in files {
            let path = file.expect("it is readable").path();
            let input = fs::read(&path).expect("it is readable");
            let outcome = std::panic::catch_unwind(|| run(&input));
            assert!(outcome.is_ok(), "{} fails", path.display());
            count += 1;
        }
        (name, count)
    });
    replayed.collect()
}

#[test]
fn seeds_pass() {
    for (name, count) in replay("seeds") {
        assert!(count > 0, "{name} has seeds");
    }
}

#[test]
fn what_was_found_stays_mended() {
    // Not every target has found something.
    assert_eq!(replay("regressions").len(), TARGETS.len());
}

#[test]
fn every_target_is_built() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut files: Vec<String> = fs::read_dir(folder)
        .expect("it is there")
        .map(|file| {
            file.expect("it is readable")
                .path()
                .file_stem()
                .expect("it has a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    files.sort();
    assert_eq!(files, TARGETS.map(|(name, _)| name));
}
