//! Paths, against docs/DECISIONS.md section 6 as slowly as it reads. The first line is the request target, the
//! second the method, each other one a route: a path, or a method and a path.

use super::lines;
use keyward::gates::router::Router;
use keyward::request::path::{PathBuffer, normalize};

/// Normalizes a target and routes it.
pub fn run(data: &[u8]) {
    let mut lines = lines(data);
    let (target, method) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut buffer = PathBuffer::new();
    let found = normalize(target, &mut buffer);
    let expected = expected(target);
    assert_eq!(found.as_ref().ok().map(|path| path.as_bytes()), expected.as_deref().map(str::as_bytes));
    let Ok(path) = found else { return };
    let normal = String::from_utf8(path.as_bytes().to_vec()).expect("a normal path is ASCII");
    let mut again = PathBuffer::new();
    let twice = normalize(normal.as_bytes(), &mut again).expect("a normal path is one");
    assert_eq!(twice.as_bytes(), normal.as_bytes(), "normal paths stay as they are");

    let routes: Vec<(&str, Option<Vec<String>>)> = lines
        .filter_map(|line| str::from_utf8(line).ok())
        .take(30)
        .map(|line| match line.split_once(' ') {
            Some((methods, path)) => (path, Some(methods.split(',').map(str::to_owned).collect())),
            None => (line, None),
        })
        .collect();
    let Ok(router) = Router::new(routes.iter().map(|(path, methods)| (*path, methods.as_deref()))) else {
        return;
    };
    assert_eq!(router.route(path, method), route(&routes, &normal, method), "{normal}");
}

/// The normal form; none where the path is ambiguous.
fn expected(target: &[u8]) -> Option<String> {
    let path = target.split(|&byte| byte == b'?').next()?;
    let mut rest = path.strip_prefix(b"/")?;
    if path.iter().any(|byte| !(0x21..=0x7E).contains(byte) || b"\\#".contains(byte)) {
        return None;
    }
    let (mut normal, mut decoded) = (String::from("/"), vec![b'/']);
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            normal.push(char::from(byte));
            decoded.push(byte);
            continue;
        }
        let digit = |at: usize| rest.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        let byte = (digit(0)? * 16 + digit(1)?) as u8;
        rest = &rest[2..];
        if byte < 0x20 || b"/\\\x7F".contains(&byte) {
            return None;
        }
        decoded.push(byte);
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            normal.push(char::from(byte));
        } else {
            normal += &format!("%{byte:02X}");
        }
    }
    str::from_utf8(&decoded).ok()?;
    let segments: Vec<&str> = normal.split('/').skip(1).collect();
    let last = segments.len() - 1;
    let bad =
        |(at, segment): (usize, &&str)| (segment.is_empty() && at != last) || matches!(*segment, "." | "..");
    (!segments.iter().enumerate().any(bad)).then_some(normal)
}

/// How specific a segment of a route is, where it takes this segment of a path.
fn rank(pattern: &str, segment: &str) -> Option<u8> {
    if pattern.starts_with('{') {
        return (!segment.is_empty()).then_some(1);
    }
    (pattern == segment).then_some(2)
}

/// How specific a route's path is for this path, segment by segment; none where it does not match.
fn ranks(pattern: &str, path: &str) -> Option<Vec<u8>> {
    let (patterns, segments): (Vec<&str>, Vec<&str>) =
        (pattern.split('/').collect(), path.split('/').collect());
    let mut ranks = Vec::new();
    for (at, pattern) in patterns.iter().enumerate() {
        if pattern.starts_with("{*") {
            ranks.push(0);
            return (segments.len() > at && (segments.len() > at + 1 || at > 0)).then_some(ranks);
        }
        ranks.push(rank(pattern, segments.get(at)?)?);
    }
    (patterns.len() == segments.len()).then_some(ranks)
}

fn route(routes: &[(&str, Option<Vec<String>>)], path: &str, method: &[u8]) -> Option<usize> {
    let best = routes.iter().filter_map(|(pattern, _)| ranks(pattern, path)).max()?;
    let of_best =
        || routes.iter().enumerate().filter(|(_, (pattern, _))| ranks(pattern, path).as_ref() == Some(&best));
    let lists = |wanted: &[u8]| {
        of_best().find(|(_, (_, methods))| {
            methods.as_ref().is_some_and(|methods| methods.iter().any(|method| method.as_bytes() == wanted))
        })
    };
    let every = || of_best().find(|(_, (_, methods))| methods.is_none());
    let found = lists(method).or_else(every).or_else(|| if method == b"HEAD" { lists(b"GET") } else { None });
    found.map(|(number, _)| number)
}
