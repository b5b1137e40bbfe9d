//! What `plait status` says at both ends.

use serde_json::Value;

use crate::cli::lab::children::finish;
use crate::cli::lab::folder::Folder;

/// One end, at one moment.
#[derive(Clone, Default)]
pub(super) struct End {
    /// The state, `-` while the daemon does not answer.
    pub(super) state: String,
    pub(super) epoch: Option<u64>,
    pub(super) words: Option<String>,
    pub(super) key_ids: Vec<String>,
    pub(super) mixed: Vec<String>,
    pub(super) stock: Option<u64>,
}

/// Both ends.
#[derive(Clone, Default)]
pub(super) struct Both {
    pub(super) a: End,
    pub(super) b: End,
}

impl Both {
    /// Asks both.
    pub(super) fn ask(folder: &Folder) -> Self {
        Self { a: ask(folder, "site-a"), b: ask(folder, "site-b") }
    }

    /// Whether both are in this state.
    pub(super) fn are(&self, state: &str) -> bool {
        self.a.state == state && self.b.state == state
    }

    /// Whether both show the same words, which are there.
    pub(super) fn agree(&self) -> bool {
        self.a.words.is_some() && self.a.words == self.b.words
    }
}

fn ask(folder: &Folder, name: &str) -> End {
    let output = finish(folder, &["status", name, "--json"], None);
    let json = output.ok().and_then(|output| serde_json::from_slice(&output.stdout).ok());
    json.map_or_else(|| End { state: "-".to_owned(), ..End::default() }, |json| read(&json))
}

fn read(json: &Value) -> End {
    let peer = json.pointer("/peers/0").unwrap_or(&Value::Null);
    let epoch = peer.get("epoch").unwrap_or(&Value::Null);
    let texts = |list: Option<&Value>, key: Option<&str>| -> Vec<String> {
        let entries = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let text =
            |entry: &Value| key.map_or(Some(entry), |key| entry.get(key)).and_then(Value::as_str).map(str::to_owned);
        entries.iter().filter_map(text).collect()
    };
    End {
        state: peer.get("state").and_then(Value::as_str).unwrap_or("-").to_owned(),
        epoch: epoch.get("number").and_then(Value::as_u64),
        words: epoch.get("check_words").and_then(Value::as_str).map(str::to_owned),
        key_ids: texts(epoch.get("key_ids"), Some("key_id")),
        mixed: texts(epoch.get("mixed"), None),
        stock: json.pointer("/sources/0/stored_keys").and_then(Value::as_u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_and_an_empty_one_says_so() {
        let json = serde_json::json!({
            "peers": [{"state": "HYBRID", "epoch": {"number": 7, "check_words": "7f2c-91aa",
                "mixed": ["x25519", "ml-kem-1024", "q"], "key_ids": [{"source": "q", "key_id": "k1"}]}}],
            "sources": [{"stored_keys": 3}]
        });
        let end = read(&json);
        assert_eq!((end.state.as_str(), end.epoch, end.stock), ("HYBRID", Some(7), Some(3)));
        assert_eq!((end.words.as_deref(), end.key_ids, end.mixed.len()), (Some("7f2c-91aa"), vec!["k1".to_owned()], 3));
        let blocked = read(&serde_json::json!({"peers": [{"state": "BLOCKED", "epoch": null}]}));
        assert_eq!((blocked.state.as_str(), blocked.epoch, blocked.words), ("BLOCKED", None, None));
        assert_eq!(read(&Value::Null).state, "-");
    }
}
