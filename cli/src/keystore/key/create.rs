//! `keyward key create`.

use super::print::Shown;
use crate::failure::Failure;
use crate::keystore::issuing::{self, Wanted};
use crate::keystore::maker::{Made, Maker};
use crate::keystore::place::{ActorArguments, PlaceArguments, realm};
use crate::keystore::times::{self, When};
use clap::Args;
use keyward::realm::{Credential, CredentialKind, Realm};
use keyward_keystore::{Change, Entry, StoredKey};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Make a key and print it: the only time that it is seen
///
/// It follows the format of its credential, with 256 bits from the system's random source where the format has room
/// for them and never less than 128. What is stored is its digest. On a terminal its id is printed with it; in a pipe
/// it stands alone, of a pair as ID:SECRET.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward key create --realm billoget --tenant acme --environment live --scope READ_BUDGETS --ip 203.0.113.0/24
  keyward key create --realm built --tenant acme --environment production --as ada@example.com | pbcopy
  keyward key create --realm onebalance --given public-testing-key.txt --limit development

Exit codes: 0 made; 1 the realm's rules do not allow it; 2 the command line is wrong; 3 a file or the keystore
cannot be used.")]
pub(super) struct Arguments {
    /// The realm [default: the only one]
    #[arg(long, value_name = "NAME")]
    realm: Option<String>,
    /// The credential [default: the only one of the realm that keys are made for]
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    /// Whose it is
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// What it is for
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// A scope; may be repeated
    #[arg(long = "scope", value_name = "NAME")]
    scopes: Vec<String>,
    /// An address or CIDR that it may be used from; may be repeated [default: anywhere]
    #[arg(long = "ip", value_name = "ADDRESS")]
    ips: Vec<String>,
    /// The rate limit [default: the realm's]
    #[arg(long = "limit", value_name = "NAME")]
    rate_limit: Option<String>,
    /// When it begins: 2027-01-31, 2027-01-31T12:00:00Z, Unix seconds, or +7d
    #[arg(long, value_name = "TIME", value_parser = times::when)]
    not_before: Option<When>,
    /// When it ends: as above, such as +90d
    #[arg(long, value_name = "TIME", value_parser = times::when)]
    expires: Option<When>,
    /// Something to remember of it; may be repeated
    #[arg(long = "meta", value_name = "NAME=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// Its id [default: made up]
    #[arg(long)]
    id: Option<String>,
    /// The id half of a pair [default: the id of the key]
    #[arg(long, value_name = "ID")]
    login: Option<String>,
    /// Take the key, or the secret of a pair, from this file instead of making one; `-` for standard input. For keys
    /// that are public, or known already
    #[arg(long, value_name = "FILE")]
    given: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    actor: ActorArguments,
    #[command(flatten)]
    place: PlaceArguments,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// What a secret is made of that is to be stored.
pub(super) struct Secret {
    /// The id half, of a pair.
    login: Option<String>,
    secret: Zeroizing<String>,
}

impl Secret {
    pub(super) fn new(login: Option<String>, secret: Zeroizing<String>) -> Self {
        Self { login, secret }
    }

    /// What is presented.
    pub(super) fn presented(&self) -> Zeroizing<String> {
        Zeroizing::new(match &self.login {
            Some(login) => [login, ":", &self.secret].concat(),
            None => self.secret.to_string(),
        })
    }
}

/// A line of JSON with a secret for a key with these members.
pub(super) fn line(mut members: Map<String, Value>, secret: &Secret) -> Zeroizing<Vec<u8>> {
    members.retain(|_, value| !value.is_null());
    // Put in as text, so that the secret is in no value that is not wiped.
    let rest = Value::Object(members).to_string();
    let login = secret.login.as_ref().map_or(0, String::len);
    // All its room at once, so that nothing is left behind where it grows: six bytes for one that is escaped.
    let mut text = Zeroizing::new(Vec::with_capacity(rest.len() + 64 + (login + secret.secret.len()) * 6));
    text.extend(rest.strip_suffix('}').unwrap_or(&rest).bytes());
    match &secret.login {
        None => text.extend(b",\"key\":"),
        Some(login) => {
            text.extend(format!(",\"basic\":{{\"id\":{},\"secret\":", Value::from(login.as_str())).bytes());
        }
    }
    // Memory takes every byte.
    let _ = serde_json::to_writer(&mut *text, secret.secret.as_str());
    if secret.login.is_some() {
        text.push(b'}');
    }
    text.push(b'}');
    text
}

pub(super) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let configuration = arguments.place.configuration()?;
    let keyring = arguments.place.keyring(&configuration)?;
    let maker = Maker::new(&configuration, &keyring)?;
    let realm = realm(&configuration, arguments.realm.as_deref())?;
    let credential = credential(realm, arguments.credential.as_deref())?;
    let id = match &arguments.id {
        Some(id) => id.clone(),
        None => new_id()?,
    };
    let login = match (&credential.kind, &arguments.login) {
        (CredentialKind::Basic(_), login) => Some(login.clone().unwrap_or_else(|| id.clone())),
        (_, None) => None,
        (_, Some(_)) => {
            let name = &credential.name;
            return Err(Failure::usage(format_args!("--login: keys of credential {name:?} are no pairs")));
        }
    };
    let environment = arguments.environment.as_deref();
    let secret = match &arguments.given {
        Some(file) => given(file)?,
        None => realm.new_key(&credential.name, environment).map_err(Failure::usage)?,
    };
    let secret = Secret::new(login, secret);
    let mut store = arguments.place.open()?;
    let now = times::now();
    let metadata: Map<String, Value> =
        arguments.metadata.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let members = json!({
        "realm": realm.name,
        "id": id,
        "credential": credential.name,
        "tenant": arguments.tenant,
        "environment": environment,
        "scopes": arguments.scopes,
        "allow_ips": arguments.ips,
        "rate_limit": arguments.rate_limit,
        "not_before": arguments.not_before.and_then(|when| when.from(now)),
        "expires_at": arguments.expires.and_then(|when| when.from(now)),
        "metadata": metadata,
    });
    let members = if let Value::Object(members) = members { members } else { Map::new() };
    let mut made = maker.make(&line(members, &secret), now).map_err(Failure::usage)?;
    store.change(&arguments.actor.actor(), |change| {
        add(change, &maker, &mut made, "key.create")?;
        Ok::<_, Failure>(())
    })?;
    let key = &made.key;
    let note = match made.retrievable {
        Some(_) => "which `keyward key reveal` shows again.",
        None => "shown this once: only a digest of it is kept. Copy it now.",
    };
    let (secret, kept) = (secret.presented(), made.retrievable.is_some());
    Shown { realm: &key.realm, id: &key.id, secret: &secret, note, kept, json: arguments.json }.print()?;
    Ok(true)
}

/// Stores a key that the realm's rules allow, and logs it.
pub(super) fn add(
    change: &mut Change<'_>,
    maker: &Maker<'_>,
    made: &mut Made<'_>,
    action: &'static str,
) -> Result<(), Failure> {
    let actor = change.actor().clone();
    let key = &made.key;
    let wanted = Wanted {
        credential: &key.credential,
        tenant: key.tenant.as_deref(),
        environment: key.environment.as_deref(),
        replaces: key.replaces.as_deref(),
    };
    issuing::check(change, made.realm, &wanted, &actor)?;
    if change.key(&key.realm, &key.id)?.is_some() {
        return Err(Failure::check(format_args!("realm {:?} has a key {:?} already", key.realm, key.id)));
    }
    if let Some((_, id)) =
        change.known_digests(&key.realm, &key.credential, &made.digests)?.into_iter().next()
    {
        return Err(Failure::check(format_args!("this is the key {id:?}, which is stored already")));
    }
    maker.use_pepper(change)?;
    change.add_keys(std::slice::from_mut(&mut made.key))?;
    maker.keep(change, made)?;
    let key = &made.key;
    let entry = Entry::new(action).realm(&key.realm).tenant(key.tenant.as_deref()).key(&key.id);
    change.log(&entry.details(described(key)))?;
    Ok(())
}

/// What the log says of a new key.
fn described(key: &StoredKey) -> Value {
    let mut details = json!({ "credential": key.credential, "status": key.status.name() });
    let list = |list: &[String]| (!list.is_empty()).then(|| Value::from(list));
    let more = [
        ("environment", key.environment.clone().map(Value::from)),
        ("scopes", list(&key.scopes)),
        ("allow_ips", list(&key.allow_ips)),
        ("rate_limit", key.rate_limit.clone().map(Value::from)),
        ("not_before", key.not_before.map(Value::from)),
        ("expires_at", key.expires_at.map(Value::from)),
        ("replaces", key.replaces.clone().map(Value::from)),
    ];
    if let Some(details) = details.as_object_mut() {
        details.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    details
}

/// The credential of that name, or the only one that keys are made for.
fn credential<'r>(realm: &'r Realm, name: Option<&str>) -> Result<&'r Credential, Failure> {
    let keyed = |credential: &&Credential| {
        matches!(credential.kind, CredentialKind::Key(_) | CredentialKind::Basic(_))
    };
    let all: Vec<&Credential> = realm.credentials.iter().filter(keyed).collect();
    let names = || all.iter().map(|credential| credential.name.as_str()).collect::<Vec<_>>().join(", ");
    match (name, &all[..]) {
        (Some(name), all) => {
            all.iter().find(|credential| credential.name == name).copied().ok_or_else(|| {
                Failure::usage(format_args!("keys are made for {}, not for {name:?}", names()))
            })
        }
        (None, [only]) => Ok(only),
        (None, []) => Err(Failure::usage(format_args!(
            "realm {:?} has no credential that keys are made for",
            realm.name
        ))),
        (None, _) => {
            Err(Failure::usage(format_args!("name the credential with --credential: one of {}", names())))
        }
    }
}

/// An id that nobody else comes to.
pub(super) fn new_id() -> Result<String, Failure> {
    let mut bytes = [0; 10];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::data(format_args!("the system's random source: {error}")))?;
    Ok(bytes.iter().fold("key_".to_owned(), |id, byte| format!("{id}{byte:02x}")))
}

/// The first line of a file, which is the key.
fn given(path: &Path) -> Result<Zeroizing<String>, Failure> {
    const MOST: u64 = 16 * 1024;
    let mut text = Zeroizing::new(String::with_capacity(MOST as usize));
    let read = if path.as_os_str() == "-" {
        io::stdin().take(MOST).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(MOST).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::file(path, error))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.contains('\n') {
        return Err(Failure::file(path, "it has more than one line; the key stands on one, alone"));
    }
    Ok(Zeroizing::new(line.to_owned()))
}
