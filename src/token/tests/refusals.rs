//! One test for each refusal of docs/DECISIONS.md section 7, around tokens that are good but for that.

use super::*;
use crate::token::KeyClaim;

/// Refused where the key signed it, and where a stranger wrote it.
fn assert_invalid(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>, what: &str) {
    let key = [key("k", Algorithm::HS256)];
    let authentic = signed(&key[0], header, payload);
    let (text, _) = authentic.rsplit_once('.').unwrap();
    let forged = format!("{text}.{}", encode([0; 32]));
    for token in [&authentic, &forged] {
        assert_eq!(verify(token.as_bytes(), &rules(), &key, now()), Err(Fault::Invalid), "{what}: {token}");
    }
}

fn with_header(header: &str) -> Result<Claims, Fault> {
    verdict(header, PAYLOAD)
}

fn with_payload(payload: &str) -> Result<Claims, Fault> {
    verdict(HEADER, payload)
}

#[test]
fn the_token_that_the_others_differ_from_is_good() {
    let claims = verdict(HEADER, PAYLOAD).unwrap();
    assert_eq!(claims.subject(), Some("ada"));
    assert_eq!(claims.key(), KeyClaim::Absent);
}

#[test]
fn three_canonical_parts() {
    let key = key("k", Algorithm::HS256);
    let good = signed(&key, HEADER, PAYLOAD);
    let (signed_text, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = signed_text.split_once('.').unwrap();
    // 32 bytes take 43 characters, of which the last has two bits that no byte takes.
    let stray = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = alphabet.chars().nth(alphabet.find(stray).unwrap() + 1).unwrap();
    let resigned = |text: &str| format!("{text}.{}", encode(key.sign(text.as_bytes()).unwrap()));
    for bad in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        signed_text.to_owned(),
        format!("{signed_text}."),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{good}="),
        format!("{good} "),
        format!("{good}\n"),
        format!(" {good}"),
        format!("{good}A"),
        format!("{}{next}", &good[..good.len() - 1]),
        good[..good.len() - 1].to_owned(),
        good.replace('.', ".."),
        resigned(&format!("{header}=.{payload}")),
        resigned(&format!("{header}.{payload}=")),
        resigned(&format!("{header}.{payload}==")),
        resigned(&format!("{header}.{payload}\n")),
        resigned(&format!("{header}.{payload}+/")),
        resigned(&format!("{header}.")),
        resigned(&format!(".{payload}")),
        resigned("."),
    ] {
        let verdict = verify(bad.as_bytes(), &rules(), std::slice::from_ref(&key), now());
        assert_eq!(verdict, Err(Fault::Invalid), "{bad}");
    }
    // The same with a good signature over a payload whose last character has a stray bit.
    let padded = format!("{PAYLOAD} ");
    let payload = [PAYLOAD, &padded].into_iter().map(encode).find(|text| text.len() % 4 != 0).unwrap();
    let last = alphabet.find(payload.chars().last().unwrap()).unwrap();
    let stray = format!("{header}.{}{}", &payload[..payload.len() - 1], &alphabet[last + 1..last + 2]);
    assert!(
        verify(
            resigned(&format!("{header}.{payload}")).as_bytes(),
            &rules(),
            std::slice::from_ref(&key),
            now()
        )
        .is_ok()
    );
    assert_eq!(verify(resigned(&stray).as_bytes(), &rules(), &[key], now()), Err(Fault::Invalid));
}

#[test]
fn header_and_payload_are_strict_json_objects() {
    // The reader has its own tests; these show that both parts go through it.
    for (bad, what) in [
        (&b""[..], "nothing"),
        (b"[]", "a list"),
        (b"null", "null"),
        (b"\"x\"", "a string"),
        (b"{\"x\":1,\"x\":1", "cut off"),
    ] {
        assert_invalid(bad, PAYLOAD, what);
        assert_invalid(HEADER, bad, what);
    }
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for (bad, what) in [
        (br#","kid":"k","iss":"us""#.to_vec(), "a member twice"),
        (br#","\u006bid":"k","\u0069ss":"us""#.to_vec(), "a member twice, once escaped"),
        (br#","x":{"y":1,"y":1}"#.to_vec(), "a member twice, deeper"),
        (br#","x":"\ud83d""#.to_vec(), "a lone surrogate"),
        (br#","x":1e400"#.to_vec(), "a number beyond a double"),
        (b",\"x\":\"\xe9\"".to_vec(), "not UTF-8"),
        (format!(r#","x":{}"#, nested(128)).into_bytes(), "nested 129 deep"),
    ] {
        assert_invalid(extended(HEADER, &bad), PAYLOAD, what);
        assert_invalid(HEADER, extended(PAYLOAD, &bad), what);
    }
    assert_invalid(format!("\u{feff}{HEADER}"), PAYLOAD, "a byte order mark");
    assert_invalid(HEADER, format!("\u{feff}{PAYLOAD}"), "a byte order mark");
    let deep = format!(r#","x":{},"y":1e-400,"z":"\ud83d\udd11""#, nested(127)).into_bytes();
    assert!(verdict(extended(HEADER, &deep), PAYLOAD).is_ok());
    assert!(verdict(HEADER, extended(PAYLOAD, &deep)).is_ok());
}

#[test]
fn what_a_light_reading_of_the_header_would_let_pass() {
    for (bad, what) in [
        (r#"["HS256","k"]"#, "a list of what the members say"),
        (r#"["HS256",null]"#, "a list without a key"),
        (r#"{"alg":"HS256","kid":null}"#, "null for a key"),
        (r#"{"alg":"HS256","x":1,"x":1}"#, "another member twice"),
        (r#"{"alg":"HS256","x":{"y":1,"\u0079":1}}"#, "a member twice, deeper"),
        (r#"{"alg":"HS256","x":"\ud83d"}"#, "a lone surrogate in a member"),
        (r#"{"alg":"HS256","x":1e400}"#, "a number beyond a double"),
        (r#"{"alg":"HS256","kid":"k","crit":["exp"]}"#, "an extension"),
        (r#"{"alg":"HS256","kid":"k","typ":"JWE"}"#, "another type"),
    ] {
        assert_invalid(bad, PAYLOAD, what);
    }
    // The same where there are so many keys that the header is read before the signature is checked.
    let keys = many_keys();
    let good = signed(&keys[0], HEADER, PAYLOAD);
    assert!(verify(good.as_bytes(), &rules(), &keys, now()).is_ok());
    for more in
        [r#","x":1,"x":1"#, r#","x":"\ud83d""#, r#","x":1e400"#, r#","crit":["exp"]"#, r#","kid":"k""#]
    {
        let token = signed(&keys[0], extended(HEADER, more.as_bytes()), PAYLOAD);
        assert_eq!(verify(token.as_bytes(), &rules(), &keys, now()), Err(Fault::Invalid), "{more}");
    }
    for header in [r#"["HS256","k"]"#, r#"{"alg":"HS256"}"#, r#"{"alg":"HS256","kid":null}"#] {
        let token = signed(&keys[0], header, PAYLOAD);
        assert_eq!(verify(token.as_bytes(), &rules(), &keys, now()), Err(Fault::Invalid), "{header}");
    }
    assert!(with_header(r#"{"\u0061lg":"\u0048S256","k\u0069d":"\u006b","x":[{"alg":1}]}"#).is_ok());
}

/// `k` and others of its algorithm.
fn many_keys() -> Vec<Key> {
    ["k", "1", "2", "3", "4", "5"].map(|kid| key(kid, Algorithm::HS256)).into()
}

#[test]
fn the_named_key_and_no_other_signed() {
    // These share one secret; the last one does not.
    let mut keys = many_keys();
    keys.push(
        Key::from_secret("own".to_owned(), Algorithm::HS256, &[7; 32]).unwrap_or_else(|e| panic!("{e}")),
    );
    for count in 2..=keys.len() {
        let keys = &keys[keys.len() - count..];
        for named in keys {
            for signer in keys {
                let header = format!(r#"{{"alg":"HS256","kid":"{}"}}"#, named.kid());
                let good = (named.kid() == "own") == (signer.kid() == "own");
                let verdict = verify(signed(signer, header, PAYLOAD).as_bytes(), &rules(), keys, now());
                assert_eq!(verdict.is_ok(), good, "{} for {} of {count}", signer.kid(), named.kid());
            }
        }
    }
}

#[test]
fn a_signature_of_another_length_than_the_key_makes() {
    let keys = [key("k", Algorithm::HS256), key("l", Algorithm::HS512)];
    let good = signed(&keys[0], HEADER, PAYLOAD);
    assert!(verify(good.as_bytes(), &rules(), &keys, now()).is_ok());
    let (text, _) = good.rsplit_once('.').unwrap();
    for length in [0, 31, 33, 64, 256] {
        let token = format!("{text}.{}", encode(vec![0; length]));
        assert_eq!(verify(token.as_bytes(), &rules(), &keys, now()), Err(Fault::Invalid), "{length}");
    }
}

/// The object `text` with `more` before its closing brace.
fn extended(text: &str, more: &[u8]) -> Vec<u8> {
    let mut extended = text.as_bytes()[..text.len() - 1].to_vec();
    extended.extend_from_slice(more);
    extended.push(b'}');
    extended
}

#[test]
fn crit() {
    for crit in ["[]", r#"["exp"]"#, r#"["b64"],"b64":false"#, "null", "0", "\"\""] {
        assert_eq!(
            with_header(&format!(r#"{{"alg":"HS256","kid":"k","crit":{crit}}}"#)),
            Err(Fault::Invalid),
            "{crit}"
        );
    }
}

#[test]
fn typ() {
    let typed = |typ: &str| with_header(&format!(r#"{{"alg":"HS256","kid":"k","typ":{typ}}}"#));
    for good in ["JWT", "jwt", "Jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
        assert!(typed(&format!("\"{good}\"")).is_ok(), "{good}");
    }
    for bad in [
        r#""""#,
        r#""JWE""#,
        r#""application/jwt""#,
        r#""JWT ""#,
        r#""at+jwt;x=1""#,
        r#""application/""#,
        r#""dpop+jwt""#,
        r#""logout+jwt""#,
        "null",
        "1",
        r#"["JWT"]"#,
    ] {
        assert_eq!(typed(bad), Err(Fault::Invalid), "{bad}");
    }
    assert!(with_header(r#"{"alg":"HS256","kid":"k"}"#).is_ok());
}

#[test]
fn kid() {
    for bad in [r#""other""#, r#""K""#, r#""""#, r#""k ""#, "null", "0", r#"["k"]"#, r#"{"k":"k"}"#] {
        assert_eq!(with_header(&format!(r#"{{"alg":"HS256","kid":{bad}}}"#)), Err(Fault::Invalid), "{bad}");
    }
    let header = r#"{"alg":"HS256"}"#;
    assert!(with_header(header).is_ok());
    let keys = [key("k", Algorithm::HS256), key("l", Algorithm::RS256)];
    let [signer, _] = &keys;
    assert_eq!(
        verify(signed(signer, header, PAYLOAD).as_bytes(), &rules(), &keys, now()),
        Err(Fault::Invalid)
    );
    assert!(verify(signed(signer, HEADER, PAYLOAD).as_bytes(), &rules(), &keys, now()).is_ok());
    assert_eq!(verify(signed(signer, header, PAYLOAD).as_bytes(), &rules(), &[], now()), Err(Fault::Invalid));
}

#[test]
fn alg_of_the_key_alone() {
    for bad in [
        "\"none\"",
        "\"None\"",
        "\"NONE\"",
        "\"hs256\"",
        "\"HS384\"",
        "\"RS256\"",
        "\"\"",
        "null",
        "[\"HS256\"]",
        "1",
    ] {
        assert_eq!(with_header(&format!(r#"{{"alg":{bad},"kid":"k"}}"#)), Err(Fault::Invalid), "{bad}");
    }
    assert_eq!(with_header(r#"{"kid":"k"}"#), Err(Fault::Invalid));
    assert_eq!(with_header(r#"{"ALG":"HS256","kid":"k"}"#), Err(Fault::Invalid));
    let unsigned = format!("{}.{}.", encode(r#"{"alg":"none","kid":"k"}"#), encode(PAYLOAD));
    assert_eq!(
        verify(unsigned.as_bytes(), &rules(), &[key("k", Algorithm::HS256)], now()),
        Err(Fault::Invalid)
    );
}

#[test]
fn every_other_alg_than_the_signing_one() {
    for signer in Algorithm::ALL {
        let keys = [key("k", signer)];
        for named in Algorithm::ALL {
            let header = format!(r#"{{"alg":"{named}","kid":"k"}}"#);
            let verdict = verify(signed(&keys[0], header, PAYLOAD).as_bytes(), &rules(), &keys, now());
            assert_eq!(verdict.is_ok(), signer == named, "signed as {signer}, called {named}");
        }
    }
}

#[test]
fn a_public_key_is_no_secret() {
    // RFC 8725 section 2.1: everybody has the public key, so whoever takes it for a secret takes any token.
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::PS256, Algorithm::EdDSA] {
        let pair = Pair::of(algorithm);
        let (_, der) = pem_rfc7468::decode_vec(pair.public.as_bytes()).unwrap();
        let keys = [Key::from_pem("k".to_owned(), algorithm, Some(&pair.public), None).unwrap()];
        for secret in [pair.public.as_bytes(), pair.public.trim().as_bytes(), &der] {
            let forger = Key::from_secret("k".to_owned(), Algorithm::HS256, secret).unwrap();
            for alg in ["HS256", algorithm.name()] {
                let token = signed(&forger, format!(r#"{{"alg":"{alg}","kid":"k"}}"#), PAYLOAD);
                assert_eq!(verify(token.as_bytes(), &rules(), &keys, now()), Err(Fault::Invalid), "{alg}");
            }
        }
    }
}

#[test]
fn a_key_of_another_header_is_not_used() {
    let other = Pair::ed25519();
    let forger = Key::from_pem("k".to_owned(), Algorithm::EdDSA, None, Some(&other.private)).unwrap();
    let jwk = r#"{"alg":"EdDSA","kid":"k","jwk":{"kty":"OKP"},"x5c":["AA"],"jku":"https://example.com/"}"#;
    let keys = [key("k", Algorithm::EdDSA)];
    assert_eq!(verify(signed(&forger, jwk, PAYLOAD).as_bytes(), &rules(), &keys, now()), Err(Fault::Invalid));
    assert!(verify(signed(&keys[0], jwk, PAYLOAD).as_bytes(), &rules(), &keys, now()).is_ok());
}

#[test]
fn signatures_cut_short_or_drawn_out() {
    for algorithm in Algorithm::ALL {
        let keys = [key("k", algorithm)];
        let text = format!("{}.{}", encode(format!(r#"{{"alg":"{algorithm}"}}"#)), encode(PAYLOAD));
        let signature = keys[0].sign(text.as_bytes()).unwrap();
        let verdict = |signature: &[u8]| {
            verify(format!("{text}.{}", encode(signature)).as_bytes(), &rules(), &keys, now())
        };
        assert!(verdict(&signature).is_ok(), "{algorithm}");
        for length in [0, 1, signature.len() / 2, signature.len() - 1] {
            assert_eq!(verdict(&signature[..length]), Err(Fault::Invalid), "{algorithm}, {length} bytes");
            assert_eq!(
                verdict(&signature[signature.len() - length..]),
                Err(Fault::Invalid),
                "{algorithm}, {length} last"
            );
        }
        let zeros = vec![0; signature.len()];
        assert_eq!(verdict(&zeros), Err(Fault::Invalid), "{algorithm}");
        for (before, after) in [(&[0][..], &[][..]), (&[], &[0]), (&[], &signature)] {
            let longer = [before, &signature, after].concat();
            assert_eq!(verdict(&longer), Err(Fault::Invalid), "{algorithm}, {} bytes", longer.len());
        }
    }
}

#[test]
fn every_bit_of_a_token_counts() {
    let keys = [key("k", Algorithm::HS256)];
    let good = signed(&keys[0], HEADER, PAYLOAD).into_bytes();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut token = good.clone();
            token[at] ^= 1 << bit;
            assert_eq!(verify(&token, &rules(), &keys, now()), Err(Fault::Invalid), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn every_bit_of_signature_and_payload_counts() {
    for algorithm in [Algorithm::HS512, Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256] {
        let keys = [key("k", algorithm)];
        let header = format!(r#"{{"alg":"{algorithm}"}}"#);
        let text = format!("{}.{}", encode(&header), encode(PAYLOAD));
        let signature = keys[0].sign(text.as_bytes()).unwrap();
        for (part, length) in [("payload", PAYLOAD.len()), ("signature", signature.len())] {
            for flip in 0..length * 8 {
                let (mut payload, mut signature) = (PAYLOAD.as_bytes().to_vec(), signature.clone());
                let flipped = if part == "payload" { &mut payload } else { &mut signature };
                flipped[flip / 8] ^= 1 << (flip % 8);
                let token = format!("{}.{}.{}", encode(&header), encode(payload), encode(signature));
                let verdict = verify(token.as_bytes(), &rules(), &keys, now());
                assert_eq!(verdict, Err(Fault::Invalid), "{algorithm}, {part}, bit {flip}");
            }
        }
    }
}

#[test]
fn times_are_numbers() {
    assert_eq!(timed("", |_| (), now()), Err(Fault::Invalid), "no exp");
    for bad in ["null", "true", "\"1764000300\"", "[1764000300]", "{}", "\"\""] {
        assert_eq!(timed(&format!(r#","exp":{bad}"#), |_| (), now()), Err(Fault::Invalid), "exp {bad}");
        for name in ["nbf", "iat"] {
            let claims = format!(r#","exp":1764000300,"{name}":{bad}"#);
            assert_eq!(timed(&claims, |_| (), now()), Err(Fault::Invalid), "{name} {bad}");
        }
    }
}

#[test]
fn exp() {
    let at = |exp: &str, leeway: u64, nanoseconds: u32| {
        let now = Timestamp::new(NOW, nanoseconds).unwrap();
        timed(&format!(r#","exp":{exp}"#), |rules| rules.leeway = leeway, now).map(|_| ())
    };
    for (exp, leeway, nanoseconds, expected) in [
        ("1764000001", 0, 999_999_999, Ok(())),
        ("1764000000", 0, 0, Err(Fault::Expired)),
        ("1764000000", 1, 999_999_999, Ok(())),
        ("1763999999", 1, 0, Err(Fault::Expired)),
        ("1764000000.5", 0, 499_999_999, Ok(())),
        ("1764000000.5", 0, 500_000_000, Err(Fault::Expired)),
        ("1764000000.1", 0, 99_999_999, Ok(())),
        ("1764000000.1", 0, 100_000_000, Err(Fault::Expired)),
        ("17640000000001e-4", 0, 100_000_000, Err(Fault::Expired)),
        ("1764000000.0000000009", 0, 0, Err(Fault::Expired)),
        ("1764000000.000000001", 0, 0, Ok(())),
        ("9007199254740993", 0, 0, Ok(())),
        ("99999999999999999999999999999999999999999999", u64::MAX, 0, Ok(())),
        ("1e300", u64::MAX, 0, Ok(())),
        ("0", 0, 0, Err(Fault::Expired)),
        ("0", u64::MAX, 0, Ok(())),
        ("-1", 0, 0, Err(Fault::Expired)),
        ("-1e300", u64::MAX, 0, Err(Fault::Expired)),
        ("1e-400", 0, 0, Err(Fault::Expired)),
    ] {
        assert_eq!(at(exp, leeway, nanoseconds), expected, "exp {exp}, leeway {leeway}, {nanoseconds} ns");
    }
    let last = Timestamp::new(u64::MAX, 999_999_999).unwrap();
    assert_eq!(timed(r#","exp":18446744073709551615"#, |_| (), last), Err(Fault::Expired));
    assert!(timed(r#","exp":18446744073709551616"#, |_| (), last).is_ok());
}

#[test]
fn nbf() {
    for (nbf, leeway, expected) in [
        ("1764000000", 0, Ok(())),
        ("1764000000.000000001", 0, Err(Fault::NotYetValid)),
        ("1764000001", 0, Err(Fault::NotYetValid)),
        ("1764000030", 30, Ok(())),
        ("1764000030.5", 30, Err(Fault::NotYetValid)),
        ("1e300", u64::MAX, Err(Fault::NotYetValid)),
        ("-1e300", 0, Ok(())),
    ] {
        let verdict =
            timed(&format!(r#","exp":1764000300,"nbf":{nbf}"#), |rules| rules.leeway = leeway, now());
        assert_eq!(verdict.map(|_| ()), expected, "nbf {nbf}, leeway {leeway}");
    }
}

#[test]
fn iat() {
    for (iat, leeway, expected) in [
        ("1764000000", 0, Ok(())),
        ("1764000000.000000001", 0, Err(Fault::Invalid)),
        ("1764000030", 30, Ok(())),
        ("1764000030.000000001", 30, Err(Fault::Invalid)),
        ("1e300", u64::MAX, Err(Fault::Invalid)),
        ("-1e300", 0, Ok(())),
    ] {
        let verdict =
            timed(&format!(r#","exp":1764000300,"iat":{iat}"#), |rules| rules.leeway = leeway, now());
        assert_eq!(verdict.map(|_| ()), expected, "iat {iat}, leeway {leeway}");
    }
}

#[test]
fn max_lifetime() {
    for (claims, expected) in [
        (r#","exp":1764000300,"iat":1763999700"#, Ok(())),
        (r#","exp":1764000300,"iat":1763999699.999999999"#, Err(Fault::Invalid)),
        (r#","exp":1764000300.1,"iat":1763999700.1"#, Ok(())),
        (r#","exp":1764000300"#, Err(Fault::Invalid)),
        (r#","exp":1e300,"iat":1763999700"#, Err(Fault::Invalid)),
        (r#","exp":1764000300,"iat":-1e300"#, Err(Fault::Invalid)),
        (r#","exp":1763999000,"iat":1763999700"#, Err(Fault::Expired)),
    ] {
        let verdict = timed(claims, |rules| rules.max_lifetime = Some(600), now());
        assert_eq!(verdict.map(|_| ()), expected, "{claims}");
    }
}

#[test]
fn invalid_then_expired_then_not_yet_valid() {
    let passed = r#","exp":1763999999,"nbf":1764000001"#;
    assert_eq!(timed(passed, |_| (), now()), Err(Fault::Expired));
    assert_eq!(timed(passed, |rules| rules.max_lifetime = Some(1), now()), Err(Fault::Invalid));
    assert_eq!(timed(&format!(r#"{passed},"iat":1764000001"#), |_| (), now()), Err(Fault::Invalid));
    assert_eq!(timed(passed, |rules| rules.issuer.push('/'), now()), Err(Fault::Invalid));
    assert_eq!(timed(passed, |rules| rules.audience.push('/'), now()), Err(Fault::Invalid));
}

#[test]
fn iss() {
    for bad in ["", r#""iss":"US","#, r#""iss":"us/","#, r#""iss":["us"],"#, r#""iss":null,"#, r#""iss":"","#]
    {
        assert_eq!(
            with_payload(&format!(r#"{{{bad}"aud":"them","exp":1764000300}}"#)),
            Err(Fault::Invalid),
            "{bad}"
        );
    }
}

#[test]
fn aud() {
    let for_whom = |aud: &str| with_payload(&format!(r#"{{"iss":"us",{aud}"exp":1764000300}}"#)).map(|_| ());
    for good in [r#""them""#, r#"["them"]"#, r#"["us","them"]"#, r#""\u0074hem""#, r#"[1,"them"]"#] {
        assert_eq!(for_whom(&format!(r#""aud":{good},"#)), Ok(()), "{good}");
    }
    assert_eq!(for_whom(""), Err(Fault::Invalid));
    for bad in [
        r#""""#,
        r#""Them""#,
        r#""them us""#,
        "[]",
        r#"["us"]"#,
        r#"[["them"]]"#,
        r#"{"them":1}"#,
        "null",
        "1",
    ] {
        assert_eq!(for_whom(&format!(r#""aud":{bad},"#)), Err(Fault::Invalid), "{bad}");
    }
}

#[test]
fn claims_of_another_type_say_nothing() {
    let claims = |claims: &str| {
        with_payload(&format!(r#"{{"iss":"us","aud":"them","exp":1764000300{claims}}}"#)).unwrap()
    };
    for absent in ["", r#","sub":null"#, r#","sub":7"#, r#","sub":["ada"]"#] {
        assert_eq!(claims(absent).subject(), None, "{absent}");
    }
    for none in [
        "",
        r#","tenants":null"#,
        r#","tenants":{"t":1}"#,
        r#","tenants":["t",1]"#,
        r#","tenants":[["t"]]"#,
        r#","tenants":"t u""#,
    ] {
        assert!(!claims(none).in_tenants("t"), "{none}");
    }
    assert!(!claims(r#","tenants":"""#).in_tenants("t"));
    for some in [r#","tenants":"t""#, r#","tenants":["s","t"]"#] {
        assert!(
            claims(some).in_tenants("t") && !claims(some).in_tenants("T") && !claims(some).in_tenants(""),
            "{some}"
        );
    }
    for none in [
        "",
        r#","scope":null"#,
        r#","scope":["a"]"#,
        r#","scope":"b\ta""#,
        r#","scope":"A aa""#,
        r#","scope":"""#,
    ] {
        assert!(!claims(none).has_scope("a") && !claims(none).has_scope(""), "{none}");
    }
    let scopes = claims(r#","scope":" b  a""#);
    assert!(
        scopes.has_scope("a") && scopes.has_scope("b") && !scopes.has_scope("") && !scopes.has_scope("b  a")
    );
    assert_eq!(claims("").key(), KeyClaim::Absent);
    assert_eq!(claims(r#","client_id":"key_01""#).key(), KeyClaim::Id("key_01"));
    for no_id in ["null", "7", "[\"key_01\"]", "true"] {
        assert_eq!(claims(&format!(r#","client_id":{no_id}"#)).key(), KeyClaim::NotAnId, "{no_id}");
    }
}
