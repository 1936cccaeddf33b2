//! What was found in a snapshot, for people and for programs.

use super::Census;
use crate::output::visible;
use crate::table::Table;
use crate::units::rough;
use indicatif::HumanCount;
use keyward::format::header::{Kind, Section};
use keyward::record::Status;
use keyward::signature::{Fingerprint, Signature, SignatureError};
use keyward::snapshot::Snapshot;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;

/// What was found.
pub(super) struct Report<'a> {
    pub(super) path: &'a Path,
    pub(super) snapshot: &'a Snapshot,
    /// Each section, and whether its hash is right.
    pub(super) sections: &'a [(Section, bool)],
    /// What a keyring makes of its signatures, where one was given.
    pub(super) signed: Option<&'a Signed>,
    /// `None` where the snapshot is damaged: numbers out of it would mean nothing.
    pub(super) census: Option<&'a Census>,
    pub(super) now: u64,
    pub(super) days: u32,
}

/// What a keyring makes of a snapshot's signatures.
pub(super) struct Signed {
    pub(super) verdict: Result<Option<Fingerprint>, SignatureError>,
    /// The keys of which it asks for a signature.
    pub(super) accepted: Vec<Fingerprint>,
}

fn section_name(kind: u32) -> String {
    let known = Kind::ALL.into_iter().find(|known| *known as u32 == kind);
    known.map_or_else(|| format!("kind {kind}"), |known| known.name().to_owned())
}

/// `part` of `whole`, and 0 of nothing.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn stated(number: u64) -> Option<u64> {
    (number != 0).then_some(number)
}

impl Report<'_> {
    fn realm_name(&self, number: u16) -> &str {
        self.snapshot.realms().get(usize::from(number)).map_or("", |realm| &realm.name)
    }

    fn environment_name(&self, realm: u16, number: u8) -> Option<&str> {
        let realm = self.snapshot.realms().get(usize::from(realm))?;
        realm.environments.get(usize::from(number.checked_sub(1)?)).map(String::as_str)
    }

    /// Keys by realm, environment and status; a realm without keys is there too.
    fn rows(&self, census: &Census) -> Vec<(&str, Option<&str>, [u64; Status::ALL.len()])> {
        let mut rows = Vec::new();
        for (number, realm) in (0..).zip(self.snapshot.realms()) {
            let before = rows.len();
            for ((_, environment), counts) in census.counts.range((number, 0)..=(number, u8::MAX)) {
                rows.push((self.realm_name(number), self.environment_name(number, *environment), *counts));
            }
            if rows.len() == before {
                rows.push((&realm.name, None, Default::default()));
            }
        }
        rows
    }

    /// Each signature: whose it says it is, whether it is one of this snapshot by that key, and, where a keyring was
    /// given, whether it has that key.
    fn signatures(&self) -> impl Iterator<Item = (Fingerprint, bool, Option<bool>)> {
        self.snapshot.header().signatures.iter().map(|signature: &Signature| {
            let key = signature.fingerprint();
            let accepted = self.signed.map(|signed| signed.accepted.contains(&key));
            (key, signature.is_good(self.snapshot.hash()), accepted)
        })
    }

    /// What the signatures say, on one line.
    fn signed_by(&self) -> String {
        let each = self.signatures().map(|(key, good, accepted)| {
            let known = match accepted {
                None => "",
                Some(true) => ", which the keyring has",
                Some(false) => ", which the keyring lacks",
            };
            format!("{key}{}{known}", if good { "" } else { " (NOT GOOD)" })
        });
        let each: Vec<_> = each.collect();
        if each.is_empty() { "nobody".to_owned() } else { each.join("; ") }
    }

    pub(super) fn write_json(&self, output: &mut impl Write) -> io::Result<()> {
        let header = self.snapshot.header();
        let sections = self.sections.iter().map(|(section, good)| {
            json!({
                "name": section_name(section.kind),
                "offset": section.offset,
                "bytes": section.length,
                "items": section.items,
                "hash_ok": good,
            })
        });
        let mut object = json!({
            "path": self.path.to_string_lossy(),
            "ok": self.census.is_some(),
            "version": format!("{}.{}", keyward::format::header::MAJOR, header.minor),
            "generation": header.generation,
            "base_generation": stated(header.base_generation),
            "created": stated(header.created),
            "max_age": stated(header.max_age),
            "bytes": header.file_length,
            "keys": header.records,
            "load": ratio(header.records, header.capacity),
            "longest_displacement": header.longest_displacement,
            "bytes_per_key": (header.records != 0).then(|| ratio(header.file_length, header.records)),
            "signatures": self.signatures().map(|(key, good, accepted)| {
                json!({ "key": key.to_string(), "good": good, "accepted": accepted })
            }).collect::<Vec<_>>(),
            "accepted": self.signed.map(|signed| signed.verdict.is_ok()),
            "peppers": self.snapshot.peppers().iter().map(|pepper| pepper.id).collect::<Vec<_>>(),
            "realms": self.snapshot.realms().iter().map(|realm| realm.name.as_str()).collect::<Vec<_>>(),
            "sections": sections.collect::<Vec<_>>(),
        });
        if let Some(census) = self.census {
            let counts = self.rows(census).into_iter().map(|(realm, environment, counts)| {
                let mut row = json!({ "realm": realm, "environment": environment });
                for (status, count) in Status::ALL.iter().zip(counts) {
                    row[status.name()] = Value::from(count);
                }
                row
            });
            let soonest = census.soonest.iter();
            let soonest =
                soonest.map(|(at, realm, id)| json!({ "realm": realm, "id": id, "expires_at": at }));
            object["counts"] = counts.collect();
            object["mean_displacement"] = ratio(census.displacement_sum, header.records).into();
            object["expired"] = census.expired.into();
            object["expiring"] =
                json!({ "days": self.days, "keys": census.expiring, "soonest": soonest.collect::<Vec<_>>() });
        }
        writeln!(output, "{object}")
    }

    pub(super) fn write(&self, output: &mut impl Write) -> io::Result<()> {
        self.write_header(output)?;
        self.write_sections(output)?;
        let Some(census) = self.census else { return Ok(()) };
        self.write_counts(census, output)?;
        self.write_expiring(census, output)
    }

    fn write_header(&self, output: &mut impl Write) -> io::Result<()> {
        let header = self.snapshot.header();
        let mut table = Table::default();
        let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
        row("snapshot", visible(&self.path.to_string_lossy()));
        row("version", format!("{}.{}", keyward::format::header::MAJOR, header.minor));
        row("generation", header.generation.to_string());
        row(
            "created",
            match header.created {
                0 => "not stated".to_owned(),
                at if at <= self.now => format!("{at}, {} ago", rough(self.now - at)),
                at => format!("{at}, in {}", rough(at - self.now)),
            },
        );
        row(
            "max age",
            match header.max_age {
                0 => "none".to_owned(),
                age if header.created.saturating_add(age) <= self.now => {
                    format!("{age} s ({}): past it", rough(age))
                }
                age => format!("{age} s ({})", rough(age)),
            },
        );
        row("signed by", self.signed_by());
        if let Some(signed) = self.signed {
            row(
                "keyring",
                match &signed.verdict {
                    Ok(Some(key)) => format!("takes it: signed by {key}"),
                    Ok(None) => "takes it: it has no signing key, and asks for nobody's signature".to_owned(),
                    Err(error) => format!("REFUSES it: {error}"),
                },
            );
        }
        let peppers: Vec<_> = self.snapshot.peppers().iter().map(|pepper| pepper.id.to_string()).collect();
        row("peppers", if peppers.is_empty() { "none".to_owned() } else { peppers.join(", ") });
        row("length", format!("{} bytes", HumanCount(header.file_length)));
        row("keys", HumanCount(header.records).to_string());
        if header.records != 0 {
            row("bytes per key", format!("{:.1}", ratio(header.file_length, header.records)));
            row("load", format!("{:.3}", ratio(header.records, header.capacity)));
            let mean = self.census.map(|census| ratio(census.displacement_sum, header.records));
            let mean = mean.map(|mean| format!(", mean {mean:.2}")).unwrap_or_default();
            row("displacement", format!("longest {}{mean}", header.longest_displacement));
        }
        table.write(output, "")
    }

    fn write_sections(&self, output: &mut impl Write) -> io::Result<()> {
        let mut table = Table::right(&[1, 2]);
        table.row(["section", "bytes", "items", "hashes"]);
        for (section, good) in self.sections {
            table.row([
                section_name(section.kind),
                HumanCount(section.length).to_string(),
                HumanCount(section.items).to_string(),
                if *good { "good".to_owned() } else { "DAMAGED".to_owned() },
            ]);
        }
        writeln!(output)?;
        table.write(output, "")
    }

    fn write_counts(&self, census: &Census, output: &mut impl Write) -> io::Result<()> {
        let mut table = Table::right(&[2, 3, 4, 5]);
        let statuses = Status::ALL.iter().map(|status| status.name());
        table.row(["realm", "environment"].into_iter().chain(statuses));
        for (realm, environment, counts) in self.rows(census) {
            let counts = counts.iter().map(|count| HumanCount(*count).to_string());
            let names = [visible(realm), environment.map_or_else(|| "-".to_owned(), visible)];
            table.row(names.into_iter().chain(counts));
        }
        writeln!(output)?;
        table.write(output, "")
    }

    fn write_expiring(&self, census: &Census, output: &mut impl Write) -> io::Result<()> {
        let count = |count| HumanCount(count).to_string();
        writeln!(
            output,
            "\nexpired: {}; within {} days: {}",
            count(census.expired),
            self.days,
            count(census.expiring)
        )?;
        let mut table = Table::default();
        for (at, realm, id) in &census.soonest {
            table.row([visible(realm), visible(id), format!("at {at}, in {}", rough(at - self.now))]);
        }
        table.write(output, "  ")?;
        let more = census.expiring.saturating_sub(census.soonest.len() as u64);
        if more == 0 { Ok(()) } else { writeln!(output, "  and {} more", count(more)) }
    }
}
