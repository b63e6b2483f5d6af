//! The words of a filter.
//!
//! Invariant: every token knows where it stands, in bytes of the text.

/// A token, and where it begins and ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Open,
    Close,
    Not,
    And,
    Or,
    /// `~name`
    Operator(String),
    /// Anything else; quotes are taken off.
    Word(String),
}

/// What is wrong, and where it begins and ends.
pub(super) type Wrong = (String, usize, usize);

/// Takes `text` apart.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Wrong> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let from = at;
        // Only behind an operator may a word begin like an operator: `~c !200` is no word, `~u (a|b)` is one.
        let argument =
            matches!(tokens.last().map(|token| &token.kind), Some(Kind::Operator(name)) if takes(name));
        let kind = match first {
            _ if first.is_whitespace() => {
                at += first.len_utf8();
                continue;
            }
            '"' | '\'' => {
                let (word, end) = quoted(text, at, first)?;
                at = end;
                Kind::Word(word)
            }
            _ if argument => {
                at = end_of_argument(text, at);
                Kind::Word(text[from..at].to_owned())
            }
            '(' => symbol(&mut at, Kind::Open),
            ')' => symbol(&mut at, Kind::Close),
            '!' => symbol(&mut at, Kind::Not),
            '&' => symbol(&mut at, Kind::And),
            '|' => symbol(&mut at, Kind::Or),
            '~' => {
                at += 1;
                at += text[at..].bytes().take_while(u8::is_ascii_alphanumeric).count();
                Kind::Operator(text[from + 1..at].to_owned())
            }
            _ => {
                let ends = |c: char| c.is_whitespace() || "()&|".contains(c);
                at += text[at..].find(ends).unwrap_or(text.len() - at);
                Kind::Word(text[from..at].to_owned())
            }
        };
        tokens.push(Token { kind, from, to: at });
    }
    Ok(tokens)
}

fn symbol(at: &mut usize, kind: Kind) -> Kind {
    *at += 1;
    kind
}

/// Whether an operator of this name takes a word.
fn takes(name: &str) -> bool {
    !matches!(name, "s" | "q" | "e" | "")
}

/// Where an argument ends: at a blank, or at a `)` that closes what was opened before it.
fn end_of_argument(text: &str, from: usize) -> usize {
    let mut depth = 0_usize;
    let mut escaped = false;
    for (at, c) in text[from..].char_indices() {
        match c {
            _ if c.is_whitespace() => return from + at,
            _ if escaped => {
                escaped = false;
                continue;
            }
            '(' => depth += 1,
            ')' if depth == 0 => return from + at,
            ')' => depth -= 1,
            _ => {}
        }
        escaped = c == '\\';
    }
    text.len()
}

/// The text in quotes that begin at `from`, and where it ends. Only the quote and the backslash can be escaped: other
/// backslashes are the regular expression's.
fn quoted(text: &str, from: usize, quote: char) -> Result<(String, usize), Wrong> {
    let mut word = String::new();
    let mut chars = text[from + 1..].char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Ok((word, from + 1 + at + 1));
        }
        if c == '\\'
            && let Some((_, escaped)) = chars.next_if(|(_, next)| *next == quote)
        {
            word.push(escaped);
            continue;
        }
        word.push(c);
    }
    Err((format!("the quote is never closed: write {quote} behind the text"), from, text.len()))
}
