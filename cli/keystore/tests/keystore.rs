//! One set of tests for both databases: a file of SQLite, and a PostgreSQL server that the tests start.

use keyward::keyring::Keyring;
use keyward::record::Status;
use keyward_keystore::{
    Actor, AuditFilter, AuditRow, Entry, KeyFilter, KeyState, Migrated, Place, Publication, Role,
    SealedSecret, Store, StoreError, StoredKey,
};
use keyward_testkit::postgres::Server;
use rusqlite::Connection;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

#[derive(Clone, Copy)]
enum Kind {
    Sqlite,
    Postgres,
}

/// A keystore of its own for each test.
struct House {
    place: Place,
    kind: Kind,
    _folder: TempDir,
}

impl House {
    fn new(kind: Kind) -> Self {
        let folder = TempDir::new().unwrap();
        let place = match kind {
            Kind::Sqlite => Place::Sqlite(folder.path().join("keystore.sqlite")),
            Kind::Postgres => Place::Postgres(Server::shared().database()),
        };
        Self { place, kind, _folder: folder }
    }

    /// With a tenant.
    fn furnished(kind: Kind) -> (Self, Store) {
        let house = Self::new(kind);
        let (mut store, _) = Store::create(&house.place).unwrap();
        store
            .change::<_, StoreError>(&actor(), |change| {
                change.use_pepper(keyring().newest_pepper().unwrap()).unwrap();
                change.add_tenant("shop", "acme", Some("Acme Ltd"), false)?;
                change.log(&Entry::new("tenant.add").realm("shop").tenant(Some("acme")))
            })
            .unwrap();
        (house, store)
    }

    fn open(&self) -> Store {
        Store::open(&self.place).unwrap()
    }

    /// A statement by another program, and what it says where it is refused.
    fn foreign(&self, sql: &str) -> Result<(), String> {
        match &self.place {
            Place::Sqlite(path) => {
                Connection::open(path).unwrap().execute_batch(sql).map_err(|error| error.to_string())
            }
            Place::Postgres(url) => {
                let database = url.rsplit('/').next().unwrap();
                let output = Server::shared().psql(database, &format!("SET search_path TO keyward; {sql}"));
                if output.status.success() { Ok(()) } else { Err(String::from_utf8(output.stderr).unwrap()) }
            }
        }
    }
}

fn actor() -> Actor {
    Actor::current(None)
}

fn keyring() -> Keyring {
    Keyring::read(&format!("[[pepper]]\nid = 1\nkey = \"{}\"\n", "ab".repeat(32)), "keyring.toml").unwrap()
}

fn key(id: &str, byte: u8) -> StoredKey {
    StoredKey {
        realm: "shop".to_owned(),
        id: id.to_owned(),
        credential: "key".to_owned(),
        digest: [byte; 32],
        pepper: 1,
        sha256: false,
        login: None,
        tenant: Some("acme".to_owned()),
        environment: Some("live".to_owned()),
        status: Status::Active,
        scopes: vec!["a".to_owned(), "b c".to_owned()],
        allow_ips: vec!["203.0.113.0/24".to_owned()],
        rate_limit: None,
        not_before: None,
        expires_at: Some(2_000_000_000),
        metadata: json!({ "plan": "pro", "é": [1, null] }).as_object().unwrap().clone(),
        replaces: None,
        created_at: 1_764_000_000,
        added: 0,
        changed: 0,
        revoked: None,
    }
}

fn add(store: &mut Store, keys: &mut [StoredKey]) -> Result<(), StoreError> {
    store.change(&actor(), |change| {
        change.add_keys(keys)?;
        change.log(&Entry::new("key.import").realm("shop").details(json!({ "keys": keys.len() })))
    })
}

fn set_status(store: &mut Store, id: &str, status: Status) {
    store
        .change::<_, StoreError>(&actor(), |change| {
            let mut key = change.key("shop", id)?.unwrap();
            key.status = status;
            change.update_key(&mut key)?;
            change.log(&Entry::new("key.revoke").realm("shop").key(id))
        })
        .unwrap();
}

fn ids(store: &mut Store, filter: &KeyFilter<'_>) -> Vec<String> {
    let mut ids = Vec::new();
    store
        .read::<_, StoreError>(|view| {
            view.keys(filter, |key| {
                ids.push(key.id);
                Ok(())
            })
        })
        .unwrap();
    ids
}

fn changed_since(store: &mut Store, change: i64) -> Vec<(String, i64)> {
    let mut keys = Vec::new();
    let collect = |key: StoredKey| {
        keys.push((key.id, key.changed));
        Ok::<_, StoreError>(())
    };
    store.read(|view| view.keys_changed_since(change, collect)).unwrap();
    keys
}

fn log(store: &mut Store, filter: &AuditFilter<'_>) -> Vec<AuditRow> {
    let mut rows = Vec::new();
    store
        .read(|view| {
            view.audit(filter, |row| {
                rows.push(row);
                Ok(())
            })
        })
        .unwrap();
    rows
}

fn a_keystore_is_made_once_and_kept(kind: Kind) {
    let house = House::new(kind);
    assert!(matches!(Store::open(&house.place), Err(StoreError::Missing { .. })));
    let (store, migrated) = Store::create(&house.place).unwrap();
    assert_eq!(migrated, Migrated { from: 0, to: 1 });
    let id = store.id().to_owned();
    assert_eq!(id.len(), 32);
    let (again, migrated) = Store::create(&house.place).unwrap();
    assert_eq!((again.id(), migrated), (&id[..], Migrated { from: 1, to: 1 }));
    assert_eq!(house.open().id(), id);
    assert_ne!(Store::create(&House::new(kind).place).unwrap().0.id(), id);
}

fn many_may_make_it_at_once(kind: Kind) {
    let house = House::new(kind);
    let ids: Vec<String> = thread::scope(|scope| {
        let makers: Vec<_> =
            (0..6).map(|_| scope.spawn(|| Store::create(&house.place).unwrap().0.id().to_owned())).collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
}

fn a_newer_schema_is_refused_and_left_alone(kind: Kind) {
    let (house, _) = House::furnished(kind);
    house.foreign("INSERT INTO schema_version (version, at) VALUES (99, 0)").unwrap();
    for refused in [Store::open(&house.place).err(), Store::create(&house.place).err()] {
        assert!(matches!(refused, Some(StoreError::Newer { found: 99, known: 1, .. })));
    }
}

fn what_is_stored_comes_back(kind: Kind) {
    let (house, mut store) = House::furnished(kind);
    let mut keys = [key("one", 1), StoredKey { login: Some("me".to_owned()), tenant: None, ..key("two", 2) }];
    keys[1].environment = None;
    keys[1].status = Status::Revoked;
    keys[1].not_before = Some(5);
    keys[1].replaces = Some("one".to_owned());
    add(&mut store, &mut keys).unwrap();
    assert_eq!((keys[0].added, keys[0].revoked, keys[1].revoked), (1, None, Some(1)));
    let mut store = house.open();
    for wanted in &keys {
        let found = store.read(|view| view.key("shop", &wanted.id)).unwrap().unwrap();
        assert_eq!(found.digest, wanted.digest);
        assert_eq!(
            (found.login, found.tenant, found.environment, found.status, found.scopes, found.allow_ips),
            (
                wanted.login.clone(),
                wanted.tenant.clone(),
                wanted.environment.clone(),
                wanted.status,
                wanted.scopes.clone(),
                wanted.allow_ips.clone()
            )
        );
        assert_eq!(
            (found.not_before, found.expires_at, found.metadata, found.replaces, found.added, found.revoked),
            (
                wanted.not_before,
                wanted.expires_at,
                wanted.metadata.clone(),
                wanted.replaces.clone(),
                wanted.added,
                wanted.revoked
            )
        );
    }
    assert!(store.read(|view| view.key("other", "one")).unwrap().is_none());
    assert_eq!(store.read(|view| view.successor("shop", "one")).unwrap().as_deref(), Some("two"));
    assert_eq!(store.read(|view| view.count_keys()).unwrap(), (2, 1));
}

fn ids_digests_and_successors_stand_once(kind: Kind) {
    let (_house, mut store) = House::furnished(kind);
    add(&mut store, &mut [key("one", 1)]).unwrap();
    add(&mut store, &mut [key("one", 2)]).unwrap_err();
    add(&mut store, &mut [key("two", 1)]).unwrap_err();
    // The same bytes under another credential are another digest.
    add(&mut store, &mut [StoredKey { credential: "pair".to_owned(), ..key("two", 1) }]).unwrap();
    add(&mut store, &mut [StoredKey { replaces: Some("one".to_owned()), ..key("three", 3) }]).unwrap();
    add(&mut store, &mut [StoredKey { replaces: Some("one".to_owned()), ..key("four", 4) }]).unwrap_err();
    add(&mut store, &mut [StoredKey { tenant: Some("nobody".to_owned()), ..key("five", 5) }]).unwrap_err();
    assert_eq!(ids(&mut store, &KeyFilter::default()), ["one", "three", "two"]);
    // What was refused has taken no number.
    assert_eq!(store.newest_change().unwrap(), 3);
    assert_eq!(log(&mut store, &AuditFilter::default()).len(), 4);
}

fn what_fails_half_way_leaves_nothing(kind: Kind) {
    let (_house, mut store) = House::furnished(kind);
    let failed: Result<(), StoreError> = store.change(&actor(), |change| {
        change.add_keys(&mut [key("one", 1)])?;
        change.log(&Entry::new("key.create").realm("shop").key("one"))?;
        Err(StoreError::Scheme)
    });
    assert!(matches!(failed, Err(StoreError::Scheme)));
    // And so does what nobody has logged.
    let unlogged: Result<(), StoreError> =
        store.change(&actor(), |change| change.add_keys(&mut [key("one", 1)]));
    assert!(matches!(unlogged, Err(StoreError::Log(_))));
    assert!(ids(&mut store, &KeyFilter::default()).is_empty());
    assert_eq!((store.newest_change().unwrap(), log(&mut store, &AuditFilter::default()).len()), (0, 1));
    // A change of nothing takes no number and leaves no entry.
    store.change::<_, StoreError>(&actor(), |change| change.key("shop", "one").map(drop)).unwrap();
    assert_eq!(log(&mut store, &AuditFilter::default()).len(), 1);
}

fn changes_are_numbered_and_found_by_number(kind: Kind) {
    let (_house, mut store) = House::furnished(kind);
    assert_eq!(store.newest_change().unwrap(), 0);
    add(&mut store, &mut [key("one", 1), key("two", 2)]).unwrap();
    add(&mut store, &mut [key("three", 3)]).unwrap();
    set_status(&mut store, "one", Status::Revoked);
    assert_eq!(store.newest_change().unwrap(), 3);
    let owned = |list: &[(&str, i64)]| -> Vec<(String, i64)> {
        list.iter().map(|(id, change)| ((*id).to_owned(), *change)).collect()
    };
    assert_eq!(changed_since(&mut store, 0), owned(&[("two", 1), ("three", 2), ("one", 3)]));
    assert_eq!(changed_since(&mut store, 2), owned(&[("one", 3)]));
    assert!(changed_since(&mut store, 3).is_empty());
    let one = store.read(|view| view.key("shop", "one")).unwrap().unwrap();
    assert_eq!((one.added, one.changed, one.revoked), (1, 3, Some(3)));
    // Tenants and members are in no snapshot.
    store
        .change::<_, StoreError>(&actor(), |change| {
            change.put_member("shop", "acme", "ada", Role::Owner)?;
            change.log(&Entry::new("member.add").realm("shop").tenant(Some("acme")))
        })
        .unwrap();
    assert_eq!(store.newest_change().unwrap(), 3);
}

/// Whoever reads while others write never finds a number beyond which a smaller one turns up later.
fn numbers_ascend_as_they_are_committed(kind: Kind) {
    const WRITERS: u8 = 4;
    const EACH: u8 = 12;
    let (house, mut store) = House::furnished(kind);
    let done = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let house = &house;
                scope.spawn(move || {
                    let mut store = house.open();
                    for number in 0..EACH {
                        let id = format!("{writer}-{number}");
                        add(&mut store, &mut [key(&id, writer * EACH + number + 1)]).unwrap();
                    }
                })
            })
            .collect();
        let (house, done) = (&house, &done);
        let reader = scope.spawn(move || {
            let mut store = house.open();
            let (mut newest, mut seen) = (0, Vec::new());
            loop {
                let last = done.load(Ordering::SeqCst);
                let (until, keys) = store
                    .read::<_, StoreError>(|view| {
                        let until = view.newest_change()?;
                        let mut keys = Vec::new();
                        view.keys_changed_since(newest, |key| {
                            keys.push(key.changed);
                            Ok::<_, StoreError>(())
                        })?;
                        Ok((until, keys))
                    })
                    .unwrap();
                assert!(
                    keys.iter().all(|change| (newest + 1..=until).contains(change)),
                    "{newest} {until} {keys:?}"
                );
                seen.extend(keys);
                newest = until;
                if last {
                    return seen;
                }
            }
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::SeqCst);
        reader.join().unwrap()
    });
    let wanted: Vec<i64> = (1..=i64::from(WRITERS) * i64::from(EACH)).collect();
    assert_eq!(seen, wanted);
    let numbers: Vec<i64> =
        log(&mut store, &AuditFilter::default()).iter().rev().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=wanted.len() as i64 + 1).collect::<Vec<_>>());
}

fn a_look_sees_one_state(kind: Kind) {
    let (house, mut store) = House::furnished(kind);
    add(&mut store, &mut [key("one", 1)]).unwrap();
    let mut other = house.open();
    store
        .read::<_, StoreError>(|view| {
            assert_eq!(view.newest_change()?, 1);
            add(&mut other, &mut [key("two", 2)])?;
            assert_eq!((view.newest_change()?, view.count_keys()?), (1, (1, 1)));
            Ok(())
        })
        .unwrap();
    assert_eq!(store.newest_change().unwrap(), 2);
}

fn who_waits_is_told(kind: Kind) {
    let (house, mut store) = House::furnished(kind);
    let mut waiting = house.open();
    let before = Instant::now();
    assert_eq!(waiting.wait(0, Duration::from_millis(60)).unwrap(), 0);
    assert!(before.elapsed() >= Duration::from_millis(60));
    for number in 1..=5 {
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let started = Instant::now();
                (waiting.wait(number - 1, Duration::from_secs(20)).unwrap(), started.elapsed())
            });
            thread::sleep(Duration::from_millis(30));
            add(&mut store, &mut [key(&format!("key-{number}"), number as u8)]).unwrap();
            let (seen, took) = waiter.join().unwrap();
            assert_eq!(seen, number);
            assert!(took < Duration::from_secs(15), "{took:?}");
        });
    }
    // What was committed before anybody waited is not missed.
    assert_eq!(waiting.wait(2, Duration::from_secs(20)).unwrap(), 5);
}

fn the_log_can_only_be_appended_to(kind: Kind) {
    let (house, mut store) = House::furnished(kind);
    add(&mut store, &mut [key("one", 1)]).unwrap();
    let before = log(&mut store, &AuditFilter::default());
    let mut attempts =
        vec!["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit", "DELETE FROM audit WHERE number = 1"];
    match house.kind {
        Kind::Sqlite => attempts.push(
            "INSERT OR REPLACE INTO audit SELECT number, 0, 'x', NULL, origin, action, NULL, NULL, NULL, details, \
             NULL FROM audit",
        ),
        Kind::Postgres => attempts.extend([
            "TRUNCATE audit",
            "INSERT INTO audit SELECT * FROM audit ON CONFLICT (number) DO UPDATE SET actor = 'x'",
        ]),
    }
    for attempt in attempts {
        let refused = house.foreign(attempt).unwrap_err();
        assert!(refused.contains("can only be appended to"), "{attempt}: {refused}");
    }
    assert_eq!(log(&mut store, &AuditFilter::default()), before);
}

fn the_log_says_who_what_when_and_where(kind: Kind) {
    let (_house, mut store) = House::furnished(kind);
    add(&mut store, &mut [key("one", 1)]).unwrap();
    let ada = Actor::current(Some("ada"));
    store
        .change::<_, StoreError>(&ada, |change| {
            let mut key = change.key("shop", "one")?.unwrap();
            key.status = Status::Suspended;
            change.update_key(&mut key)?;
            let details = json!({ "status": ["active", "suspended"] });
            change.log(
                &Entry::new("key.suspend").realm("shop").tenant(Some("acme")).key("one").details(details),
            )
        })
        .unwrap();
    let rows = log(&mut store, &AuditFilter::default());
    let newest = &rows[0];
    assert_eq!((newest.number, newest.action.as_str(), newest.change), (3, "key.suspend", Some(2)));
    assert_eq!((newest.member.as_deref(), newest.key.as_deref()), (Some("ada"), Some("one")));
    assert_eq!(newest.details["status"], json!(["active", "suspended"]));
    assert!(!newest.actor.is_empty() && newest.at > 1_764_000_000);
    assert_eq!(newest.origin["pid"], std::process::id());
    assert!(newest.origin["host"].is_string());
    assert_eq!(newest.origin.get("database_user").is_some(), matches!(kind, Kind::Postgres));
    assert_eq!(rows[2].change, None);

    let mut numbers = |filter: AuditFilter<'_>| -> Vec<i64> {
        log(&mut store, &filter).iter().map(|row| row.number).collect()
    };
    assert_eq!(numbers(AuditFilter { action: Some("key"), ..AuditFilter::default() }), [3, 2]);
    assert_eq!(numbers(AuditFilter { action: Some("key.import"), ..AuditFilter::default() }), [2]);
    assert!(numbers(AuditFilter { action: Some("ke"), ..AuditFilter::default() }).is_empty());
    // What came with an import is found in it.
    assert_eq!(numbers(AuditFilter { key: Some("one"), ..AuditFilter::default() }), [3, 2]);
    assert_eq!(numbers(AuditFilter { who: Some("ada"), ..AuditFilter::default() }), [3]);
    assert_eq!(numbers(AuditFilter { tenant: Some("acme"), ..AuditFilter::default() }), [3, 1]);
    assert_eq!(
        numbers(AuditFilter { newest: Some(2), realm: Some("shop"), ..AuditFilter::default() }),
        [3, 2]
    );
    assert!(numbers(AuditFilter { since: Some(4_000_000_000), ..AuditFilter::default() }).is_empty());
}

fn keys_are_filtered(kind: Kind) {
    let (_house, mut store) = House::furnished(kind);
    let mut keys = [
        key("active", 1),
        StoredKey { status: Status::Suspended, ..key("suspended", 2) },
        StoredKey { status: Status::Revoked, expires_at: Some(50), ..key("revoked", 3) },
        StoredKey { expires_at: Some(100), ..key("expired", 4) },
        StoredKey { expires_at: Some(200), environment: Some("test".to_owned()), ..key("soon", 5) },
        StoredKey { expires_at: None, tenant: None, environment: None, ..key("forever", 6) },
    ];
    add(&mut store, &mut keys).unwrap();
    let mut found = |filter: KeyFilter<'_>| ids(&mut store, &filter);
    let all = KeyFilter::default;
    assert_eq!(found(all()), ["active", "expired", "forever", "revoked", "soon", "suspended"]);
    assert_eq!(found(KeyFilter { tenant: Some("acme"), environment: Some("test"), ..all() }), ["soon"]);
    assert_eq!(found(KeyFilter { id: Some("soon"), realm: Some("shop"), ..all() }), ["soon"]);
    assert!(found(KeyFilter { realm: Some("other"), ..all() }).is_empty());
    for (state, wanted) in [
        (KeyState::Active, &["active", "forever", "soon"][..]),
        (KeyState::Suspended, &["suspended"]),
        (KeyState::Revoked, &["revoked"]),
        (KeyState::Expired, &["expired"]),
        (KeyState::Pending, &[]),
    ] {
        assert_eq!(found(KeyFilter { state: Some((state, 150)), ..all() }), wanted, "{state:?}");
        let told = keys.iter().filter(|key| key.state(150) == state).count();
        assert_eq!(told, wanted.len(), "{state:?}");
    }
    assert_eq!(found(KeyFilter { expiring: Some((201, 150)), ..all() }), ["soon"]);
    assert!(found(KeyFilter { expiring: Some((200, 150)), ..all() }).is_empty());
}

fn keys_that_count_are_those_in_use(kind: Kind) {
    let (_house, mut store) = House::furnished(kind);
    let mut keys = [
        key("standing", 1),
        StoredKey { status: Status::Revoked, ..key("revoked", 2) },
        StoredKey { expires_at: Some(100), ..key("expired", 3) },
        key("replaced", 4),
        StoredKey { replaces: Some("replaced".to_owned()), ..key("successor", 5) },
        StoredKey { environment: Some("test".to_owned()), ..key("elsewhere", 6) },
        StoredKey { environment: None, ..key("nowhere", 7) },
    ];
    add(&mut store, &mut keys).unwrap();
    let mut standing =
        |environment| store.read(|view| view.standing_keys("shop", "key", "acme", environment, 150)).unwrap();
    assert_eq!(standing(Some("live")), ["standing", "successor"]);
    assert_eq!(standing(Some("test")), ["elsewhere"]);
    assert_eq!(standing(None), ["nowhere"]);
}

fn many_keys_go_in_and_out(kind: Kind) {
    const MANY: u32 = 2_300;
    let (_house, mut store) = House::furnished(kind);
    let numbered = |number: u32| {
        let mut key = key(&format!("key-{number:05}"), 0);
        key.digest = std::array::from_fn(|place| number.to_le_bytes()[place % 4]);
        key
    };
    let mut keys: Vec<StoredKey> = (0..MANY).map(numbered).collect();
    add(&mut store, &mut keys).unwrap();
    let found = ids(&mut store, &KeyFilter::default());
    assert!(found.iter().eq(keys.iter().map(|key| &key.id)));
    let asked: Vec<[u8; 32]> = (MANY - 700..MANY + 700).map(|number| numbered(number).digest).collect();
    let known = store.read(|view| view.known_digests("shop", "key", &asked)).unwrap();
    assert_eq!(known.len(), 700);
    assert!(known.iter().all(|(digest, id)| keys.iter().any(|key| key.digest == *digest && key.id == *id)));
    assert!(store.read(|view| view.known_digests("shop", "pair", &asked)).unwrap().is_empty());
    let asked: Vec<String> = (MANY - 700..MANY + 700).map(|number| numbered(number).id).collect();
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    assert_eq!(store.read(|view| view.known_ids("shop", &asked)).unwrap().len(), 700);
}

fn tenants_and_members_are_kept(kind: Kind) {
    let (_house, mut store) = House::furnished(kind);
    let tenant = store.read(|view| view.tenant("shop", "acme")).unwrap().unwrap();
    assert_eq!((tenant.title.as_deref(), tenant.approved_at), (Some("Acme Ltd"), None));
    store
        .change::<_, StoreError>(&actor(), |change| {
            change.approve_tenant("shop", "acme")?;
            change.put_member("shop", "acme", "ada", Role::Developer)?;
            change.put_member("shop", "acme", "ada", Role::Owner)?;
            change.put_member("shop", "acme", "bob", Role::Viewer)?;
            change.add_tenant("other", "acme", None, true)?;
            change.log(&Entry::new("tenant.approve"))
        })
        .unwrap();
    store
        .read::<_, StoreError>(|view| {
            assert!(view.tenant("shop", "acme")?.unwrap().approved_at.is_some());
            assert!(view.tenant("shop", "nobody")?.is_none());
            let members = view.members("shop", "acme")?;
            let members: Vec<_> = members.iter().map(|member| (member.name.as_str(), member.role)).collect();
            assert_eq!(members, [("ada", Role::Owner), ("bob", Role::Viewer)]);
            assert_eq!(view.role("shop", "acme", "bob")?, Some(Role::Viewer));
            assert_eq!(view.role("other", "acme", "bob")?, None);
            assert_eq!((view.tenants(None)?.len(), view.tenants(Some("other"))?.len()), (2, 1));
            Ok(())
        })
        .unwrap();
    let twice: Result<(), StoreError> = store.change(&actor(), |change| {
        change.add_tenant("shop", "acme", None, false)?;
        change.log(&Entry::new("tenant.add"))
    });
    twice.unwrap_err();
}

fn another_pepper_of_the_same_id_is_refused(kind: Kind) {
    let (_house, mut store) = House::furnished(kind);
    let text = format!(
        "[[pepper]]\nid = 1\nkey = \"{}\"\n[[pepper]]\nid = 2\nkey = \"{}\"\n",
        "cd".repeat(32),
        "ef".repeat(32)
    );
    let other = Keyring::read(&text, "other.toml").unwrap();
    let own = keyring();
    let mut used = |pepper| {
        store.change::<_, StoreError>(&actor(), |change| {
            let used = change.use_pepper(pepper).is_ok();
            change.log(&Entry::new("test"))?;
            Ok(used)
        })
    };
    assert!(used(own.newest_pepper().unwrap()).unwrap());
    assert!(!used(other.pepper(1).unwrap()).unwrap());
    assert!(used(other.pepper(2).unwrap()).unwrap());
}

fn sealed_secrets_go_when_they_are_dropped(kind: Kind) {
    let (_house, mut store) = House::furnished(kind);
    add(&mut store, &mut [key("one", 1)]).unwrap();
    let secret = SealedSecret { sealing_key: u32::MAX, sealed: vec![0, 1, 255] };
    store
        .change::<_, StoreError>(&actor(), |change| {
            change.put_sealed_secret("shop", "one", &secret)?;
            change.log(&Entry::new("test"))
        })
        .unwrap();
    assert!(store.read(|view| view.sealed_secret("shop", "one")).unwrap() == Some(secret));
    store
        .change::<_, StoreError>(&actor(), |change| {
            change.drop_sealed_secret("shop", "one")?;
            change.log(&Entry::new("test"))
        })
        .unwrap();
    assert!(store.read(|view| view.sealed_secret("shop", "one")).unwrap().is_none());
}

fn publications_are_remembered(kind: Kind) {
    let (_house, mut store) = House::furnished(kind);
    assert_eq!(store.read(|view| view.newest_publication()).unwrap(), None);
    let publication = |generation, base| Publication {
        generation,
        base,
        change: 7,
        configuration: "00ff".to_owned(),
        keys: 3,
        hash: "ab".to_owned(),
        published_at: 1_764_000_000,
    };
    let mut note = |publication: &Publication| {
        store.change::<_, StoreError>(&actor(), |change| {
            change.add_publication(publication)?;
            change.log(&Entry::new("publish"))
        })
    };
    note(&publication(1, None)).unwrap();
    note(&publication(2, Some(1))).unwrap();
    // No number is used twice.
    note(&publication(2, None)).unwrap_err();
    assert_eq!(store.read(|view| view.newest_publication()).unwrap(), Some(publication(2, Some(1))));
    assert_eq!(store.read(|view| view.publication(1)).unwrap(), Some(publication(1, None)));
}

fn one_connection_publishes_at_a_time(kind: Kind) {
    let (house, mut one) = House::furnished(kind);
    let mut other = house.open();
    assert!(one.lock_publisher().unwrap());
    assert!(!other.lock_publisher().unwrap());
    one.unlock_publisher().unwrap();
    assert!(other.lock_publisher().unwrap());
    assert!(!one.lock_publisher().unwrap());
    // However the connection ends.
    drop(other);
    let end = Instant::now() + Duration::from_secs(10);
    while !one.lock_publisher().unwrap() {
        assert!(Instant::now() < end, "the lock outlives its connection");
    }
    // Changes go on meanwhile.
    let change = |change: &mut keyward_keystore::Change<'_>| change.log(&Entry::new("test"));
    house.open().change::<_, StoreError>(&actor(), change).unwrap();
}

macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            $(#[test] fn $test() { super::$test(super::Kind::Sqlite); })*
        }
        mod postgres {
            $(#[test] fn $test() { super::$test(super::Kind::Postgres); })*
        }
    };
}

on_both!(
    a_keystore_is_made_once_and_kept,
    many_may_make_it_at_once,
    a_newer_schema_is_refused_and_left_alone,
    what_is_stored_comes_back,
    ids_digests_and_successors_stand_once,
    what_fails_half_way_leaves_nothing,
    changes_are_numbered_and_found_by_number,
    numbers_ascend_as_they_are_committed,
    a_look_sees_one_state,
    who_waits_is_told,
    the_log_can_only_be_appended_to,
    the_log_says_who_what_when_and_where,
    keys_are_filtered,
    keys_that_count_are_those_in_use,
    many_keys_go_in_and_out,
    tenants_and_members_are_kept,
    another_pepper_of_the_same_id_is_refused,
    sealed_secrets_go_when_they_are_dropped,
    publications_are_remembered,
    one_connection_publishes_at_a_time,
);

/// The roles that docs/OPERATIONS.md names can do their work, and nothing to the log.
#[test]
fn roles_have_the_rights_that_they_need() {
    let page = include_str!("../../../docs/OPERATIONS.md");
    let (_, sql) = page.split_once("```sql\n").unwrap();
    let (sql, _) = sql.split_once("```").unwrap();
    let (house, mut owner) = House::furnished(Kind::Postgres);
    add(&mut owner, &mut [key("one", 1)]).unwrap();
    house.foreign(sql).unwrap();
    let Place::Postgres(url) = &house.place else { panic!("it is PostgreSQL") };
    let as_role = |role: &str| Place::Postgres(url.replace("keyward@", &format!("{role}@")));

    let mut operator = Store::open(&as_role("keyward_operator")).unwrap();
    add(&mut operator, &mut [key("two", 2)]).unwrap();
    set_status(&mut operator, "one", Status::Revoked);
    operator
        .change::<_, StoreError>(&actor(), |change| {
            change.put_sealed_secret("shop", "two", &SealedSecret { sealing_key: 1, sealed: vec![1] })?;
            change.drop_sealed_secret("shop", "two")?;
            change.put_member("shop", "acme", "ada", Role::Owner)?;
            change.approve_tenant("shop", "acme")?;
            change.log(&Entry::new("test"))
        })
        .unwrap();

    let mut publisher = Store::open(&as_role("keyward_publisher")).unwrap();
    assert_eq!(changed_since(&mut publisher, 0).len(), 2);
    assert_eq!(publisher.wait(0, Duration::from_secs(1)).unwrap(), 3);
    let publication = Publication {
        generation: 1,
        base: None,
        change: 3,
        configuration: String::new(),
        keys: 2,
        hash: String::new(),
        published_at: 1,
    };
    publisher
        .change::<_, StoreError>(&actor(), |change| {
            change.add_publication(&publication)?;
            change.log(&Entry::new("publish"))
        })
        .unwrap();
    add(&mut publisher, &mut [key("three", 3)]).unwrap_err();
    assert!(publisher.read(|view| view.sealed_secret("shop", "two")).is_err());

    let database = url.rsplit('/').next().unwrap();
    for role in ["keyward_operator", "keyward_publisher"] {
        for attempt in [
            "DELETE FROM keyward.audit",
            "DROP TRIGGER audit_stays ON keyward.audit",
            "TRUNCATE keyward.audit",
        ] {
            let output = Server::shared().psql(database, &format!("SET ROLE {role}; {attempt}"));
            assert!(!output.status.success(), "{role}: {attempt}");
        }
    }
}

#[test]
fn a_file_of_something_else_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("other.sqlite");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    for refused in
        [Store::open(&Place::Sqlite(path.clone())).err(), Store::create(&Place::Sqlite(path)).err()]
    {
        assert!(matches!(refused, Some(StoreError::Foreign { .. })));
    }
}

#[test]
fn a_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("keystore.sqlite");
    let (mut store, _) = Store::create(&Place::Sqlite(path)).unwrap();
    store.newest_change().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
}

#[test]
fn no_message_shows_a_password() {
    let url = "postgres://keyward:hunter2@127.0.0.1:1/none?connect_timeout=1&sslmode=disable";
    let place: Place = url.parse().unwrap();
    let error = Store::open(&place).err().unwrap();
    assert!(error.is_lost_connection(), "{error}");
    for text in [error.to_string(), format!("{error:?}"), place.to_string(), format!("{place:?}")] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    let wrong: Place = "postgres://keyward:hunter2@h/d?nonsense=hunter2".parse().unwrap();
    let error = Store::open(&wrong).err().unwrap();
    assert!(matches!(error, StoreError::Url));
    assert!("mysql://hunter2".parse::<Place>().is_err());
}
