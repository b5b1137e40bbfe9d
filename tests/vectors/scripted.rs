//! Randomness from a vector: every draw by its name, the second draw of a name as `name#2`.

use std::collections::BTreeMap;

use plait::types::random::Randomness;
use serde_json::Value;

use super::hex::bytes;

/// The drawn values of one handshake.
pub(crate) struct Scripted {
    values: BTreeMap<String, Vec<u8>>,
    drawn: BTreeMap<&'static str, usize>,
}

impl Scripted {
    /// From `random` and `cookie_secrets` of a handshake vector. The previous cookie secret is drawn first.
    pub(crate) fn new(vector: &Value) -> Self {
        let random = vector["random"].as_object().unwrap().iter();
        let mut values: BTreeMap<String, Vec<u8>> = random.map(|(name, value)| (name.clone(), bytes(value))).collect();
        let secrets = vector["cookie_secrets"].as_array().unwrap();
        values.insert("cookie_secret".to_owned(), bytes(&secrets[1]));
        values.insert("cookie_secret#2".to_owned(), bytes(&secrets[0]));
        Self { values, drawn: BTreeMap::new() }
    }

    fn draw(&mut self, name: &'static str, out: &mut [u8]) {
        let count = self.drawn.entry(name).or_insert(0);
        *count += 1;
        let name = if *count == 1 { name.to_owned() } else { format!("{name}#{count}") };
        let value = self.values.get(&name).unwrap_or_else(|| panic!("the vector draws no {name}"));
        out.copy_from_slice(value);
    }
}

impl Randomness for Scripted {
    fn secret(&mut self, label: &'static str, out: &mut [u8]) {
        let name = match label {
            "ek" => "ek_seed",
            "ct_r" => "ct_r_m",
            "ct_e" => "ct_e_m",
            "ct_i" => "ct_i_m",
            other => other,
        };
        self.draw(name, out);
    }

    fn public(&mut self, name: &'static str, out: &mut [u8]) {
        self.draw(name, out);
    }
}
