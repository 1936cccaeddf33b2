use keyward_testkit as support;
#[test] fn smoke() {
    let engine = support::engine(support::snapshot());
    for (realm, headers) in support::GOOD { let v = engine.verify(&support::request(realm, headers)); assert!(v.is_allowed(), "{realm} {headers:?} {:?}", v.reason()); }
    for (realm, headers) in support::BAD { let v = engine.verify(&support::request(realm, headers)); assert!(!v.is_allowed(), "{realm} {headers:?} {:?}", v.reason()); println!("{:?}", v.reason()); }
    let mut f = support::forge::Forge::new(support::snapshot()); let b = f.bytes.clone(); assert_eq!(b, f.seal()); println!("{:#?}", f.header());
}
