//! `plait init NAME`: a commented configuration, the keys of this site, and what to do next.

pub mod args;

mod ask;
mod draft;
mod files;
mod text;

use std::io::IsTerminal;

use self::args::InitOrder;
use self::draft::{Draft, Field};
use self::files::Files;
use super::exit::{Exit, Failure, Outcome};
use super::output;
use crate::types::policy::Suite;

/// Writes the files; what no option gave is asked for on a terminal, and refused elsewhere.
pub(super) fn run(order: &InitOrder) -> Outcome {
    let draft = Draft::new(order);
    refuse(&draft)?;
    let draft = complete(draft)?;
    refuse(&draft)?;
    let suite = Suite::from_number(order.suite).ok_or_else(|| Failure::new(Exit::Usage, "a suite is 1 or 2"))?;
    let files = files::write(&order.dir, &draft.name, &text::render(&draft), suite)?;
    let lines = files
        .made
        .iter()
        .map(|made| format!("{} {}\n", if made.is_new { "made" } else { "kept" }, made.path.display()));
    output::data(&lines.collect::<String>())?;
    output::talk(&next_steps(order, &draft, &files));
    Ok(Exit::Ok)
}

fn refuse(draft: &Draft) -> Result<(), Failure> {
    draft.refusal().map_or(Ok(()), |text| Err(Failure::new(Exit::Usage, format!("{text}\nnothing was written"))))
}

fn complete(draft: Draft) -> Result<Draft, Failure> {
    let missing = draft.missing();
    if missing.is_empty() {
        return Ok(draft);
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        let options: Vec<&str> = missing.into_iter().map(Field::option).collect();
        let text = format!("missing: {} (on a terminal they are asked for); nothing was written", options.join(", "));
        return Err(Failure::new(Exit::Usage, text));
    }
    ask::complete(draft, &mut std::io::stdin().lock(), &mut std::io::stderr().lock())
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()))
}

/// What is left to do, in its order, with the commands.
fn next_steps(order: &InitOrder, draft: &Draft, files: &Files) -> String {
    let (name, peer) = (&draft.name, draft.one(Field::Peer));
    let dir = order.dir.display();
    let [ca, cert, key] = &draft.files;
    let mut steps = vec![format!(
        "send {dir}/{name}.pub to the other site, and put its public file here as {dir}/{peer}.pub; compare by phone:\n     \
         ours is {}\n     theirs: plait fingerprint {dir}/{peer}.pub",
        files.me.fp()
    )];
    if draft.has_kme() {
        steps.push(format!("put the KME vendor's files into {dir}: {ca}, {cert}, {key} (chmod 600 {dir}/{key})"));
    }
    steps.push(format!("plait check {dir}/{name}.toml{}", if draft.has_kme() { " --online" } else { "" }));
    steps.push(format!("plait up {dir}/{name}.toml    or: systemctl enable --now plait@{name}"));
    steps.push(format!("plait status {name}"));
    let numbered = steps.iter().zip(1..).map(|(step, number)| format!("  {number}. {step}\n"));
    format!("next:\n{}", numbered.collect::<String>())
}
