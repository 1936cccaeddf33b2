//! Tests that take several processes: each runs itself once more for a part of its work.

use std::process::Command;

/// What a child process is told: to do its part of a test, and with what.
const PART: &str = "KEYWARD_TEST_PART";

/// The words of this process's part, where it is a child.
pub fn part() -> Option<Vec<String>> {
    std::env::var(PART).ok().map(|part| part.split(' ').map(str::to_owned).collect())
}

/// What runs the test `name` once more in a process of its own, which finds `part` there.
pub fn child(name: &str, part: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a test has a file"));
    command.args(["--exact", name, "--test-threads=1", "--nocapture"]).env(PART, part.join(" "));
    command
}
