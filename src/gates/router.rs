//! From path and method to a route: docs/DECISIONS.md section 6.
//!
//! A tree of segments, because the library for it, matchit, refuses routes that may stand together here:
//! `/files/{name}/meta` beside `/files/{*rest}`. Its `{*rest}` is never empty either, and it matches parts
//! of a segment. No path visits a node twice, so the worst path costs no more than the table is large.

use crate::realm::{PathError, Segment, segments};
use crate::request::bytes::{same, word};
use crate::request::path::NormalPath;
use std::cmp::Ordering;
use thiserror::Error;

/// A route that cannot be, or that cannot be told from another.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RouterError {
    /// A path that cannot be a route's.
    #[error("route `{path}`: {fault}")]
    Path {
        /// The path, as configured.
        path: String,
        /// What is wrong with it.
        fault: PathError,
    },
    /// A list of methods with nothing in it.
    #[error("route `{path}`: its list of methods is empty: leave it out for every method")]
    NoMethods {
        /// The path, as configured.
        path: String,
    },
    /// Two routes that take the same requests.
    #[error("routes `{first}` and `{second}` cannot be told apart: both take {method}")]
    Same {
        /// The path of the route listed first, as configured.
        first: String,
        /// The path of the route listed later, as configured.
        second: String,
        /// A method that both take.
        method: String,
    },
}

/// The routes of one path.
#[derive(Default)]
struct Methods {
    /// The path as its first route has it.
    path: Box<str>,
    /// The route without methods; then it is the only one.
    every: Option<usize>,
    /// Methods and the routes that list them.
    listed: Vec<(Box<[u8]>, usize)>,
}

impl Methods {
    #[inline]
    fn route(&self, method: &[u8]) -> Option<usize> {
        let listing = |method: &[u8]| {
            self.listed.iter().find(|(listed, _)| same(listed, method)).map(|&(_, route)| route)
        };
        match self.every.or_else(|| listing(method)) {
            None if method == b"HEAD" => listing(b"GET"),
            found => found,
        }
    }

    /// Adds a route; an error names a method that an earlier one takes too.
    fn add(&mut self, route: usize, methods: Option<&[String]>) -> Result<(), String> {
        if self.every.is_some() {
            return Err(methods
                .and_then(<[String]>::first)
                .map_or("every method", String::as_str)
                .to_owned());
        }
        let Some(methods) = methods else {
            self.every = Some(route);
            let taken = self.listed.first().map(|(method, _)| String::from_utf8_lossy(method).into_owned());
            return taken.map_or(Ok(()), Err);
        };
        for method in methods {
            match self.listed.iter().find(|(listed, _)| **listed == *method.as_bytes()) {
                Some((_, earlier)) if *earlier != route => return Err(method.clone()),
                Some(_) => {}
                None => self.listed.push((method.as_bytes().into(), route)),
            }
        }
        Ok(())
    }
}

/// A segment of a request's path.
#[derive(Clone, Copy)]
struct Found<'p> {
    /// Its first eight bytes, which tell most segments apart.
    head: u64,
    text: &'p [u8],
}

impl<'p> Found<'p> {
    /// The first of some segments, and the others where there are any.
    #[inline(always)]
    fn first_of(segments: &'p [u8]) -> (Self, Option<&'p [u8]>) {
        // A byte of `differing` is zero where a slash is; the lowest bit that the subtraction borrows into
        // is that of the first such byte.
        const ONES: u64 = u64::from_le_bytes([1; 8]);
        let word = word(segments);
        let differing = word ^ (ONES * 0x2F);
        let slashes = differing.wrapping_sub(ONES) & !differing & (ONES * 0x80);
        if slashes != 0 {
            let bits = slashes.trailing_zeros() & !7;
            let (text, behind) = segments.split_at_checked(bits as usize / 8).unwrap_or((segments, &[]));
            return (Self { head: word & ((1 << bits) - 1), text }, behind.get(1..));
        }
        let behind = segments.get(8..).unwrap_or_default();
        match behind.iter().position(|&byte| byte == b'/') {
            Some(slash) => {
                let (text, behind) = segments.split_at_checked(8 + slash).unwrap_or((segments, &[]));
                (Self { head: word, text }, behind.get(1..))
            }
            None => (Self { head: word, text: segments }, None),
        }
    }
}

/// Up to how many literals are looked at one after the other.
const FEW: usize = 8;

/// A literal segment and the node behind it.
struct Literal {
    head: u64,
    text: Box<[u8]>,
    child: usize,
}

/// Where a path may be after some of its segments.
#[derive(Default)]
struct Node {
    /// Literal segments, by head, length and text.
    literals: Vec<Literal>,
    /// The node behind `{name}`.
    name: Option<usize>,
    /// The routes whose path is `{*rest}` from here.
    rest: Option<Methods>,
    /// The routes whose path ends here.
    end: Option<Methods>,
}

impl Node {
    /// The place of `segment` among the literals, or where it would stand.
    #[inline]
    fn place(&self, Found { head, text: segment }: Found<'_>) -> Result<usize, usize> {
        self.literals.binary_search_by(|literal| {
            literal.head.cmp(&head).then_with(|| literal.text.len().cmp(&segment.len())).then_with(|| {
                // Up to eight bytes the head and the length say it all.
                if segment.len() <= 8 { Ordering::Equal } else { (*literal.text).cmp(segment) }
            })
        })
    }

    #[inline]
    fn literal(&self, segment: Found<'_>) -> Option<usize> {
        // Most are told apart by their heads alone, and there are few.
        if self.literals.len() <= FEW {
            let fits = |literal: &&Literal| literal.head == segment.head && same(&literal.text, segment.text);
            return self.literals.iter().find(fits).map(|literal| literal.child);
        }
        Some(self.literals.get(self.place(segment).ok()?)?.child)
    }
}

/// Finds the route of a request.
pub struct Router {
    /// The first is the root.
    nodes: Vec<Node>,
}

impl Router {
    /// Prepares routes: the path and the methods of each, `None` for every method. They are known by
    /// their index from then on.
    pub fn new<'a>(
        routes: impl IntoIterator<Item = (&'a str, Option<&'a [String]>)>,
    ) -> Result<Self, RouterError> {
        let mut router = Self { nodes: vec![Node::default()] };
        for (index, (path, methods)) in routes.into_iter().enumerate() {
            if methods.is_some_and(<[String]>::is_empty) {
                return Err(RouterError::NoMethods { path: path.to_owned() });
            }
            let place = router.place(path)?;
            let of_path = place.get_or_insert_with(|| Methods { path: path.into(), ..Methods::default() });
            of_path.add(index, methods).map_err(|method| RouterError::Same {
                first: of_path.path.to_string(),
                second: path.to_owned(),
                method,
            })?;
        }
        Ok(router)
    }

    /// The place of the routes of `path`, which is made where there is none.
    fn place(&mut self, path: &str) -> Result<&mut Option<Methods>, RouterError> {
        let segments = segments(path).map_err(|fault| RouterError::Path { path: path.to_owned(), fault })?;
        let mut node = 0;
        for segment in &segments {
            node = match segment {
                Segment::Literal(text) => self.behind_literal(node, text),
                Segment::One(_) => self.behind_name(node),
                // The last one: nothing can follow it.
                Segment::Rest(_) => return Ok(&mut self.nodes[node].rest),
            };
        }
        Ok(&mut self.nodes[node].end)
    }

    /// The node behind `{name}` at `node`.
    fn behind_name(&mut self, node: usize) -> usize {
        let next = self.nodes.len();
        let child = *self.nodes[node].name.get_or_insert(next);
        self.nodes.resize_with(next.max(child + 1), Node::default);
        child
    }

    /// The node behind a literal at `node`.
    fn behind_literal(&mut self, node: usize, segment: &str) -> usize {
        let next = self.nodes.len();
        let node = &mut self.nodes[node];
        let found = Found { head: word(segment.as_bytes()), text: segment.as_bytes() };
        match node.place(found) {
            Ok(place) => node.literals[place].child,
            Err(place) => {
                let literal = Literal { head: found.head, text: found.text.into(), child: next };
                node.literals.insert(place, literal);
                self.nodes.push(Node::default());
                next
            }
        }
    }

    /// The index of the route of a request; `None` where it is unmatched.
    ///
    /// The most specific path that matches decides, even where only a less specific one has the method.
    #[inline]
    pub fn route(&self, path: NormalPath<'_>, method: &[u8]) -> Option<usize> {
        self.find(0, Some(path.as_bytes().strip_prefix(b"/")?))?.route(method)
    }

    /// The routes of the most specific path from `node` on that matches; `segments` is `None` where the
    /// path has ended.
    fn find(&self, node: usize, segments: Option<&[u8]>) -> Option<&Methods> {
        let mut node = self.nodes.get(node)?;
        let mut segments = segments;
        while let Some(some) = segments {
            let (segment, behind) = Found::first_of(some);
            let by_literal = node.literal(segment);
            let by_name = node.name.filter(|_| !segment.text.is_empty());
            let next = match (by_literal, by_name, &node.rest) {
                // One way to go, and none to come back for.
                (Some(next), None, None) | (None, Some(next), None) => next,
                (by_literal, by_name, rest) => {
                    let by_literal = by_literal.and_then(|next| self.find(next, behind));
                    let by_name = || by_name.and_then(|next| self.find(next, behind));
                    return by_literal.or_else(by_name).or(rest.as_ref());
                }
            };
            (node, segments) = (self.nodes.get(next)?, behind);
        }
        node.end.as_ref()
    }
}

#[cfg(test)]
mod tests;
