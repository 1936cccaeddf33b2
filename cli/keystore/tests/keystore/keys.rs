//! Keys, as they are put in and found again.

use crate::house::{House, actor, add, ids, key, log};
use keyward::record::Status;
use keyward_keystore::{AuditFilter, Entry, KeyFilter, KeyState, StoreError, StoredKey};
use keyward_testkit::databases::Kind;
use keyward_testkit::on_both;

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

on_both!(
    what_is_stored_comes_back,
    ids_digests_and_successors_stand_once,
    what_fails_half_way_leaves_nothing,
    keys_are_filtered,
    keys_that_count_are_those_in_use,
    many_keys_go_in_and_out,
);
