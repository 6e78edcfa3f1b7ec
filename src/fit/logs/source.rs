//! Plain bytes from a file or standard input, unpacked where they are gzip.
//!
//! Bytes are believed, names are not: a log that is called `.log` may be packed. Of a packed file
//! every member is read (RFC 1952, section 2.2), as log rotation appends them.
//!
//! When not to use it: for other packers; they are told by name.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use flakelab_sim::trace::TraceError;
use flate2::bufread::MultiGzDecoder;

/// What standard input is called on the command line.
const STANDARD_INPUT: &str = "-";

/// Bytes from which a format is recognised.
const HEAD: usize = 1 << 16;

/// Bytes that are read at once.
const BUFFER: usize = 1 << 17;

/// First bytes of what cannot be read, what it is, and how to mend it.
const OTHERS: [(&[u8], &str, &str); 5] = [
    (&[0x28, 0xb5, 0x2f, 0xfd], "packed with zstd", "unpack it: zstd -dc FILE | flakelab fit -"),
    (b"BZh", "packed with bzip2", "unpack it: bzip2 -dc FILE | flakelab fit -"),
    (&[0xff, 0xfe], "UTF-16", "save it as UTF-8"),
    (&[0xfe, 0xff], "UTF-16", "save it as UTF-8"),
    (b"SQLite format 3", "a database of SQLite", "export its table as CSV"),
];

/// A log that is open, with its first bytes.
pub(super) struct Source {
    /// The first bytes, unpacked; they are read again from `input`.
    pub(super) head: Vec<u8>,
    pub(super) input: Box<dyn BufRead>,
}

/// What messages call a path.
pub(super) fn name(path: &Path) -> String {
    match path.to_str() {
        Some(STANDARD_INPUT) => "standard input".to_owned(),
        _ => path.display().to_string(),
    }
}

/// Opens a file, or standard input where the path is `-`.
///
/// # Errors
/// A file that cannot be read, and one that is neither text nor gzip.
pub(super) fn open(path: &Path) -> Result<Source, TraceError> {
    let name = name(path);
    let failed = |source| TraceError::Read { path: name.clone(), source };
    let raw: Box<dyn Read> = match path.to_str() {
        Some(STANDARD_INPUT) => Box::new(io::stdin()),
        _ => Box::new(File::open(path).map_err(failed)?),
    };
    Source::of(&name, raw)
}

impl Source {
    fn of(name: &str, raw: impl Read + 'static) -> Result<Self, TraceError> {
        let failed = |source| TraceError::Read { path: name.to_owned(), source };
        let (head, input) = peek(raw).map_err(failed)?;
        let (head, input): (_, Box<dyn BufRead>) = if head.starts_with(&[0x1f, 0x8b]) {
            let (head, input) = peek(Unpacked(MultiGzDecoder::new(input))).map_err(failed)?;
            (head, Box::new(input))
        } else {
            (head, Box::new(input))
        };
        match OTHERS.iter().find(|(bytes, _, _)| head.starts_with(bytes)) {
            None => Ok(Self { head, input }),
            Some((_, what, help)) => {
                Err(TraceError::Content(format!("{name}: it is {what}\nhelp: {help}")))
            }
        }
    }
}

/// Gzip, with errors that say how to go on.
struct Unpacked<R>(MultiGzDecoder<R>);

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| {
            let help = "fetch it again, or read what is there: zcat FILE | flakelab fit -";
            let problem =
                format!("it is gzip that is cut short or damaged ({error})\nhelp: {help}");
            io::Error::new(error.kind(), problem)
        })
    }
}

/// The first bytes, and all of them once more.
fn peek(mut input: impl Read) -> io::Result<(Vec<u8>, BufReader<impl Read>)> {
    let mut head = Vec::new();
    input.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    let all = Cursor::new(head.clone()).chain(input);
    Ok((head, BufReader::with_capacity(BUFFER, all)))
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;

    /// Text in as many members.
    pub(in super::super) fn packed(parts: &[&str]) -> Vec<u8> {
        let pack = |part: &&str| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
            encoder.write_all(part.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        parts.iter().flat_map(pack).collect()
    }

    fn read(bytes: Vec<u8>) -> Result<String, String> {
        let mut source =
            Source::of("x.log", Cursor::new(bytes)).map_err(|error| error.to_string())?;
        let mut text = String::new();
        source.input.read_to_string(&mut text).map_err(|error| error.to_string())?;
        assert!(text.as_bytes().starts_with(&source.head));
        Ok(text)
    }

    #[test]
    fn packed_or_not_the_text_is_the_same() {
        let long = "line\n".repeat(HEAD);
        for text in ["", "a\nb", &long] {
            assert_eq!(read(text.into()).unwrap(), text);
            assert_eq!(read(packed(&[text, "end"])).unwrap(), format!("{text}end"));
        }
    }

    #[test]
    fn what_is_no_text_is_told_what_it_is() {
        for (bytes, what, help) in OTHERS {
            let expected = format!("x.log: it is {what}\nhelp: {help}");
            assert_eq!(read(bytes.into()).unwrap_err(), expected);
        }
        let half = packed(&["a log that was cut"]);
        assert!(Source::of("x.log", Cursor::new(half[..half.len() - 9].to_vec())).is_err());
    }
}
