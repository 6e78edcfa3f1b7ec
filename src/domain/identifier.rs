//! What a request delivers: 24 ASCII letters and digits.

use std::fmt;
use std::str::FromStr;

use rand::Rng;

/// Length of an identifier in bytes.
pub const IDENTIFIER_LENGTH: usize = 24;

const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// An identifier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier([u8; IDENTIFIER_LENGTH]);

/// Text that is no identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an identifier is 24 ASCII letters and digits")]
pub struct NotAnIdentifier;

impl Identifier {
    /// The identifier that these bytes spell.
    ///
    /// # Errors
    /// Any other length or character.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAnIdentifier> {
        match <[u8; IDENTIFIER_LENGTH]>::try_from(bytes) {
            Ok(bytes) if bytes.iter().all(u8::is_ascii_alphanumeric) => Ok(Self(bytes)),
            _ => Err(NotAnIdentifier),
        }
    }

    /// A random one.
    pub fn random(rng: &mut impl Rng) -> Self {
        Self(std::array::from_fn(|_| LETTERS[(rng.next_u64() % 62) as usize]))
    }

    /// Its characters.
    pub fn as_str(&self) -> &str {
        // They are ASCII by construction.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Identifier {
    type Err = NotAnIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_bytes(text.as_bytes())
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Purpose, Streams};

    #[test]
    fn other_lengths_and_characters_are_refused() {
        let good = "abcdefghijklmnopqrstuvWX";
        assert_eq!(good.parse::<Identifier>().unwrap().to_string(), good);
        for bad in ["", &good[1..], "abcdefghijklmnopqrstuvWXY", "abcdefghijklmnopqrstuv-X"] {
            assert_eq!(bad.parse::<Identifier>(), Err(NotAnIdentifier), "{bad}");
        }
        assert!(Identifier::from_bytes("abcdefghijklmnopqrstuvé".as_bytes()).is_err());
    }

    #[test]
    fn random_ones_are_identifiers_and_differ() {
        let mut rng = Streams::new(1).stream(Purpose::Traffic, 0, 0);
        let (a, b) = (Identifier::random(&mut rng), Identifier::random(&mut rng));
        assert_ne!(a, b);
        assert_eq!(Identifier::from_bytes(a.as_str().as_bytes()), Ok(a));
    }
}
