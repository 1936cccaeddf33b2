//! `keyward usage`: what a state file has counted, and what was served last.

mod prometheus;

use crate::failure::Failure;
use crate::output::{Output, visible};
use crate::table::Table;
use clap::{Args, ValueEnum};
use keyward::limits::{Counts, KeyUsage, Mark, StateReader};
use keyward::reason::Reason;
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::io::{self, Write};
use std::path::PathBuf;

/// Show what a state file has: requests, denials by reason and last use of each key, generations served
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward usage /run/keyward/state --top 20
  keyward usage /run/keyward/state --realm billoget --unused-since 1764000000
  keyward usage /run/keyward/state --prometheus > /var/lib/node_exporter/keyward.prom

The file may be in use: every number is read as it stands, and nothing is written. Counts
go back to the time when the file was made. Times are Unix seconds.

Exit codes: 0 done; 2 the command line is wrong; 3 the file is no state file, or cannot be
read.")]
pub(crate) struct Arguments {
    /// The state file
    state: PathBuf,
    /// Only this realm; may be given several times
    #[arg(long, value_name = "NAME")]
    realm: Vec<String>,
    /// Only keys whose id starts with this
    #[arg(long, value_name = "PREFIX")]
    id: Option<String>,
    /// Only keys whose last use is before this time
    #[arg(long, value_name = "SECONDS")]
    unused_since: Option<u64>,
    /// Only keys that were refused at least once
    #[arg(long)]
    denied: bool,
    /// At most so many keys
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// What keys are sorted by
    #[arg(long, value_enum, default_value_t = Order::Requests)]
    sort: Order,
    /// Print one JSON object
    #[arg(long, conflicts_with = "prometheus")]
    json: bool,
    /// Print the text format of Prometheus
    #[arg(long)]
    prometheus: bool,
}

/// What keys are sorted by.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Order {
    /// The most requests first.
    Requests,
    /// The most denials first.
    Denials,
    /// The last used first.
    LastUse,
    /// By realm and id.
    Name,
}

/// What was found.
struct Report {
    created: u64,
    slots: usize,
    /// Keys in the file, shown or not.
    known: usize,
    displaced: u64,
    displaced_limits: u64,
    counts: Counts,
    keys: Vec<KeyUsage>,
    /// What was served last of each realm.
    served: Vec<(String, Mark)>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let state = StateReader::open(&arguments.state)?;
    let report = Report::of(&state, arguments);
    let mut output = Output::new();
    if arguments.json {
        writeln!(output, "{:#}", report.json())?;
    } else if arguments.prometheus {
        report.write_prometheus(&mut output)?;
    } else {
        report.write(&mut output)?;
    }
    output.flush()?;
    Ok(true)
}

/// The realm and the id of a key; nothing where they have not been written.
fn names(key: &KeyUsage) -> (&str, &str) {
    key.name.as_ref().map_or(("", ""), |(realm, id)| (realm, id))
}

/// What a key is called where its id is not known.
fn nameless(key: &KeyUsage) -> String {
    format!("#{:012x}", key.tag.number())
}

impl Report {
    fn of(state: &StateReader, arguments: &Arguments) -> Self {
        let of_realm =
            |name: &str| arguments.realm.is_empty() || arguments.realm.iter().any(|realm| realm == name);
        let mut counts = state.counts();
        counts.realms.retain(|realm| of_realm(&realm.realm));
        let mut known = 0;
        let mut keys: Vec<KeyUsage> = state.keys().inspect(|_| known += 1).collect();
        keys.retain(|key| {
            let (realm, id) = names(key);
            of_realm(realm)
                && arguments.id.as_ref().is_none_or(|prefix| id.starts_with(prefix))
                && arguments.unused_since.is_none_or(|since| key.last_use < since)
                && (!arguments.denied || key.refused() > 0)
        });
        // Names last, so that the same counts come in the same order.
        keys.sort_by(|a, b| {
            let by = |key: &KeyUsage| match arguments.sort {
                Order::Requests => Reverse(key.requests()),
                Order::Denials => Reverse(key.refused()),
                Order::LastUse => Reverse(key.last_use),
                Order::Name => Reverse(0),
            };
            by(a)
                .cmp(&by(b))
                .then_with(|| names(a).cmp(&names(b)))
                .then_with(|| a.tag.number().cmp(&b.tag.number()))
        });
        keys.truncate(arguments.top.unwrap_or(usize::MAX));
        let mut served = state.marks();
        served.retain(|(realm, _)| of_realm(realm));
        Self {
            created: state.created(),
            slots: state.slots(),
            known,
            displaced: state.displaced(),
            displaced_limits: state.displaced_limits(),
            counts,
            keys,
            served,
        }
    }

    /// For people.
    fn write(&self, output: &mut impl Write) -> io::Result<()> {
        writeln!(
            output,
            "{} requests since {}, {} keys of at most {}",
            self.counts.requests(),
            self.created,
            self.known,
            self.slots
        )?;
        if self.displaced > 0 {
            writeln!(
                output,
                "{} times a key was given up for want of room ({} with its rate limit): use a larger file",
                self.displaced, self.displaced_limits
            )?;
        }
        let mut table = Table::right(&[2]);
        table.row(["realm", "reason", "requests"]);
        for realm in &self.counts.realms {
            let name = if realm.realm.is_empty() { "(none)" } else { &realm.realm };
            for reason in Reason::ALL.into_iter().filter(|reason| realm.of(*reason) > 0) {
                table.row([visible(name), reason.name().to_owned(), realm.of(reason).to_string()]);
            }
        }
        writeln!(output)?;
        table.write(output, "")?;
        self.write_keys(output)?;
        self.write_served(output)
    }

    fn write_keys(&self, output: &mut impl Write) -> io::Result<()> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let mut table = Table::right(&[2, 3, 4]);
        table.row(["realm", "key", "requests", "denied", "last use", "denials"]);
        for key in &self.keys {
            let (realm, id) = names(key);
            let id = if id.is_empty() { nameless(key) } else { visible(id) };
            table.row([
                visible(realm),
                id,
                key.requests().to_string(),
                key.refused().to_string(),
                key.last_use.to_string(),
                denials(key).map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", "),
            ]);
        }
        writeln!(output)?;
        table.write(output, "")
    }

    fn write_served(&self, output: &mut impl Write) -> io::Result<()> {
        if self.served.is_empty() {
            return Ok(());
        }
        let mut table = Table::right(&[1, 2]);
        table.row(["realm", "generation served", "times moved back"]);
        for (realm, mark) in &self.served {
            table.row([visible(realm), mark.generation.to_string(), mark.moves_back.to_string()]);
        }
        writeln!(output)?;
        table.write(output, "")
    }

    fn json(&self) -> Value {
        let realms = self.counts.realms.iter().map(|realm| {
            let reasons = Reason::ALL.into_iter().filter(|reason| realm.of(*reason) > 0);
            let reasons: Map<_, _> =
                reasons.map(|reason| (reason.name().to_owned(), realm.of(reason).into())).collect();
            json!({ "realm": (!realm.realm.is_empty()).then_some(&realm.realm), "requests": reasons })
        });
        let keys = self.keys.iter().map(|key| {
            let denials: Map<_, _> =
                denials(key).map(|(name, count)| (name.to_owned(), count.into())).collect();
            let name = key.name.as_ref();
            json!({
                "realm": name.map(|(realm, _)| realm),
                "id": name.map(|(_, id)| id),
                "tag": format!("{:012x}", key.tag.number()),
                "requests": key.requests(),
                "allowed": key.allowed,
                "denied": key.refused(),
                "denials": denials,
                "since": key.since,
                "last_use": key.last_use,
            })
        });
        let served = self.served.iter().map(|(realm, mark)| {
            json!({ "realm": realm, "generation": mark.generation, "moves_back": mark.moves_back })
        });
        json!({
            "created": self.created,
            "slots": self.slots,
            "known_keys": self.known,
            "displaced": self.displaced,
            "displaced_limits": self.displaced_limits,
            "requests": self.counts.requests(),
            "realms": realms.collect::<Vec<_>>(),
            "keys": keys.collect::<Vec<_>>(),
            "served": served.collect::<Vec<_>>(),
        })
    }
}

/// Why requests with a key were refused, and how many.
fn denials(key: &KeyUsage) -> impl Iterator<Item = (&'static str, u64)> {
    let otherwise = (key.denied_otherwise > 0).then_some(("other", key.denied_otherwise));
    key.denied.iter().map(|(reason, count)| (reason.name(), *count)).chain(otherwise)
}
