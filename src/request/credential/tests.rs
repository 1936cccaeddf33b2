use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

type Headers<'a> = [(&'a str, &'a [u8])];

fn extractor(sources: &[&str], form: Form) -> Extractor {
    let sources: Vec<Source> = sources.iter().map(|source| Source::parse(source).unwrap()).collect();
    Extractor::new(&sources, form).unwrap()
}

/// What comes out: the source and the bytes.
fn take(sources: &[&str], form: Form, headers: &Headers<'_>) -> Result<(usize, Vec<u8>), (Fault, usize)> {
    let mut scratch = Scratch::new();
    match extractor(sources, form).extract(headers, &mut scratch) {
        Ok(presented) => Ok((presented.source(), presented.bytes(&scratch).to_vec())),
        Err(failure) => Err((failure.fault, failure.source)),
    }
}

fn authorization(value: &[u8]) -> [(&'static str, &[u8]); 1] {
    [("Authorization", value)]
}

fn basic(content: &[u8]) -> Vec<u8> {
    format!("Basic {}", STANDARD.encode(content)).into_bytes()
}

const MALFORMED: Result<(usize, Vec<u8>), (Fault, usize)> = Err((Fault::Malformed, 0));
const MISSING: Result<(usize, Vec<u8>), (Fault, usize)> = Err((Fault::Missing, 0));

fn found(bytes: &[u8]) -> Result<(usize, Vec<u8>), (Fault, usize)> {
    Ok((0, bytes.to_vec()))
}

#[test]
fn bearer_takes_what_rfc_6750_says() {
    for (value, taken) in [
        (&b"Bearer orders-key-one"[..], found(b"orders-key-one")),
        (b"bEARER   aZ09-._~+/==", found(b"aZ09-._~+/==")),
        (b"\t Bearer k \t ", found(b"k")),
        (b"Bearer a=b", MALFORMED),
        (b"Bearer ==", MALFORMED),
        (b"Bearer", MALFORMED),
        (b"Bearer   ", MALFORMED),
        (b"Bearer \tk", MALFORMED),
        (b"Bearer k k", MALFORMED),
        (b"Bearer k,", MALFORMED),
        (b"Bearer \"k\"", MALFORMED),
        (b"Bearer k\xe9", MALFORMED),
        (b"Bearer k\x00", MALFORMED),
        (b"Bearer k\n", MALFORMED),
        (b"Bearer k\xa0", MALFORMED),
        (b"Bearer\tk", MISSING),
        (b"Bearerk", MISSING),
        (b"Bearer: k", MISSING),
        (b"\x0bBearer k", MISSING),
        (b"Token k", MISSING),
        (b"Bear", MISSING),
        (b"", MISSING),
    ] {
        let taken_now = take(&["bearer"], Form::Key, &authorization(value));
        assert_eq!(taken_now, taken, "{}", value.escape_ascii());
    }
    assert_eq!(take(&["bearer"], Form::Key, &[("Proxy-Authorization", b"Bearer k")]), MISSING);
    assert_eq!(take(&["bearer"], Form::Key, &[("authorIzation", b"Bearer k")]), found(b"k"));
}

#[test]
fn lengths_are_those_of_the_credential() {
    for (form, longest) in [(Form::Key, 512), (Form::Tenant, 512), (Form::Token, 8192)] {
        for (length, fits) in [(longest, true), (longest + 1, false)] {
            let credential = vec![b'm'; length];
            let value = [&b"Bearer"[..], &[b' '; 9000], &credential].concat();
            let expected = if fits { found(&credential) } else { MALFORMED };
            assert_eq!(take(&["bearer"], form, &authorization(&value)), expected, "{form:?} {length}");
            let padded = [&[b'\t'; 9000], credential.as_slice(), &[b' '; 9000]].concat();
            assert_eq!(take(&["header:X"], form, &[("x", &padded)]), expected, "{form:?} {length}");
        }
    }
}

#[test]
fn basic_gives_a_pair() {
    let mut scratch = Scratch::new();
    let login = extractor(&["basic"], Form::Pair);
    for (content, id, secret) in
        [("meter:tick tock", "meter", "tick tock"), ("gauge::a:b:", "gauge", ":a:b:")]
    {
        let value = basic(content.as_bytes());
        let headers = authorization(&value);
        let Ok(presented) = login.extract(&headers[..], &mut scratch) else { panic!("{content} is a pair") };
        assert_eq!(presented.bytes(&scratch), content.as_bytes());
        assert_eq!(presented.pair(&scratch), Some((id.as_bytes(), secret.as_bytes())));
    }
    for content in [&b"metertick"[..], b":tick", b"meter:", b":", b"", b"meter:ti\nck", b"meter:tick\x7f"] {
        let taken = take(&["basic"], Form::Pair, &authorization(&basic(content)));
        assert_eq!(taken, MALFORMED, "{}", content.escape_ascii());
    }
    for value in [&b"Basic meter:tick"[..], b"Basic", b"Basic YTpi YTpi", b"Basic YTpi="] {
        assert_eq!(take(&["basic"], Form::Pair, &authorization(value)), MALFORMED);
    }
    assert_eq!(take(&["basic"], Form::Pair, &authorization(b"Bearer YTpi")), MISSING);
    let longest = [&b"u:"[..], &[b'p'; 6142]].concat();
    assert_eq!(take(&["basic"], Form::Pair, &authorization(&basic(&longest))), found(&longest));
    let longer = [&longest[..], b"ppp"].concat();
    assert_eq!(take(&["basic"], Form::Pair, &authorization(&basic(&longer))), MALFORMED);
}

#[test]
fn basic_gives_a_key_where_the_second_half_is_empty() {
    let key = |content: &[u8]| take(&["basic", "bearer"], Form::Key, &authorization(&basic(content)));
    assert_eq!(key(b"sk_curl_1:"), found(b"sk_curl_1"));
    assert_eq!(key(&[&[b'k'; 512][..], b":"].concat()), found(&[b'k'; 512]));
    for content in
        [&b"sk:x"[..], b"sk::", b"sk", b":sk", b":", b"", b"sk:\n", &[&[b'k'; 513][..], b":"].concat()]
    {
        assert_eq!(key(content), MALFORMED, "{}", content.escape_ascii());
    }
}

#[test]
fn one_scratch_does_for_two_credentials_of_a_request() {
    let mut scratch = Scratch::new();
    let value = basic(b"k:");
    let headers = authorization(&value);
    let key = extractor(&["basic"], Form::Key);
    let first = key.extract(&headers[..], &mut scratch).ok();
    let second = key.extract(&headers[..], &mut scratch).ok();
    for presented in [first, second] {
        let presented = presented.expect("it is a key");
        assert_eq!((presented.bytes(&scratch), presented.pair(&scratch)), (&b"k"[..], None));
    }
}

#[test]
fn a_header_is_visible_ascii_and_has_no_alias() {
    let take = |headers: &Headers<'_>| take(&["header:X-Depot.Key"], Form::Key, headers);
    const AMBIGUOUS: Result<(usize, Vec<u8>), (Fault, usize)> = Err((Fault::Ambiguous, 0));
    assert_eq!(take(&[("x-dePOT.key", b"\tdepot!key#1 ")]), found(b"depot!key#1"));
    for value in [&b""[..], b" \t", b"a\tb", b"a b", b"a\xff", b"a\x7f", b"\x00"] {
        assert_eq!(take(&[("X-Depot.Key", value)]), MALFORMED);
    }
    for alias in ["X-Depot-Key", "X_Depot_Key", "x.depot.KEY", "X-Depot.Key"] {
        assert_eq!(take(&[("X-Depot.Key", b"k"), (alias, b"k")]), AMBIGUOUS, "{alias}");
        assert_eq!(take(&[(alias, b""), ("X-Depot.Key", b"k")]), AMBIGUOUS, "{alias}");
    }
    assert_eq!(take(&[("x_depot_key", b"k")]), AMBIGUOUS);
    assert_eq!(take(&[("X-DepotKey", b"k"), ("X-Depot-Key-2", b"k"), ("X-Depot+Key", b"k")]), MISSING);
    let others = [("Authorization", &b"Bearer x"[..]), ("Authorization", b"Bearer y"), ("X-Depot.Key", b"k")];
    assert_eq!(take(&others), found(b"k"));
}

#[test]
fn two_authorization_headers_are_ambiguous_whatever_they_say() {
    for (first, second) in
        [("Bearer k", "Bearer k"), ("Bearer k", "Basic bTp0"), ("Basic bTp0", "Digest x"), ("", "")]
    {
        let headers = [("Authorization", first.as_bytes()), ("authorization", second.as_bytes())];
        for sources in [&["bearer"][..], &["basic", "bearer"], &["bearer", "header:X-Key"]] {
            assert_eq!(take(sources, Form::Key, &headers), Err((Fault::Ambiguous, 0)), "{first} {second}");
        }
        assert_eq!(take(&["header:X-Key", "bearer"], Form::Key, &headers), Err((Fault::Ambiguous, 1)));
    }
}

#[test]
fn a_failure_names_the_first_source_that_was_used() {
    let sources = &["basic", "header:X-Key", "bearer"];
    let take = |headers: &Headers<'_>| take(sources, Form::Key, headers);
    assert_eq!(take(&[]), MISSING);
    assert_eq!(take(&[("Authorization", b"Digest x")]), MISSING);
    assert_eq!(take(&[("Authorization", b"Bearer")]), Err((Fault::Malformed, 2)));
    assert_eq!(take(&[("Authorization", b"Basic")]), Err((Fault::Malformed, 0)));
    assert_eq!(take(&[("X-Key", b"")]), Err((Fault::Malformed, 1)));
    assert_eq!(take(&[("X_Key", b"")]), Err((Fault::Ambiguous, 1)));
    assert_eq!(take(&[("Authorization", b"Bearer"), ("X-Key", b"k")]), Err((Fault::Ambiguous, 1)));
    assert_eq!(take(&[("Authorization", b"Basic"), ("X_Key", b"k")]), Err((Fault::Ambiguous, 0)));
    assert_eq!(take(&[("Authorization", b"Bearer k")]), Ok((2, b"k".to_vec())));
}

#[test]
fn sources_that_cannot_give_it_are_refused() {
    let refused = |sources: &[&str], form| {
        let sources: Vec<Source> = sources.iter().map(|source| Source::parse(source).unwrap()).collect();
        Extractor::new(&sources, form).err()
    };
    assert_eq!(refused(&[], Form::Key), Some(SourceError::None));
    for (source, form) in
        [("bearer", Form::Pair), ("header:X", Form::Pair), ("basic", Form::Token), ("basic", Form::Tenant)]
    {
        let Some(SourceError::Form { found, .. }) = refused(&[source], form) else {
            panic!("{form:?} from {source}");
        };
        assert_eq!(found, source);
    }
    for sources in [["bearer", "bearer"], ["header:X-Key", "header:x_key"]] {
        let repeated = SourceError::Repeated { first: sources[0].to_owned(), second: sources[1].to_owned() };
        assert_eq!(refused(&sources, Form::Key), Some(repeated));
    }
    assert_eq!(refused(&["bearer", "basic", "header:bearer", "header:X"], Form::Key), None);
}

#[test]
fn a_fault_has_its_reason() {
    assert_eq!(Fault::Missing.reason(), Reason::MissingCredential);
    assert_eq!(Fault::Malformed.reason(), Reason::MalformedCredential);
    assert_eq!(Fault::Ambiguous.reason(), Reason::AmbiguousCredential);
}

/// One source, as section 3 says it: `None` is absent.
fn slow_source(source: &Source, form: Form, headers: &[(String, Vec<u8>)]) -> Option<Result<Vec<u8>, Fault>> {
    let trimmed = |value: &[u8]| {
        let start = value.iter().position(|byte| !b" \t".contains(byte)).unwrap_or(value.len());
        let end = value.iter().rposition(|byte| !b" \t".contains(byte)).map_or(start, |last| last + 1);
        value[start..end].to_vec()
    };
    let name = match source {
        Source::Header(name) => name.to_lowercase(),
        _ => "authorization".to_owned(),
    };
    let values: Vec<_> = headers.iter().filter(|(other, _)| other.to_lowercase() == name).collect();
    let folded = |name: &str| name.to_lowercase().replace(['_', '.'], "-");
    let aliased =
        headers.iter().any(|(other, _)| other.to_lowercase() != name && folded(other) == folded(&name));
    if values.len() > 1 || (aliased && matches!(source, Source::Header(_))) {
        return Some(Err(Fault::Ambiguous));
    }
    let value = trimmed(&values.first()?.1);
    let longest = if form == Form::Token { 8192 } else { 512 };
    let well_formed = |value: Vec<u8>, good: bool| {
        Some(if good && !value.is_empty() && value.len() <= longest {
            Ok(value)
        } else {
            Err(Fault::Malformed)
        })
    };
    let mut words = value.splitn(2, |&byte| byte == b' ');
    let scheme = words.next().unwrap_or_default().to_ascii_lowercase();
    let rest = words.next().unwrap_or_default();
    let rest = &rest[rest.iter().take_while(|&&byte| byte == b' ').count()..];
    match source {
        Source::Header(_) => {
            let good = value.iter().all(u8::is_ascii_graphic);
            well_formed(value, good)
        }
        Source::Bearer if scheme != b"bearer" => None,
        Source::Basic if scheme != b"basic" => None,
        Source::Bearer => {
            let body = &rest[..rest.iter().rposition(|&byte| byte != b'=').map_or(0, |last| last + 1)];
            let good = body.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte));
            well_formed(rest.to_vec(), good && !body.is_empty())
        }
        Source::Basic => {
            let content = STANDARD.decode(rest).ok().filter(|_| rest.len() <= 8192);
            let content = content.filter(|content| content.iter().all(|byte| !byte.is_ascii_control()));
            let colon = content.as_ref().and_then(|content| content.iter().position(|&byte| byte == b':'));
            let (Some(content), Some(colon)) = (content, colon) else {
                return Some(Err(Fault::Malformed));
            };
            let (id, secret) = (&content[..colon], &content[colon + 1..]);
            match form {
                Form::Pair if id.is_empty() || secret.is_empty() => Some(Err(Fault::Malformed)),
                Form::Pair => Some(Ok(content)),
                _ => well_formed(id.to_vec(), secret.is_empty()),
            }
        }
    }
}

fn any_header() -> impl Strategy<Value = (String, Vec<u8>)> {
    let name = vec![
        "Authorization",
        "authorization",
        "X-Key",
        "x-key",
        "X_Key",
        "x.KEY",
        "XKey",
        "Host",
        "X-Tenant",
    ];
    let value = vec![
        "Bearer abc",
        "bearer  abc=",
        "Bearer",
        "Bearer a b",
        "Basic azp2",
        "Basic azo=",
        "BASIC Og==",
        "Basic azo",
        "Digest x",
        "",
        "key!1",
        " key\t",
        "a b",
        "Bearer ab=c",
        "Basic",
        "Basic a2s6Cg==",
        "Bearer\tx",
    ];
    (prop::sample::select(name), prop::sample::select(value))
        .prop_map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    #[test]
    fn it_says_what_each_source_for_itself_says(
        headers in prop::collection::vec(any_header(), 0..4),
        mut sources in prop::sample::subsequence(vec!["bearer", "basic", "header:X-Key", "header:X-Tenant"], 1..=4),
        turned in any::<bool>(),
        form in prop::sample::select(vec![Form::Key, Form::Pair, Form::Token, Form::Tenant]),
    ) {
        sources.retain(|source| form.check(&Source::parse(source).unwrap()).is_ok());
        prop_assume!(!sources.is_empty());
        if turned {
            sources.reverse();
        }
        let present: Vec<(usize, Result<Vec<u8>, Fault>)> = sources
            .iter()
            .enumerate()
            .filter_map(|(index, source)| Some((index, slow_source(&Source::parse(source).unwrap(), form, &headers)?)))
            .collect();
        let expected = match &present[..] {
            [] => Err((Fault::Missing, 0)),
            [(index, Ok(bytes))] => Ok((*index, bytes.clone())),
            [(index, Err(fault))] => Err((*fault, *index)),
            [(index, _), ..] => Err((Fault::Ambiguous, *index)),
        };
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), &value[..])).collect();
        prop_assert_eq!(take(&sources, form, &headers), expected, "{:?} {:?}", sources, headers);
    }

    #[test]
    fn any_bytes_have_an_answer(value in prop::collection::vec(any::<u8>(), 0..80)) {
        for scheme in ["Bearer ", "Basic ", ""] {
            let value = [scheme.as_bytes(), &value].concat();
            let headers = [("Authorization".to_owned(), value)];
            let borrowed = [("Authorization", &headers[0].1[..])];
            for (source, form) in [("bearer", Form::Token), ("basic", Form::Pair), ("basic", Form::Key)] {
                let expected = match slow_source(&Source::parse(source).unwrap(), form, &headers) {
                    None => MISSING,
                    Some(Ok(bytes)) => found(&bytes),
                    Some(Err(fault)) => Err((fault, 0)),
                };
                prop_assert_eq!(take(&[source], form, &borrowed), expected);
            }
        }
    }
}
