use super::*;
use proptest::prelude::*;

/// The normal form as text, `None` where the path is ambiguous.
fn normal(target: &[u8]) -> Option<String> {
    let mut buffer = PathBuffer::new();
    let path = normalize(target, &mut buffer).ok()?;
    Some(String::from_utf8(path.as_bytes().to_vec()).expect("it is ASCII"))
}

#[test]
fn what_has_one_reading_is_put_in_normal_form() {
    for (target, path) in [
        ("/", "/"),
        ("/a", "/a"),
        ("/a/", "/a/"),
        ("/a/b?c/../d", "/a/b"),
        ("/a/?", "/a/"),
        ("/?#\\ é", "/"),
        ("/a%41?%zz", "/aA"),
        ("/v1/%69tems/%7e%2D%5f%2e%2e%2E", "/v1/items/~-_..."),
        ("/%c3%a9", "/%C3%A9"),
        ("/%F0%9F%94%91", "/%F0%9F%94%91"),
        ("/%c2%80", "/%C2%80"),
        ("/a%2cb,c", "/a%2Cb,c"),
        ("/%252e%252e", "/%252e%252e"),
        ("/a%20b%3F%25%23", "/a%20b%3F%25%23"),
        ("/...", "/..."),
        ("/.a", "/.a"),
        ("/..a/.../a..", "/..a/.../a.."),
        ("/a;b=c,d/{}|^\"<>`", "/a;b=c,d/{}|^\"<>`"),
        ("/~:@!$&'()*+[]", "/~:@!$&'()*+[]"),
    ] {
        assert_eq!(normal(target.as_bytes()).as_deref(), Some(path), "{target}");
    }
}

#[test]
fn what_has_two_readings_is_refused() {
    for target in [
        "",
        "*",
        "?",
        "a",
        "?/a",
        "https://api.example.com/",
        "//",
        "//a",
        "/a//",
        "/a//b",
        "/.",
        "/..",
        "/./",
        "/../",
        "/a/.?x",
        "/a/..?x",
        "/a/./b",
        "/a/../b",
        "/%2e",
        "/%2E%2e",
        "/.%2e/7",
        "/%2e./7",
        "/a/%2e?",
        "/%2F",
        "/%5c",
        "/%00",
        "/%1f",
        "/%7F",
        "/%",
        "/%4",
        "/%zz",
        "/%4g",
        "/%+4",
        "/% 4",
        "/%?41",
        "/a\\b",
        "/a#b",
        "/a b",
        "/a\t",
        "/\x00",
        "/\x7f",
        "/é",
        "/%ff",
        "/%C3",
        "/%C3%28",
        "/%C3x",
        "/%C3/%A9",
        "/%c0%af",
        "/%ED%A0%80",
        "/%80",
        "/%F4%90%80%80",
        "/%F8%88%80%80%80",
        "/%E2%82/items",
        "/%E2%82",
        "/%41//",
        "/a%41#",
        "/a%41\\",
        "/%41\x7f",
    ] {
        assert_eq!(normal(target.as_bytes()), None, "{target}");
    }
}

#[test]
fn any_length_will_do() {
    let plain = format!("/{}", "a".repeat(100_000));
    assert_eq!(normal(plain.as_bytes()), Some(plain.clone()));
    for length in [INLINE - 4, INLINE - 3, INLINE, 50_000] {
        let escaped = format!("/{}%41?b", "a".repeat(length));
        assert_eq!(normal(escaped.as_bytes()), Some(format!("/{}A", "a".repeat(length))));
    }
    assert_eq!(normal(format!("/{}%4", "a".repeat(50_000)).as_bytes()), None);
}

#[test]
fn a_buffer_can_be_used_again() {
    let mut buffer = PathBuffer::new();
    let long = format!("/{}%41", "a".repeat(INLINE));
    for (target, path) in [("/%41bcdef", "/Abcdef"), (long.as_str(), "/a"), ("/%42", "/B"), ("/c", "/c")] {
        let normal = normalize(target.as_bytes(), &mut buffer).unwrap();
        assert!(normal.as_bytes().starts_with(path.as_bytes()), "{target}");
        assert!(normal.as_bytes().len() <= target.len() - 2 * usize::from(target.contains('%')));
    }
}

#[test]
fn a_segment_is_canonical_where_a_request_can_have_it() {
    for segment in ["", "a", "~me", "caf%C3%A9", "a%2Cb", "a,b", "...", "%25"] {
        assert!(is_canonical_segment(segment), "{segment}");
    }
    for segment in
        [".", "..", "a/b", "/", "a?b", "?", "%7Eme", "caf%c3%a9", "café", "a b", "%2F", "%", "a#", "\\"]
    {
        assert!(!is_canonical_segment(segment), "{segment}");
    }
}

/// The same rules, one after the other over the whole path.
fn slow_normal(target: &[u8]) -> Option<String> {
    let path = target.split(|&byte| byte == b'?').next()?;
    let path = std::str::from_utf8(path).ok().filter(|path| path.starts_with('/'))?;
    if !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#') {
        return None;
    }
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let mut normal = String::new();
    for (index, segment) in segments.iter().enumerate() {
        if segment.is_empty() && index + 1 != segments.len() {
            return None;
        }
        let mut decoded = Vec::new();
        let mut text = String::new();
        let mut rest = *segment;
        while let Some(first) = rest.chars().next() {
            if first == '%' {
                let digits =
                    rest.get(1..3).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
                let byte = u8::from_str_radix(digits, 16).ok()?;
                if byte < 0x20 || byte == 0x7F || byte == b'/' || byte == b'\\' {
                    return None;
                }
                decoded.push(byte);
                match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    true => text.push(char::from(byte)),
                    false => text.push_str(&format!("%{byte:02X}")),
                }
                rest = &rest[3..];
            } else {
                decoded.push(first as u8);
                text.push(first);
                rest = &rest[1..];
            }
        }
        let decoded = String::from_utf8(decoded).ok()?;
        if decoded == "." || decoded == ".." {
            return None;
        }
        normal.push('/');
        normal.push_str(&text);
    }
    Some(normal)
}

/// Paths of pieces that matter, so that about half have one reading.
fn any_target() -> impl Strategy<Value = Vec<u8>> {
    let common = vec![
        "/",
        "a",
        "b.",
        ".",
        "/x",
        "/~",
        "%41",
        "%2e",
        "%C3%A9",
        "%e2%82%ac",
        "%2c",
        "%20",
        "abcdef",
        "?",
    ];
    let rare =
        vec!["..", "//", "%C3", "%2F", "%", "%4", "\\", "#", "%ff", " ", "é", "\x7f", "%ED%A0%80", "%c0%af"];
    let piece = prop_oneof![20 => prop::sample::select(common), 1 => prop::sample::select(rare)];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| format!("/{}", pieces.concat()).into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    #[test]
    fn it_says_what_the_rules_one_by_one_say(target in any_target()) {
        let path = normal(&target);
        prop_assert_eq!(&path, &slow_normal(&target));
        if let Some(path) = path {
            prop_assert_eq!(normal(path.as_bytes()), Some(path.clone()), "twice is once");
            prop_assert!(path[1..].split('/').all(is_canonical_segment));
        }
    }

    #[test]
    fn any_bytes_have_an_answer(target in prop::collection::vec(any::<u8>(), 0..64)) {
        prop_assert_eq!(normal(&target), slow_normal(&target));
        let rooted = [b"/", target.as_slice()].concat();
        prop_assert_eq!(normal(&rooted), slow_normal(&rooted));
    }
}
