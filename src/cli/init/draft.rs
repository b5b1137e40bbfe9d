//! A configuration in the making: what is known of it, what is missing, and whether the rules of `check` take it.

use super::args::InitOrder;
use super::text;
use crate::config::parse;

/// What only the operator knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// Name of the other site.
    Peer,
    /// Inner address of this end.
    Address,
    /// Where the other site listens.
    Endpoint,
    /// What is behind it.
    AllowedIps,
    /// Base URL of the KME.
    KmeUrl,
    /// Our SAE id.
    LocalSae,
    /// The other site's SAE id.
    RemoteSae,
}

impl Field {
    /// In the order in which they are asked for.
    pub(super) const ALL: [Self; 7] =
        [Self::Peer, Self::Address, Self::Endpoint, Self::AllowedIps, Self::KmeUrl, Self::LocalSae, Self::RemoteSae];

    /// The option that says it.
    pub(super) fn option(self) -> &'static str {
        match self {
            Self::Peer => "--peer",
            Self::Address => "--address",
            Self::Endpoint => "--endpoint",
            Self::AllowedIps => "--allowed-ips",
            Self::KmeUrl => "--kme-url",
            Self::LocalSae => "--local-sae",
            Self::RemoteSae => "--remote-sae",
        }
    }

    /// What takes its place while it is not known: accepted by every rule, meant by nobody.
    fn placeholder(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Address => "192.0.2.254/32",
            Self::Endpoint => "",
            Self::AllowedIps => "192.0.2.255/32",
            Self::KmeUrl => "https://kme.invalid",
            Self::LocalSae => "(ours)",
            Self::RemoteSae => "(theirs)",
        }
    }
}

/// One configuration: each field has its values, none while it is not known.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// Of the interface.
    pub(super) name: String,
    /// UDP address.
    pub(super) listen: String,
    /// Policy word.
    pub(super) qkd: String,
    /// `ca_file`, `cert_file`, `key_file`.
    pub(super) files: [String; 3],
    values: [Vec<String>; Field::ALL.len()],
}

impl Draft {
    /// From the options.
    pub(super) fn new(order: &InitOrder) -> Self {
        let one = |value: &Option<String>| value.iter().cloned().collect::<Vec<_>>();
        Self {
            name: order.name.clone(),
            listen: order.listen.clone(),
            qkd: order.qkd.clone(),
            files: [order.ca_file.clone(), order.cert_file.clone(), order.key_file.clone()],
            values: Field::ALL.map(|field| match field {
                Field::Peer => one(&order.peer),
                Field::Address => order.address.clone(),
                Field::Endpoint => one(&order.endpoint),
                Field::AllowedIps => order.allowed_ips.clone(),
                Field::KmeUrl => one(&order.kme_url),
                Field::LocalSae => one(&order.local_sae),
                Field::RemoteSae => one(&order.remote_sae),
            }),
        }
    }

    /// Values of a field.
    pub(super) fn of(&self, field: Field) -> &[String] {
        self.values.get(field as usize).map_or(&[], Vec::as_slice)
    }

    /// The one value of a field that has one.
    pub(super) fn one(&self, field: Field) -> &str {
        self.of(field).first().map_or("", String::as_str)
    }

    /// The draft with these values of the field.
    pub(super) fn with(mut self, field: Field, values: Vec<String>) -> Self {
        if let Some(place) = self.values.get_mut(field as usize) {
            *place = values;
        }
        self
    }

    /// Whether there is a KME in it.
    pub(super) fn has_kme(&self) -> bool {
        self.qkd != "off"
    }

    /// What is not known yet and belongs into the file.
    pub(super) fn missing(&self) -> Vec<Field> {
        let is_kme = |field: &Field| matches!(field, Field::KmeUrl | Field::LocalSae | Field::RemoteSae);
        Field::ALL
            .into_iter()
            .filter(|field| self.of(*field).is_empty() && *field != Field::Endpoint)
            .filter(|field| self.has_kme() || !is_kme(field))
            .collect()
    }

    /// What `check` would say against the values known so far; `None`: nothing.
    pub(super) fn refusal(&self) -> Option<String> {
        let missing = self.missing();
        let whole = missing
            .into_iter()
            .fold(self.clone(), |draft, field| draft.with(field, vec![field.placeholder().to_owned()]));
        let parsed = parse(&format!("{}.toml", self.name), &self.name, &text::render(&whole));
        let errors = parsed.err()?.errors;
        Some(errors.into_iter().map(|error| error.text).collect::<Vec<_>>().join("\n"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        order: InitOrder,
    }

    /// The draft of a command line.
    pub(in crate::cli::init) fn typed(words: &[&str]) -> Draft {
        Draft::new(&Typed::try_parse_from([&["init"], words].concat()).unwrap().order)
    }

    #[test]
    fn what_is_missing_depends_on_the_policy() {
        assert_eq!(typed(&["hq"]).missing().len(), 6, "all but the endpoint");
        let off = typed(&["hq", "--qkd", "off", "--peer", "dc"]);
        assert_eq!(off.missing(), [Field::Address, Field::AllowedIps]);
    }

    #[test]
    fn a_value_is_refused_in_the_words_of_check_and_a_missing_one_is_not() {
        assert_eq!(typed(&["hq"]).refusal(), None);
        for (words, said) in [
            (&["hq", "--allowed-ips", "10.20.0.0/33"][..], "allowed_ips: expected ADDRESS/BITS"),
            (&["hq", "--address", "10.99.0.1"], "address: expected ADDRESS/BITS"),
            (&["hq", "--endpoint", "dc.example:51900"], "no host name"),
            (&["hq", "--endpoint", "10.20.0.1:51900", "--allowed-ips", "10.20.0.0/16"], "lies in allowed_ips"),
            (&["hq", "--kme-url", "http://kme"], "demands HTTPS"),
            (&["hq", "--local-sae", "A", "--remote-sae", "A"], "came our own"),
            (&["hq", "--peer", ".x"], "name"),
            (&["hq", "--qkd", "requird"], "did you mean `required`?"),
            (&["hq", "--listen", "nowhere"], "listen: expected ADDRESS:PORT"),
            (&["a/b"], "names the interface"),
        ] {
            let words = [words, &[]].concat();
            let refusal = typed(&words).refusal().unwrap_or_default();
            assert!(refusal.contains(said), "{words:?}: {refusal}");
        }
    }

    #[test]
    fn quotes_and_backslashes_stay_inside_their_string() {
        let evil = "x\"]\n[policy]\nqkd = \"off\\";
        let draft = typed(&["hq", "--ca-file", evil]);
        let text = text::render(&draft.with(Field::LocalSae, vec!["a\"b".to_owned()]));
        let read: toml::Table = text.parse().unwrap();
        assert_eq!(read["qkd"][0]["ca_file"].as_str(), Some(evil));
        assert_eq!(read["qkd"][0]["local_sae"].as_str(), Some("a\"b"));
        assert_eq!(read["policy"]["qkd"].as_str(), Some("required"));
    }
}
