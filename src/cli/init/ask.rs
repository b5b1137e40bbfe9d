//! Questions on a terminal: one for each value that no option gave, asked again while the rules refuse the answer.

use std::io::{self, BufRead, Write};

use super::draft::{Draft, Field};

/// Wrong answers to one question before it is given up: somebody holds a key down, or a script talks to us.
const TRIES_MAX: usize = 5;
/// Bytes of one answer.
const ANSWER_BYTES_MAX: u64 = 4096;

/// Fills what is missing, and the endpoint.
///
/// # Errors
/// The input ends, cannot be read, or [`TRIES_MAX`] answers to one question were refused.
pub(super) fn complete(mut draft: Draft, input: &mut impl BufRead, output: &mut impl Write) -> io::Result<Draft> {
    let missing = draft.missing();
    for field in Field::ALL {
        let is_open = field == Field::Endpoint && draft.of(field).is_empty();
        if is_open || missing.contains(&field) {
            draft = question(draft, field, input, output)?;
        }
    }
    Ok(draft)
}

fn question(draft: Draft, field: Field, input: &mut impl BufRead, output: &mut impl Write) -> io::Result<Draft> {
    for _ in 0..TRIES_MAX {
        write!(output, "{}: ", words(field))?;
        output.flush()?;
        let answer = line(input)?;
        let values: Vec<String> = answer.split([',', ' ']).filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let values = match field {
            Field::Address | Field::AllowedIps => values,
            // Ids may hold anything.
            Field::Peer | Field::Endpoint | Field::KmeUrl | Field::LocalSae | Field::RemoteSae => {
                Some(answer).filter(|answer| !answer.is_empty()).into_iter().collect()
            }
        };
        if values.is_empty() && field != Field::Endpoint {
            writeln!(output, "  an answer is needed here")?;
            continue;
        }
        let next = draft.clone().with(field, values);
        match next.refusal() {
            None => return Ok(next),
            Some(refusal) => writeln!(output, "  {}", refusal.replace('\n', "\n  "))?,
        }
    }
    Err(io::Error::other(format!("{TRIES_MAX} answers were refused; nothing was written")))
}

fn words(field: Field) -> &'static str {
    match field {
        Field::Peer => "Name of the other site (such as dc-east)",
        Field::Address => "Address of this end inside the tunnel (such as 10.99.0.1/30)",
        Field::Endpoint => "Where the other site listens, ADDRESS:PORT (empty if it calls us)",
        Field::AllowedIps => "Prefixes behind the other site (such as 10.99.0.2/32, 10.20.0.0/16)",
        Field::KmeUrl => "Base URL of this site's KME (such as https://192.0.2.10:8443)",
        Field::LocalSae => "Our SAE id",
        Field::RemoteSae => "The other site's SAE id",
    }
}

fn line(input: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    io::Read::take(input, ANSWER_BYTES_MAX).read_line(&mut line)?;
    if !line.ends_with('\n') {
        return Err(io::Error::other("the answers ended early; nothing was written"));
    }
    Ok(line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::init::draft::tests::typed;

    fn answered(words: &[&str], answers: &str) -> (io::Result<Draft>, String) {
        let mut said = Vec::new();
        let draft = complete(typed(words), &mut answers.as_bytes(), &mut said);
        (draft, String::from_utf8(said).unwrap())
    }

    #[test]
    fn every_missing_value_is_asked_for_and_no_other() {
        let answers = "dc\n10.99.0.1/30\n203.0.113.9:51900\n10.20.0.0/16, fd20::/48\nhttps://k:8443\nSAE A\nSAE-B\n";
        let (draft, said) = answered(&["hq"], answers);
        let draft = draft.unwrap();
        assert_eq!((draft.one(Field::Peer), draft.one(Field::LocalSae)), ("dc", "SAE A"));
        assert_eq!(draft.of(Field::AllowedIps), ["10.20.0.0/16", "fd20::/48"]);
        assert_eq!((draft.missing(), draft.refusal()), (vec![], None));
        assert_eq!(said.matches(": ").count(), 7, "{said}");
        let given =
            ["hq", "--peer", "dc", "--qkd", "off", "--address", "10.99.0.1/30", "--allowed-ips", "10.20.0.0/16"];
        let (draft, said) = answered(&given, "\n");
        assert!(draft.unwrap().of(Field::Endpoint).is_empty());
        assert_eq!(said.matches(": ").count(), 1, "{said}");
    }

    #[test]
    fn a_refused_answer_is_asked_for_again_but_not_for_ever() {
        let given = ["hq", "--peer", "dc", "--qkd", "off", "--address", "10.99.0.1/30", "--endpoint", "203.0.113.9:1"];
        let (draft, said) = answered(&given, "10.20.0.0/99\n\n10.20.0.0/16\n");
        assert_eq!(draft.unwrap().of(Field::AllowedIps), ["10.20.0.0/16"]);
        assert!(said.contains("expected ADDRESS/BITS") && said.contains("an answer is needed"), "{said}");
        let (draft, _) = answered(&given, &"x\n".repeat(9));
        assert!(draft.unwrap_err().to_string().contains("5 answers were refused"));
    }

    #[test]
    fn an_input_that_ends_is_no_answer() {
        for answers in ["", "dc", "dc\n10.99.0.1/30\n"] {
            let (draft, _) = answered(&["hq"], answers);
            assert!(draft.unwrap_err().to_string().contains("ended early"), "{answers:?}");
        }
        let (draft, _) = answered(&["hq"], &"x".repeat(100_000));
        assert!(draft.is_err(), "an answer without an end is not read to it");
    }
}
