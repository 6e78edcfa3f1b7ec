//! The scalars of a JSON object on one line, each with the path of keys that leads to it.
//!
//! When not to use it: for lists; what stands in them is skipped.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Hands `take` every text and number, as text, with its path (`data.tags.url`).
///
/// # Errors
/// What is no JSON object.
pub(super) fn each(line: &str, take: &mut dyn FnMut(&str, &str)) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let mut path = String::new();
    Walk { path: &mut path, take }.deserialize(&mut deserializer)?;
    deserializer.end()
}

struct Walk<'a> {
    path: &'a mut String,
    take: &'a mut dyn FnMut(&str, &str),
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        (self.take)(self.path, text);
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        (self.take)(self.path, &number.to_string());
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        (self.take)(self.path, &number.to_string());
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        (self.take)(self.path, &number.to_string());
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let above = self.path.len();
        loop {
            self.path.truncate(above);
            if map.next_key_seed(Key(self.path))?.is_none() {
                return Ok(());
            }
            map.next_value_seed(Walk { path: self.path, take: self.take })?;
        }
    }
}

/// Appends a key to a path.
struct Key<'a>(&'a mut String);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<(), E> {
        if !self.0.is_empty() {
            self.0.push('.');
        }
        self.0.push_str(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_come_with_their_paths() {
        let line = r#"{"a":"x\n","b":{"c":1,"d":{"e":-2.5}},"f":[1,{"g":2}],"h":null,"i":true,"j":1764342000100000000}"#;
        let mut got = Vec::new();
        each(line, &mut |path, text| got.push(format!("{path}={text}"))).unwrap();
        assert_eq!(got, ["a=x\n", "b.c=1", "b.d.e=-2.5", "j=1764342000100000000"]);
        for line in ["", "{", "{\"a\":1,}", "{} x", "{\"a\":0.1, 0.2}"] {
            assert!(each(line, &mut |_, _| {}).is_err(), "{line}");
        }
    }
}
