//! Each step of a verify alone.

use criterion::{Criterion, criterion_group, criterion_main};
use keyward::format::id_place::IdTag;
use keyward::gates::router::Router;
use keyward::limits::{Gcra, Limiter};
use keyward::realm::{Configuration, CredentialKind, TokenRules};
use keyward::request::address::{ProxyList, client};
use keyward::request::credential::{Extractor, Form, Scratch, Source};
use keyward::request::path::{PathBuffer, normalize};
use keyward::request::{HeaderList, Peer};
use keyward::snapshot::Mode;
use keyward::time::Timestamp;
use keyward::token::{self, Algorithm, Grant};
use keyward_benches::keys::{CONFIGURATION, REALM};
use keyward_benches::random::Random;
use keyward_benches::requests::Kind;
use keyward_benches::{store, timing};
use std::hint::black_box;

const KEYS: u64 = 100_000;

fn credential(criterion: &mut Criterion) {
    let extractor = Extractor::new(&[Source::Bearer], Form::Key).expect("a key may come as bearer");
    criterion.bench_function("extraction", |bencher| {
        bencher.iter_custom(|calls| {
            timing::calls(Kind::Allowed, KEYS, calls, |request, _| {
                extractor.extract(request.headers, &mut Scratch::new()).is_ok()
            })
        });
    });
    let digest_key = store::digest_key();
    criterion.bench_function("digest", |bencher| {
        bencher
            .iter_custom(|calls| timing::calls(Kind::Allowed, KEYS, calls, |_, key| digest_key.digest(key)));
    });
    let configuration = configuration();
    let realm = configuration.realms.first().expect("there is one realm");
    let rules = realm.credentials.iter().find_map(|credential| match &credential.kind {
        CredentialKind::Key(rules) => rules.format.as_ref(),
        _ => None,
    });
    let matcher = rules.expect("it has a format").matcher(&realm.environments).expect("the format is good");
    criterion.bench_function("format", |bencher| {
        bencher.iter_custom(|calls| timing::calls(Kind::Allowed, KEYS, calls, |_, key| matcher.fit(key)));
    });
}

fn route(criterion: &mut Criterion) {
    criterion.bench_function("path", |bencher| {
        bencher.iter_custom(|calls| {
            timing::calls(Kind::Allowed, KEYS, calls, |request, _| {
                normalize(request.path.unwrap_or_default(), &mut PathBuffer::new()).is_ok()
            })
        });
    });
    let configuration = configuration();
    let routes = configuration.realms.iter().flat_map(|realm| &realm.routes);
    let router = Router::new(routes.map(|route| (route.path.as_str(), route.methods.as_deref())));
    let router = router.expect("the routes are good");
    criterion.bench_function("path and route", |bencher| {
        bencher.iter_custom(|calls| {
            timing::calls(Kind::Allowed, KEYS, calls, |request, _| {
                let mut buffer = PathBuffer::new();
                let path = normalize(request.path.unwrap_or_default(), &mut buffer).ok()?;
                router.route(path, request.method.unwrap_or(b"GET"))
            })
        });
    });
}

fn address(criterion: &mut Criterion) {
    let proxies = ProxyList::parse(&["10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32"]).expect("good CIDRs");
    let headers: &[(&[u8], &[u8])] = &[
        (b"Accept", b"*/*"),
        (b"X-Forwarded-For", b"203.0.113.7, 10.1.2.3"),
        (b"Host", b"api.bench.example"),
    ];
    let peer = Peer::parse(b"192.0.2.80");
    criterion.bench_function("address behind proxies", |bencher| {
        bencher.iter(|| client(black_box(peer), &proxies, b"x-forwarded-for", black_box(headers)));
    });
    assert_eq!(headers.count(), 3);
}

fn record(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("bench.kwd");
    let collection = store::collect(KEYS, None, &|_| {}).expect("the keys are good");
    store::publish(&collection, &path, &|_| {}).expect("the folder takes a snapshot");
    let snapshot = store::snapshot(&path, Mode::Map).expect("the snapshot is good");
    let digest_key = store::digest_key();
    let mut random = Random::new(4);
    let batch = keyward_benches::requests::Batch::new(Kind::Allowed, KEYS, &mut random);
    let [sample, ..] = batch.samples();
    let entry = snapshot.find(&digest_key.digest(sample.credential()));
    let entry = entry.expect("the snapshot is good").expect("the key is there");
    let headers = sample.headers();
    let Peer::Address(address) = sample.request(&headers).peer else { unreachable!("it has an address") };
    criterion.bench_function("address of a key", |bencher| {
        bencher.iter(|| snapshot.allows_address(black_box(&entry), Some(address)));
    });
    let scope = snapshot.scope_number("read_invoices").expect("keys have it");
    criterion.bench_function("scopes", |bencher| {
        bencher.iter(|| snapshot.scopes(black_box(&entry)).map(|scopes| scopes.contains(scope)));
    });
}

fn limiter(criterion: &mut Criterion) {
    let limiter = Limiter::new(1 << 17);
    let rate = Gcra::new(1_000_000, 1, 1_000_000).expect("a good limit");
    let mut now = 1_000_000_000_000;
    let tags: Vec<IdTag> = (0..1u32 << 16).map(|id| IdTag::of(REALM, &format!("key_{id:08}"))).collect();
    let mut tags = tags.iter().cycle();
    criterion.bench_function("limiter", |bencher| {
        bencher.iter(|| {
            now += 1000;
            tags.next().map(|tag| limiter.admit(*tag, rate, now))
        });
    });
}

fn tokens(criterion: &mut Criterion) {
    let rules = TokenRules {
        issuer: "bench".into(),
        audience: "bench".into(),
        leeway: 0,
        lifetime: 3600,
        max_lifetime: Some(3600),
        subject_claim: "sub".into(),
        tenants_claim: "tenants".into(),
        scope_claim: "scope".into(),
        key_claim: "client_id".into(),
    };
    let key = token::Key::from_secret("bench-1".into(), Algorithm::HS256, &[7; 32]).expect("a good secret");
    let grant = Grant {
        subject: "somebody",
        tenant: Some("acme"),
        scopes: &["read_invoices"],
        key_id: "key_00000001",
    };
    let now = Timestamp::from_seconds(1_764_000_000);
    let text = token::issue(&rules, &key, &grant, now).expect("the grant is good");
    let keys = [key];
    criterion.bench_function("token verified", |bencher| {
        bencher.iter(|| token::verify(black_box(text.as_bytes()), &rules, &keys, now).is_ok());
    });
    let [key] = &keys;
    criterion.bench_function("token issued", |bencher| {
        bencher.iter(|| token::issue(&rules, key, black_box(&grant), now).is_ok());
    });
}

fn configuration() -> Configuration {
    Configuration::read(CONFIGURATION, "the bench's configuration").expect("it is good")
}

criterion_group!(benches, credential, route, address, record, limiter, tokens);
criterion_main!(benches);
