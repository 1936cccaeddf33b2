//! What is wrong with a line that is no key record. Runs once for each faulty line, so it takes its time,
//! and says what serde's own messages do not: the nearest name, and never a value.

use super::RecordError;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use std::fmt;

/// What a member may hold.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    Texts,
    Time,
    Number,
    Object,
    Members(&'static [(&'static str, Shape)]),
}

const DIGEST: &[(&str, Shape)] = &[("alg", Shape::Text), ("hex", Shape::Text), ("pepper", Shape::Number)];
const RECORD: &[(&str, Shape)] = &[
    ("realm", Shape::Text),
    ("id", Shape::Text),
    ("key", Shape::Text),
    ("basic", Shape::Members(&[("id", Shape::Text), ("secret", Shape::Text)])),
    ("digest", Shape::Members(DIGEST)),
    ("credential", Shape::Text),
    ("tenant", Shape::Text),
    ("environment", Shape::Text),
    ("status", Shape::Text),
    ("scopes", Shape::Texts),
    ("allow_ips", Shape::Texts),
    ("not_before", Shape::Time),
    ("expires_at", Shape::Time),
    ("rate_limit", Shape::Text),
    ("metadata", Shape::Object),
];

/// Why `line` is no key record, which `error` says it is not.
pub(super) fn of(line: &[u8], error: &serde_json::Error) -> RecordError {
    if std::str::from_utf8(line).is_err() {
        return RecordError::new("the line is not UTF-8");
    }
    if line.starts_with(b"\xEF\xBB\xBF") {
        return RecordError::new("the line begins with a byte order mark, which is not JSON; remove it");
    }
    if let Ok(members) = serde_json::from_slice::<RawMembers<'_>>(line) {
        return wrong_member(&members, RECORD, "the record", &["realm", "id"])
            .unwrap_or_else(|| RecordError::new("the line is not a key record"));
    }
    match (serde_json::from_slice::<&RawValue>(line), error.classify()) {
        (Ok(value), _) => RecordError(format!("the line is {}; expected an object", kind(value.get()))),
        (Err(error), _) if error.is_eof() => {
            RecordError(format!("the line ends before its JSON does (column {})", error.column()))
        }
        (Err(error), Category::Data | Category::Syntax | Category::Eof | Category::Io) => {
            RecordError(format!("the line is not one JSON object (column {})", error.column()))
        }
    }
}

fn wrong_member(
    members: &RawMembers<'_>,
    shapes: &'static [(&'static str, Shape)],
    what: &str,
    required: &[&str],
) -> Option<RecordError> {
    let mut seen: Vec<&str> = Vec::new();
    for (name, value) in &members.0 {
        let known = shapes.iter().find(|(known, _)| known == name);
        let Some((known, shape)) = known else {
            let found = format_args!("{what} has an unknown member {}", super::Shown(name));
            return Some(RecordError::among(found, name, shapes.iter().map(|(known, _)| known)));
        };
        if seen.contains(known) {
            return Some(RecordError(format!("{what} has `{known}` more than once")));
        }
        seen.push(known);
        if let Some(error) = wrong_value(known, *shape, value.get()) {
            return Some(error);
        }
    }
    let missing = required.iter().find(|name| !seen.contains(name))?;
    Some(RecordError(format!("{what} has no `{missing}`")))
}

fn wrong_value(name: &str, shape: Shape, value: &str) -> Option<RecordError> {
    let (fits, expected) = match shape {
        Shape::Text => (serde_json::from_str::<super::Text<'_>>(value).is_ok(), "a text"),
        Shape::Texts => (serde_json::from_str::<Vec<super::Text<'_>>>(value).is_ok(), "a list of texts"),
        Shape::Time => (serde_json::from_str::<u64>(value).is_ok(), "whole Unix seconds, not below 0"),
        Shape::Number => (serde_json::from_str::<u32>(value).is_ok(), "a whole number from 0 to 4294967295"),
        Shape::Object => (value.starts_with('{'), "an object"),
        Shape::Members(inner) => match serde_json::from_str::<RawMembers<'_>>(value) {
            Ok(members) => {
                let what = format!("`{name}`");
                let texts = inner.iter().filter(|(_, shape)| matches!(shape, Shape::Text));
                let required: Vec<&str> = texts.map(|(name, _)| *name).collect();
                return wrong_member(&members, inner, &what, &required);
            }
            Err(_) => (false, "an object"),
        },
    };
    if fits {
        return None;
    }
    let hint = if value == "null" { ", or no such member" } else { "" };
    let misfit = match (shape, value.as_bytes()) {
        (Shape::Text, [b'"', ..])
        | (Shape::Texts, [b'[', ..])
        | (Shape::Time | Shape::Number, [b'-' | b'0'..=b'9', ..]) => " that does not fit",
        _ => "",
    };
    Some(RecordError(format!("`{name}` is {}{misfit}; expected {expected}{hint}", kind(value))))
}

/// What a JSON text is, by its first byte.
fn kind(value: &str) -> &'static str {
    match value.bytes().next() {
        Some(b'"') => "a text",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        Some(b'-' | b'0'..=b'9') => "a number",
        _ => "nothing",
    }
}

/// The members of an object in their order, repeats included.
struct RawMembers<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for RawMembers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = RawMembers<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(member) = members.next_entry()? {
                    all.push(member);
                }
                Ok(RawMembers(all))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}
