//! `keyward audit`: who did what, when and from where.

use crate::failure::Failure;
use crate::keystore::place::PlaceArguments;
use crate::keystore::times;
use crate::output::{Output, visible};
use crate::table::Table;
use clap::Args;
use keyward_keystore::{AuditFilter, AuditRow};
use serde_json::{Map, Value, json};
use std::io::Write;

/// Show the audit log: who did what, when, and from where
///
/// Every change of the keystore has its entry, and so has every key that was revealed. The newest come first. No
/// entry is ever changed or taken away, and none holds a secret.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward audit --key key_0123456789abcdef
  keyward audit --tenant acme --since 2026-11-01 --json
  keyward audit --action key.reveal

Exit codes: 0 done; 2 the command line is wrong; 3 the keystore cannot be used.")]
pub(crate) struct Arguments {
    /// Only about this key
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Only about this realm
    #[arg(long, value_name = "NAME")]
    realm: Option<String>,
    /// Only about this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only by this user of the system, or for this member
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Only this action, or all of a kind: `key` has key.create, key.revoke and so on
    #[arg(long, value_name = "NAME")]
    action: Option<String>,
    /// Only since then: a time, or how long ago
    #[arg(long, value_name = "TIME", value_parser = times::past)]
    since: Option<u64>,
    /// At most so many
    #[arg(long, value_name = "N")]
    newest: Option<u64>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let mut rows = Vec::new();
    let filter = AuditFilter {
        realm: arguments.realm.as_deref(),
        tenant: arguments.tenant.as_deref(),
        key: arguments.key.as_deref(),
        who: arguments.who.as_deref(),
        action: arguments.action.as_deref(),
        since: arguments.since,
        newest: arguments.newest,
    };
    arguments.place.open()?.read(|view| {
        view.audit(&filter, |row| {
            rows.push(row);
            Ok(())
        })
    })?;
    let mut output = Output::new();
    if arguments.json {
        for row in rows {
            writeln!(output, "{}", to_json(row))?;
        }
        return Ok(true);
    }
    let mut table = Table::right(&[0]);
    table.row(["no", "when", "who", "action", "realm", "about", "details"]);
    for row in rows {
        let who = match &row.member {
            Some(member) => format!("{member} ({})", row.actor),
            None => row.actor.clone(),
        };
        let about = [&row.tenant, &row.key].map(|name| name.as_deref().unwrap_or(""));
        let about = about.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(" ");
        table.row([
            row.number.to_string(),
            times::shown(row.at),
            visible(&who),
            row.action,
            visible(row.realm.as_deref().unwrap_or("")),
            visible(&about),
            visible(&in_words(&row.details)),
        ]);
    }
    table.write(&mut output, "")?;
    Ok(true)
}

/// Details on one line: `status active to revoked, reason "leaked"`.
fn in_words(details: &Map<String, Value>) -> String {
    let plain = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    };
    let word = |(name, value): (&String, &Value)| match (value.get("from"), value.get("to")) {
        (Some(from), Some(to)) => format!("{name} {} to {}", plain(from), plain(to)),
        _ => format!("{name} {}", plain(value)),
    };
    let said = details.iter().filter(|(_, value)| !value.is_null());
    said.map(word).collect::<Vec<_>>().join(", ")
}

fn to_json(row: AuditRow) -> Value {
    json!({
        "number": row.number,
        "at": row.at,
        "actor": row.actor,
        "member": row.member,
        "origin": row.origin,
        "action": row.action,
        "realm": row.realm,
        "tenant": row.tenant,
        "key": row.key,
        "details": row.details,
        "change": row.change,
    })
}
