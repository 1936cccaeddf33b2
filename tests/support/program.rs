//! What a program printed, and how it ended.

use serde_json::Value;
use std::process::Output;

/// What it printed.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("it prints UTF-8")
}

/// What it complained of.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("it prints UTF-8")
}

/// What it printed, as JSON.
#[track_caller]
pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stderr(output)))
}

/// That it ended with this code.
#[track_caller]
pub fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}{}", stdout(output), stderr(output));
}

/// That it failed as expected, and said so.
#[track_caller]
pub fn assert_refused(output: &Output, code: i32, message: &str) {
    assert_code(output, code);
    assert!(stderr(output).contains(message), "{message:?} is not in {:?}", stderr(output));
}
