//! Rust source text as tokens, and the paths in it, without a parser crate.
//!
//! Good enough for rules of the house: it knows comments, literals, `use` trees and inline
//! modules, but not macros or renamed imports.

/// A word or one character of punctuation (`::` is one token), with its line.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    text: String,
    line: usize,
}

/// The tokens of Rust code without comments, strings, characters and lifetimes.
pub fn tokens(code: &str) -> Vec<Token> {
    let chars: Vec<char> = code.chars().collect();
    let starts =
        |i: usize, text: &str| chars[i..].iter().copied().take(text.len()).eq(text.chars());
    let mut tokens = Vec::new();
    let (mut i, mut line) = (0, 1);
    while i < chars.len() {
        let c = chars[i];
        let end = if starts(i, "//") {
            find(&chars, i, |i| chars[i] == '\n')
        } else if starts(i, "/*") {
            end_of_block_comment(&chars, i)
        } else if let Some(hashes) = raw_string(&chars, i) {
            let close: String = std::iter::once('"').chain((0..hashes).map(|_| '#')).collect();
            let open = find(&chars, i, |i| chars[i] == '"') + 1;
            find(&chars, open, |i| starts(i, &close)) + close.len()
        } else if c == '"' {
            end_of_string(&chars, i)
        } else if c == '\'' {
            end_of_character_or_lifetime(&chars, i)
        } else if c.is_alphanumeric() || c == '_' {
            let end = find(&chars, i, |i| !chars[i].is_alphanumeric() && chars[i] != '_');
            tokens.push(Token { text: chars[i..end].iter().collect(), line });
            end
        } else {
            let text = if starts(i, "::") { "::".to_owned() } else { c.to_string() };
            let end = i + text.chars().count();
            if !c.is_whitespace() {
                tokens.push(Token { text, line });
            }
            end
        };
        let end = end.min(chars.len());
        line += chars[i..end].iter().filter(|c| **c == '\n').count();
        i = end;
    }
    tokens
}

fn find(chars: &[char], from: usize, stop: impl Fn(usize) -> bool) -> usize {
    (from..chars.len()).find(|i| stop(*i)).unwrap_or(chars.len())
}

fn end_of_block_comment(chars: &[char], start: usize) -> usize {
    let (mut i, mut depth) = (start, 0);
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => (depth, i) = (depth + 1, i + 2),
            ('*', '/') => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

fn end_of_string(chars: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

fn end_of_character_or_lifetime(chars: &[char], start: usize) -> usize {
    match (chars.get(start + 1), chars.get(start + 2)) {
        (Some('\\'), _) => find(chars, start + 3, |i| chars[i] == '\'') + 1,
        (_, Some('\'')) => start + 3,
        _ => start + 1,
    }
}

/// The number of hashes if a raw string (`r"`, `r#"`, `br"`) starts here.
fn raw_string(chars: &[char], start: usize) -> Option<usize> {
    let word = |i: usize| chars[i].is_alphanumeric() || chars[i] == '_';
    if start > 0 && word(start - 1) {
        return None;
    }
    let r = start + usize::from(chars[start] == 'b');
    if chars.get(r) != Some(&'r') {
        return None;
    }
    let quote = find(chars, r + 1, |i| chars[i] != '#');
    (chars.get(quote) == Some(&'"')).then_some(quote - r - 1)
}

/// A path as it was meant: `use` trees expanded, `self` and `super` resolved into `crate`.
#[derive(Debug, Clone, PartialEq)]
pub struct CodePath {
    pub segments: Vec<String>,
    pub line: usize,
}

/// All paths in a file whose module is `module`, for example `["world", "oracle"]`.
pub fn paths(tokens: &[Token], module: &[String]) -> Vec<CodePath> {
    let mut found = Vec::new();
    let mut blocks: Vec<Option<String>> = Vec::new();
    let mut next_block = None;
    let mut i = 0;
    while i < tokens.len() {
        match tokens[i].text.as_str() {
            "{" => blocks.push(next_block.take()),
            "}" => drop(blocks.pop()),
            ";" => next_block = None,
            "mod" => next_block = tokens.get(i + 1).map(|t| t.text.clone()),
            text if is_word(text) => {
                let mut here = module.to_vec();
                here.extend(blocks.iter().flatten().cloned());
                let mut raw = Vec::new();
                i = read_tree(tokens, i, &[], &mut raw);
                found.extend(raw.into_iter().map(|path| resolve(path, &here)));
                continue;
            }
            _ => {}
        }
        i += 1;
    }
    found
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Reads the path or `use` tree at `i` into `paths`; returns where it ends.
fn read_tree(
    tokens: &[Token],
    start: usize,
    prefix: &[String],
    paths: &mut Vec<CodePath>,
) -> usize {
    let text = |i: usize| tokens.get(i).map_or("", |t| t.text.as_str());
    let mut segments = prefix.to_vec();
    let mut i = start;
    loop {
        if text(i) == "{" {
            i += 1;
            while i < tokens.len() && text(i) != "}" {
                i = if is_word(text(i)) || text(i) == "{" || text(i) == "*" {
                    read_tree(tokens, i, &segments, paths)
                } else {
                    i + 1
                };
            }
            return i + 1;
        }
        if !is_word(text(i)) {
            if text(i) == "*" {
                segments.push("*".to_owned());
                i += 1;
            }
            break;
        }
        segments.push(text(i).to_owned());
        i += 1;
        let goes_on =
            text(i) == "::" && (is_word(text(i + 1)) || ["{", "*"].contains(&text(i + 1)));
        if !goes_on {
            break;
        }
        i += 1;
    }
    paths.push(CodePath { segments, line: tokens[start].line });
    i
}

/// `self::x` and `super::x` seen from the module `here`.
fn resolve(mut path: CodePath, here: &[String]) -> CodePath {
    let ups = path.segments.iter().take_while(|s| *s == "super" || *s == "self");
    let relative = ups.clone().count();
    let supers = ups.filter(|s| *s == "super").count();
    if relative > 0 {
        let base = &here[..here.len().saturating_sub(supers)];
        let mut segments = vec!["crate".to_owned()];
        segments.extend(base.iter().cloned());
        segments.extend(path.segments.drain(relative..));
        path.segments = segments;
    }
    path
}
