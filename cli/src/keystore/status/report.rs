//! What `keyward status` prints.

use super::in_place::InPlace;
use super::{Fault, Stored};
use crate::output::visible;
use crate::table::Table;
use crate::units;
use indicatif::HumanCount;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

/// How many of the keys that expire soon are named.
const NAMED: usize = 10;

/// Keys that expire soon.
#[derive(Default)]
pub(super) struct Expiring {
    count: u64,
    /// The soonest: when, realm, id.
    soonest: BTreeSet<(u64, String, String)>,
}

impl Expiring {
    pub(super) fn add(&mut self, at: u64, realm: String, id: String) {
        self.count += 1;
        self.soonest.insert((at, realm, id));
        if self.soonest.len() > NAMED {
            self.soonest.pop_last();
        }
    }
}

pub(super) struct Report<'r> {
    pub(super) path: &'r Path,
    pub(super) stored: &'r Stored,
    pub(super) in_place: Option<&'r InPlace>,
    /// Whether somebody publishes at this moment.
    pub(super) watched: bool,
    pub(super) faults: &'r [Fault],
    pub(super) now: u64,
}

impl Report<'_> {
    pub(super) fn write_json(&self, output: &mut impl Write) -> io::Result<()> {
        let Stored { change, keys, usable, last, expiring, .. } = self.stored;
        let last = last.as_ref().map(|last| {
            json!({
                "generation": last.generation,
                "base": last.base,
                "change": last.change,
                "keys": last.keys,
                "hash": last.hash,
                "published_at": last.published_at,
            })
        });
        let in_place = self.in_place.map(|in_place| {
            let header = in_place.layers().header();
            json!({
                "generation": header.generation,
                "base": (header.base_generation != 0).then_some(header.base_generation),
                "keys": header.keys(),
                "hash": in_place.hash(),
                "bytes": in_place.layers().length(),
                "created": (header.created != 0).then_some(header.created),
                "max_age": (header.max_age != 0).then_some(header.max_age),
            })
        });
        let soonest: Vec<_> = expiring
            .soonest
            .iter()
            .map(|(at, realm, id)| json!({"expires_at": at, "realm": realm, "id": id}))
            .collect();
        let faults: Vec<_> =
            self.faults.iter().map(|fault| json!({"fault": fault.what, "mend": fault.mend})).collect();
        let status = json!({
            "path": self.path.to_string_lossy(),
            "agree": self.faults.is_empty(),
            "publisher_at_work": self.watched,
            "keystore": {"change": change, "keys": keys, "not_revoked": usable},
            "published": last,
            "in_place": in_place,
            "expiring": {"count": expiring.count, "soonest": soonest},
            "faults": faults,
        });
        writeln!(output, "{status}")
    }

    pub(super) fn write(&self, output: &mut impl Write, days: u32) -> io::Result<()> {
        let Stored { change, keys, usable, last, expiring, .. } = self.stored;
        let ago = |at: u64| format!("{} ago", units::rough(self.now.saturating_sub(at)));
        let mut table = Table::default();
        let store =
            format!("change {change}; {} keys, {} not revoked", HumanCount(*keys), HumanCount(*usable));
        table.row(["keystore", &store]);
        let published = match last {
            None => "nothing yet".to_owned(),
            Some(last) => {
                let form = last.base.map_or("full".to_owned(), |base| format!("a delta on {base}"));
                let when = ago(last.published_at);
                format!(
                    "generation {}, {form}, with every change up to {}; {when}",
                    last.generation, last.change
                )
            }
        };
        table.row(["published", &published]);
        let in_place = match self.in_place {
            None => "nothing that engines can use".to_owned(),
            Some(in_place) => {
                let header = in_place.layers().header();
                let form = match header.base_generation {
                    0 => "full".to_owned(),
                    base => format!("a delta on {base}"),
                };
                format!("generation {}, {form}, {} keys, whole", header.generation, HumanCount(header.keys()))
            }
        };
        table.row([format!("in place ({})", self.path.display()), in_place]);
        table.row(["publisher", if self.watched { "at work" } else { "none at this moment" }]);
        table.write(output, "")?;
        if expiring.count > 0 {
            writeln!(output, "\n{} keys expire within {days} days:", HumanCount(expiring.count))?;
            let mut table = Table::default();
            for (at, realm, id) in &expiring.soonest {
                let left = units::rough(at.saturating_sub(self.now));
                table.row([format!("in {left}"), visible(realm), visible(id)]);
            }
            table.write(output, "  ")?;
        }
        if self.faults.is_empty() {
            return writeln!(output, "\neverything is published and in place");
        }
        for fault in self.faults {
            writeln!(output, "\nfault: {}\n  do:  {}", visible(&fault.what), fault.mend)?;
        }
        Ok(())
    }
}
