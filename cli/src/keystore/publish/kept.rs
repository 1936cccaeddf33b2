//! Replaced snapshots, kept beside the new one for a while: `keys.kwd.41`, and its last delta as
//! `keys.kwd.41.delta`, which is where an engine or `keyward inspect` looks for it.

use keyward::snapshot::delta_path;
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Where the full snapshot of that generation is kept.
fn kept_path(snapshot: &Path, generation: u64) -> PathBuf {
    let mut name = OsString::from(snapshot);
    name.push(format!(".{generation}"));
    name.into()
}

/// Gives the snapshot that is in place, and the delta on it, a second name under which they stay. What is kept costs
/// nothing but the room that the old file would have given back; where the file system has no second names, nothing
/// is kept.
pub(super) fn keep(snapshot: &Path, generation: u64, with_delta: bool) {
    let kept = kept_path(snapshot, generation);
    let _ = fs::hard_link(snapshot, &kept);
    if with_delta {
        let over = delta_path(&kept);
        // An earlier attempt may have kept an older one.
        let _ = fs::remove_file(&over);
        let _ = fs::hard_link(delta_path(snapshot), over);
    }
}

/// Removes what is kept but the newest `count` of those that are not in place.
pub(super) fn clean(snapshot: &Path, in_place: u64, count: usize) -> io::Result<()> {
    let mut generations = kept(snapshot)?;
    generations.sort_unstable_by(|one, other| other.cmp(one));
    let old = generations.iter().filter(|generation| **generation != in_place).skip(count);
    for generation in old {
        let path = kept_path(snapshot, *generation);
        for path in [delta_path(&path), path] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// The generations that are kept.
pub(crate) fn kept(snapshot: &Path) -> io::Result<Vec<u64>> {
    let (Some(name), Some(folder)) = (snapshot.file_name(), snapshot.parent()) else { return Ok(Vec::new()) };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut prefix = name.to_string_lossy().into_owned();
    prefix.push('.');
    let mut generations = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(&prefix));
        generations.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    Ok(generations)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn the_newest_are_kept_and_strangers_left_alone() {
        let folder = TempDir::new().unwrap();
        let snapshot = folder.path().join("keys.kwd");
        fs::write(delta_path(&snapshot), "delta").unwrap();
        for generation in [1, 2, 10] {
            let _ = fs::remove_file(&snapshot);
            fs::write(&snapshot, generation.to_string()).unwrap();
            keep(&snapshot, generation, generation == 2);
        }
        for stranger in ["keys.kwd.old", "keys.kwd2.1", "other.kwd.1"] {
            fs::write(folder.path().join(stranger), "").unwrap();
        }
        clean(&snapshot, 10, 1).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        let expected = [
            "keys.kwd",
            "keys.kwd.10",
            "keys.kwd.2",
            "keys.kwd.2.delta",
            "keys.kwd.delta",
            "keys.kwd.old",
            "keys.kwd2.1",
            "other.kwd.1",
        ];
        assert_eq!(names, expected);
        assert_eq!(fs::read(folder.path().join("keys.kwd.2")).unwrap(), b"2");
    }
}
