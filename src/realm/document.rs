//! A TOML document that is walked by hand, so that an error can say the line, the key path and the
//! nearest known name. Shared by the configuration and the keyring; no value is ever put into a message
//! here, because a keyring's values are secrets.

use super::fault::{ConfigError, Fault, KeyPath, Step};
use std::borrow::Cow;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroize as _;

/// A parsed document and where it came from.
pub(crate) struct Document<'i> {
    file: &'i str,
    text: &'i str,
    root: DeTable<'i>,
}

impl<'i> Document<'i> {
    pub(crate) fn parse(text: &'i str, file: &'i str) -> Result<Self, ConfigError> {
        match DeTable::parse(text) {
            Ok(root) => Ok(Self { file, text, root: root.into_inner() }),
            Err(error) => Err(ConfigError {
                file: file.to_owned(),
                line: line_of(text, error.span().map_or(0, |span| span.start)),
                // The message alone: what `Display` adds is the line's text, which may be a secret.
                fault: Box::new(Fault::new(KeyPath::default(), format!("not TOML: {}", error.message()))),
            }),
        }
    }

    pub(crate) fn text(&self) -> &'i str {
        self.text
    }

    pub(crate) fn root(&self) -> Table<'_, 'i> {
        Table { path: KeyPath::default(), entries: &self.root }
    }

    /// The fault with its file and line.
    pub(crate) fn error(&self, fault: Fault) -> ConfigError {
        let (line, path) = self.locate(&fault.path);
        ConfigError { file: self.file.to_owned(), line, fault: Box::new(Fault { path, ..fault }) }
    }

    /// The line of the path, or of as much of it as the document has, and the path as the document
    /// spells it: a list of one may be written without the list.
    fn locate(&self, path: &KeyPath) -> (usize, KeyPath) {
        let mut table = Some(&self.root);
        let mut list: Option<&[Spanned<DeValue<'i>>]> = None;
        let mut offset = 0;
        let mut spelled = KeyPath::default();
        for step in path.steps() {
            let value = match step {
                Step::Name(name) => {
                    let entry = table.and_then(|table| entry_like(table, name));
                    if let Some((key, _)) = entry {
                        offset = key.span().start;
                    }
                    spelled.0.push(entry.map_or(step.clone(), |(key, _)| key.get_ref().as_ref().into()));
                    entry.map(|(_, value)| value)
                }
                Step::Index(index) => {
                    let value = list.and_then(|list| list.get(*index));
                    if let Some(value) = value {
                        offset = value.span().start;
                    }
                    if list.is_some() {
                        spelled.0.push(step.clone());
                    }
                    value
                }
            };
            (table, list) = match value.map(Spanned::get_ref) {
                Some(DeValue::Table(inner)) => (Some(inner), None),
                Some(DeValue::Array(items)) => (None, Some(&items[..])),
                _ => (None, None),
            };
        }
        (line_of(self.text, offset), spelled)
    }

    /// Overwrites what parsing has copied out of the text.
    pub(crate) fn wipe(&mut self) {
        wipe_table(&mut self.root);
    }
}

fn wipe_table(table: &mut DeTable<'_>) {
    for (_, value) in table.iter_mut() {
        wipe_value(value.get_mut());
    }
}

fn wipe_value(value: &mut DeValue<'_>) {
    match value {
        DeValue::String(Cow::Owned(text)) => text.zeroize(),
        DeValue::Array(items) => items.iter_mut().for_each(|item| wipe_value(item.get_mut())),
        DeValue::Table(table) => wipe_table(table),
        _ => {}
    }
}

/// The entry of that name, or of that name in another case: host names are lower-cased when read.
fn entry_like<'t, 'i>(
    table: &'t DeTable<'i>,
    name: &str,
) -> Option<(&'t Spanned<Cow<'i, str>>, &'t Spanned<DeValue<'i>>)> {
    table
        .get_key_value(name)
        .or_else(|| table.iter().find(|(key, _)| key.get_ref().eq_ignore_ascii_case(name)))
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// A table of a document, and the way to it.
pub(crate) struct Table<'d, 'i> {
    path: KeyPath,
    entries: &'d DeTable<'i>,
}

impl<'d, 'i> Table<'d, 'i> {
    pub(crate) fn at(&self, name: &str) -> KeyPath {
        self.path.join(name)
    }

    /// A fault of the value of that name.
    pub(crate) fn fault(&self, name: &str, found: impl Into<String>) -> Fault {
        Fault::new(self.at(name), found)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Refuses names outside `known`; `of` says what they are not names of, such as " of a realm".
    pub(crate) fn only(&self, known: &[&str], of: &str) -> Result<(), Fault> {
        match self.names().find(|name| !known.contains(name)) {
            None => Ok(()),
            Some(name) => {
                Err(self.fault(name, format!("unknown name{of}")).among(name, known.iter().copied()))
            }
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'d str> + use<'d, 'i> {
        self.entries.keys().map(|key| key.get_ref().as_ref())
    }

    fn value(&self, name: &str) -> Option<&'d DeValue<'i>> {
        self.entries.get(name).map(Spanned::get_ref)
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&'d str>, Fault> {
        match self.value(name) {
            None => Ok(None),
            Some(DeValue::String(text)) => Ok(Some(text)),
            Some(other) => Err(mistyped(self.at(name), other, "a text in quotes")),
        }
    }

    /// The text of that name, which must be there; `what` says what to write, after "expected".
    pub(crate) fn required_text(&self, name: &str, what: &str) -> Result<&'d str, Fault> {
        self.text(name)?.ok_or_else(|| self.fault(name, "is missing").expecting(what))
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, Fault> {
        match self.value(name) {
            None => Ok(None),
            Some(DeValue::Boolean(flag)) => Ok(Some(*flag)),
            Some(other) => Err(mistyped(self.at(name), other, "true or false")),
        }
    }

    pub(crate) fn whole(&self, name: &str) -> Result<Option<u64>, Fault> {
        self.value(name).map(|value| whole(self.at(name), value)).transpose()
    }

    /// A list of texts.
    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Fault> {
        match self.value(name) {
            None => Ok(None),
            Some(DeValue::Array(items)) => texts(&self.at(name), items).map(Some),
            Some(other) => Err(mistyped(self.at(name), other, "a list of texts")),
        }
    }

    /// A text, or a list of texts.
    pub(crate) fn text_or_texts(&self, name: &str) -> Result<Option<Vec<String>>, Fault> {
        match self.value(name) {
            Some(DeValue::String(text)) => Ok(Some(vec![text.to_string()])),
            Some(DeValue::Array(items)) => texts(&self.at(name), items).map(Some),
            None => Ok(None),
            Some(other) => Err(mistyped(self.at(name), other, "a text, or a list of texts")),
        }
    }

    /// A whole number, or a list of two.
    pub(crate) fn whole_or_range(&self, name: &str) -> Result<Option<(u64, u64)>, Fault> {
        const EXPECTED: &str = "one number, or a list of the least and the most";
        let path = self.at(name);
        match self.value(name) {
            None => Ok(None),
            Some(value @ DeValue::Integer(_)) => whole(path, value).map(|both| Some((both, both))),
            Some(DeValue::Array(items)) => match &items[..] {
                [least, most] => {
                    Ok(Some((whole(path.join(0), least.get_ref())?, whole(path.join(1), most.get_ref())?)))
                }
                other => {
                    let found = format!("a list of {}", other.len());
                    Err(Fault::new(path, found).expecting(EXPECTED))
                }
            },
            Some(other) => Err(mistyped(path, other, EXPECTED)),
        }
    }

    pub(crate) fn table(&self, name: &str) -> Result<Option<Table<'d, 'i>>, Fault> {
        match self.value(name) {
            None => Ok(None),
            Some(DeValue::Table(entries)) => Ok(Some(Table { path: self.at(name), entries })),
            Some(other) => Err(mistyped(self.at(name), other, "a table")),
        }
    }

    /// The tables within the table of that name, each with its own name; none where there is no such
    /// table.
    pub(crate) fn tables_by_name(&self, name: &str) -> Result<Vec<(&'d str, Table<'d, 'i>)>, Fault> {
        let Some(outer) = self.table(name)? else {
            return Ok(Vec::new());
        };
        let mut tables = Vec::with_capacity(outer.entries.len());
        for inner in outer.names() {
            if let Some(table) = outer.table(inner)? {
                tables.push((inner, table));
            }
        }
        tables.sort_by_key(|(name, _)| *name);
        Ok(tables)
    }

    /// The tables of `[[name]]`.
    pub(crate) fn list_of_tables(&self, name: &str) -> Result<Vec<Table<'d, 'i>>, Fault> {
        let path = self.at(name);
        let items = match self.value(name) {
            None => return Ok(Vec::new()),
            Some(DeValue::Array(items)) => items,
            Some(other) => {
                return Err(mistyped(path, other, &format!("a list of tables: [[{name}]]")));
            }
        };
        let table = |(index, item): (usize, &'d Spanned<DeValue<'i>>)| match item.get_ref() {
            DeValue::Table(entries) => Ok(Table { path: path.join(index), entries }),
            other => Err(mistyped(path.join(index), other, "a table")),
        };
        items.iter().enumerate().map(table).collect()
    }
}

fn texts(path: &KeyPath, items: &[Spanned<DeValue<'_>>]) -> Result<Vec<String>, Fault> {
    let text = |(index, item): (usize, &Spanned<DeValue<'_>>)| match item.get_ref() {
        DeValue::String(text) => Ok(text.to_string()),
        other => Err(mistyped(path.join(index), other, "a text in quotes")),
    };
    items.iter().enumerate().map(text).collect()
}

fn whole(path: KeyPath, value: &DeValue<'_>) -> Result<u64, Fault> {
    const EXPECTED: &str = "a whole number from 0 to 9223372036854775807";
    let DeValue::Integer(digits) = value else {
        return Err(mistyped(path, value, EXPECTED));
    };
    // TOML's integers are signed and of 64 bits; a pattern of 64 bits in hex is none.
    i64::from_str_radix(digits.as_str(), digits.radix())
        .ok()
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| Fault::new(path, "a number out of range").expecting(EXPECTED))
}

fn mistyped(path: KeyPath, found: &DeValue<'_>, expected: &str) -> Fault {
    let found = match found {
        DeValue::String(_) => "found a text",
        DeValue::Integer(_) => "found a whole number",
        DeValue::Float(_) => "found a number with a fraction",
        DeValue::Boolean(_) => "found true or false",
        DeValue::Datetime(_) => "found a date or time",
        DeValue::Array(_) => "found a list",
        DeValue::Table(_) => "found a table",
    };
    Fault::new(path, found).expecting(expected)
}
