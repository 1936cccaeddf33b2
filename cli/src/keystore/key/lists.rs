//! `keyward key scopes` and `keyward key ips`.

use super::change::alter;
use super::find::KeyArguments;
use crate::failure::Failure;
use crate::keystore::maker::Maker;
use crate::output::{Output, visible};
use clap::Args;
use keyward::record::Status;
use keyward_keystore::StoredKey;
use serde_json::json;
use std::io::Write;

/// What becomes of a list.
#[derive(Args)]
#[group(required = true, multiple = true)]
struct ListArguments {
    /// Add one; may be repeated
    #[arg(long, value_name = "NAME")]
    add: Vec<String>,
    /// Take one away; may be repeated
    #[arg(long, value_name = "NAME")]
    remove: Vec<String>,
    /// Have these and no others; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with_all = ["add", "remove", "none"])]
    set: Vec<String>,
    /// Have none
    #[arg(long, conflicts_with_all = ["add", "remove"])]
    none: bool,
}

/// Change what a key may do
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward key scopes key_0123456789abcdef --add WRITE_BUDGETS --remove READ_PRODUCTS
  keyward key scopes key_0123456789abcdef --set READ_BUDGETS")]
pub(super) struct ScopesArguments {
    #[command(flatten)]
    key: KeyArguments,
    #[command(flatten)]
    list: ListArguments,
}

/// Change where a key may be used from; --none is anywhere
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward key ips key_0123456789abcdef --add 203.0.113.0/24 --add 2001:db8::1
  keyward key ips key_0123456789abcdef --none")]
pub(super) struct IpsArguments {
    #[command(flatten)]
    key: KeyArguments,
    #[command(flatten)]
    list: ListArguments,
}

impl ListArguments {
    /// The list afterwards. What is to be taken away must be there: a slip would leave a key with more than was meant.
    fn apply(&self, before: &[String]) -> Result<Vec<String>, Failure> {
        let mut list = match (self.none, &self.set[..]) {
            (true, _) => Vec::new(),
            (false, []) => before.to_vec(),
            (false, set) => set.to_vec(),
        };
        for item in &self.remove {
            if !list.contains(item) {
                return Err(Failure::check(format_args!(
                    "the key does not have {item:?}; it has {}",
                    all(before)
                )));
            }
            list.retain(|other| other != item);
        }
        for item in &self.add {
            if !list.contains(item) {
                list.push(item.clone());
            }
        }
        Ok(list)
    }
}

fn all(list: &[String]) -> String {
    if list.is_empty() { "none".to_owned() } else { list.join(", ") }
}

fn change(
    arguments: &KeyArguments,
    list: &ListArguments,
    (action, name, none): (&'static str, &'static str, &str),
    of: impl Fn(&mut StoredKey) -> &mut Vec<String>,
) -> Result<bool, Failure> {
    let configuration = arguments.place.configuration()?;
    let keyring = arguments.place.keyring(&configuration)?;
    let maker = Maker::new(&configuration, &keyring)?;
    let mut now_has = Vec::new();
    alter(arguments, action, |_, key| {
        if key.status == Status::Revoked {
            return Err(Failure::check(format_args!("key {:?} is revoked, and that is for good", key.id)));
        }
        let before = of(key).clone();
        now_has = list.apply(&before)?;
        if now_has.is_empty() && !before.is_empty() && !list.none && name == "allow_ips" {
            return Err(Failure::check(
                "no address would be left, and then the key may be used from anywhere: --none says so",
            ));
        }
        if now_has == before {
            return Ok(None);
        }
        of(key).clone_from(&now_has);
        maker.check(key)?;
        Ok(Some(json!({ name: { "from": before, "to": now_has } })))
    })?;
    let said = if now_has.is_empty() { none.to_owned() } else { now_has.join(", ") };
    writeln!(Output::new(), "{}: {}", visible(&arguments.id), visible(&said))?;
    Ok(true)
}

pub(super) fn scopes(arguments: &ScopesArguments) -> Result<bool, Failure> {
    change(&arguments.key, &arguments.list, ("key.scopes", "scopes", "no scopes"), |key| &mut key.scopes)
}

pub(super) fn ips(arguments: &IpsArguments) -> Result<bool, Failure> {
    change(&arguments.key, &arguments.list, ("key.ips", "allow_ips", "anywhere"), |key| &mut key.allow_ips)
}
