//! A document of this project as the body of a manual page: headings, paragraphs, lists, tables, listings.

use clap_mangen::roff::{Inline, Roff, bold, roman};

/// Adds the document without its title.
pub(super) fn sections(roff: &mut Roff, document: &str) {
    let (mut columns, mut is_listing) = (Vec::new(), false);
    for line in document.lines() {
        if line.starts_with("```") {
            is_listing = !is_listing;
            roff.control(if is_listing { "nf" } else { "fi" }, []);
        } else if is_listing {
            roff.text([roman(line)]);
        } else if line.starts_with('|') {
            row(roff, &cells(line), &mut columns);
        } else {
            columns.clear();
            other(roff, line);
        }
    }
}

fn other(roff: &mut Roff, line: &str) {
    if line.starts_with("# ") || line.starts_with("<!--") {
        return;
    }
    if line.trim().is_empty() {
        roff.control("PP", []);
    } else if let Some(heading) = line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")) {
        let heading = heading.replace('`', "");
        roff.control("SH", [heading.as_str()]);
    } else if let Some(item) = line.strip_prefix("* ").or_else(|| line.strip_prefix("- ")) {
        roff.control("IP", ["-", "2"]);
        roff.text(inlines(item));
    } else {
        roff.text(inlines(line.trim_start()));
    }
}

/// The first row names the columns, the second is a rule, each other is an entry.
fn row(roff: &mut Roff, cells: &[String], columns: &mut Vec<String>) {
    if columns.is_empty() {
        *columns = cells.to_vec();
        return;
    }
    let Some((name, rest)) = cells.split_first().filter(|(name, _)| !name.starts_with("---")) else { return };
    roff.control("TP", []);
    roff.text([bold(name.replace('`', ""))]);
    let filled = columns.iter().skip(1).zip(rest).filter(|(_, cell)| !cell.is_empty());
    let parts: Vec<String> = filled
        .map(|(column, cell)| if column.is_empty() { cell.clone() } else { format!("{column}: {cell}") })
        .collect();
    roff.text(inlines(&parts.join("; ")));
}

/// Cells of a table's line; a bar behind a backslash belongs to a cell.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim().trim_start_matches('|').replace("\\|", "\u{0}");
    let line = line.strip_suffix('|').unwrap_or(&line);
    line.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect()
}

/// What stands between backticks is bold.
fn inlines(text: &str) -> Vec<Inline> {
    let part = |(at, part): (usize, &str)| if at % 2 == 1 { bold(part) } else { roman(part) };
    text.split('`').enumerate().filter(|(_, part)| !part.is_empty()).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_has_its_macros() {
        let mut roff = Roff::new();
        let text = "# Title\n\n## `[a]`, needed\ntext `code` more\n* item\n\n| key | type |\n|---|---|\n| `x` | a \\| b |\n```toml\n.y = 1\n```\n";
        sections(&mut roff, text);
        let page = roff.render();
        for words in
            [".SH \"[a], needed\"", "text \\fBcode\\fR more", ".IP", ".TP\n\\fBx\\fR\ntype: a | b", ".nf", ".fi"]
        {
            assert!(page.contains(words), "no {words}:\n{page}");
        }
        assert!(!page.contains("Title") && !page.lines().any(|line| line.starts_with(".y")), "{page}");
    }
}
