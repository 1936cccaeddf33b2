//! What is accepted and what is refused when a configuration, a keyring and key records are read.

use keyward::keyring::Keyring;
use keyward::realm::Configuration;
use keyward::record::{KeyRecord, RecordRules};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

fn vectors(folder: &str) -> Vec<(String, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the vectors stand beside the repository")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    assert!(files.len() >= 10, "only {} vectors", files.len());
    files
        .into_iter()
        .map(|path| {
            let text = fs::read(&path).unwrap();
            (path.file_name().unwrap().to_string_lossy().into_owned(), serde_json::from_slice(&text).unwrap())
        })
        .collect()
}

/// Builds as far as single records go; the error as a builder would show it.
fn read_all(vector: &Value) -> Result<(), String> {
    let text = |name: &str| vector[name].as_str().unwrap();
    let configuration =
        Configuration::read(text("config"), "keyward.toml").map_err(|error| error.to_string())?;
    let keyring = Keyring::read(text("keyring"), "keyring.toml").map_err(|error| error.to_string())?;
    keyring.check_realms(&configuration).map_err(|error| error.to_string())?;
    let rules = RecordRules::new(&configuration).unwrap();
    for (index, record) in vector["keys"].as_array().unwrap().iter().enumerate() {
        let line = record.to_string();
        KeyRecord::parse(line.as_bytes())
            .and_then(|record| rules.resolve(&record).map(|_| ()))
            .map_err(|error| format!("line {}: {error}", index + 1))?;
    }
    Ok(())
}

/// Faults between records, which are the builder's to find.
const BETWEEN_RECORDS: [&str; 5] = [
    "duplicate-digest.json",
    "duplicate-id.json",
    "duplicate-pair.json",
    "duplicate-secret-second.json",
    "duplicate-secret.json",
];

#[test]
fn every_faulty_vector_is_refused_by_its_fault() {
    for (name, vector) in vectors("refused") {
        if BETWEEN_RECORDS.contains(&name.as_str()) {
            assert_eq!(read_all(&vector), Ok(()), "{name}");
            continue;
        }
        let error = read_all(&vector).expect_err(&name);
        let expected = vector["error"].as_str().unwrap();
        assert!(error.contains(expected), "{name}: {error:?} does not contain {expected:?}");
    }
}

#[test]
fn every_sound_vector_is_accepted() {
    for (name, vector) in vectors("") {
        assert_eq!(read_all(&vector), Ok(()), "{name}");
    }
}

#[test]
fn realms_survive_their_own_json() {
    for (name, vector) in vectors("") {
        let configuration = Configuration::read(vector["config"].as_str().unwrap(), "keyward.toml").unwrap();
        let json = serde_json::to_string(&configuration).unwrap();
        let again: Configuration = serde_json::from_str(&json).unwrap();
        assert_eq!(again, configuration, "{name}");
        assert_eq!(again.check(), Ok(()), "{name}");
    }
}

const HEAD: &str = "[realm.shop]\nenvironments = [\"live\", \"test\"]\ndefault_require = [\"key\"]\n";
const CREDENTIAL: &str = "[realm.shop.credential.key]\nkind = \"key\"\nsource = \"bearer\"\n";

fn refused(text: &str) -> String {
    Configuration::read(text, "keyward.toml").expect_err(text).to_string()
}

/// Lines in the realm's own table; the error without the file.
fn realm(lines: &str) -> String {
    refused(&format!("{HEAD}{lines}\n{CREDENTIAL}"))
}

/// Text after the realm and its credential.
fn tail(lines: &str) -> String {
    refused(&format!("{HEAD}{CREDENTIAL}{lines}"))
}

fn accepted(text: &str) -> Configuration {
    Configuration::read(text, "keyward.toml").unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn a_typing_error_is_told_with_line_place_and_nearest_name() {
    assert_eq!(
        realm("requier_tls = true"),
        "keyward.toml:4: realm.shop.requier_tls: unknown name of a realm; did you mean \"require_tls\"?"
    );
    assert_eq!(
        tail("secret_alphabat = \"hex\""),
        "keyward.toml:7: realm.shop.credential.key.secret_alphabat: unknown name of a credential of kind key; \
         did you mean \"secret_alphabet\"?"
    );
    assert_eq!(
        tail("secret_alphabet = \"hax\""),
        "keyward.toml:7: realm.shop.credential.key.secret_alphabet: unknown alphabet \"hax\"; did you mean \"hex\"?"
    );
    assert_eq!(
        realm("unmatched = \"authentcated\""),
        "keyward.toml:4: realm.shop.unmatched: unknown choice \"authentcated\"; did you mean \"authenticated\"?"
    );
    assert_eq!(
        tail("[[realm.shop.route]]\npath = \"/a\"\nrequire = [\"key\", \"kye\"]"),
        "keyward.toml:9: realm.shop.route[0].require[1]: \"kye\" is no credential of the realm; did you mean \"key\"?"
    );
    assert_eq!(
        realm("hosts = { \"a.example\" = \"live\", \"B.example\" = \"staging\" }"),
        "keyward.toml:4: realm.shop.hosts.\"B.example\": \"staging\" is no environment of the realm; \
         expected one of \"live\", \"test\""
    );
    assert_eq!(
        tail("[realm.shop.errors.insufficient_scopes]\nstatus = 403"),
        "keyward.toml:7: realm.shop.errors.insufficient_scopes: \"insufficient_scopes\" is neither a reason nor a \
         group of reasons; did you mean \"insufficient_scope\"?"
    );
    assert_eq!(
        realm("require_tls = \"yes\""),
        "keyward.toml:4: realm.shop.require_tls: found a text; expected true or false"
    );
    // A list of one may be written as a text, and then has no index.
    assert!(
        refused("[realm.a]\n[realm.a.credential.b]\nkind = \"basic\"\nsource = \"bearer\"")
            .starts_with("keyward.toml:4: realm.a.credential.b.source: a credential of kind basic cannot"),
    );
}

#[test]
fn what_is_no_toml_is_told_by_its_line() {
    let error = refused("[realm.a]\ntitle = \"x\"\ntitle = \"y\"");
    assert!(error.starts_with("keyward.toml:3: not TOML: "), "{error}");
    assert!(refused("").contains("there is no realm"));
    assert!(refused("[[realm]]").contains("realm: found a list; expected a table"));
}

#[test]
fn names_are_known_by_kind() {
    let credential = |lines: &str| refused(&format!("[realm.a]\n[realm.a.credential.c]\n{lines}"));
    for (lines, name) in [
        ("kind = \"key\"\nsource = \"bearer\"\nissuer = \"x\"", "issuer"),
        ("kind = \"basic\"\nsource = \"basic\"\nleeway = 1", "leeway"),
        ("kind = \"tenant\"\nsource = \"header:X\"\nformat = \"{secret}\"", "format"),
        (
            "kind = \"token\"\nsource = \"bearer\"\nissuer = \"a\"\naudience = \"b\"\ndigests = [\"blake3\"]",
            "digests",
        ),
        ("knid = \"key\"", "knid"),
        ("source = \"bearer\"", "kind: is missing"),
        ("kind = \"kee\"", "did you mean \"key\""),
        ("kind = \"key\"", "source: is missing"),
    ] {
        assert!(credential(lines).contains(name), "{lines}: {}", credential(lines));
    }
}

#[test]
fn sources_fit_their_kind() {
    let read = |kind: &str, source: &str| {
        let token = if kind == "token" { "issuer = \"i\"\naudience = \"a\"\n" } else { "" };
        Configuration::read(
            &format!("[realm.a.credential.c]\nkind = \"{kind}\"\nsource = {source}\n{token}"),
            "keyward.toml",
        )
        .map_err(|error| error.to_string())
    };
    for source in ["\"bearer\"", "\"basic\"", "\"header:X-Key\"", "[\"basic\", \"bearer\", \"header:X\"]"] {
        assert!(read("key", source).is_ok(), "{source}");
        assert_eq!(read("basic", source).is_ok(), source == "\"basic\"", "{source}");
        let fits = !source.contains("basic");
        assert_eq!(read("token", source).is_ok(), fits, "{source}");
        assert_eq!(read("tenant", source).is_ok(), fits, "{source}");
    }
    for source in [
        "[]",
        "\"cookie\"",
        "\"header:\"",
        "\"header:X Key\"",
        "[\"bearer\", \"bearer\"]",
        "[\"header:X-Key\", \"header:x_key\"]",
        "7",
    ] {
        let error = read("key", source).expect_err(source);
        assert!(error.contains("realm.a.credential.c.source"), "{error}");
    }
}

#[test]
fn environments_and_hosts() {
    let read = |lines: &str| refused(&format!("[realm.shop]\n{lines}\n{CREDENTIAL}"));
    assert!(read("environments = [\"live\", \"live\"]").contains("\"live\" stands here twice"));
    assert!(read("environments = [\"\"]").contains("environments[0]: an empty name"));
    let many: Vec<String> = (0..256).map(|n| format!("\"e{n}\"")).collect();
    assert!(read(&format!("environments = [{}]", many.join(", "))).contains("256 environments"));
    assert!(realm("hosts = {}").contains("an empty table"));
    assert!(realm("hosts = { \"a.example:443\" = \"live\" }").contains("a host with a port"));
    assert!(realm("hosts = { \"a.example\" = \"live\", \"A.example\" = \"test\" }").contains("a.example"));
    let hosts = accepted(&format!("{HEAD}hosts = {{ \"A.example\" = \"live\" }}\n{CREDENTIAL}"));
    let hosts = hosts.realms[0].hosts.clone().unwrap();
    assert_eq!(hosts.into_iter().collect::<Vec<_>>(), [("a.example".to_owned(), "live".to_owned())]);
}

#[test]
fn proxies_need_the_header_that_they_name_the_client_in() {
    let error = realm("trusted_proxies = [\"10.0.0.0/8\", \"192.0.2.1/24\"]");
    assert!(error.contains("keyward.toml:4: realm.shop.trusted_proxies[1]: "), "{error}");
    assert!(error.contains("192.0.2.1/24"), "{error}");
    assert!(realm("trusted_proxies = [\"10.0.0.0/8\"]").contains("client_ip_header: is missing"));
    assert!(realm("client_ip_header = \"X Real\"").contains("\"X Real\" is no header name"));
    accepted(&format!("{HEAD}trusted_proxies = [\"unix\"]\nclient_ip_header = \"X-Real-IP\"\n{CREDENTIAL}"));
}

#[test]
fn defaults_are_filled_in() {
    let realm = accepted(&format!("[realm.shop]\n{CREDENTIAL}")).realms.remove(0);
    assert_eq!(realm.title, "shop");
    assert_eq!(realm.default_require, ["key"]);
    assert_eq!(realm.unmatched, keyward::realm::Unmatched::Authenticated);
    assert_eq!(realm.hosts, None);
    let realm = accepted(&format!(
        "[realm.shop]\n{CREDENTIAL}[[realm.shop.route]]\npath = \"/\"\n[realm.shop.rate_limit.r]\nrequests = 9\nperiod = 3"
    ))
    .realms
    .remove(0);
    assert_eq!(realm.unmatched, keyward::realm::Unmatched::Deny);
    assert_eq!(realm.routes[0].require, ["key"]);
    assert_eq!(realm.rate_limits[0].burst, 9);
    assert!(refused("[realm.shop]").contains("default_require: is missing"));
    accepted("[realm.shop]\ndefault_require = []");
}

#[test]
fn formats_are_checked() {
    for (lines, message) in [
        ("format = \"{secret\"", "brace"),
        ("format = \"secret}\"", "brace"),
        ("format = \"a b{secret}\"", "' ' cannot be part of a format"),
        ("format = \"{checksum}{secret}\"", "{checksum} must be the last"),
        ("format = \"{secret}{checksum}x\"", "{checksum} must be the last"),
        ("format = \"{environment}{environment}{secret}\"", "{environment} stands more than once"),
        ("format = \"{}{secret}\"", "unknown placeholder {}"),
        ("format = \"\"", "{secret} is missing"),
        ("secret_length = 0", "no secret has at least 0"),
        ("secret_length = [9, 8]", "no secret has at least 9 and at most 8"),
        ("secret_length = [1]", "a list of 1"),
        ("secret_length = -1", "out of range"),
        ("secret_length = 1.5", "found a number with a fraction"),
        ("format = \"{secret}\"\nsecret_length = 513", "the shortest that fits has 513 bytes"),
        ("digests = []", "an empty list"),
        ("digests = [\"sha265\"]", "did you mean \"sha256\""),
    ] {
        let error = tail(lines);
        assert!(error.contains(message), "{lines}: {error}");
    }
    let error = refused(&format!("[realm.shop]\n{CREDENTIAL}format = \"{{environment}}{{secret}}\""));
    assert!(error.contains("the realm has none"), "{error}");
}

#[test]
fn tokens_need_issuer_and_audience() {
    let read = |lines: &str| {
        refused(&format!("[realm.a.credential.t]\nkind = \"token\"\nsource = \"bearer\"\n{lines}"))
    };
    assert!(read("audience = \"a\"").contains("issuer: is missing"));
    assert!(read("issuer = \"a\"").contains("audience: is missing"));
    assert!(read("issuer = \"\"\naudience = \"a\"").contains("issuer: is empty"));
    let both = "issuer = \"i\"\naudience = \"a\"\n";
    assert!(read(&format!("{both}lifetime = 0")).contains("lifetime: 0 seconds"));
    assert!(read(&format!("{both}max_lifetime = 1099511627775")).contains("max_lifetime"));
    assert!(read(&format!("{both}scope_claim = \"\"")).contains("scope_claim: is empty"));
}

#[test]
fn rate_limits_fit_nanoseconds() {
    let limit = |lines: &str| tail(&format!("[realm.shop.rate_limit.r]\n{lines}"));
    for (lines, message) in [
        ("requests = 0\nperiod = 1", "requests: 0; expected at least 1"),
        ("requests = 1\nperiod = 0", "period: 0; expected at least 1"),
        ("requests = 1\nperiod = 1\nburst = 0", "burst: 0; expected at least 1"),
        ("requests = 1", "period: is missing"),
        ("period = 1", "requests: is missing"),
        ("requests = 1\nperiod = 9223372037", "period: a burst at this rate"),
        ("requests = 1\nperiod = 1\nburst = 9223372037", "burst: a burst at this rate"),
        ("requests = 1000000001\nperiod = 1", "more than one request in each nanosecond"),
        ("requests = -1\nperiod = 1", "out of range"),
    ] {
        let error = limit(lines);
        assert!(error.contains(message), "{lines}: {error}");
    }
    accepted(&format!("{HEAD}{CREDENTIAL}[realm.shop.rate_limit.r]\nrequests = 1\nperiod = 9223372036"));
    assert!(realm("default_rate_limit = \"fast\"").contains("\"fast\" is no rate limit of the realm"));
}

#[test]
fn routes_can_be_told_apart() {
    let routes = |routes: &[(&str, &str)]| {
        let mut text = format!("{HEAD}{CREDENTIAL}");
        for (path, methods) in routes {
            text.push_str(&format!("[[realm.shop.route]]\npath = \"{path}\"\n"));
            if !methods.is_empty() {
                text.push_str(&format!("methods = {methods}\n"));
            }
        }
        Configuration::read(&text, "keyward.toml").map(|_| ()).map_err(|error| error.to_string())
    };
    for sound in [
        &[("/a", "[\"GET\"]"), ("/a", "[\"POST\"]"), ("/a/", "[\"GET\"]")][..],
        &[("/a/{x}", ""), ("/a/{*x}", ""), ("/a/x", ""), ("/", ""), ("/{*all}", "")],
        &[("/a", "[\"HEAD\"]"), ("/a", "[\"GET\"]"), ("/a", "[\"get\"]")],
        &[("/a%2Cb", ""), ("/a,b", "")],
    ] {
        assert_eq!(routes(sound), Ok(()), "{sound:?}");
    }
    for faulty in [
        &[("/a", ""), ("/a", "")][..],
        &[("/a", "[\"GET\"]"), ("/a", "")],
        &[("/a", ""), ("/a", "[\"GET\"]")],
        &[("/a/{x}/b", "[\"GET\", \"PUT\"]"), ("/c", ""), ("/a/{y}/b", "[\"POST\", \"PUT\"]")],
        &[("/a/{*x}", ""), ("/a/{*y}", "[\"GET\"]")],
        &[("/a", "[\"GET\"]"), ("/a", "[\"POST\"]"), ("/a", "[\"PUT\", \"GET\"]")],
    ] {
        let error = routes(faulty).expect_err("two routes are one");
        assert!(error.contains("cannot be told from route[0]"), "{error}");
        assert!(error.contains(faulty[faulty.len() - 1].0), "{error}");
    }
    for (path, methods, message) in [
        ("/a", "[]", "methods: an empty list"),
        ("/a", "[\"GET\", \"GET\"]", "stands here twice"),
        ("/a", "[\"G T\"]", "no method"),
        ("a", "", "a path begins with `/`"),
        ("", "", "a path begins with `/`"),
        ("/a//b", "", "an empty segment"),
        ("//", "", "an empty segment"),
        ("/{*rest}/a", "", "{*rest} must be the last"),
        ("/{*rest}/", "", "{*rest} must be the last"),
        ("/a{x}", "", "is no placeholder"),
        ("/{x}.json", "", "is no placeholder"),
        ("/{}", "", "is no placeholder"),
        ("/{*}", "", "is no placeholder"),
        ("/a/{x", "", "is no placeholder"),
        ("/a/..", "", "matches no request"),
        ("/%2e", "", "matches no request"),
        ("/%41", "", "matches no request"),
        ("/%c3%a9", "", "matches no request"),
        ("/%C3", "", "matches no request"),
        ("/%2F", "", "matches no request"),
        ("/a b", "", "matches no request"),
        ("/a?b", "", "matches no request"),
        ("/a#b", "", "matches no request"),
        ("/caf\u{e9}", "", "matches no request"),
    ] {
        let error = routes(&[(path, methods)]).expect_err(path);
        assert!(error.contains(message), "{path}: {error}");
    }
    let longest = "/a".repeat(128);
    assert!(routes(&[(&longest, "")]).is_ok());
    let error = routes(&[(&format!("{longest}/"), "")]).expect_err("129 segments");
    assert!(error.contains("at most 128 segments"), "{error}");
    assert!(tail("[[realm.shop.route]]\nscopes = [\"a\"]").contains("route[0].path: is missing"));
    for list in ["scopes", "any_scopes"] {
        let scope =
            |scope: &str| tail(&format!("[[realm.shop.route]]\npath = \"/\"\n{list} = [\"{scope}\"]"));
        assert!(scope("\u{e9}").contains("cannot be part of a scope"));
        assert!(scope("").contains("an empty scope"));
    }
    assert!(tail("[[realm.shop.route]]\npath = \"/\"\nrequire = [\"key\", \"key\"]").contains("twice"));
    assert!(tail("[realm.shop.route]\npath = \"/\"").contains("expected a list of tables: [[route]]"));
}

#[test]
fn answers_are_errors() {
    let answer = |name: &str, lines: &str| tail(&format!("[realm.shop.errors.{name}]\n{lines}"));
    for status in [399, 600, 200, 70000] {
        let error = answer("forbidden", &format!("status = {status}"));
        assert!(error.contains(&format!("status: {status} is no status of an error")), "{error}");
    }
    assert!(answer("ok", "status = 400").contains("neither a reason nor a group"));
    for value in ["", " text/plain", "text/plain\\r\\nX: y", "t\u{e9}xt"] {
        let error = answer("revoked", &format!("content_type = \"{value}\""));
        assert!(error.contains("content_type"), "{error}");
    }
    accepted(&format!(
        "{HEAD}{CREDENTIAL}[realm.shop.errors.revoked]\nstatus = 599\ncontent_type = \"text/plain; a=b\""
    ));
}

#[test]
fn titles_and_names() {
    assert!(realm("title = \"caf\u{e9}\"").contains("cannot be part of a title"));
    assert!(refused("[realm.\"\"]\ndefault_require = []").contains("an empty name"));
    let long = "x".repeat(256);
    assert!(refused(&format!("[realm.{long}]\ndefault_require = []")).contains("a name of 256 bytes"));
    assert!(refused("[realm.\"a\\u0007\"]\ndefault_require = []").contains("control character"));
}

#[test]
fn a_snapshot_cannot_bring_what_a_configuration_may_not_say() {
    let sound = accepted(&format!(
        "{HEAD}{CREDENTIAL}format = \"x_{{environment}}_{{secret}}\"\n[realm.shop.credential.login]\nkind = \"basic\"\nsource = \"basic\"\n\
         [[realm.shop.route]]\npath = \"/a\"\n[realm.shop.rate_limit.r]\nrequests = 1\nperiod = 1"
    ));
    let realm = serde_json::to_value(&sound.realms[0]).unwrap();
    let check = |pointer: &str, value: Value| {
        let mut realm = realm.clone();
        *realm.pointer_mut(pointer).expect(pointer) = value;
        serde_json::from_value::<keyward::realm::Realm>(realm)
            .map(|realm| realm.check().map_err(|e| e.to_string()))
    };
    for (pointer, value) in [
        ("/name", Value::from("")),
        ("/environments", serde_json::json!([])),
        ("/default_require", serde_json::json!(["badge"])),
        ("/hosts", serde_json::json!({"A": "live"})),
        ("/trusted_proxies", serde_json::json!(["unix"])),
        ("/default_rate_limit", Value::from("s")),
        ("/credentials/0/name", Value::from("zebra")),
        ("/credentials/0/sources", serde_json::json!([])),
        ("/credentials/1/sources", serde_json::json!(["bearer"])),
        ("/credentials/0/kind/key/format/template", Value::from("x")),
        ("/credentials/0/kind/key/format/min_length", Value::from(0)),
        ("/routes/0/path", Value::from("/.")),
        ("/routes/0/methods", serde_json::json!([])),
        ("/rate_limits/0/period", Value::from(0)),
        ("/errors", serde_json::json!({"ok": {}})),
    ] {
        let checked = check(pointer, value);
        assert!(!matches!(checked, Ok(Ok(()))), "{pointer} is accepted");
        assert!(checked.is_ok(), "{pointer}: {checked:?}");
    }
    assert!(check("/credentials/0/sources", serde_json::json!(["header:a b"])).is_err());
    assert_eq!(check("/title", Value::from("Shop")).unwrap(), Ok(()));
}

#[test]
fn hostile_text_ends_in_an_error_and_soon() {
    let started = std::time::Instant::now();
    for text in [
        format!("a = {}", "[".repeat(200_000)),
        format!("a{} = 1", ".a".repeat(200_000)),
        format!("[realm.{}]", "a".repeat(500_000)),
        format!(
            "[realm.a.credential.c]\nkind = \"key\"\nsource = \"bearer\"\nformat = \"{}\"",
            "{".repeat(500_000)
        ),
        format!(
            "[realm.a.credential.c]\nkind = \"key\"\nsource = \"bearer\"\nformat = \"{}\"",
            "{secret}".repeat(60_000)
        ),
        format!("{HEAD}{CREDENTIAL}[[realm.shop.route]]\npath = \"{}{{x\"", "/{a}".repeat(100_000)),
        format!(
            "{HEAD}{CREDENTIAL}[[realm.shop.route]]\npath = \"/\"\nrequire = [{}]",
            "\"key\",".repeat(100_000)
        ),
        format!("{HEAD}{CREDENTIAL}{}", "[[realm.shop.route]]\npath = \"/a\"\n".repeat(20_000)),
    ] {
        assert!(Configuration::read(&text, "keyward.toml").is_err());
    }
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}
