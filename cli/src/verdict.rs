//! A verdict and its answer for programs, under the names that vector files use.

use keyward::engine::Verdict;
use serde_json::{Map, Value, json};

/// Every field; null where the verdict does not have it.
pub(crate) fn fields(verdict: &Verdict<'_>) -> Map<String, Value> {
    let answer = verdict.answer();
    let fields = [
        ("decision", json!(verdict.decision().name())),
        ("reason", json!(verdict.reason().name())),
        ("status", json!(answer.status)),
        ("key_id", json!(verdict.key_id())),
        ("tenant", json!(verdict.tenant())),
        ("environment", json!(verdict.environment())),
        ("subject", json!(verdict.subject())),
        ("scope", json!(verdict.scope())),
        ("retry_after", json!(verdict.retry_after())),
        ("www_authenticate", json!(answer.www_authenticate)),
        ("content_type", json!(answer.content_type)),
        ("body", json!(answer.body)),
        ("generation", json!(verdict.generation())),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
