use crate::token::strict_json::Object;
use proptest::prelude::*;

fn accepts(text: &str) -> bool {
    Object::read(text.as_bytes()).is_some()
}

#[test]
fn objects() {
    for good in ["{}", " \t\r\n{ } ", r#"{"a":{"b":[1,{"c":null}]},"b":[true,false,"x"]}"#, r#"{"":0}"#] {
        assert!(accepts(good), "{good}");
    }
    for bad in [
        "",
        " ",
        "[]",
        "null",
        "1",
        "\"a\"",
        "{",
        "{}{}",
        "{} x",
        "{}\0",
        "{,}",
        r#"{"a":1,}"#,
        r#"{"a"}"#,
        r#"{a:1}"#,
        "{'a':1}",
        r#"{"a":01}"#,
        r#"{"a":+1}"#,
        r#"{"a":.5}"#,
        r#"{"a":1.}"#,
        r#"{"a":0x1}"#,
        r#"{"a":NaN}"#,
        r#"{"a":Infinity}"#,
        "{\"a\":\"\n\"}",
        "{\"a\":\"\u{1}\"}",
        "{/**/}",
        "\u{feff}{}",
        "{\"a\":1\u{a0}}",
        r#"{"a":tru}"#,
        r#"{"a":[1,]}"#,
        r#"{1:1}"#,
        r#"{"a":"\x"}"#,
    ] {
        assert!(!accepts(bad), "{bad}");
    }
}

#[test]
fn a_member_twice() {
    for bad in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"\u0061":1}"#,
        r#"{"x":{"a":1,"b":2,"a":3}}"#,
        r#"{"x":[[{"y":{"\ud83d\udd11":1,"🔑":2}}]]}"#,
        r#"{"x":{"":1,"":2}}"#,
    ] {
        assert!(!accepts(bad), "{bad}");
    }
    assert!(accepts(r#"{"a":{"a":{"a":[{"a":1},{"a":1}]}},"A":1,"a ":1}"#));
}

#[test]
fn surrogates() {
    for bad in [
        r#""\ud83d""#,
        r#""\udd11""#,
        r#""\udd11\ud83d""#,
        r#""\ud83dx""#,
        r#""\ud83d\n""#,
        r#""\ud83d\ud83d""#,
        r#"["\uDFFF"]"#,
        r#"{"\ud800":1}"#,
    ] {
        assert!(!accepts(&format!(r#"{{"a":{bad}}}"#)), "{bad}");
        assert!(!accepts(&format!(r#"{{"a":[{{"b":{bad}}}]}}"#)), "{bad}");
    }
    assert!(!accepts(r#"{"\ud800":1}"#));
    assert!(accepts(r#"{"a":"\ud83d\udd11\uffff\u0000","\ud83d\udd11":1}"#));
}

#[test]
fn utf_8() {
    for bad in [
        &b"{\"a\":\"\xe9\"}"[..],
        b"{\"\xc0\x80\":1}",
        b"{\"a\":\"\xed\xa0\xbd\"}",
        b"{\"a\":\"\xf4\x90\x80\x80\"}",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\0}\0",
        b"{\0}\0",
    ] {
        assert!(Object::read(bad).is_none(), "{bad:?}");
    }
    assert!(accepts("{\"a\":\"\u{ffff}\u{fdd0}\u{10ffff}\"}"));
}

#[test]
fn numbers_that_a_double_holds() {
    let integer_beyond = format!("1{}", "0".repeat(309));
    let small_again = format!("0.{}1e400", "0".repeat(399));
    let large_integer = format!("1{}", "0".repeat(308));
    for good in [
        "0",
        "-0",
        "-0.0",
        "1e300",
        "1.7976931348623157e308",
        "-1.7976931348623157e308",
        "1.7976931348623158e308",
        "1e-400",
        "-1e-400",
        "5e-324",
        "0e400",
        "0e99999999999999999999",
        "1e-99999999999999999999",
        "9007199254740993",
        "18446744073709551616",
        "123456789012345678901234567890",
        &large_integer,
        &small_again,
    ] {
        assert!(accepts(&format!(r#"{{"a":{good}}}"#)), "{good}");
        assert!(accepts(&format!(r#"{{"a":[{{"b":{good}}}]}}"#)), "{good}");
    }
    for bad in
        ["1e400", "-1e400", "1e309", "1.797693134862316e308", "1e99999999999999999999", &integer_beyond]
    {
        assert!(!accepts(&format!(r#"{{"a":{bad}}}"#)), "{bad}");
        assert!(!accepts(&format!(r#"{{"a":[{{"b":{bad}}}]}}"#)), "{bad}");
    }
}

#[test]
fn nesting() {
    let lists = |levels: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(levels - 1), "]".repeat(levels - 1));
    let objects = |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    // Half of what the smallest usual threads have (macOS: 512 KiB).
    let small_stack = std::thread::Builder::new().stack_size(256 * 1024).spawn(move || {
        for nested in [&lists as &dyn Fn(usize) -> String, &objects] {
            assert!(accepts(&nested(128)));
            assert!(!accepts(&nested(129)));
            assert!(!accepts(&nested(2700)));
        }
    });
    assert!(small_stack.is_ok_and(|thread| thread.join().is_ok()));
}

#[test]
fn a_member_is_read_as_its_type_alone() {
    let object = Object::read(br#"{"a":"\u0041","n":1,"z":null,"l":["x"]}"#).unwrap();
    assert_eq!(object.read_as::<String>("a").as_deref(), Some("A"));
    assert_eq!(object.read_as::<String>("n"), None);
    assert_eq!(object.read_as::<String>("z"), None);
    assert_eq!(object.read_as::<Vec<String>>("l"), Some(vec!["x".to_owned()]));
    assert_eq!(object.text("n"), Some("1"));
    assert!(object.has("z") && !object.has("A"));
}

proptest! {
    #[test]
    fn a_number_passes_where_a_double_holds_it(
        text in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?(3[0-9]{2}|[0-9]{1,4}))?",
    ) {
        prop_assert_eq!(accepts(&format!(r#"{{"a":{text}}}"#)), text.parse().is_ok_and(f64::is_finite));
    }
}
