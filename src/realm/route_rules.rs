//! What routes may say, and that any two of them can be told apart.

use super::fault::{Fault, KeyPath};
use super::rules::{distinct, is_token, printable};
use super::{Realm, Route};
use crate::request::path::is_canonical_segment;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// One segment of a route's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment<'p> {
    /// Text, in the form that a request's path is brought to. Empty only after the last `/`.
    Literal(&'p str),
    /// `{name}`: one segment, not empty.
    One(&'p str),
    /// `{*rest}`: one segment or more, of which the last may be empty.
    Rest(&'p str),
}

/// The most segments that a route's path has. It bounds how deep the search for a route goes.
pub const MOST_SEGMENTS: usize = 128;

/// Why a path cannot be a route's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No `/` at the beginning.
    #[error("a path begins with `/`")]
    Relative,
    /// An empty segment before the last.
    #[error("an empty segment can only stand after the last `/`")]
    EmptySegment,
    /// `{*rest}` before the end.
    #[error("{{*{name}}} must be the last segment: it takes all that follows")]
    RestNotLast {
        /// The placeholder's name.
        name: String,
    },
    /// Braces that do not enclose a whole segment, or no name.
    #[error("{segment:?} is no placeholder: write {{name}} or, last, {{*name}} as a whole segment")]
    Placeholder {
        /// The segment.
        segment: String,
    },
    /// Text that no request's segment is equal to.
    #[error(
        "the segment {segment:?} matches no request: write it as requests are compared, with \
         unreserved characters plain, others escaped in upper-case hex, and no `.` or `..`"
    )]
    Literal {
        /// The segment.
        segment: String,
    },
    /// More segments than a route may have.
    #[error("a path has at most {MOST_SEGMENTS} segments")]
    TooLong,
}

/// Takes a route's path apart.
pub fn segments(path: &str) -> Result<Vec<Segment<'_>>, PathError> {
    let mut segments = Vec::new();
    let mut rest = Some(path.strip_prefix('/').ok_or(PathError::Relative)?);
    while let Some(text) = rest {
        let (text, tail) = match text.split_once('/') {
            Some((text, tail)) => (text, Some(tail)),
            None => (text, None),
        };
        let segment = segment(text, tail.is_none())?;
        if let (Segment::Rest(name), Some(_)) = (segment, tail) {
            return Err(PathError::RestNotLast { name: name.to_owned() });
        }
        if segments.len() == MOST_SEGMENTS {
            return Err(PathError::TooLong);
        }
        segments.push(segment);
        rest = tail;
    }
    Ok(segments)
}

fn segment(text: &str, last: bool) -> Result<Segment<'_>, PathError> {
    if text.is_empty() {
        return if last { Ok(Segment::Literal(text)) } else { Err(PathError::EmptySegment) };
    }
    if text.contains(['{', '}']) {
        let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        let (name, rest) = match inner.and_then(|inner| inner.strip_prefix('*')) {
            Some(name) => (Some(name), true),
            None => (inner, false),
        };
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        return match name {
            Some(name) if !name.is_empty() && name.bytes().all(letter) => {
                Ok(if rest { Segment::Rest(name) } else { Segment::One(name) })
            }
            _ => Err(PathError::Placeholder { segment: text.to_owned() }),
        };
    }
    if is_canonical_segment(text) {
        Ok(Segment::Literal(text))
    } else {
        Err(PathError::Literal { segment: text.to_owned() })
    }
}

impl Realm {
    pub(super) fn check_routes(&self, path: &KeyPath) -> Result<(), Fault> {
        let mut taken: HashMap<String, Taken<'_>> = HashMap::new();
        for (index, route) in self.routes.iter().enumerate() {
            let path = path.join(index);
            let segments = segments(&route.path)
                .map_err(|error| Fault::new(path.join("path"), format!("{:?}: {error}", route.path)))?;
            self.check_route(&path, route)?;
            match taken.entry(pattern(&segments)) {
                Entry::Vacant(free) => {
                    free.insert(Taken::by(index, route));
                }
                Entry::Occupied(mut taken) => {
                    if let Some((other, method)) = taken.get_mut().add(index, route) {
                        return Err(same(&path, route, other, self.routes.get(other), method));
                    }
                }
            }
        }
        Ok(())
    }

    fn check_route(&self, path: &KeyPath, route: &Route) -> Result<(), Fault> {
        if let Some(methods) = &route.methods {
            let path = path.join("methods");
            if methods.is_empty() {
                return Err(Fault::new(path, "an empty list")
                    .expecting("at least one method, or no `methods` for all of them"));
            }
            distinct(&path, methods)?;
            if let Some(index) = methods.iter().position(|method| !is_token(method)) {
                return Err(
                    Fault::new(path.join(index), "this is no method").expecting(r#"a name such as "GET""#)
                );
            }
        }
        self.check_require(&path.join("require"), &route.require)?;
        for (name, scopes) in [("scopes", &route.scopes), ("any_scopes", &route.any_scopes)] {
            for (index, scope) in scopes.iter().enumerate() {
                let path = path.join(name).join(index);
                if scope.is_empty() {
                    return Err(Fault::new(path, "an empty scope"));
                }
                printable(&path, "a scope", scope)?;
            }
        }
        Ok(())
    }
}

/// The path with every placeholder's name left out. `{}` cannot be a literal's text.
fn pattern(segments: &[Segment<'_>]) -> String {
    let mut pattern = String::new();
    for segment in segments {
        pattern.push('/');
        pattern.push_str(match segment {
            Segment::Literal(text) => text,
            Segment::One(_) => "{}",
            Segment::Rest(_) => "{*}",
        });
    }
    pattern
}

/// Which routes have a path, by method.
enum Taken<'r> {
    EveryMethod(usize),
    Methods(HashMap<&'r str, usize>),
}

impl<'r> Taken<'r> {
    fn by(index: usize, route: &'r Route) -> Self {
        match &route.methods {
            None => Self::EveryMethod(index),
            Some(methods) => Self::Methods(methods.iter().map(|method| (method.as_str(), index)).collect()),
        }
    }

    /// Adds a route, or gives the earlier one that it cannot be told from, and the method they share.
    fn add(&mut self, index: usize, route: &'r Route) -> Option<(usize, Option<&'r str>)> {
        match (self, &route.methods) {
            (Self::EveryMethod(other), _) => Some((*other, None)),
            (Self::Methods(taken), None) => Some((taken.values().copied().min()?, None)),
            (Self::Methods(taken), Some(methods)) => methods
                .iter()
                .find_map(|method| taken.insert(method, index).map(|other| (other, Some(method.as_str())))),
        }
    }
}

fn same(path: &KeyPath, route: &Route, other: usize, earlier: Option<&Route>, method: Option<&str>) -> Fault {
    let earlier = earlier.map_or("", |earlier| earlier.path.as_str());
    let (what, expected) = match method {
        Some(method) => (format!(" for {method}"), "each method in one of them, or another path"),
        None => (String::new(), "`methods` in both, or another path"),
    };
    let found = format!("{:?} cannot be told from route[{other}] {earlier:?}{what}", route.path);
    Fault::new(path.join("path"), found).expecting(expected)
}
