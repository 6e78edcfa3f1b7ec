//! A family of parameters, declared once: its name, its keys, and what each of them may hold.
//!
//! Error rates, rate limits and latencies each come in several families. The macro [`families`]
//! lists them beside the enum that holds their parameters; reading and writing of model files
//! (`tables`), the check of ranges, the rows of posteriors and the help in errors follow from that
//! list. What a family *does* (draw, refuse, explain itself in words) stands in the same file.
//!
//! When not to use it: for tables whose keys are the same whatever they say; serde derives those.

use crate::world::document::Violation;
use flakelab_core::domain::closest_name;

/// What a number may be, and how errors say so.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The smallest that is possible.
    pub least: f64,
    /// The largest that is possible.
    pub most: f64,
    /// What a number outside is, as in `is out of range`.
    problem: &'static str,
    /// What was expected instead.
    expected: &'static str,
}

impl Range {
    /// An error rate or a share.
    pub(crate) const PROBABILITY: Self =
        Self { problem: "is no probability", ..Self::of(0.0, 1.0, "a number in 0..=1") };

    /// A moment of a run: the latest that a file may name is 11 days.
    pub(crate) const MOMENT: Self =
        Self::of(0.0, 1e6, "seconds after the start of the run, in 0..=1,000,000");

    /// Numbers between two ends, both included.
    pub(crate) const fn of(least: f64, most: f64, expected: &'static str) -> Self {
        Self { least, most, problem: "is out of range", expected }
    }

    /// The same with other words for what a number outside is.
    pub(crate) const fn or_else(self, problem: &'static str) -> Self {
        Self { problem, ..self }
    }

    /// The same with another upper end.
    pub(crate) const fn up_to(self, most: f64) -> Self {
        Self { most, ..self }
    }

    /// Refuses a number outside.
    pub(crate) fn check(&self, key: &str, value: f64) -> Result<(), Violation> {
        if (self.least..=self.most).contains(&value) {
            Ok(())
        } else {
            Err(self.violation(key, value))
        }
    }

    fn violation(&self, key: &str, value: f64) -> Violation {
        let violation = Violation::new(key, format!("{value} {}", self.problem), self.expected);
        if *self == Self::PROBABILITY && value > 1.0 && value <= 100.0 {
            let share = format!("{:.6}", value / 100.0);
            violation.with_help(format!("{value} % is written {}", share.trim_end_matches('0')))
        } else {
            violation
        }
    }
}

/// What stands under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A number.
    Number,
    /// A whole number.
    Whole,
    /// A list of numbers.
    Numbers,
}

/// One key of a family.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    /// The key in model files.
    pub name: &'static str,
    /// What stands there.
    pub holds: Holds,
    /// Whether it may be absent. Such a key, a phase, is no parameter: posteriors leave it out.
    pub optional: bool,
    /// What its numbers may be.
    pub range: Range,
}

impl Key {
    pub(crate) const fn number(name: &'static str, range: Range) -> Self {
        Self { name, holds: Holds::Number, optional: false, range }
    }

    pub(crate) const fn whole(name: &'static str, range: Range) -> Self {
        Self { holds: Holds::Whole, ..Self::number(name, range) }
    }

    pub(crate) const fn numbers(name: &'static str, range: Range) -> Self {
        Self { holds: Holds::Numbers, ..Self::number(name, range) }
    }

    pub(crate) const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }
}

/// One family.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Family {
    /// Its name in model files.
    pub name: &'static str,
    /// Its keys, those of one field together, in the order of a posterior's rows.
    pub fields: &'static [&'static [Key]],
}

impl Family {
    /// Its keys.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.fields.iter().copied().flatten()
    }

    /// The keys whose numbers make a row of a posterior; a list is a row if it stands alone.
    pub fn row(&self) -> Vec<&'static Key> {
        let alone = self.keys().count() == 1;
        self.keys().filter(|key| !key.optional && (alone || key.holds != Holds::Numbers)).collect()
    }

    /// Whether a posterior may have rows of it: several lists do not fit into one.
    pub fn has_rows(&self) -> bool {
        self.keys().count() == 1 || self.keys().all(|key| key.holds != Holds::Numbers)
    }

    /// The key of its list, if that is all it has.
    pub(crate) fn list(&self) -> Option<&'static Key> {
        self.keys().find(|key| key.holds == Holds::Numbers && self.has_rows())
    }
}

/// What stands under the keys of a family, in any order. Whole numbers are numbers here.
pub type Values = Vec<(&'static str, Vec<f64>)>;

/// Parameters of one of several families.
pub trait Families: Clone + PartialEq + Sized + 'static {
    /// The key that names the family.
    const KEY: &'static str;
    /// Further keys of the same table.
    const BESIDE: &'static [&'static str];
    /// The families, in the order in which they are listed.
    const ALL: &'static [Family];

    /// Which of them.
    fn family(&self) -> &'static Family;

    /// What stands under its keys.
    fn values(&self) -> Values;

    /// The parameters of a family that stand under its keys; ranges are not checked.
    ///
    /// # Errors
    /// A key is missing, or lists do not fit together.
    fn of(family: &str, values: &Values) -> Result<Self, Violation>;

    /// Checks every range and what parameters must be to each other; keys are relative to the
    /// table of the parameters.
    ///
    /// # Errors
    /// The first value that cannot be.
    fn validate(&self) -> Result<(), Violation>;

    /// The same with every number changed, first moved into its range.
    #[must_use]
    fn mapped(&self, change: impl Fn(f64) -> f64) -> Self {
        let mut values = self.values();
        for (name, numbers) in &mut values {
            let key = self.family().keys().find(|key| key.name == *name);
            let Some(Key { range, .. }) = key.filter(|key| key.holds != Holds::Whole) else {
                continue;
            };
            numbers.iter_mut().for_each(|x| *x = change(x.clamp(range.least, range.most)));
        }
        Self::of(self.family().name, &values).unwrap_or_else(|_| self.clone())
    }

    /// The numbers of a posterior's row.
    fn numbers(&self) -> Vec<f64> {
        let of = self.values();
        let numbers = |key: &&Key| of.iter().find(|(name, _)| *name == key.name);
        self.family().row().iter().filter_map(numbers).flat_map(|(_, x)| x.clone()).collect()
    }

    /// Checks it as a row of a posterior.
    ///
    /// # Errors
    /// What no row can say, or a value that cannot be.
    fn check_row(&self) -> Result<(), Violation> {
        let list = self.family().keys().find(|key| key.holds == Holds::Numbers);
        if let Some(key) = list.filter(|_| !self.family().has_rows()) {
            let problem = "a list of numbers is no row of a posterior";
            return Err(Violation::new(key.name, problem, &names_of_rows::<Self>()));
        }
        if self.values().len() > self.family().row().len() {
            let problem = "a row of a posterior has no phase";
            return Err(Violation::new("phase", problem, "none: each server draws its own"));
        }
        self.validate()
    }

    /// Whether each server draws its own phase.
    fn draws_phase(&self) -> bool {
        self.values().len() < self.family().keys().count()
    }
}

/// The families that a posterior may have rows of, in words.
pub(crate) fn names_of_rows<F: Families>() -> String {
    let names: Vec<&str> = F::ALL.iter().filter(|of| of.has_rows()).map(|of| of.name).collect();
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => names.concat(),
    }
}

/// A part of a family's parameters that stands under one or more keys.
pub(crate) trait Field: Sized {
    fn read(keys: &[Key], values: &Values) -> Result<Self, Violation>;
    fn write(&self, keys: &[Key], values: &mut Values);
    fn check(&self, keys: &[Key]) -> Result<(), Violation>;
}

/// The numbers under a key that must be there.
pub(crate) fn need(key: &Key, values: &Values) -> Result<Vec<f64>, Violation> {
    let found = values.iter().find(|(name, _)| *name == key.name);
    let missing = || missing(key.name);
    found.map(|(_, numbers)| numbers.clone()).ok_or_else(missing)
}

/// A key that must be there and is not.
pub(crate) fn missing(key: &str) -> Violation {
    Violation::new(key, "this key is missing", &format!("`{key} = ...`"))
}

impl Field for f64 {
    fn read(keys: &[Key], values: &Values) -> Result<Self, Violation> {
        need(&keys[0], values)?.first().copied().ok_or_else(|| missing(keys[0].name))
    }

    fn write(&self, keys: &[Key], values: &mut Values) {
        values.push((keys[0].name, vec![*self]));
    }

    fn check(&self, keys: &[Key]) -> Result<(), Violation> {
        keys[0].range.check(keys[0].name, *self)
    }
}

impl Field for u32 {
    fn read(keys: &[Key], values: &Values) -> Result<Self, Violation> {
        // A file cannot hold another number here, but a row of a posterior can.
        let x = f64::read(keys, values)?;
        let whole = libm::trunc(x) == x && (0.0..=f64::from(Self::MAX)).contains(&x);
        if whole { Ok(x as Self) } else { Err(keys[0].range.violation(keys[0].name, x)) }
    }

    fn write(&self, keys: &[Key], values: &mut Values) {
        f64::from(*self).write(keys, values);
    }

    fn check(&self, keys: &[Key]) -> Result<(), Violation> {
        f64::from(*self).check(keys)
    }
}

impl Field for Option<f64> {
    fn read(keys: &[Key], values: &Values) -> Result<Self, Violation> {
        Ok(f64::read(keys, values).ok())
    }

    fn write(&self, keys: &[Key], values: &mut Values) {
        self.iter().for_each(|x| x.write(keys, values));
    }

    fn check(&self, keys: &[Key]) -> Result<(), Violation> {
        self.iter().try_for_each(|x| x.check(keys))
    }
}

impl Field for Vec<f64> {
    fn read(keys: &[Key], values: &Values) -> Result<Self, Violation> {
        need(&keys[0], values)
    }

    fn write(&self, keys: &[Key], values: &mut Values) {
        values.push((keys[0].name, self.clone()));
    }

    fn check(&self, keys: &[Key]) -> Result<(), Violation> {
        let Key { name, range, .. } = &keys[0];
        self.iter().enumerate().try_for_each(|(i, x)| range.check(&format!("{name}.{i}"), *x))
    }
}

/// A name that is not one of the known ones.
pub(crate) fn unknown(key: &str, got: &str, known: &[&str]) -> Violation {
    let violation = Violation::new(key, format!("unknown value \"{got}\""), &known.join(", "));
    match closest_name(got, known.iter().copied()) {
        Some(name) => violation.with_help(format!("did you mean \"{name}\"?")),
        None => violation,
    }
}

/// Declares the families of an enum: for each its name in model files, its variant with the names
/// of its fields, and the keys that each field stands under. Makes an enum of kinds, too: the
/// variants without their parameters. What parameters must be to each other says a method
/// `relations` of the enum.
macro_rules! families {
    ($enum:ident by $key:literal, $beside:expr;
     $(#[$doc:meta])* $kind:ident:
     $($name:literal: $variant:ident $shape:tt $(, $field:ident: $keys:expr)*;)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $kind {
            $(#[doc = concat!("`", $name, "`: see [`", stringify!($enum), "`].")] $variant,)*
        }

        impl $kind {
            /// Every kind, in the order in which they are listed.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// The name in model files.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        impl $enum {
            /// Which kind, whatever its parameters.
            pub const fn kind(&self) -> $kind {
                match self {
                    $(Self::$variant { .. } => $kind::$variant,)*
                }
            }
        }

        impl $crate::world::Families for $enum {
            const KEY: &'static str = $key;
            const BESIDE: &'static [&'static str] = &$beside;
            const ALL: &'static [$crate::world::Family] = &[
                $($crate::world::Family { name: $name, fields: &[$(&$keys),*] }),*
            ];

            fn family(&self) -> &'static $crate::world::Family {
                &Self::ALL[self.kind() as usize]
            }

            fn values(&self) -> $crate::world::Values {
                let mut _values = Vec::new();
                match self {
                    $(Self::$variant $shape => {
                        $($crate::world::Field::write($field, &$keys, &mut _values);)*
                    })*
                }
                _values
            }

            fn of(
                family: &str,
                _values: &$crate::world::Values,
            ) -> Result<Self, $crate::world::Violation> {
                match family {
                    $($name => {
                        $(let $field = $crate::world::Field::read(&$keys, _values)?;)*
                        Ok(Self::$variant $shape)
                    })*
                    other => {
                        let known = [$($name),*];
                        Err($crate::world::unknown($key, other, &known))
                    }
                }
            }

            fn validate(&self) -> Result<(), $crate::world::Violation> {
                match self {
                    $(Self::$variant $shape => {
                        $($crate::world::Field::check($field, &$keys)?;)*
                    })*
                }
                self.relations()
            }
        }
    };
}
pub(crate) use families;
