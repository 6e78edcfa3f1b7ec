//! TOML documents with errors that point: file, line, key, what was expected, how to mend it.
//!
//! Syntax and unknown keys are found by `toml` and serde, ranges by `validate` functions that
//! name the offending key path (a [`Violation`]); both end as the same picture of the source.

use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use flakelab_core::domain::closest_name;

/// A text in TOML and the name to call it by in errors.
#[derive(Debug, Clone)]
pub struct Document {
    path: PathBuf,
    text: String,
}

/// Something wrong with a document. `Display` is the whole message, ready to print.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The content is not what it should be; the text shows where.
    #[error("{0}")]
    Content(String),
}

/// A value outside its range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where: keys joined by dots, array positions as numbers, as in `error_rate.values.3`.
    pub key: String,
    /// What is wrong, as in `probability outside 0..=1`.
    pub problem: String,
    /// What was expected there.
    pub expected: String,
    /// How to mend it, if there is a likely way.
    pub help: Option<String>,
}

impl Violation {
    /// A violation without a suggestion.
    pub fn new(key: impl Into<String>, problem: impl Into<String>, expected: &str) -> Self {
        Self { key: key.into(), problem: problem.into(), expected: expected.to_owned(), help: None }
    }

    /// The same with a suggestion.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same seen from a table further out.
    #[must_use]
    pub fn within(mut self, table: &str) -> Self {
        self.key = format!("{table}.{}", self.key);
        self
    }
}

impl Document {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, DocumentError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self { path: path.to_owned(), text }),
            Err(source) => Err(DocumentError::Read { path: path.display().to_string(), source }),
        }
    }

    /// A text that is not a file of its own, for example a model that the binary carries.
    pub fn from_text(name: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { path: name.into(), text: text.into() }
    }

    /// The file's name without its ending: what an experiment, a scenario or a model is called.
    pub fn stem(&self) -> String {
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The content as a `T`; unknown keys are errors if `T` denies them.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, DocumentError> {
        toml::from_str(&self.text).map_err(|error| {
            let message = error.message();
            let title = message.lines().next().unwrap_or("cannot be read as TOML");
            self.error(title, error.span(), None, unknown_key_help(message).as_deref())
        })
    }

    /// The error that shows where a violation stands.
    pub fn violation(&self, violation: &Violation) -> DocumentError {
        let span = locate(&self.text, &violation.key);
        let title = format!("{}: {}", violation.key, violation.problem);
        let label = format!("expected {}", violation.expected);
        self.error(&title, span, Some(&label), violation.help.as_deref())
    }

    fn error(
        &self,
        title: &str,
        span: Option<Range<usize>>,
        label: Option<&str>,
        help: Option<&str>,
    ) -> DocumentError {
        let path = self.path.display().to_string();
        // An empty document, or a key that is missing from it, has nothing to point at.
        let span = span.filter(|s| s.end <= self.text.len()).unwrap_or(0..0);
        let mut annotation = AnnotationKind::Primary.span(span);
        if let Some(label) = label {
            annotation = annotation.label(label);
        }
        let snippet = Snippet::source(self.text.as_str()).path(path).annotation(annotation);
        let group = Group::with_title(Level::ERROR.primary_title(title)).element(snippet);
        let mut report = vec![group];
        if let Some(help) = help {
            report.push(Group::with_title(Level::HELP.secondary_title(help)));
        }
        let picture = Renderer::plain().decor_style(DecorStyle::Ascii).render(&report);
        // Whoever prints errors writes "error: " themselves.
        DocumentError::Content(picture.trim_start_matches("error: ").to_owned())
    }
}

/// The version of the formats of models, scenarios and experiments.
pub(crate) const SCHEMA: u32 = 1;

/// Refuses files of another version.
pub(crate) fn check_schema(schema: u32) -> Result<(), Violation> {
    if schema == SCHEMA {
        return Ok(());
    }
    Err(Violation::new("schema", format!("schema {schema} is not known"), &SCHEMA.to_string()))
}

/// The bytes that hold the value at a key path, or the innermost table that encloses it.
fn locate(text: &str, path: &str) -> Option<Range<usize>> {
    let root = DeTable::parse(text).ok()?;
    let mut keys = path.split('.');
    let first = keys.next()?;
    let (_, mut value) = root.get_ref().iter().find(|(key, _)| key.get_ref() == first)?;
    for key in keys {
        let inner = match value.get_ref() {
            DeValue::Table(table) => table.iter().find(|(k, _)| k.get_ref() == key).map(|(_, v)| v),
            DeValue::Array(array) => key.parse().ok().and_then(|i: usize| array.get(i)),
            _ => None,
        };
        match inner {
            Some(inner) => value = inner,
            None => break,
        }
    }
    Some(value.span())
}

/// For serde's "unknown field `x`, expected one of `a`, `b`": the known key most like `x`.
fn unknown_key_help(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field `")?;
    let (unknown, known) = rest.split_once('`')?;
    let name = closest_name(unknown, known.split('`').skip(1).step_by(2))?;
    Some(format!("did you mean `{name}`?"))
}

/// Changes a text in ways each of which must be refused with a place and a way to mend it.
#[cfg(test)]
pub(crate) fn assert_refused<T: std::fmt::Debug, E: std::fmt::Display + std::fmt::Debug>(
    text: &str,
    read: impl Fn(&str) -> Result<T, E>,
    changes: &[(&str, &str, &str, &str)],
) {
    for (from, to, place, mend) in changes {
        assert!(text.contains(from), "{from}");
        let message = read(&text.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(message.contains(place) && message.contains(mend), "{to}:\n{message}");
    }
}
