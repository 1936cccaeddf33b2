use super::*;
use proptest::prelude::*;

fn format(template: &str, alphabet: Alphabet, min_length: u32, max_length: u32) -> KeyFormat {
    KeyFormat { template: template.to_owned(), alphabet, min_length, max_length }
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_key_names_its_environment() {
    let environments = strings(&["live", "test"]);
    let matcher = format("bk_{environment}_{secret}", Alphabet::Hex, 4, 8).matcher(&environments).unwrap();
    assert_eq!(matcher.fit(b"bk_live_0123"), Fit::Environment(0));
    assert_eq!(matcher.fit(b"bk_test_01234567"), Fit::Environment(1));
    for misfit in [
        "",
        "bk_",
        "bk_live_",
        "bk_live_012",
        "bk_live_012345678",
        "bk_live_012G",
        "bk_prod_0123",
        "xbk_live_0123",
    ] {
        assert_eq!(matcher.fit(misfit.as_bytes()), Fit::Not, "{misfit}");
    }
}

#[test]
fn the_longer_environment_counts_where_both_fit() {
    let environments = strings(&["eu", "eu-west", "us"]);
    let matcher =
        format("{environment}{secret}.v1", Alphabet::Base64url, 4, 10).matcher(&environments).unwrap();
    assert_eq!(matcher.fit(b"eu-westabcd.v1"), Fit::Environment(1));
    // Only the shorter leaves a secret that is long enough.
    assert_eq!(matcher.fit(b"eu-west1.v1"), Fit::Environment(0));
    // The longer leaves one that is too short, the shorter one that is too long.
    assert_eq!(matcher.fit(b"eu-west123456.v1"), Fit::Environment(1));
    let matcher = format("k.{secret}{environment}", Alphabet::Base64url, 1, 5)
        .matcher(&strings(&["t", "st", "test"]))
        .unwrap();
    assert_eq!(matcher.fit(b"k.atest"), Fit::Environment(2));
    assert_eq!(matcher.fit(b"k.test"), Fit::Environment(1));
    assert_eq!(matcher.fit(b"k.st"), Fit::Environment(0));
}

#[test]
fn the_checksum_goes_over_all_before_it() {
    let plain = format("exp_{secret}{checksum}", Alphabet::Base62, 30, 30);
    let matcher = plain.matcher(&[]).unwrap();
    for sound in ["exp_Ab3Ab3Ab3Ab3Ab3Ab3Ab3Ab3Ab3Ab32jnUUu", "exp_000000000000000000000000001aq02MvjxJ"] {
        assert_eq!(matcher.fit(sound.as_bytes()), Fit::Plain, "{sound}");
        let (body, _) = sound.split_at(sound.len() - 6);
        assert_eq!(plain.compose(None, &body[4..]).as_deref(), Some(sound));
        for position in 0..sound.len() {
            let mut altered = sound.as_bytes().to_vec();
            altered[position] ^= 1;
            assert_eq!(matcher.fit(&altered), Fit::Not, "{sound} altered at {position}");
        }
    }
    assert_eq!(matcher.fit(b"abc"), Fit::Not);
}

#[test]
fn alphabets_are_what_they_say() {
    for byte in 0..=u8::MAX {
        let character = char::from(byte);
        for (alphabet, expected) in [
            (Alphabet::Hex, "0123456789abcdef".contains(character)),
            (Alphabet::Base62, character.is_ascii_alphanumeric()),
            (Alphabet::Base64url, character.is_ascii_alphanumeric() || "-_".contains(character)),
            (Alphabet::Visible, (0x21..=0x7e).contains(&byte)),
        ] {
            let matcher = format("{secret}", alphabet, 1, 2).matcher(&[]).unwrap();
            let expected = if expected { Fit::Plain } else { Fit::Not };
            assert_eq!(matcher.fit(&[byte]), expected, "{byte} in {alphabet:?}");
            assert_eq!(matcher.fit(&[b'0', byte]), expected, "{byte} in {alphabet:?}");
        }
    }
}

#[test]
fn the_longest_input_and_the_most_environments_stay_cheap() {
    let environments: Vec<String> = (1..=255).map(|length| "a".repeat(length)).collect();
    let matcher = format("{environment}{secret}", Alphabet::Base62, 500, 512).matcher(&environments).unwrap();
    let key = vec![b'a'; 512];
    let started = std::time::Instant::now();
    for _ in 0..1000 {
        assert_eq!(matcher.fit(std::hint::black_box(&key)), Fit::Environment(11));
    }
    // Some 10 ms when built without optimization on a slow machine.
    assert!(started.elapsed().as_secs() < 2, "{:?}", started.elapsed());
}

/// Every way of cutting the key, tried one by one.
fn model(template: &str, environments: &[String], lengths: (usize, usize), key: &str) -> Fit {
    let (min, max) = lengths;
    let secrets: Vec<&str> = (0..=key.len())
        .flat_map(|start| (start..=key.len()).filter_map(move |end| key.get(start..end)))
        .filter(|secret| (min..=max).contains(&secret.len()))
        .filter(|secret| secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)))
        .collect();
    if !template.contains("{environment}") {
        let fits = |secret: &&str| template.replace("{secret}", secret) == key;
        return if secrets.iter().any(fits) { Fit::Plain } else { Fit::Not };
    }
    (0..environments.len())
        .filter(|index| {
            let with = template.replace("{environment}", &environments[*index]);
            secrets.iter().any(|secret| with.replace("{secret}", secret) == key)
        })
        .max_by_key(|index| environments[*index].len())
        .map_or(Fit::Not, Fit::Environment)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn matching_finds_what_trying_everything_finds(
        literals in prop::array::uniform3("[a_]{0,2}"),
        order in 0..3,
        environments in prop::collection::btree_set("[a_]{1,4}", 1..5),
        lengths in (1_usize..4, 0_usize..4),
        key in "[a_]{0,12}",
        composed in any::<bool>(),
        secret in "[a_]{1,6}",
    ) {
        let [a, b, c] = &literals;
        let template = match order {
            0 => format!("{a}{{secret}}{b}{c}"),
            1 => format!("{a}{{environment}}{b}{{secret}}{c}"),
            _ => format!("{a}{{secret}}{b}{{environment}}{c}"),
        };
        let environments: Vec<String> = environments.into_iter().collect();
        let (min, max) = (lengths.0, lengths.0 + lengths.1);
        let format = format(&template, Alphabet::Base64url, min as u32, max as u32);
        let matcher = format.matcher(&environments).unwrap();
        let key = if composed { format.compose(Some(&environments[0]), &secret).unwrap() } else { key };
        prop_assert_eq!(matcher.fit(key.as_bytes()), model(&template, &environments, (min, max), &key));
    }
}
