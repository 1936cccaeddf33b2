use super::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

const HEX: &str = "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f";

fn refused(text: &str) -> String {
    let error = match Keyring::read(text, "keyring.toml") {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => format!("{error} {error:?}"),
    };
    assert!(!error.contains("10111213"), "{error}");
    assert!(!error.contains("c2VjcmV0"), "{error}");
    error
}

#[test]
fn peppers_keep_their_order() {
    let text =
        format!("[[pepper]]\nid = 7\nkey = \"{HEX}\"\n[[pepper]]\nid = 3\nkey = \"{}\"", HEX.to_uppercase());
    let keyring = Keyring::read(&text, "keyring.toml").ok().unwrap();
    assert_eq!(keyring.peppers().iter().map(Pepper::id).collect::<Vec<_>>(), [7, 3]);
    assert_eq!(keyring.newest_pepper().map(Pepper::id), Some(3));
    let expected: Vec<u8> = (0x10..0x30).collect();
    assert_eq!(keyring.pepper(7).map(|pepper| pepper.key().to_vec()), Some(expected.clone()));
    assert_eq!(keyring.pepper(3).map(|pepper| pepper.key().to_vec()), Some(expected));
    assert!(keyring.pepper(4).is_none());
    let empty = Keyring::read("", "keyring.toml").ok().unwrap();
    assert!(empty.newest_pepper().is_none());
    assert!(empty.token_keys("shop").is_empty());
}

#[test]
fn sealing_keys_are_apart_from_peppers() {
    let made = Keyring::generate_sealing_key(4).unwrap();
    let text =
        format!("[[pepper]]\nid = 4\nkey = \"{HEX}\"\n[[sealing_key]]\nid = 2\nkey = \"{HEX}\"\n{}", *made);
    let keyring = Keyring::read(&text, "keyring.toml").ok().unwrap();
    assert_eq!(keyring.newest_sealing_key().map(SealingKey::id), Some(4));
    assert_ne!(keyring.sealing_key(4).unwrap().key(), keyring.sealing_key(2).unwrap().key());
    assert_eq!(keyring.sealing_key(2).unwrap().key(), keyring.pepper(4).unwrap().key());
    assert!(keyring.sealing_key(3).is_none() && keyring.pepper(2).is_none());
    let error = refused(&text.replace("id = 2", "id = 4"));
    assert!(error.contains("sealing_key[1].id: a second sealing key of id 4"), "{error}");
    let error = refused(&format!("[[sealing_key]]\nid = 1\nkey = \"{}\"", &HEX[2..]));
    assert!(error.contains("sealing_key[0].key: a text of 62 bytes; expected 64 hex digits"), "{error}");
}

#[test]
fn faults_name_the_place_and_never_the_secret() {
    for (text, expected) in [
        (
            format!("[[peper]]\nid = 1\nkey = \"{HEX}\""),
            "keyring.toml:1: peper: unknown name of a keyring; did you mean \"pepper\"?",
        ),
        (
            format!("[[pepper]]\nid = 1\nkye = \"{HEX}\""),
            "keyring.toml:3: pepper[0].kye: unknown name of a pepper; did you mean \"key\"?",
        ),
        (
            format!("[[pepper]]\nid = 1\nkey = \"{HEX}0\""),
            "pepper[0].key: a text of 65 bytes; expected 64 hex digits",
        ),
        (format!("[[pepper]]\nid = 1\nkey = \"{}g\"", &HEX[1..]), "not all hex digits"),
        (format!("[[pepper]]\nid = 1\nkey = \"{}\u{e9}\"", &HEX[2..]), "not all hex digits"),
        (format!("[[pepper]]\nkey = \"{HEX}\""), "pepper[0].id: is missing"),
        (format!("[[pepper]]\nid = 4294967296\nkey = \"{HEX}\""), "4294967296"),
        ("[[pepper]]\nid = 1".to_owned(), "pepper[0].key: is missing; expected 64 hex digits"),
        (format!("[[pepper]]\nid = 1\nkey = {HEX}"), "keyring.toml:3: not TOML"),
        (format!("[[pepper]]\nid = 1\nkey = \"{HEX}"), "keyring.toml:3: not TOML"),
        ("[[pepper]]\nid = 1\nkey = 1011121314".to_owned(), "found a whole number"),
        (
            format!("[[pepper]]\nid = 1\nkey = \"{HEX}\"\n[[pepper]]\nid = 1\nkey = \"{HEX}\""),
            "keyring.toml:5: pepper[1].id: a second pepper of id 1",
        ),
    ] {
        let error = refused(&text);
        assert!(error.contains(expected), "{error} does not contain {expected}");
    }
}

#[test]
fn token_keys_are_told_by_kid() {
    let secret = format!("secret = \"c2VjcmV0{}\"", "A".repeat(80));
    for (lines, expected) in [
        ("kid = \"k\"\nalg = \"none\"\nsecret = \"\"".to_owned(), "token key \"k\": unknown alg \"none\""),
        ("kid = \"k\"\nalg = \"HS265\"".to_owned(), "did you mean \"HS256\"?"),
        ("kid = \"k\"\nalg = \"HS256\"\nsecret = \"c2VjcmV0*\"".to_owned(), "token key \"k\": not base64"),
        ("kid = \"tiny\"\nalg = \"HS256\"\nsecret = \"c2VjcmV0\"".to_owned(), "tiny"),
        (format!("kid = \"k\"\nalg = \"RS256\"\n{secret}"), "not of a key for RS256"),
        (format!("kid = \"k\"\nalg = \"HS256\"\n{secret}\npublic_key = \"x\""), "not of a key for HS256"),
        ("kid = \"k\"\nalg = \"HS256\"".to_owned(), "secret: token key \"k\": is missing"),
        ("kid = \"k\"\nalg = \"ES256\"".to_owned(), "public_key: token key \"k\": is missing"),
        (format!("kid = \"k\"\n{secret}"), "alg is missing"),
        (format!("kid = \"\"\nalg = \"HS256\"\n{secret}"), "an empty kid"),
        (format!("alg = \"HS256\"\n{secret}"), "kid: is missing"),
        (
            format!("kid = \"k\"\nalg = \"HS256\"\nsecert = \"c2VjcmV0\"\n{secret}"),
            "did you mean \"secret\"?",
        ),
    ] {
        let error = refused(&format!("[[token_key]]\nrealm = \"shop\"\n{lines}"));
        assert!(error.contains(expected), "{error} does not contain {expected}");
    }
    let key = |realm: &str, kid: &str| {
        format!("[[token_key]]\nrealm = \"{realm}\"\nkid = \"{kid}\"\nalg = \"HS256\"\n{secret}\n")
    };
    let error = refused(&(key("a", "k") + &key("b", "k") + &key("a", "k")));
    assert!(error.contains("token_key[2].kid: a second key \"k\" of realm \"a\""), "{error}");
    let keyring = Keyring::read(&(key("a", "k") + &key("b", "k") + &key("a", "l")), "keyring.toml");
    let keyring = keyring.ok().unwrap();
    let kids = |realm| keyring.token_keys(realm).iter().map(token::Key::kid).collect::<Vec<_>>();
    assert_eq!((kids("a"), kids("b"), kids("c")), (vec!["k", "l"], vec!["k"], vec![]));

    let configuration = "[realm.a]\ndefault_require = []\n[realm.beta]\ndefault_require = []";
    let configuration = Configuration::read(configuration, "keyward.toml").unwrap();
    let keyring = Keyring::read(&(key("a", "k") + &key("bata", "k")), "keyring.toml").ok().unwrap();
    assert_eq!(
        keyring.check_realms(&configuration).unwrap_err().to_string(),
        "keyring.toml:7: token_key[1].realm: unknown realm \"bata\"; did you mean \"beta\"?"
    );
}

#[test]
fn a_new_keyring_can_be_read_and_is_not_the_last_one() {
    let first = Keyring::generate().unwrap();
    let second = Keyring::generate().unwrap();
    let keys = [first, second].map(|text| {
        let keyring = Keyring::read(&text, "keyring.toml").ok().unwrap();
        assert_eq!(keyring.peppers().len(), 1);
        *keyring.newest_pepper().unwrap().key()
    });
    assert_ne!(keys[0], keys[1]);
    assert_ne!(keys[0], [0; 32]);
}

#[test]
fn only_its_owner_may_have_access() {
    let folder = std::env::temp_dir().join(format!("keyward-keyring-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("keyring.toml");
    fs::write(&file, &*Keyring::generate().unwrap()).unwrap();
    for (mode, sound) in
        [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false), (0o602, false)]
    {
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        match Keyring::load(&file) {
            Ok(_) => assert!(sound, "{mode:o}"),
            Err(error) => {
                assert!(!sound, "{mode:o}: {error}");
                let error = error.to_string();
                assert!(error.contains(&format!("mode {mode:04o}")), "{error}");
                assert!(error.contains(&format!("chmod 600 {}", file.display())), "{error}");
            }
        }
    }
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    fs::write(&file, b"\xff").unwrap();
    assert!(matches!(Keyring::load(&file), Err(KeyringError::NotText { .. })));
    assert!(matches!(Keyring::load(&folder), Err(KeyringError::NotAFile { .. })));
    let missing = Keyring::load(&folder.join("none.toml")).err().unwrap().to_string();
    assert!(missing.contains("none.toml") && missing.contains("keyward keyring new"), "{missing}");
    fs::remove_dir_all(&folder).unwrap();
}
