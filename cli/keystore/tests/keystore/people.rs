//! Tenants and members, the pepper that their keys are digested with, and secrets that are kept sealed.

use crate::house::{House, actor, add, key, keyring};
use keyward::keyring::Keyring;
use keyward_keystore::{Entry, Role, SealedSecret, StoreError};
use keyward_testkit::databases::Kind;
use keyward_testkit::on_both;

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

on_both!(
    tenants_and_members_are_kept,
    another_pepper_of_the_same_id_is_refused,
    sealed_secrets_go_when_they_are_dropped,
);
