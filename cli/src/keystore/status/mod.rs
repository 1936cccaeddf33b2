//! `keyward status`: whether keystore, publication and the snapshot in place agree.

mod in_place;
mod report;

use crate::failure::Failure;
use crate::keystore::place::PlaceArguments;
use crate::keystore::publish::Rules;
use crate::output::Output;
use clap::Args;
use in_place::InPlace;
use keyward::time::Timestamp;
use keyward_keystore::{KeyFilter, PepperError, Publication, StoreError};
use report::{Expiring, Report};
use std::path::PathBuf;

/// Show what the keystore holds, what was published of it and what is in place, and whether they agree
///
/// Every hash of the snapshot in place is checked, and what it says is held against what the keystore has noted of
/// that generation. Nothing is changed, and no lock is kept.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward status
  keyward status --expiring 7 --json

Exit codes: 0 everything is published and in place; 1 something is wrong, and is said with what to
do about it; 2 the command line is wrong; 3 the keystore or a file cannot be read.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: PlaceArguments,
    /// The snapshot that servers read [default: keys.kwd in the folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Days within which a key that expires is listed
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    expiring: u32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What the keystore says.
struct Stored {
    change: i64,
    keys: u64,
    usable: u64,
    last: Option<Publication>,
    /// What was published under the generation that is in place.
    same: Option<Publication>,
    expiring: Expiring,
}

/// Something that is not as it should be, and what to do.
struct Fault {
    what: String,
    mend: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let Arguments { place, expiring: days, .. } = arguments;
    let path = arguments.output.clone().unwrap_or_else(|| place.snapshot());
    let now = Timestamp::coarse_now().seconds();
    let mut faults = Vec::new();
    let mut store = place.open()?;
    let in_place = InPlace::look(&path, &mut faults);
    let stored = store.read(|view| {
        let (keys, usable) = view.count_keys()?;
        let mut expiring = Expiring::default();
        let before = now.saturating_add(u64::from(*days) * 86_400);
        let filter = KeyFilter { expiring: Some((before, now)), ..KeyFilter::default() };
        view.keys(&filter, |key| {
            expiring.add(key.expires_at.unwrap_or(0), key.realm, key.id);
            Ok::<_, StoreError>(())
        })?;
        Ok::<_, StoreError>(Stored {
            change: view.newest_change()?,
            keys,
            usable,
            last: view.newest_publication()?,
            same: match &in_place {
                Some(in_place) => view.publication(in_place.generation())?,
                None => None,
            },
            expiring,
        })
    })?;
    let watched = !store.lock_publisher()?;
    if !watched {
        store.unlock_publisher()?;
    }
    compare(&stored, in_place.as_ref(), watched, &mut faults);
    match Rules::read(place) {
        Ok(rules) => {
            against_rules(&rules, &stored, in_place.as_ref(), &mut faults)?;
            let known = store.read(|view| view.check_peppers(rules.keyring.peppers()));
            match known {
                Err(PepperError::Store(error)) => return Err(error.into()),
                Err(error) => faults.push(Fault {
                    what: error.to_string(),
                    mend: "nothing is published before that".to_owned(),
                }),
                Ok(()) => {}
            }
        }
        Err(failure) => faults.push(Fault {
            what: failure.message().to_owned(),
            mend: "nothing can be published before that is mended".to_owned(),
        }),
    }
    if let Some(in_place) = &in_place {
        in_place.check_age(now, &mut faults);
    }
    let report =
        Report { path: &path, stored: &stored, in_place: in_place.as_ref(), watched, faults: &faults, now };
    let mut output = Output::new();
    if arguments.json {
        report.write_json(&mut output)?;
    } else {
        report.write(&mut output, *days)?;
    }
    Ok(faults.is_empty())
}

/// Holds what is in place against what was published.
fn compare(stored: &Stored, in_place: Option<&InPlace>, watched: bool, faults: &mut Vec<Fault>) {
    let mut fault = |what: String, mend: &str| faults.push(Fault { what, mend: mend.to_owned() });
    if let Some(in_place) = in_place {
        let found = in_place.generation();
        match (&stored.same, &stored.last) {
            (_, None) => fault(
                format!("generation {found} is in place, and nothing was published from this keystore"),
                "`keyward publish` puts this keystore's keys there, once you say yes",
            ),
            (None, Some(last)) if found > last.generation => fault(
                format!(
                    "generation {found} is in place, and the keystore remembers no later one than {}",
                    last.generation
                ),
                "the keystore was set back: restore its newest backup, or `keyward publish --yes` what it holds",
            ),
            (None, Some(_)) => fault(
                format!("generation {found} is in place, which was not published from this keystore"),
                "find out who put it there; `keyward publish --full --yes` replaces it",
            ),
            (Some(same), _) if same.hash != in_place.hash() => fault(
                format!(
                    "what is in place says that it is generation {found}, and has other bytes than were published"
                ),
                "find out who put it there; `keyward publish --full --yes` replaces it",
            ),
            (Some(same), Some(last)) if same.generation < last.generation => fault(
                format!("generation {found} is in place, and {} was published after it", last.generation),
                "`keyward publish` puts the newest in place; if it was there before, find out who took it away",
            ),
            _ => {}
        }
    }
    if stored.last.as_ref().is_none_or(|last| last.change < stored.change) {
        let published = stored.last.as_ref().map_or(0, |last| last.change);
        let mend = if watched {
            "a publisher is at work: look again in a moment, and then at what it says"
        } else {
            "`keyward publish`, or `keyward publish --watch` to have it done at each change"
        };
        fault(
            format!(
                "the newest change is {}, and {published} is the newest that was published",
                stored.change
            ),
            mend,
        );
    }
}

/// Holds what was published against configuration and keyring as they are now.
fn against_rules(
    rules: &Rules,
    stored: &Stored,
    in_place: Option<&InPlace>,
    faults: &mut Vec<Fault>,
) -> Result<(), Failure> {
    let hash = crate::keystore::publish::configuration_hash(rules)?;
    if stored.last.as_ref().is_some_and(|last| last.configuration != hash) {
        faults.push(Fault {
            what: "the configuration has changed since it was published".to_owned(),
            mend: "`keyward publish`".to_owned(),
        });
    }
    if let Some(in_place) = in_place {
        let found: Vec<_> =
            in_place.layers().base().realms().iter().map(|realm| realm.name.as_str()).collect();
        if !rules.configuration.realms.iter().any(|realm| found.contains(&realm.name.as_str())) {
            faults.push(Fault {
                what: format!("what is in place is of other realms: {}", found.join(", ")),
                mend: "servers that are running refuse it; find out who put it there, and then \
                       `keyward publish --full --yes`"
                    .to_owned(),
            });
        }
        in_place.check_keyring(&rules.keyring, faults);
    }
    Ok(())
}
