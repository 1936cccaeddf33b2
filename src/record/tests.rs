use super::*;
use crate::realm::Configuration;

const CONFIGURATION: &str = r#"
[realm.shop]
environments = ["live", "test"]
default_require = ["key"]
default_rate_limit = "slow"
[realm.shop.credential.key]
kind = "key"
source = "bearer"
[realm.shop.credential.login]
kind = "basic"
source = "basic"
digests = ["blake3", "sha256"]
[realm.shop.credential.session]
kind = "token"
source = "header:X-Session"
issuer = "i"
audience = "a"
[realm.shop.rate_limit.fast]
requests = 9
period = 1
[realm.shop.rate_limit.slow]
requests = 1
period = 1

[realm.formed]
environments = ["live", "test"]
[realm.formed.credential.key]
kind = "key"
source = ["basic", "bearer"]
format = "f_{environment}_{secret}"
secret_alphabet = "visible"
secret_length = [1, 600]

[realm.two]
default_require = ["a"]
[realm.two.credential.a]
kind = "key"
source = "header:X-A"
[realm.two.credential.b]
kind = "key"
source = "basic"
"#;

fn outcome<T>(line: &str, look: impl FnOnce(ResolvedKey<'_>) -> T) -> Result<T, String> {
    let configuration = Configuration::read(CONFIGURATION, "keyward.toml").unwrap();
    let rules = RecordRules::new(&configuration).unwrap();
    let record = KeyRecord::parse(line.as_bytes()).map_err(|error| error.to_string())?;
    rules.resolve(&record).map(look).map_err(|error| error.to_string())
}

fn refused(line: &str) -> String {
    let error = outcome(line, |_| ()).expect_err(line);
    assert!(!error.contains("hunter2"), "the message holds a secret: {error}");
    error
}

#[test]
fn a_whole_record_is_resolved() {
    let line = r#"{"realm":"shop","id":"key_01","key":"abc\u002d1","tenant":"acme","environment":"test",
        "status":"pending","scopes":["A","B"],"allow_ips":["203.0.113.0/24"],"not_before":0,
        "expires_at":1893456000,"rate_limit":"fast","metadata":{"plan":{"id":[1,null]}}}"#;
    let seen = outcome(line, |key| {
        assert!(matches!(key.material, Material::Key(b"abc-1")));
        assert_eq!((key.id, key.tenant, key.status), ("key_01", Some("acme"), Status::Pending));
        assert_eq!((key.not_before, key.expires_at), (Some(0), Some(1_893_456_000)));
        assert_eq!(key.scopes.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["A", "B"]);
        assert!(key.allow_ips.is_some());
        (key.realm, key.credential, key.environment, key.rate_limit)
    });
    // Realms are in the order of their names: formed, shop, two.
    assert_eq!(seen, Ok((1, 0, Some(1), Some(0))));
    let least = outcome(r#"{"realm":"shop","id":"k","key":"k","allow_ips":[]}"#, |key| {
        assert!(key.allow_ips.is_none());
        (key.environment, key.rate_limit, key.status)
    });
    assert_eq!(least, Ok((None, Some(1), Status::Active)));
    let unlimited = outcome(r#"{"realm":"two","id":"k","key":"k","credential":"b"}"#, |key| {
        (key.credential, key.rate_limit)
    });
    assert_eq!(unlimited, Ok((1, None)));
}

#[test]
fn what_needs_no_escape_is_not_copied() {
    let record = KeyRecord::parse(br#"{"realm":"shop","id":"k","key":"k","scopes":["a"]}"#).ok().unwrap();
    assert!(matches!(record.id.0, Cow::Borrowed("k")));
    assert!(matches!(record.scopes[0].0, Cow::Borrowed("a")));
    assert!(matches!(&record.secret, Secret::Key(key) if matches!(key.0.0, Cow::Borrowed("k"))));
}

#[test]
fn members_are_known_once_and_of_their_type() {
    for (line, expected) in [
        (
            r#"{"realm":"shop","id":"k","kye":"hunter2"}"#,
            "the record has an unknown member \"kye\"; did you mean \"key\"?",
        ),
        (r#"{"realm":"shop","id":"k","key":"k","expires":1}"#, "unknown member \"expires\""),
        (
            r#"{"realm":"shop","id":"k","key":"hunter2","key":"hunter2"}"#,
            "the record has `key` more than once",
        ),
        (
            r#"{"realm":"shop","id":"k","basic":{"id":"a","secret":"hunter2","secret":"x"}}"#,
            "`basic` has `secret` more than once",
        ),
        (r#"{"realm":"shop","id":"k","basic":{"id":"a","secert":"hunter2"}}"#, "did you mean \"secret\"?"),
        (r#"{"realm":"shop","id":"k","basic":{"id":"a"}}"#, "`basic` has no `secret`"),
        (r#"{"realm":"shop","id":"k","basic":["a","hunter2"]}"#, "`basic` is a list; expected an object"),
        (r#"{"realm":"shop","id":"k","basic":"hunter2"}"#, "`basic` is a text; expected an object"),
        (r#"{"realm":"shop","id":7,"key":"hunter2"}"#, "`id` is a number; expected a text"),
        (r#"{"realm":"shop","id":"k","key":["hunter2"]}"#, "`key` is a list; expected a text"),
        (
            r#"{"realm":"shop","id":"k","key":"k","scopes":"hunter2"}"#,
            "`scopes` is a text; expected a list of texts",
        ),
        (r#"{"realm":"shop","id":"k","key":"k","scopes":["a",1]}"#, "`scopes` is a list that does not fit"),
        (
            r#"{"realm":"shop","id":"k","key":"k","metadata":"hunter2"}"#,
            "`metadata` is a text; expected an object",
        ),
        (r#"{"realm":"shop","id":"k","key":"k","metadata":1}"#, "`metadata` is a number; expected an object"),
        (
            r#"{"realm":"shop","id":"k","key":"k","metadata":null}"#,
            "`metadata` is null; expected an object, or no such member",
        ),
        (
            r#"{"realm":"shop","id":"k","key":"k","tenant":null}"#,
            "`tenant` is null; expected a text, or no such member",
        ),
        (
            r#"{"realm":"shop","id":"k","key":"k","not_before":1.5}"#,
            "`not_before` is a number that does not fit",
        ),
        (r#"{"realm":"shop","id":"k","key":"k","not_before":-1}"#, "expected whole Unix seconds"),
        (r#"{"realm":"shop","id":"k","key":"k","expires_at":"soon"}"#, "`expires_at` is a text; expected"),
        (r#"{"id":"k","key":"k"}"#, "the record has no `realm`"),
        (r#"{"realm":"shop","key":"k"}"#, "the record has no `id`"),
        (r#"{"realm":"shop","id":"k"}"#, "there is no `key`, `basic` or `digest`"),
        (r#"{"realm":"shop","id":"k","key":"k","basic":{"id":"a","secret":"b"}}"#, "more than one of"),
        ("[]", "the line is a list; expected an object"),
        ("[\"shop\",\"k\",\"hunter2\"]", "expected an object"),
        ("", "the line ends before its JSON does"),
        (r#"{"realm":"shop","#, "the line ends before its JSON does"),
        (r#"{"realm":"shop","id":"k","key":"hunter2"} x"#, "the line is not one JSON object (column"),
        (r#"{"realm":"shop" "id":"hunter2"}"#, "the line is not one JSON object (column"),
        ("\u{feff}{\"realm\":\"shop\"}", "byte order mark"),
        (r#"{"realm":"shop","id":"\ud800","key":"k"}"#, "`id` is a text that does not fit"),
    ] {
        let error = refused(line);
        assert!(error.contains(expected), "{line}: {error}");
    }
    let error = KeyRecord::parse(b"{\"id\":\"\xff\"}").err().unwrap();
    assert_eq!(error.to_string(), "the line is not UTF-8");
}

#[test]
fn values_are_bounded() {
    let with = |member: &str| refused(&format!(r#"{{"realm":"shop","id":"k","key":"k",{member}}}"#));
    for (member, expected) in [
        (r#""tenant":"""#, "`tenant` is empty"),
        (r#""tenant":"a\u0000""#, "`tenant` has a control character"),
        (r#""status":"paused""#, "unknown `status` \"paused\"; expected one of \"active\""),
        (r#""status":"actve""#, "did you mean \"active\"?"),
        (r#""scopes":["\u00e9"]"#, "is no scope"),
        (r#""scopes":[""]"#, "is no scope"),
        (r#""expires_at":1893456000000"#, "looks like milliseconds"),
        (r#""not_before":5,"expires_at":5"#, "`expires_at` (5) is not after `not_before` (5)"),
        (r#""environment":"lve""#, "unknown `environment` \"lve\"; did you mean \"live\"?"),
        (
            r#""rate_limit":"platinum""#,
            "unknown `rate_limit` \"platinum\"; expected one of \"fast\", \"slow\"",
        ),
        (r#""credential":"kye""#, "unknown `credential` \"kye\"; did you mean \"key\"?"),
        (r#""credential":"login""#, "`key` does not fit the `credential` of the record"),
        (r#""credential":"session""#, "`key` does not fit the `credential` of the record"),
        (r#""allow_ips":["203.0.113.0/24","2001:db8::1/64"]"#, "2001:db8::1/64"),
        (r#""allow_ips":["unix"]"#, "unix"),
    ] {
        let error = with(member);
        assert!(error.contains(expected), "{member}: {error}");
    }
    let id = |id: &str| refused(&format!(r#"{{"realm":"shop","id":"{id}","key":"k"}}"#));
    assert!(id("").contains("`id` is empty"));
    assert!(id(&"i".repeat(256)).contains("`id` has 256 bytes"));
    assert!(id("a\\n").contains("`id` has a control character"));
    assert!(outcome(&format!(r#"{{"realm":"shop","id":"{}","key":"k"}}"#, "i".repeat(255)), |_| ()).is_ok());
    assert!(refused(r#"{"realm":"shpo","id":"k","key":"k"}"#).contains("did you mean \"shop\"?"));
}

#[test]
fn keys_can_be_presented() {
    let key = |realm: &str, more: &str, key: &str| {
        outcome(&format!(r#"{{"realm":"{realm}","id":"k"{more},"key":"{key}"}}"#), |_| ())
    };
    assert_eq!(key("shop", "", &"a".repeat(512)), Ok(()));
    assert_eq!(key("shop", "", "aZ09-._~+/=="), Ok(()));
    for (text, expected) in [
        ("", "`key` is empty"),
        (&"a".repeat(513), "`key` has 513 bytes"),
        ("hunter2 ", "visible ASCII"),
        ("hunter2\\u00e9", "visible ASCII"),
        ("hunter2:", "no source of credential \"key\""),
        ("hunter2=a", "no source of credential \"key\""),
        ("==", "no source of credential \"key\""),
    ] {
        let error = key("shop", "", text).unwrap_err();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{text}: {error}");
    }
    assert_eq!(key("two", r#","credential":"a""#, "a:!"), Ok(()));
    assert_eq!(key("two", r#","credential":"b""#, "a!"), Ok(()));
    assert!(key("two", r#","credential":"b""#, "a:!").is_err());
    let undecided = key("two", "", "a").unwrap_err();
    assert!(undecided.contains("more than one credential of realm \"two\"; add `credential`: one of a, b"));
    let live = r#","environment":"live""#;
    assert_eq!(key("formed", live, "f_live_a!"), Ok(()));
    assert!(key("formed", live, "f_live_a:!").unwrap_err().contains("no source"));
    assert!(key("formed", live, "f_live_").unwrap_err().contains("not of the format"));
    assert!(
        key("formed", live, "f_test_a")
            .unwrap_err()
            .contains("environment \"test\", and the record names another")
    );
    assert!(
        key("formed", "", "f_test_a")
            .unwrap_err()
            .contains("environment \"test\", and the record names none")
    );
}

#[test]
fn pairs_can_be_presented() {
    let pair = |id: &str, secret: &str| {
        outcome(
            &format!(r#"{{"realm":"shop","id":"k","basic":{{"id":"{id}","secret":"{secret}"}}}}"#),
            |key| {
                assert_eq!(key.credential, 1);
            },
        )
    };
    assert_eq!(pair("batch", "p@ss w\u{f6}rd:"), Ok(()));
    assert_eq!(pair("i", &"s".repeat(6142)), Ok(()));
    for (id, secret, expected) in [
        ("", "s", "`id` of the `basic` is empty"),
        ("i", "", "`secret` of the `basic` is empty"),
        ("a:b", "hunter2", "has a `:`"),
        ("a", "hunter2\\u007f", "control character"),
        ("a\\u001f", "s", "control character"),
        ("i", &"s".repeat(6143), "6145 bytes"),
    ] {
        let error = pair(id, secret).unwrap_err();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
    }
    assert!(
        refused(r#"{"realm":"two","id":"k","basic":{"id":"a","secret":"b"}}"#)
            .contains("`basic` fits no credential of realm \"two\"")
    );
}

#[test]
fn digests_are_taken_where_they_are_allowed() {
    let digest = |realm: &str, alg: &str, hex: &str| {
        outcome(
            &format!(r#"{{"realm":"{realm}","id":"k","digest":{{"alg":"{alg}","hex":"{hex}"}}}}"#),
            |key| match key.material {
                Material::Sha256(digest) => (key.credential, digest.to_vec()),
                _ => panic!("not a digest"),
            },
        )
    };
    let hex = "0F".repeat(31) + "a1";
    let mut bytes = vec![0x0f; 31];
    bytes.push(0xa1);
    assert_eq!(digest("shop", "sha256", &hex), Ok((1, bytes)));
    assert!(digest("shop", "sha265", &hex).unwrap_err().contains("did you mean \"sha256\"?"));
    for faulty in [&hex[1..], &format!("{hex}0"), &format!("{}g", &hex[1..]), &format!("{}\u{e9}", &hex[2..])]
    {
        assert!(digest("shop", "sha256", faulty).unwrap_err().contains("not 64 hex digits"));
    }
    assert!(digest("two", "sha256", &hex).unwrap_err().contains("fits no credential of realm \"two\""));
}

#[test]
fn stored_digests_name_their_pepper() {
    let stored = |digest: &str| {
        let line = format!(r#"{{"realm":"shop","id":"k","credential":"key","digest":{digest}}}"#);
        outcome(&line, |key| match key.material {
            Material::Stored(stored) => (stored.pepper, stored.sha256, stored.digest),
            _ => panic!("not a stored digest"),
        })
    };
    let hex = "0F".repeat(32);
    let of = |alg: &str, more: &str| stored(&format!(r#"{{"alg":"{alg}","hex":"{hex}"{more}}}"#));
    assert!(of("blake3", "").unwrap_err().contains("needs the id of its `pepper`"));
    assert!(of("sha256", r#","pepper":1"#).unwrap_err().contains("has no `pepper`"));
    assert!(of("blake2", r#","pepper":1"#).unwrap_err().contains("did you mean \"blake3\"?"));
    for wrong in ["-1", "4294967296", "1.5", "\"1\"", "null"] {
        let error = of("blake3", &format!(r#","pepper":{wrong}"#)).unwrap_err();
        assert!(error.contains("`pepper` is") && error.contains("0 to 4294967295"), "{error}");
    }
    let found = [of("blake3", r#","pepper":4294967295"#), of("blake3-sha256", r#","pepper":0"#)];
    let made = [(u32::MAX, false, [15; 32]), (0, true, [15; 32])];
    assert_eq!(found.iter().filter(|found| made.iter().any(|made| found.as_ref() == Ok(made))).count(), 1);
    assert!(found.into_iter().filter_map(Result::err).all(|error| error.contains("no request")));
}
