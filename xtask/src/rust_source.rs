//! Rust source with line numbers: its functions, its identifiers, and which lines are only for
//! tests. What stands inside a macro call counts as identifiers, not as functions.

use std::ops::RangeInclusive;

use anyhow::{Result, anyhow};
use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItemFn, Item, ItemFn, ItemImpl, ItemTrait, Meta, TraitItemFn, Type};

/// One parsed file.
pub(crate) struct Source {
    tokens: TokenStream,
    attributes: Vec<Attribute>,
    lines: usize,
    functions: Vec<Function>,
    test_ranges: Vec<RangeInclusive<usize>>,
}

/// A function with a body that is not only for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// With the type and the trait, where it has them: `Frame::encode`, `Display for Frame::fmt`.
    pub(crate) name: String,
    /// From the signature to the closing brace; attributes and documentation do not count.
    pub(crate) lines: usize,
    pub(crate) first_line: usize,
}

/// An identifier in the tokens of a file.
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) line: usize,
    /// Whether `!` follows, as in a macro call.
    pub(crate) bang: bool,
}

impl Source {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let explain = |line: usize, error: &dyn std::fmt::Display| anyhow!("line {line}: {error}");
        let tokens: TokenStream =
            text.parse().map_err(|e: proc_macro2::LexError| explain(e.span().start().line, &e))?;
        let file: syn::File =
            syn::parse2(tokens.clone()).map_err(|e| explain(e.span().start().line, &e))?;
        let mut visitor = Visitor::default();
        let lines = text.lines().count();
        if only_for_tests(&file.attrs) {
            visitor.test_ranges.push(1..=lines);
        } else {
            visitor.visit_file(&file);
        }
        let Visitor { functions, test_ranges, .. } = visitor;
        Ok(Self { tokens, attributes: file.attrs, lines, functions, test_ranges })
    }

    pub(crate) fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// Whether a line belongs to an item under `#[cfg(test)]`.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.test_ranges.iter().any(|range| range.contains(&line))
    }

    /// How many lines are not only for tests.
    pub(crate) fn shipped_lines(&self) -> usize {
        (1..=self.lines).filter(|&line| !self.is_test_line(line)).count()
    }

    /// Every identifier outside tests, in order.
    pub(crate) fn words(&self) -> Vec<Word> {
        let mut words = Vec::new();
        collect_words(self.tokens.clone(), &mut words);
        words.retain(|word| !self.is_test_line(word.line));
        words
    }

    /// Whether the file opens with `#![forbid(lint)]`.
    pub(crate) fn forbids(&self, lint: &str) -> bool {
        self.attributes.iter().any(|attribute| match &attribute.meta {
            Meta::List(list) => list.path.is_ident("forbid") && mentions(list.tokens.clone(), lint),
            Meta::Path(_) | Meta::NameValue(_) => false,
        })
    }
}

#[derive(Default)]
struct Visitor {
    functions: Vec<Function>,
    test_ranges: Vec<RangeInclusive<usize>>,
    /// The type, or trait and type, that the visited item belongs to.
    owner: Option<String>,
}

impl Visitor {
    fn add(&mut self, name: &syn::Ident, signature: &syn::Signature, block: &syn::Block) {
        let name = match &self.owner {
            Some(owner) => format!("{owner}::{name}"),
            None => name.to_string(),
        };
        let first_line = signature.span().start().line;
        let lines = block.span().end().line - first_line + 1;
        self.functions.push(Function { name, lines, first_line });
    }

    fn skip_if_test(&mut self, attributes: &[Attribute], item: &impl Spanned) -> bool {
        let skip = only_for_tests(attributes);
        if skip {
            let span = item.span();
            self.test_ranges.push(span.start().line..=span.end().line);
        }
        skip
    }

    fn within(&mut self, owner: Option<String>, visit: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.owner, owner);
        visit(self);
        self.owner = outer;
    }
}

impl<'ast> Visit<'ast> for Visitor {
    fn visit_item(&mut self, item: &'ast Item) {
        if !self.skip_if_test(item_attributes(item), item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.add(&item.sig.ident, &item.sig, &item.block);
        self.within(None, |visitor| visit::visit_item_fn(visitor, item));
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let of = type_name(&item.self_ty);
        let owner = match item.trait_.as_ref().and_then(|(path, _)| path.segments.last()) {
            Some(name) => format!("{} for {of}", name.ident),
            None => of,
        };
        self.within(Some(owner), |visitor| visit::visit_item_impl(visitor, item));
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        let owner = Some(item.ident.to_string());
        self.within(owner, |visitor| visit::visit_item_trait(visitor, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !self.skip_if_test(&item.attrs, item) {
            self.add(&item.sig.ident, &item.sig, &item.block);
            self.within(None, |visitor| visit::visit_impl_item_fn(visitor, item));
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(block) = &item.default {
            self.add(&item.sig.ident, &item.sig, block);
        }
        self.within(None, |visitor| visit::visit_trait_item_fn(visitor, item));
    }
}

/// `Frame` for `Frame<'a, T>`; something stable for the rest.
fn type_name(of: &Type) -> String {
    match of {
        Type::Path(path) => match path.path.segments.last() {
            Some(segment) => segment.ident.to_string(),
            None => "_".to_owned(),
        },
        Type::Reference(reference) => format!("&{}", type_name(&reference.elem)),
        _ => "_".to_owned(),
    }
}

/// The kinds of item that one puts under `#[cfg(test)]`.
fn item_attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether an attribute is `#[test]` or a `#[cfg(..)]` that asks for `test`.
fn only_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) => {
            list.path.is_ident("cfg")
                && mentions(list.tokens.clone(), "test")
                && !mentions(list.tokens.clone(), "not")
                && !mentions(list.tokens.clone(), "any")
        }
        Meta::NameValue(_) => false,
    })
}

fn mentions(tokens: TokenStream, name: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == name,
        TokenTree::Group(group) => mentions(group.stream(), name),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

fn collect_words(tokens: TokenStream, words: &mut Vec<Word>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(ident) => {
                let bang = matches!(tokens.peek(), Some(TokenTree::Punct(p)) if p.as_char() == '!');
                let line = ident.span().start().line;
                words.push(Word { text: ident.to_string(), line, bang });
            }
            TokenTree::Group(group) => collect_words(group.stream(), words),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
