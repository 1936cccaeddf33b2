//! What was found in a snapshot, for people and for programs.

use super::signed::Signed;
use super::{Census, Look, Over};
use crate::output::visible;
use crate::table::Table;
use crate::units::rough;
use indicatif::HumanCount;
use keyward::format::header::{Kind, Section};
use keyward::record::Status;
use serde_json::{Value, json};
use std::io::{self, Write};

/// What was found.
pub(super) struct Report<'a> {
    pub(super) look: &'a Look<'a>,
    /// Each section, and whether its hash is right.
    pub(super) sections: &'a [(Section, bool)],
    /// Who signed it.
    pub(super) signed: &'a Signed<'a>,
    /// `None` where the snapshot is damaged: numbers out of it would mean nothing.
    pub(super) census: Option<&'a Census>,
    pub(super) now: u64,
    pub(super) days: u32,
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
        self.look.file.realms().get(usize::from(number)).map_or("", |realm| &realm.name)
    }

    fn environment_name(&self, realm: u16, number: u8) -> Option<&str> {
        let realm = self.look.file.realms().get(usize::from(realm))?;
        realm.environments.get(usize::from(number.checked_sub(1)?)).map(String::as_str)
    }

    /// Keys by realm, environment and status; a realm without keys is there too.
    fn rows(&self, census: &Census) -> Vec<(&str, Option<&str>, [u64; Status::ALL.len()])> {
        let mut rows = Vec::new();
        for (number, realm) in (0..).zip(self.look.file.realms()) {
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

    pub(super) fn write_json(&self, output: &mut impl Write) -> io::Result<()> {
        let (header, file) = (self.look.header, self.look.file.header());
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
            "path": self.look.path.to_string_lossy(),
            "ok": self.census.is_some() && !matches!(self.look.over, Over::Refused(_)),
            "version": format!("{}.{}", keyward::format::header::MAJOR, file.minor),
            "generation": header.generation,
            "base_generation": stated(header.base_generation),
            "created": stated(header.created),
            "max_age": stated(header.max_age),
            "bytes": file.file_length,
            "keys": header.keys(),
            "delta": self.delta(),
            "load": ratio(file.records, file.capacity),
            "longest_displacement": file.longest_displacement,
            "bytes_per_key": (file.records != 0).then(|| ratio(file.file_length, file.records)),
            "signatures": self.signed.to_json(),
            "accepted": self.signed.verdict().map(|verdict| verdict.is_ok()),
            "peppers": self.look.file.peppers().iter().map(|pepper| pepper.id).collect::<Vec<_>>(),
            "realms": self.look.file.realms().iter().map(|realm| realm.name.as_str()).collect::<Vec<_>>(),
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
            object["mean_displacement"] = ratio(census.displacement_sum, census.keys).into();
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

    /// The delta, for programs.
    fn delta(&self) -> Value {
        let told = self.look.delta.map(|delta| {
            let header = delta.header();
            json!({
                "generation": header.generation,
                "base_generation": header.base_generation,
                "bytes": header.file_length,
                "added_or_changed": delta.live(),
                "removed": delta.removed(),
                "stale": false,
            })
        });
        match (told, self.look.over) {
            (Some(told), _) => told,
            (None, Over::Stale(generation)) => json!({ "generation": generation, "stale": true }),
            (None, Over::Refused(error)) => json!({ "error": error }),
            (None, _) => Value::Null,
        }
    }

    /// The delta, for people.
    fn delta_row(&self) -> Option<String> {
        let told = self.look.delta.map(|delta| {
            format!(
                "{} added or changed, {} removed on generation {}, {} bytes",
                HumanCount(delta.live()),
                HumanCount(delta.removed()),
                delta.header().base_generation,
                HumanCount(delta.header().file_length)
            )
        });
        match (told, self.look.over) {
            (Some(told), _) => Some(told),
            (None, Over::Stale(generation)) => {
                Some(format!("of generation {generation}: stale, passed over"))
            }
            (None, Over::Refused(_)) => Some("REFUSED".to_owned()),
            (None, _) => None,
        }
    }

    fn write_header(&self, output: &mut impl Write) -> io::Result<()> {
        let (header, file) = (self.look.header, self.look.file.header());
        let mut table = Table::default();
        let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
        let name = if matches!(self.look.over, Over::Itself) { "delta" } else { "snapshot" };
        row(name, visible(&self.look.path.to_string_lossy()));
        row("version", format!("{}.{}", keyward::format::header::MAJOR, file.minor));
        row("generation", header.generation.to_string());
        if let Some(told) = self.delta_row() {
            row(if name == "delta" { "changes" } else { "delta" }, told);
        }
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
        row("signed by", self.signed.by());
        if let Some(told) = self.signed.told() {
            row("keyring", told);
        }
        let peppers: Vec<_> = self.look.file.peppers().iter().map(|pepper| pepper.id.to_string()).collect();
        row("peppers", if peppers.is_empty() { "none".to_owned() } else { peppers.join(", ") });
        row("length", format!("{} bytes", HumanCount(file.file_length)));
        row("keys", HumanCount(header.keys()).to_string());
        if file.records != 0 {
            row("bytes per key", format!("{:.1}", ratio(file.file_length, file.records)));
            row("load", format!("{:.3}", ratio(file.records, file.capacity)));
            let mean = self.census.map(|census| ratio(census.displacement_sum, census.keys));
            let mean = mean.map(|mean| format!(", mean {mean:.2}")).unwrap_or_default();
            row("displacement", format!("longest {}{mean}", file.longest_displacement));
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
