use super::*;
use crate::realm::MOST_SEGMENTS;
use crate::request::path::{PathBuffer, normalize};
use proptest::prelude::*;

type Route<'a> = (&'a str, &'a [&'a str]);

/// A router of routes whose empty lists of methods stand for every method.
fn router(routes: &[Route<'_>]) -> Result<Router, RouterError> {
    let owned: Vec<(&str, Option<Vec<String>>)> = routes
        .iter()
        .map(|&(path, methods)| {
            let methods: Vec<String> = methods.iter().map(|&method| method.to_owned()).collect();
            (path, (!methods.is_empty()).then_some(methods))
        })
        .collect();
    Router::new(owned.iter().map(|(path, methods)| (*path, methods.as_deref())))
}

/// The route of a path that is in normal form already.
fn route(router: &Router, path: &str, method: &str) -> Option<usize> {
    let mut buffer = PathBuffer::new();
    router.route(normalize(path.as_bytes(), &mut buffer).expect("it has one reading"), method.as_bytes())
}

fn refused(routes: &[Route<'_>]) -> RouterError {
    router(routes).err().expect("these routes are refused")
}

#[test]
fn the_most_specific_path_decides_before_the_method() {
    let router = router(&[
        ("/v1/items/{id}", &["GET"]),
        ("/v1/items/{id}", &["DELETE"]),
        ("/v1/items/featured", &["GET"]),
        ("/v1/files/{*path}", &[]),
        ("/v1/files/index", &["GET"]),
        ("/v1/files/{name}/meta", &["GET"]),
        ("/v1/{kind}/summary", &["GET"]),
        ("/", &["GET"]),
        ("/v1/folder/", &["GET"]),
    ])
    .unwrap();
    for (method, path, expected) in [
        ("GET", "/v1/items/7", Some(0)),
        ("DELETE", "/v1/items/7", Some(1)),
        ("GET", "/v1/items/featured", Some(2)),
        ("DELETE", "/v1/items/featured", None),
        ("POST", "/v1/files/index", None),
        ("POST", "/v1/files/other", Some(3)),
        ("GET", "/v1/files/index", Some(4)),
        ("GET", "/v1/files/a/meta", Some(5)),
        ("PUT", "/v1/files/a/meta", None),
        ("GET", "/v1/files/a/b/meta", Some(3)),
        ("GET", "/v1/files/a/meta/", Some(3)),
        ("GET", "/v1/files/index/", Some(3)),
        ("GET", "/v1/files", None),
        ("GET", "/v1/files/", Some(3)),
        ("GET", "/v1/orders/summary", Some(6)),
        ("GET", "/v1/items/summary", Some(0)),
        ("GET", "/v1/items/", None),
        ("GET", "/", Some(7)),
        ("GET", "/v1/folder/", Some(8)),
        ("GET", "/v1/folder", None),
        ("GET", "/V1/items/7", None),
    ] {
        assert_eq!(route(&router, path, method), expected, "{method} {path}");
    }
}

#[test]
fn a_search_that_went_wrong_goes_back_as_far_as_it_must() {
    let router =
        router(&[("/a/b/c/d", &[]), ("/a/{x}/c/e", &[]), ("/{y}/b/{z}/f", &[]), ("/{*all}", &[])]).unwrap();
    for (path, expected) in
        [("/a/b/c/d", 0), ("/a/b/c/e", 1), ("/a/b/c/f", 2), ("/a/b/c/g", 3), ("/a/b/c", 3), ("/", 3)]
    {
        assert_eq!(route(&router, path, "GET"), Some(expected), "{path}");
    }
}

#[test]
fn methods_have_case_and_head_falls_back_to_get() {
    let router = router(&[
        ("/both", &["GET"]),
        ("/both", &["HEAD", "POST"]),
        ("/get", &["POST", "GET"]),
        ("/post", &["POST"]),
        ("/every", &[]),
    ])
    .unwrap();
    for (method, path, expected) in [
        ("HEAD", "/both", Some(1)),
        ("GET", "/both", Some(0)),
        ("HEAD", "/get", Some(2)),
        ("get", "/get", None),
        ("head", "/get", None),
        ("HEAD", "/post", None),
        ("", "/get", None),
        ("BREW", "/every", Some(4)),
        ("", "/every", Some(4)),
    ] {
        assert_eq!(route(&router, path, method), expected, "{method} {path}");
    }
}

#[test]
fn routes_that_cannot_be_told_apart_are_refused() {
    let same = |first: &str, second: &str, method: &str| RouterError::Same {
        first: first.to_owned(),
        second: second.to_owned(),
        method: method.to_owned(),
    };
    for (routes, error) in [
        (
            [("/a/orders", &["GET", "POST"][..]), ("/a/orders", &["POST"])],
            same("/a/orders", "/a/orders", "POST"),
        ),
        ([("/a/{id}/x", &[]), ("/a/{number}/x", &[])], same("/a/{id}/x", "/a/{number}/x", "every method")),
        ([("/a", &["PUT"]), ("/a", &[])], same("/a", "/a", "PUT")),
        ([("/a", &[]), ("/a", &["PUT"])], same("/a", "/a", "PUT")),
        ([("/{*rest}", &["PUT"]), ("/{*all}", &["PUT"])], same("/{*rest}", "/{*all}", "PUT")),
    ] {
        assert_eq!(refused(&routes), error);
    }
    assert!(router(&[("/a/{id}", &["GET"]), ("/a/{number}", &["HEAD"]), ("/a/{*rest}", &["GET"])]).is_ok());
    assert!(router(&[("/a", &["GET", "GET"])]).is_ok());
}

#[test]
fn paths_that_are_none_are_refused() {
    let placeholder = |segment: &str| PathError::Placeholder { segment: segment.to_owned() };
    let literal = |segment: &str| PathError::Literal { segment: segment.to_owned() };
    for (path, fault) in [
        ("", PathError::Relative),
        ("a", PathError::Relative),
        ("/files/{*rest}/meta", PathError::RestNotLast { name: "rest".to_owned() }),
        ("/a/{*rest}/", PathError::RestNotLast { name: "rest".to_owned() }),
        ("/a//b", PathError::EmptySegment),
        ("//", PathError::EmptySegment),
        ("/a/../b", literal("..")),
        ("/a/.", literal(".")),
        ("/a b", literal("a b")),
        ("/a?b", literal("a?b")),
        ("/%7e", literal("%7e")),
        ("/caf%c3%a9", literal("caf%c3%a9")),
        ("/café", literal("café")),
        ("/{}", placeholder("{}")),
        ("/{*}", placeholder("{*}")),
        ("/{**a}", placeholder("{**a}")),
        ("/a{b}", placeholder("a{b}")),
        ("/{a}b", placeholder("{a}b")),
        ("/{a}{b}", placeholder("{a}{b}")),
        ("/{a", placeholder("{a")),
        ("/a}", placeholder("a}")),
    ] {
        let error = refused(&[(path, &[])]);
        assert!(error.to_string().contains(path), "{error}");
        assert_eq!(error, RouterError::Path { path: path.to_owned(), fault });
    }
    assert!(router(&[("/caf%C3%A9/%7B", &[])]).is_ok());
    let long = "/a".repeat(MOST_SEGMENTS);
    assert!(router(&[(&long, &[])]).is_ok());
    let longer = format!("{long}/a");
    assert_eq!(
        refused(&[(&longer, &[])]),
        RouterError::Path { path: longer.clone(), fault: PathError::TooLong }
    );
    let none: &[String] = &[];
    let error = Router::new([("/a", Some(none))]).err();
    assert_eq!(error, Some(RouterError::NoMethods { path: "/a".to_owned() }));
}

#[test]
fn many_literals_side_by_side_are_told_apart() {
    let names: Vec<String> =
        (0..100).map(|number| format!("/{}-{number}", ["a", "segments"][number % 2])).collect();
    let routes: Vec<Route<'_>> = names.iter().map(|name| (name.as_str(), &[][..])).collect();
    let router = router(&routes).unwrap();
    for (index, name) in names.iter().enumerate() {
        assert_eq!(route(&router, name, "GET"), Some(index), "{name}");
        assert_eq!(route(&router, &format!("{name}x"), "GET"), None, "{name}x");
    }
}

/// How specific a segment of a route is, by the way it matches: the lesser goes first.
fn matched(route: &str, path: &str) -> Option<Vec<u8>> {
    let mut ranks = Vec::new();
    let route: Vec<&str> = route.split('/').skip(1).collect();
    let path: Vec<&str> = path.split('/').skip(1).collect();
    for (index, segment) in route.iter().enumerate() {
        if segment.starts_with("{*") {
            ranks.push(2);
            return (path.len() > index).then_some(ranks);
        }
        let found = path.get(index)?;
        match segment.starts_with('{') {
            true if found.is_empty() => return None,
            true => ranks.push(1),
            false if segment != found => return None,
            false => ranks.push(0),
        }
    }
    (path.len() == route.len()).then_some(ranks)
}

/// What `Router::route` should say, by looking at every route.
fn slow_route(routes: &[(String, Option<Vec<String>>)], path: &str, method: &str) -> Option<usize> {
    let best = routes.iter().filter_map(|(route, _)| matched(route, path)).min()?;
    let lists = |method: &str| {
        routes.iter().position(|(route, methods)| {
            let takes = methods.as_ref().is_none_or(|methods| methods.iter().any(|listed| listed == method));
            takes && matched(route, path).as_ref() == Some(&best)
        })
    };
    lists(method).or_else(|| if method == "HEAD" { lists("GET") } else { None })
}

fn any_path() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "aa", "segments", "segmented", "segment-"]);
    (prop::collection::vec(segment, 0..5), any::<bool>()).prop_map(|(segments, slash)| {
        let path: String = segments.iter().map(|segment| format!("/{segment}")).collect();
        if slash || path.is_empty() { path + "/" } else { path }
    })
}

fn any_route() -> impl Strategy<Value = (String, Option<Vec<String>>)> {
    let segment = prop::sample::select(vec!["a", "b", "aa", "segments", "segmented", "{x}", "{y}", "{x}"]);
    let last = prop::sample::select(vec!["", "/", "/{*rest}", "/{*all}", ""]);
    let methods = prop::collection::vec(prop::sample::select(vec!["GET", "HEAD", "PUT"]), 1..3);
    (prop::collection::vec(segment, 0..4), last, prop::option::of(methods)).prop_map(
        |(segments, last, methods)| {
            let path: String =
                segments.iter().map(|segment| format!("/{segment}")).collect::<String>() + last;
            let path = if path.is_empty() { "/".to_owned() } else { path };
            (path, methods.map(|methods| methods.into_iter().map(str::to_owned).collect()))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn it_says_what_looking_at_every_route_says(
        candidates in prop::collection::vec(any_route(), 1..24),
        paths in prop::collection::vec(any_path(), 32),
    ) {
        // Keep what can stand together: the router is the judge of each one added.
        let mut routes = Vec::new();
        for candidate in candidates {
            routes.push(candidate);
            let built = Router::new(routes.iter().map(|(path, methods)| (path.as_str(), methods.as_deref())));
            if let Err(error) = built {
                let same = matches!(error, RouterError::Same { .. });
                prop_assert!(same, "{}", error);
                routes.pop();
            }
        }
        let router = Router::new(routes.iter().map(|(path, methods)| (path.as_str(), methods.as_deref()))).unwrap();
        for path in &paths {
            for method in ["GET", "HEAD", "PUT", "BREW"] {
                let found = route(&router, path, method);
                prop_assert_eq!(found, slow_route(&routes, path, method), "{} {} of {:?}", method, path, routes);
            }
        }
    }
}
