//! The grammar of filters: `!` binds closest, then `&` (or nothing at all between two terms), then `|`.
//!
//! Invariant: recursion ends at [`MOST_DEPTH`].

use super::lex::{Kind, Token, Wrong, tokens};
use super::term::{self, Term};
use super::{MOST_BYTES, MOST_DEPTH, MOST_TERMS, Node};

/// Reads a whole filter.
pub(super) fn parse(text: &str) -> Result<Option<Node>, Wrong> {
    if text.len() > MOST_BYTES {
        let message = format!("the filter is too long: at most {MOST_BYTES} bytes");
        return Err((message, MOST_BYTES, text.len()));
    }
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Ok(None);
    }
    let mut parser = Parser { tokens, at: 0, terms: 0, end: text.len() };
    let root = parser.either(0)?;
    match parser.peek() {
        None => Ok(Some(root)),
        Some(token) => Err(("this ) closes nothing".to_owned(), token.from, token.to)),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    terms: usize,
    end: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn kind(&self) -> Option<&Kind> {
        self.peek().map(|token| &token.kind)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn either(&mut self, depth: usize) -> Result<Node, Wrong> {
        let mut nodes = vec![self.both(depth)?];
        while self.kind() == Some(&Kind::Or) {
            self.at += 1;
            nodes.push(self.both(depth)?);
        }
        Ok(one_or(nodes, Node::Or))
    }

    fn both(&mut self, depth: usize) -> Result<Node, Wrong> {
        let mut nodes = vec![self.not(depth)?];
        loop {
            match self.kind() {
                None | Some(Kind::Or | Kind::Close) => return Ok(one_or(nodes, Node::And)),
                Some(Kind::And) => self.at += 1,
                Some(_) => {}
            }
            nodes.push(self.not(depth)?);
        }
    }

    fn not(&mut self, depth: usize) -> Result<Node, Wrong> {
        let Some(token) = self.next() else {
            return Err((
                "something is missing at the end: a term like ~c 404".to_owned(),
                self.end,
                self.end,
            ));
        };
        if depth >= MOST_DEPTH {
            return Err((format!("nested deeper than {MOST_DEPTH}"), token.from, token.to));
        }
        match token.kind {
            Kind::Not => Ok(Node::Not(Box::new(self.not(depth + 1)?))),
            Kind::Open => {
                let inner = self.either(depth + 1)?;
                match self.next() {
                    Some(Token { kind: Kind::Close, .. }) => Ok(inner),
                    _ => Err(("this ( is never closed".to_owned(), token.from, token.to)),
                }
            }
            Kind::Operator(ref name) => {
                let word = match self.peek() {
                    Some(Token { kind: Kind::Word(word), from, to }) if term::takes_word(name) => {
                        Some((word.clone(), *from, *to))
                    }
                    _ => None,
                };
                self.at += usize::from(word.is_some());
                self.term(|| term::operator(name, word, (token.from, token.to)))
            }
            Kind::Word(word) => self.term(|| Term::url(&word, (token.from, token.to))),
            Kind::Close | Kind::And | Kind::Or => {
                Err(("a term is missing before this".to_owned(), token.from, token.to))
            }
        }
    }

    fn term(&mut self, make: impl FnOnce() -> Result<Term, Wrong>) -> Result<Node, Wrong> {
        self.terms += 1;
        let term = make()?;
        if self.terms > MOST_TERMS {
            return Err((format!("more than {MOST_TERMS} terms"), 0, self.end));
        }
        Ok(Node::Term(term))
    }
}

fn one_or(mut nodes: Vec<Node>, all: fn(Vec<Node>) -> Node) -> Node {
    if nodes.len() == 1 { nodes.remove(0) } else { all(nodes) }
}
