//! `keyward key import`.

use super::create::new_id;
use super::rows::{Defaults, Row, rows};
use crate::failure::Failure;
use crate::keystore::issuing;
use crate::keystore::maker::{Made, Maker};
use crate::keystore::place::{ActorArguments, PlaceArguments};
use crate::output::{Output, visible};
use clap::{Args, ValueEnum};
use keyward::realm::Configuration;
use keyward_keystore::{Change, Entry, Role, StoredKey};
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::path::PathBuf;

/// Take over keys that are in use: as they are, or as their SHA-256
///
/// A service that has hashed its keys can move without issuing any anew, where the credential's `digests` have
/// "sha256". It is all or nothing: where one key is refused none is taken, unless --skip-refused says so. With
/// --dry-run everything is tried, and nothing is kept.
#[derive(Args)]
#[command(after_help = "\
JSON Lines are as `keyward build` takes them. CSV has a first line with the names of its columns:
  realm, id, credential, key, sha256, login, secret, tenant, environment, status, scopes, allow_ips,
  not_before, expires_at, rate_limit
A key is in `key`, its SHA-256 in `sha256` (64 hex digits), a pair in `login` and `secret`. Scopes and
addresses have a `;` between them.

Examples:
  keyward key import keys.csv --realm shop --dry-run
  psql -Ac 'COPY (SELECT ...) TO STDOUT CSV HEADER' | keyward key import - --format csv --realm shop --add-tenants

Exit codes: 0 taken, or all would be; 1 some are refused; 2 the command line is wrong; 3 a file or the
keystore cannot be used.")]
pub(super) struct Arguments {
    /// The file; `-` for standard input
    file: PathBuf,
    /// What it is [default: CSV where the name ends in .csv, else JSON Lines]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The realm of keys that name none
    #[arg(long, value_name = "NAME")]
    realm: Option<String>,
    /// The credential of keys that name none
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    /// The tenant of keys that name none
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// The environment of keys that name none
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Add tenants that are not there, as approved: they have keys in use
    #[arg(long)]
    add_tenants: bool,
    /// Try it, and keep nothing
    #[arg(long)]
    dry_run: bool,
    /// Take the others where some are refused
    #[arg(long)]
    skip_refused: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    actor: ActorArguments,
    #[command(flatten)]
    place: PlaceArguments,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Jsonl,
}

/// Keys that are looked up and stored at once.
const BATCH: usize = 4096;
/// How many refusals are named to people.
const NAMED: usize = 20;

/// A line that is refused. Neither the reason nor the id holds a key.
struct Refusal {
    line: u64,
    id: Option<String>,
    reason: String,
}

/// What became of the rows.
#[derive(Default)]
struct Outcome {
    read: u64,
    taken: u64,
    tenants: BTreeSet<(String, String)>,
    refused: Vec<Refusal>,
}

/// Why a transaction ends without keeping anything.
enum Stop {
    Failure(Failure),
    /// Nothing is to be kept; this is what was found.
    Found(Outcome),
}

impl<E: Into<Failure>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failure(error.into())
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let configuration = arguments.place.configuration()?;
    let keyring = arguments.place.keyring(&configuration)?;
    let maker = Maker::new(&configuration, &keyring)?;
    let csv = match arguments.format {
        Some(format) => format == Format::Csv,
        None => arguments.file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")),
    };
    let rows = rows(&arguments.file, csv, defaults(arguments, &configuration))?;
    let changed = arguments.place.open()?.change(&arguments.actor.actor(), |change| {
        let mut import =
            Import { arguments, maker: &maker, change, outcome: Outcome::default(), counts: HashMap::new() };
        let mut batch = Vec::new();
        for row in rows {
            import.read(&row?, &mut batch);
            if batch.len() == BATCH {
                import.store(std::mem::take(&mut batch))?;
            }
        }
        import.store(batch)?;
        import.end()
    });
    let (outcome, kept) = match changed {
        Ok(outcome) => (outcome, true),
        Err(Stop::Found(outcome)) => (outcome, false),
        Err(Stop::Failure(failure)) => return Err(failure),
    };
    report(arguments, &outcome, kept)?;
    Ok(outcome.refused.is_empty() || (arguments.skip_refused && !arguments.dry_run))
}

fn defaults(arguments: &Arguments, configuration: &Configuration) -> Defaults {
    let only = match &configuration.realms[..] {
        [only] => Some(only.name.clone()),
        _ => None,
    };
    let members = [
        ("realm", arguments.realm.clone().or(only)),
        ("credential", arguments.credential.clone()),
        ("tenant", arguments.tenant.clone()),
        ("environment", arguments.environment.clone()),
    ];
    let members = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
    Defaults { members: members.collect(), new_id: Some(new_id) }
}

/// An import on its way.
struct Import<'i, 's> {
    arguments: &'i Arguments,
    maker: &'i Maker<'i>,
    change: &'i mut Change<'s>,
    outcome: Outcome,
    /// How many keys that count a tenant has, where the realm limits them.
    counts: HashMap<[Option<String>; 4], u64>,
}

impl<'i> Import<'i, '_> {
    fn refuse(&mut self, line: u64, id: Option<&str>, reason: impl Into<String>) {
        self.outcome.refused.push(Refusal { line, id: id.map(str::to_owned), reason: reason.into() });
    }

    fn read(&mut self, row: &Row, batch: &mut Vec<(u64, Made<'i>)>) {
        self.outcome.read += 1;
        let made = match &row.record {
            Ok(record) => {
                self.maker.make(record, self.change.now()).map_err(|reason| (id_of(record), reason))
            }
            Err(reason) => Err((None, reason.clone())),
        };
        match made {
            Ok(made) => batch.push((row.line, made)),
            Err((id, reason)) => self.refuse(row.line, id.as_deref(), reason),
        }
    }

    /// Stores those of a batch that may be stored.
    fn store(&mut self, batch: Vec<(u64, Made<'i>)>) -> Result<(), Failure> {
        // By realm and credential: what is stored already, and what stands before in the batch.
        let mut ids: HashMap<(String, String), ()> = HashMap::new();
        let mut digests: HashMap<(String, String, [u8; 32]), String> = HashMap::new();
        let mut realms: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut credentials: HashMap<(&str, &str), Vec<[u8; 32]>> = HashMap::new();
        for (_, made) in &batch {
            let key = &made.key;
            realms.entry(&key.realm).or_default().push(&key.id);
            credentials.entry((&key.realm, &key.credential)).or_default().extend(&made.digests);
        }
        for (realm, asked) in realms {
            let known = self.change.known_ids(realm, &asked)?;
            ids.extend(known.into_iter().map(|id| ((realm.to_owned(), id), ())));
        }
        for ((realm, credential), asked) in credentials {
            let known = self.change.known_digests(realm, credential, &asked)?;
            let place = |digest| (realm.to_owned(), credential.to_owned(), digest);
            digests.extend(known.into_iter().map(|(digest, id)| (place(digest), id)));
        }
        let mut taken = Vec::new();
        for (line, made) in batch {
            let key = &made.key;
            let twin = made.digests.iter().find_map(|digest| {
                digests.get(&(key.realm.clone(), key.credential.clone(), *digest)).cloned()
            });
            let refusal = if ids.contains_key(&(key.realm.clone(), key.id.clone())) {
                Some(format!("realm {:?} has a key of this id already", key.realm))
            } else if let Some(twin) = twin {
                Some(format!("it is the key {twin:?}, which is stored already or stands before it"))
            } else {
                self.rule_against(&made)?
            };
            if let Some(reason) = refusal {
                let id = key.id.clone();
                self.refuse(line, Some(&id), reason);
                continue;
            }
            ids.insert((key.realm.clone(), key.id.clone()), ());
            for digest in &made.digests {
                digests.insert((key.realm.clone(), key.credential.clone(), *digest), key.id.clone());
            }
            taken.push(made);
        }
        if taken.is_empty() {
            return Ok(());
        }
        self.outcome.taken += taken.len() as u64;
        self.maker.use_pepper(self.change)?;
        let mut keys: Vec<StoredKey> = taken.iter().map(|made| made.key.clone()).collect();
        self.change.add_keys(&mut keys)?;
        for made in &taken {
            self.maker.keep(self.change, made)?;
        }
        Ok(())
    }

    /// Which of the realm's rules the key breaks.
    fn rule_against(&mut self, made: &Made<'_>) -> Result<Option<String>, Failure> {
        let (key, realm) = (&made.key, made.realm);
        let (tenant, environment) = (key.tenant.as_deref(), key.environment.as_deref());
        let actor = self.change.actor().clone();
        let role = issuing::check_member(self.change, &realm.name, tenant, &actor)?;
        if realm.issuing.owners_only && role.is_some_and(|role| role != Role::Owner) {
            return Ok(Some(format!(
                "keys of realm {:?} are made for an owner of the tenant alone",
                realm.name
            )));
        }
        if let Some(tenant) = tenant
            && self.change.tenant(&key.realm, tenant)?.is_none()
        {
            if !self.arguments.add_tenants {
                return Ok(Some(format!(
                    "realm {:?} has no tenant {tenant:?} (--add-tenants adds it)",
                    key.realm
                )));
            }
            self.change.add_tenant(&key.realm, tenant, None, true)?;
            self.outcome.tenants.insert((key.realm.clone(), tenant.to_owned()));
        }
        if let Some(refusal) = issuing::unapproved(self.change, realm, tenant, environment)? {
            return Ok(Some(refusal));
        }
        let now = self.change.now();
        let counts = key.state(now) != keyward_keystore::KeyState::Revoked
            && key.state(now) != keyward_keystore::KeyState::Expired;
        let (Some(most), Some(tenant), true) = (realm.issuing.keys_per_tenant, tenant, counts) else {
            return Ok(None);
        };
        let place = [Some(&key.realm), Some(&key.credential), key.tenant.as_ref(), key.environment.as_ref()];
        let place = place.map(Option::<&String>::cloned);
        let count = match self.counts.get(&place) {
            Some(count) => *count,
            None => {
                let standing =
                    self.change.standing_keys(&key.realm, &key.credential, tenant, environment, now)?;
                standing.len() as u64
            }
        };
        if count >= most {
            return Ok(Some(format!("tenant {tenant:?} has {count} of at most {most} such keys")));
        }
        self.counts.insert(place, count + 1);
        Ok(None)
    }

    /// Logs it, or ends it without keeping anything.
    fn end(self) -> Result<Outcome, Stop> {
        let Self { arguments, change, outcome, .. } = self;
        if arguments.dry_run || (!outcome.refused.is_empty() && !arguments.skip_refused) {
            return Err(Stop::Found(outcome));
        }
        for (realm, tenant) in &outcome.tenants {
            let details = json!({ "title": null, "approved": true });
            change.log(&Entry::new("tenant.add").realm(realm).tenant(Some(tenant)).details(details))?;
        }
        if outcome.taken > 0 {
            let details = json!({
                "keys": outcome.taken,
                "refused": outcome.refused.len(),
                "file": arguments.file.to_string_lossy(),
                "realm": arguments.realm,
            });
            change.log(&Entry::new("key.import").details(details))?;
        }
        Ok(outcome)
    }
}

/// The id in a record that is no good, if it has one.
fn id_of(record: &[u8]) -> Option<String> {
    let members: Map<String, Value> = serde_json::from_slice(record).ok()?;
    Some(members.get("id")?.as_str()?.to_owned())
}

fn report(arguments: &Arguments, outcome: &Outcome, kept: bool) -> Result<(), Failure> {
    let mut output = Output::new();
    if arguments.json {
        let refused: Vec<_> = outcome
            .refused
            .iter()
            .map(|refusal| json!({ "line": refusal.line, "id": refusal.id, "reason": refusal.reason }))
            .collect();
        let summary = json!({
            "read": outcome.read,
            "taken": if kept { outcome.taken } else { 0 },
            "good": outcome.taken,
            "tenants_added": outcome.tenants.len(),
            "refused": refused,
            "dry_run": arguments.dry_run,
        });
        return Ok(writeln!(output, "{summary}")?);
    }
    let (good, bad) = (outcome.taken, outcome.refused.len());
    let what = match (arguments.dry_run, kept) {
        (true, _) => format!("{good} would be taken, {bad} refused; nothing was kept"),
        (false, true) => format!("{good} taken, {bad} refused"),
        (false, false) => {
            format!("none taken, because {bad} are refused (--skip-refused takes the other {good})")
        }
    };
    writeln!(output, "{} keys read: {what}", outcome.read)?;
    if !outcome.tenants.is_empty() {
        let would = if kept { "" } else { "would be " };
        let count = outcome.tenants.len();
        writeln!(output, "{count} {} {would}added", if count == 1 { "tenant" } else { "tenants" })?;
    }
    let mut refused: Vec<_> = outcome.refused.iter().collect();
    refused.sort_by_key(|refusal| refusal.line);
    for Refusal { line, id, reason } in refused.into_iter().take(NAMED) {
        let id = id.as_ref().map(|id| format!(" {}", visible(id))).unwrap_or_default();
        writeln!(output, "  line {line}{id}: {}", visible(reason))?;
    }
    if bad > NAMED {
        writeln!(output, "  and {} more; --json names them all", bad - NAMED)?;
    }
    Ok(())
}
