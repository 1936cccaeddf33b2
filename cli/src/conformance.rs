//! Vector files, decided by the engine: docs/DECISIONS.md section 9.

use crate::failure::Failure;
use crate::output::Output;
use crate::verdict::fields;
use clap::Args;
use keyward::build::{BuildError, Collection, Source, Stamp};
use keyward::engine::{Engine, Options};
use keyward::keyring::Keyring;
use keyward::realm::Configuration;
use keyward::request::{Peer, Request};
use keyward::time::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

/// A vector file.
#[derive(Deserialize)]
struct Vectors {
    config: String,
    keyring: String,
    #[serde(default)]
    keys: Vec<Box<RawValue>>,
    #[serde(default)]
    cases: Vec<Case>,
    /// What the message must contain that refuses the file.
    error: Option<String>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    /// As written: a fraction is decimal, and a binary number would change it.
    now: Option<Box<RawValue>>,
    #[serde(default = "once")]
    repeat: u64,
    request: CaseRequest,
    expect: Map<String, Value>,
}

const fn once() -> u64 {
    1
}

#[derive(Deserialize)]
struct CaseRequest {
    realm: String,
    method: Option<String>,
    path: Option<String>,
    host: Option<String>,
    ip: Option<String>,
    #[serde(default = "yes")]
    tls: bool,
    environment: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
}

const fn yes() -> bool {
    true
}

/// One way in which a case went wrong.
struct Difference {
    field: String,
    expected: Value,
    actual: Value,
}

/// Run vector files: requests, and what an engine must answer
#[derive(Args)]
#[command(after_help = "\
Example:
  keyward conformance testdata/vectors

Each failure is printed with the expected and the actual value; the last line is
`N passed, N failed`. With --json there is one object a case, and no last line.

Exit codes: 0 all passed; 1 one failed, or there was none; 2 the command line is wrong; 3 a file cannot be read.")]
pub(crate) struct Arguments {
    /// Vector files, and folders of them
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// Print one JSON object a case
    #[arg(long)]
    json: bool,
}

/// Runs every vector file that was named, and those in the directories among them. Says whether all passed.
pub(crate) fn run(Arguments { paths, json }: &Arguments) -> Result<bool, Failure> {
    let (json, mut output) = (*json, Output::new());
    let mut files = Vec::new();
    for path in paths {
        find(path, &mut files)?;
    }
    if files.is_empty() {
        return Err(Failure::check("there is no vector file (*.json) in the folders named"));
    }
    let (mut passed, mut failed) = (0u64, 0u64);
    for file in &files {
        let text = fs::read_to_string(file).map_err(|error| Failure::file(file, error))?;
        let vectors: Vectors = serde_json::from_str(&text)
            .map_err(|error| Failure::file(file, format_args!("it is not a vector file: {error}")))?;
        for (name, differences) in decide(&vectors) {
            let counter = if differences.is_empty() { &mut passed } else { &mut failed };
            *counter += 1;
            report(&mut output, json, file, &name, &differences)?;
        }
    }
    if passed + failed == 0 {
        return Err(Failure::check("there is no case in the vector files named"));
    }
    if !json {
        writeln!(output, "{passed} passed, {failed} failed")?;
    }
    Ok(failed == 0)
}

fn find(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = fs::read_dir(path).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let mut entries: Vec<_> =
        entries.map_err(|error| Failure::file(path, error))?.into_iter().map(|entry| entry.path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() || entry.extension().is_some_and(|extension| extension == "json") {
            find(&entry, files)?;
        }
    }
    Ok(())
}

fn report(
    output: &mut impl Write,
    json: bool,
    file: &Path,
    case: &str,
    differences: &[Difference],
) -> std::io::Result<()> {
    if json {
        let failures = differences.iter().map(|difference| {
            json!({ "field": difference.field, "expected": difference.expected, "actual": difference.actual })
        });
        let object = json!({
            "file": file.display().to_string(),
            "case": case,
            "passed": differences.is_empty(),
            "failures": failures.collect::<Vec<_>>(),
        });
        return writeln!(output, "{object}");
    }
    if !differences.is_empty() {
        writeln!(output, "FAILED {}: {case}", file.display())?;
    }
    for Difference { field, expected, actual } in differences {
        writeln!(output, "  {field}: expected {expected}, actual {actual}")?;
    }
    Ok(())
}

/// The cases of a file, and what is wrong with each.
fn decide(vectors: &Vectors) -> Vec<(String, Vec<Difference>)> {
    let engine = open(vectors);
    if let Some(expected) = &vectors.error {
        let actual = engine.err();
        let refused = actual.as_ref().is_some_and(|message| message.contains(expected.as_str()));
        let difference =
            Difference { field: "error".to_owned(), expected: json!(expected), actual: json!(actual) };
        return vec![("the file is refused".to_owned(), if refused { vec![] } else { vec![difference] })];
    }
    let cases = vectors.cases.iter().map(|case| {
        let differences = match &engine {
            Ok(engine) => run_case(engine, case),
            Err(message) => {
                vec![Difference { field: "error".to_owned(), expected: Value::Null, actual: json!(message) }]
            }
        };
        (case.name.clone(), differences)
    });
    cases.collect()
}

/// Builds the file's snapshot and opens it, as a server would.
fn open(vectors: &Vectors) -> Result<Engine, String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let configuration = Configuration::read(&vectors.config, "config").map_err(|error| text(&error))?;
    let keyring = Keyring::read(&vectors.keyring, "keyring").map_err(|error| text(&error))?;
    keyring.check_realms(&configuration).map_err(|error| text(&error))?;
    // A string of JSON has no raw line break, so those that stand in a record are white space.
    let lines = vectors.keys.iter().map(|key| key.get().replace(['\n', '\r'], " ") + "\n");
    let lines: String = lines.collect();
    let source = Source { name: "keys", threads: None, progress: &|_| {} };
    let mut snapshot = Cursor::new(Vec::new());
    let build = || -> Result<(), BuildError> {
        let collection = Collection::read(&configuration, &keyring, lines.as_bytes(), &source)?;
        let stamp = Stamp { generation: 1, created: 0, max_age: 0 };
        collection.write(stamp, &mut snapshot, &|_| {}).map(drop)
    };
    let mut build = build;
    build().map_err(|error| text(&error))?;
    Engine::from_bytes(snapshot.into_inner(), keyring, Options::default()).map_err(|error| text(&error))
}

fn run_case(engine: &Engine, case: &Case) -> Vec<Difference> {
    let fault = |field: &str, what: String| {
        vec![Difference {
            field: field.to_owned(),
            expected: json!("a vector file that can be read"),
            actual: json!(what),
        }]
    };
    let now = match &case.now {
        None => None,
        Some(text) => match text.get().parse::<Timestamp>() {
            Ok(now) => Some(now),
            Err(error) => return fault("now", error.to_string()),
        },
    };
    let request = &case.request;
    let headers = request.headers.iter().map(|(name, value)| Some((latin1(name)?, latin1(value)?)));
    let Some(headers) = headers.collect::<Option<Vec<_>>>() else {
        return fault("headers", "a character above U+00FF, which is no byte".to_owned());
    };
    let scopes: Vec<&str> = request.scopes.iter().map(String::as_str).collect();
    let mut actual = Map::new();
    for _ in 0..case.repeat.max(1) {
        let verdict = engine.verify(&Request {
            method: request.method.as_deref().map(str::as_bytes),
            path: request.path.as_deref().map(str::as_bytes),
            host: request.host.as_deref().map(str::as_bytes),
            peer: request.ip.as_deref().map_or(Peer::Unknown, |ip| Peer::parse(ip.as_bytes())),
            tls: request.tls,
            environment: request.environment.as_deref(),
            scopes: &scopes,
            now,
            ..Request::new(&request.realm, headers.as_slice())
        });
        actual = fields(&verdict);
    }
    let differences = case.expect.iter().filter_map(|(field, expected)| {
        let actual = actual.get(field);
        (actual != Some(expected)).then(|| Difference {
            field: field.clone(),
            expected: expected.clone(),
            actual: actual.cloned().unwrap_or_else(|| json!("no such field")),
        })
    });
    differences.collect()
}

/// The bytes that the characters of `text` are in Latin-1.
fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect()
}
