//! Weaves the mutants that cargo-mutants lists into a copy of the tree, each behind a number that is chosen when the tests start.
//!
//! `weave TREE LIST.json LEFT_OUT` rewrites the files of `TREE` that `LIST.json` (`cargo mutants --list --json`) names. `LEFT_OUT` has the
//! numbers (places in the list) of mutants to leave away, one a line. What could not be woven is printed, one number a line.
//! So all mutants cost one build: a mutant is then a run of the tests with `PLAIT_MUTANT=number`.
//! Comments around each piece (`/*M7*/ .. /*m7*/` a mutant, `/*W7*/ .. /*w7*/` what holds its choice) let a compiler's error be put to its mutant.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::Path;

use proc_macro2::LineColumn;
use serde_json::Value;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// One mutant of the list.
struct Mutant {
    number: usize,
    genre: String,
    /// Bytes of the file that it replaces.
    range: (usize, usize),
    replacement: String,
}

/// How a choice is put into the text.
enum Kind {
    /// The operator at this range is another one.
    Operator((usize, usize)),
    /// The expression is another text.
    Whole(String),
    /// The guard of an arm that may be absent.
    GuardOfArm,
    /// An arm without a guard that may be absent: nothing is replaced, a guard comes in.
    Arm,
    /// The top of a function's body: nothing is replaced, an early return comes in.
    Body,
    /// A field that is taken from the base of its struct expression: the field's name and the base.
    Field(String, String),
}

/// A range of the file with the mutants that touch it.
struct Choice {
    range: (usize, usize),
    mutants: Vec<(usize, String)>,
    kind: Kind,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, tree, list, left_out] = arguments.as_slice() else {
        return Err("weave TREE LIST.json LEFT_OUT".into());
    };
    let left_out: BTreeSet<usize> = fs::read_to_string(left_out)?.lines().map(str::parse).collect::<Result<_, _>>()?;
    let list: Vec<Value> = serde_json::from_str(&fs::read_to_string(list)?)?;
    let mut files: BTreeMap<String, Vec<(usize, &Value)>> = BTreeMap::new();
    for (number, mutant) in list.iter().enumerate() {
        // Two returns of one function have to have one type, even if the caller is not told which.
        let hidden = mutant["genre"] == "FnValue" && mutant["function"]["return_type"].as_str().is_some_and(|of| of.contains("impl "));
        if hidden {
            println!("{number}");
        } else if let Some(file) = mutant["file"].as_str().filter(|_| !left_out.contains(&number)) {
            files.entry(file.to_owned()).or_default().push((number, mutant));
        }
    }
    for (file, mutants) in files {
        let path = Path::new(tree).join(&file);
        let text = fs::read_to_string(&path)?;
        fs::write(path, weave(&text, &mutants).map_err(|error| format!("{file}: {error}"))?)?;
    }
    Ok(())
}

/// The text of one file with its mutants.
fn weave(text: &str, mutants: &[(usize, &Value)]) -> Result<String, Box<dyn Error>> {
    let lines = Lines::new(text);
    let mut all = Vec::new();
    for &(number, value) in mutants {
        let span = &value["span"];
        let at = |end: &str| Some((span[end]["line"].as_u64()? as usize, span[end]["column"].as_u64()? as usize - 1));
        let (start, end) = (at("start").ok_or("no start")?, at("end").ok_or("no end")?);
        all.push(Mutant {
            number,
            genre: value["genre"].as_str().unwrap_or_default().to_owned(),
            range: (lines.byte(start.0, start.1), lines.byte(end.0, end.1)),
            replacement: value["replacement"].as_str().unwrap_or_default().to_owned(),
        });
    }
    let mut finder = Finder { text, lines: &lines, mutants: &all, choices: Vec::new(), woven: BTreeSet::new() };
    finder.visit_file(&syn::parse_file(text)?);
    for mutant in all.iter().filter(|mutant| !finder.woven.contains(&mutant.number)) {
        println!("{}", mutant.number);
    }
    let mut choices = finder.choices;
    // What only comes in first, then outer ones: of two that begin at the same place the longer.
    choices.sort_by_key(|choice| (choice.range.0, choice.range.0 != choice.range.1, usize::MAX - choice.range.1));
    let mut out = String::new();
    let mut rest = choices.as_slice();
    render(text, (0, text.len()), &mut rest, &mut out);
    Ok(out)
}

/// Writes the text of a range, with the choices that lie in it.
fn render(text: &str, (start, end): (usize, usize), rest: &mut &[Choice], out: &mut String) {
    let mut at = start;
    while let Some((choice, after)) = rest.split_first() {
        if choice.range.1 > end {
            break;
        }
        *rest = after;
        out.push_str(&text[at..choice.range.0]);
        at = choice.range.1;
        let mut inner = String::new();
        render(text, choice.range, rest, &mut inner);
        write_choice(text, choice, &inner, out);
    }
    out.push_str(&text[at..end]);
}

/// Writes one choice; `inner` is the text of its range, with the choices within.
fn write_choice(text: &str, Choice { range, mutants, kind }: &Choice, inner: &str, out: &mut String) {
    let Some(&(first, _)) = mutants.first() else { return out.push_str(inner) };
    let numbers: Vec<String> = mutants.iter().map(|(number, _)| number.to_string()).collect();
    let arms = |value: &dyn Fn(&str) -> String, before: &str| {
        let mut arms = String::new();
        for (number, replacement) in mutants {
            arms += &format!("\n{number} => /*M{number}*/ {before}{} /*m{number}*/,", value(replacement));
        }
        arms
    };
    out.push_str(&format!("/*W{first}*/"));
    match kind {
        Kind::Operator(operator) => {
            let (left, right) = (&text[range.0..operator.0], &text[operator.1..range.1]);
            let arms = arms(&|other| format!("({left}{other}{right})"), "");
            out.push_str(&format!("(match crate::mutant() {{{arms}\n_ => ({inner}) }})"));
        }
        Kind::Whole(other) => {
            let arms = arms(&|replacement| if replacement.is_empty() { other.clone() } else { replacement.to_owned() }, "");
            out.push_str(&format!("(match crate::mutant() {{{arms}\n_ => ({inner}) }})"));
        }
        Kind::GuardOfArm => out.push_str(&format!("(!matches!(crate::mutant(), {}) && ({inner}))", numbers.join("|"))),
        Kind::Arm => out.push_str(&format!(" if !matches!(crate::mutant(), {})", numbers.join("|"))),
        Kind::Body => {
            let arms = arms(&str::to_owned, "return ");
            out.push_str(&format!("match crate::mutant() {{{arms}\n_ => {{}} }}\n"));
        }
        Kind::Field(name, base) => {
            let value = inner.split_once(':').map_or(inner, |(_, value)| value);
            let arms = arms(&|_| format!("({base}).{name}"), "");
            out.push_str(&format!("{name}: (match crate::mutant() {{{arms}\n_ => {value} }})"));
        }
    }
    out.push_str(&format!("/*w{first}*/"));
}

/// Looks in the syntax for what the mutants name.
struct Finder<'a> {
    text: &'a str,
    lines: &'a Lines,
    mutants: &'a [Mutant],
    choices: Vec<Choice>,
    woven: BTreeSet<usize>,
}

impl Finder<'_> {
    fn range(&self, spanned: &dyn Ends) -> (usize, usize) {
        let (start, end) = spanned.ends();
        (self.lines.byte(start.line, start.column), self.lines.byte(end.line, end.column))
    }

    /// Takes the mutants of this genre at this range as one choice over `range`.
    fn choose(&mut self, genre: &str, at: (usize, usize), range: (usize, usize), kind: Kind) {
        let mine = self.mutants.iter().filter(|mutant| mutant.genre == genre && mutant.range == at);
        let mutants: Vec<_> = mine.map(|mutant| (mutant.number, mutant.replacement.clone())).collect();
        if !mutants.is_empty() {
            self.woven.extend(mutants.iter().map(|(number, _)| number));
            self.choices.push(Choice { range, mutants, kind });
        }
    }

    /// The body of a function that is not `const`.
    fn body(&mut self, block: &syn::Block, constant: bool) {
        let (Some(first), Some(last)) = (block.stmts.first(), block.stmts.last()) else { return };
        if !constant {
            let (first, last) = (self.range(first), self.range(last));
            self.choose("FnValue", (first.0, last.1), (first.0, first.0), Kind::Body);
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.body(&item.block, item.sig.constness.is_some());
        if item.sig.constness.is_none() {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.body(&item.block, item.sig.constness.is_some());
        if item.sig.constness.is_none() {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.body(block, item.sig.constness.is_some());
        }
        visit::visit_trait_item_fn(self, item);
    }

    // Neither can ask which mutant runs.
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        // `if let .. && ..` is no value: it cannot stand in parentheses.
        if !has_let(&binary.left) && !has_let(&binary.right) {
            let (operator, range) = (self.range(&binary.op), self.range(binary));
            self.choose("BinaryOperator", operator, range, Kind::Operator(operator));
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        let (operator, range, operand) = (self.range(&unary.op), self.range(unary), self.range(&*unary.expr));
        let operand = self.text[operand.0..operand.1].to_owned();
        self.choose("UnaryOperator", operator, range, Kind::Whole(operand));
        visit::visit_expr_unary(self, unary);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let pattern = self.range(&arm.pat);
        let whole = self.range(arm);
        // cargo-mutants takes the arm with its comma, or without.
        let ends = [whole.1, whole.1 + 1];
        match &arm.guard {
            Some((_, guard)) if !has_let(guard) => {
                let range = self.range(&**guard);
                for end in ends {
                    self.choose("MatchArm", (whole.0, end), range, Kind::GuardOfArm);
                }
                self.choose("MatchArmGuard", range, range, Kind::Whole(String::new()));
            }
            Some(_) => {}
            None => {
                for end in ends {
                    self.choose("MatchArm", (whole.0, end), (pattern.1, pattern.1), Kind::Arm);
                }
            }
        }
        visit::visit_arm(self, arm);
    }

    fn visit_expr_struct(&mut self, value: &'ast syn::ExprStruct) {
        if let Some(base) = &value.rest {
            let base = self.range(&**base);
            let base = self.text[base.0..base.1].to_owned();
            for field in &value.fields {
                if let syn::Member::Named(name) = &field.member {
                    let range = self.range(field);
                    let kind = || Kind::Field(name.to_string(), base.clone());
                    self.choose("StructField", range, range, kind());
                    self.choose("StructField", (range.0, range.1 + 1), range, kind());
                }
            }
        }
        visit::visit_expr_struct(self, value);
    }
}

/// Whether `let` stands in the chain of `&&` and `||` that this is.
fn has_let(expression: &syn::Expr) -> bool {
    match expression {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

/// Where a piece of syntax begins and ends; as an object, so that one function takes all kinds of them.
trait Ends {
    fn ends(&self) -> (LineColumn, LineColumn);
}

impl<T: Spanned> Ends for T {
    fn ends(&self) -> (LineColumn, LineColumn) {
        let span = self.span();
        (span.start(), span.end())
    }
}

/// Where each line begins, in bytes, with its characters.
struct Lines(Vec<(usize, String)>);

impl Lines {
    fn new(text: &str) -> Self {
        let mut at = 0;
        let line = |line: &str| {
            at += line.len();
            (at - line.len(), line.to_owned())
        };
        Self(text.split_inclusive('\n').map(line).collect())
    }

    /// The byte at a line (from 1) and a column (from 0, in characters).
    fn byte(&self, line: usize, column: usize) -> usize {
        self.0.get(line - 1).map_or(0, |(start, text)| start + text.chars().take(column).map(char::len_utf8).sum::<usize>())
    }
}
