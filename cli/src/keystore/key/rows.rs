//! Keys of another system, one after the other: JSON Lines as builds take them, or CSV.

use crate::failure::Failure;
use crate::keystore::times;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use zeroize::Zeroizing;

/// The longest line.
const LINE: u64 = 1 << 20;

/// What a column may be called, and what of a record it is.
const COLUMNS: [&str; 15] = [
    "realm",
    "id",
    "credential",
    "key",
    "sha256",
    "login",
    "secret",
    "tenant",
    "environment",
    "status",
    "scopes",
    "allow_ips",
    "not_before",
    "expires_at",
    "rate_limit",
];

/// A record's text, or why there is none.
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) record: Result<Zeroizing<Vec<u8>>, String>,
}

/// What records say that say nothing of it.
#[derive(Default)]
pub(super) struct Defaults {
    pub(super) members: Map<String, Value>,
    /// Ids for those that have none.
    pub(super) new_id: Option<fn() -> Result<String, Failure>>,
}

/// The rows of a file.
pub(super) fn rows(
    path: &Path,
    csv: bool,
    defaults: Defaults,
) -> Result<Box<dyn Iterator<Item = Result<Row, Failure>>>, Failure> {
    let input: Box<dyn Read> = match path.as_os_str() == "-" {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(path).map_err(|error| Failure::file(path, error))?),
    };
    let name = path.to_owned();
    if csv {
        return csv_rows(&name, input, defaults);
    }
    let mut input = BufReader::with_capacity(1 << 16, input);
    let mut line = 0;
    Ok(Box::new(std::iter::from_fn(move || {
        loop {
            line += 1;
            let mut text = Zeroizing::new(Vec::with_capacity(1024));
            match input.by_ref().take(LINE + 1).read_until(b'\n', &mut text) {
                Ok(0) => return None,
                Ok(_) if text.len() as u64 > LINE => {
                    return Some(Err(Failure::file(
                        &name,
                        format_args!("line {line} is longer than {LINE} bytes"),
                    )));
                }
                Ok(_) if text.iter().all(u8::is_ascii_whitespace) => {}
                Ok(_) => return Some(Ok(Row { line, record: complete(text, &defaults) })),
                Err(error) => return Some(Err(Failure::file(&name, error))),
            }
        }
    })))
}

/// The record with what it leaves out.
fn complete(text: Zeroizing<Vec<u8>>, defaults: &Defaults) -> Result<Zeroizing<Vec<u8>>, String> {
    // Whatever else is wrong with it is found where it is read as a record.
    let Ok(members) = serde_json::from_slice::<HashMap<String, serde::de::IgnoredAny>>(&text) else {
        return Ok(text);
    };
    let mut missing: Map<String, Value> = defaults
        .members
        .iter()
        .filter(|(name, _)| !members.contains_key(*name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if let (Some(new_id), false) = (defaults.new_id, members.contains_key("id")) {
        missing.insert("id".to_owned(), new_id().map_err(|error| error.message().to_owned())?.into());
    }
    if missing.is_empty() {
        return Ok(text);
    }
    let start = text.iter().position(|byte| *byte == b'{').map_or(0, |place| place + 1);
    let missing = Value::Object(missing).to_string();
    let missing = missing.trim_start_matches('{').trim_end_matches('}');
    let (head, tail) = text.split_at_checked(start).unwrap_or((&text, &[]));
    let comma: &[u8] = if members.is_empty() { b"" } else { b"," };
    Ok(Zeroizing::new([head, missing.as_bytes(), comma, tail].concat()))
}

fn csv_rows(
    name: &Path,
    input: Box<dyn Read>,
    defaults: Defaults,
) -> Result<Box<dyn Iterator<Item = Result<Row, Failure>>>, Failure> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::Headers).from_reader(input);
    let headers = reader.headers().map_err(|error| Failure::file(name, error))?.clone();
    let columns: Vec<String> = headers.iter().map(str::to_owned).collect();
    if let Some(unknown) = columns.iter().find(|column| !COLUMNS.contains(&column.as_str())) {
        let known = COLUMNS.join(", ");
        return Err(Failure::file(name, format_args!("unknown column {unknown:?}; columns are {known}")));
    }
    let name = name.to_owned();
    Ok(Box::new(reader.into_records().map(move |record| {
        // What the reader says names a line, a number of fields or a place, and repeats none of them.
        let record = record.map_err(|error| Failure::file(&name, error))?;
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != columns.len() {
            let (found, expected) = (record.len(), columns.len());
            let record = Err(format!("the line has {found} cells, and the heading {expected}"));
            return Ok(Row { line, record });
        }
        let cells = columns.iter().map(String::as_str).zip(&record).filter(|(_, cell)| !cell.is_empty());
        let record = from_cells(cells).and_then(|text| complete(text, &defaults));
        Ok(Row { line, record })
    })))
}

/// A record from the cells that are not empty.
fn from_cells<'c>(cells: impl Iterator<Item = (&'c str, &'c str)>) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut members: Vec<Zeroizing<String>> = Vec::new();
    let (mut login, mut secret) = (None, None);
    for (column, cell) in cells {
        let quoted = |text: &str| Zeroizing::new(Value::from(text).to_string());
        let value = match column {
            "scopes" | "allow_ips" => {
                let items: Vec<_> = cell.split(';').map(str::trim).filter(|item| !item.is_empty()).collect();
                if items.is_empty() && column == "allow_ips" {
                    return Err("`allow_ips` has no address in it: leave the cell empty for any".to_owned());
                }
                Zeroizing::new(Value::from(items).to_string())
            }
            "not_before" | "expires_at" => {
                let time = times::point(cell).map_err(|error| format!("`{column}`: {error}"))?;
                Zeroizing::new(time.to_string())
            }
            "sha256" => {
                members.push(Zeroizing::new(format!(
                    "\"digest\":{{\"alg\":\"sha256\",\"hex\":{}}}",
                    *quoted(cell)
                )));
                continue;
            }
            "login" => {
                login = Some(quoted(cell));
                continue;
            }
            "secret" => {
                secret = Some(quoted(cell));
                continue;
            }
            _ => quoted(cell),
        };
        members.push(Zeroizing::new(format!("\"{column}\":{}", *value)));
    }
    match (login, secret) {
        (None, None) => {}
        (Some(login), Some(secret)) => {
            members.push(Zeroizing::new(format!("\"basic\":{{\"id\":{},\"secret\":{}}}", *login, *secret)));
        }
        (Some(_), None) => return Err("it has a `login` and no `secret`".to_owned()),
        (None, Some(_)) => return Err("it has a `secret` and no `login`".to_owned()),
    }
    let mut text =
        Zeroizing::new(Vec::with_capacity(members.iter().map(|member| member.len() + 1).sum::<usize>() + 2));
    text.push(b'{');
    for (number, member) in members.iter().enumerate() {
        if number > 0 {
            text.push(b',');
        }
        text.extend(member.bytes());
    }
    text.push(b'}');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(cells: &[(&str, &str)]) -> Result<Value, String> {
        from_cells(cells.iter().copied()).map(|text| serde_json::from_slice(&text).unwrap())
    }

    #[test]
    fn cells_become_members() {
        let found = record(&[
            ("id", "a\"b"),
            ("sha256", "00"),
            ("scopes", "a b; c;"),
            ("expires_at", "2025-11-24"),
            ("allow_ips", "::1"),
        ]);
        let wanted = serde_json::json!({
            "id": "a\"b", "digest": { "alg": "sha256", "hex": "00" }, "scopes": ["a b", "c"],
            "expires_at": 1_763_942_400, "allow_ips": ["::1"],
        });
        assert_eq!(found, Ok(wanted));
        let pair = record(&[("login", "me"), ("secret", "s:\\")]).unwrap();
        assert_eq!(pair["basic"], serde_json::json!({ "id": "me", "secret": "s:\\" }));
        assert!(record(&[("login", "me")]).unwrap_err().contains("no `secret`"));
        assert!(record(&[("not_before", "soon")]).unwrap_err().starts_with("`not_before`"));
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        let text = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
        let mut defaults = Defaults { new_id: Some(|| Ok("made".to_owned())), ..Defaults::default() };
        defaults.members.insert("realm".to_owned(), "shop".into());
        let filled = |line: &str| -> Value {
            serde_json::from_slice(&complete(text(line), &defaults).unwrap()).unwrap()
        };
        assert_eq!(filled(" {} "), serde_json::json!({ "realm": "shop", "id": "made" }));
        assert_eq!(
            filled(r#"{"id":"own","key":"x"}"#),
            serde_json::json!({ "realm": "shop", "id": "own", "key": "x" })
        );
        for untouched in [r#"{"realm":"r","id":"i"}"#, "not json", "[1]"] {
            assert_eq!(*complete(text(untouched), &defaults).unwrap(), untouched.as_bytes());
        }
    }
}
