//! A validator of the words that the schemas in docs/schemas use, and what a verb printed held against its schema.

use serde_json::Value;

/// A published schema by its name.
pub(crate) fn schema(name: &str) -> Value {
    let path = format!("{}/docs/schemas/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every line of an output has the form of this schema, and there is one at least.
pub(crate) fn fits(name: &str, output: &str) {
    let schema = schema(name);
    assert!(!output.trim().is_empty(), "{name}: nothing was printed");
    for line in output.lines() {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}: {line}"));
        assert_eq!(wrong(&schema, &schema, &value, "", false), [] as [String; 0], "{name}: {line}");
    }
}

/// What is wrong with a value, as far as the words go that these schemas use. An unknown word is a mistake of the schema.
/// `open`: members that the schema does not name are let through, as a reader does; a test of our own output does not.
pub(crate) fn wrong(root: &Value, schema: &Value, value: &Value, at: &str, open: bool) -> Vec<String> {
    let mut found = Vec::new();
    for (word, rule) in schema.as_object().unwrap() {
        let holds = match word.as_str() {
            "$ref" => {
                let target =
                    root.pointer(rule.as_str().unwrap().trim_start_matches('#')).expect("the reference exists");
                found.extend(wrong(root, target, value, at, open));
                true
            }
            "anyOf" => rule.as_array().unwrap().iter().any(|one| wrong(root, one, value, at, open).is_empty()),
            "type" => rule.as_str().map_or_else(
                || rule.as_array().unwrap().iter().any(|kind| is(value, kind.as_str().unwrap())),
                |kind| is(value, kind),
            ),
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
            "maxLength" => value.as_str().is_none_or(|text| text.chars().count() <= rule.as_u64().unwrap() as usize),
            "pattern" => value.as_str().is_none_or(|text| matches(rule.as_str().unwrap(), text)),
            "minItems" => value.as_array().is_none_or(|list| list.len() >= rule.as_u64().unwrap() as usize),
            "items" => {
                for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(wrong(root, rule, item, &format!("{at}/{place}"), open));
                }
                true
            }
            "required" => rule.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
            "properties" => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    match rule.get(name) {
                        Some(rule) => found.extend(wrong(root, rule, member, &format!("{at}/{name}"), open)),
                        None if open => {}
                        None => found.push(format!("{at}/{name}: not in the schema")),
                    }
                }
                true
            }
            "additionalProperties" => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    found.extend(wrong(root, rule, member, &format!("{at}/{name}"), open));
                }
                true
            }
            "$schema" | "$defs" | "title" | "description" => true,
            other => panic!("this test does not know the word {other}"),
        };
        if !holds {
            found.push(format!("{at}: {word} {rule}, came {value}"));
        }
    }
    found
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("no type {other}"),
    }
}

/// The patterns of these schemas: classes in brackets, each with a count, and single letters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut rest = pattern.trim_start_matches('^').trim_end_matches('$');
    let mut letters = text.chars();
    while let Some(first) = rest.chars().next() {
        let (class, count);
        (class, count, rest) = match rest.strip_prefix('[') {
            Some(inner) => {
                let (class, after) = inner.split_once("]{").unwrap();
                let (count, after) = after.split_once('}').unwrap();
                (class, count.parse().unwrap(), after)
            }
            None => (&rest[..first.len_utf8()], 1, &rest[first.len_utf8()..]),
        };
        let fits = |letter: char| match class {
            "0-9" => letter.is_ascii_digit(),
            "0-9a-f" => letter.is_ascii_digit() || ('a'..='f').contains(&letter),
            "0-9A-Z" => letter.is_ascii_digit() || letter.is_ascii_uppercase(),
            one => one.starts_with(letter),
        };
        if !(0..count).all(|_| letters.next().is_some_and(fits)) {
            return false;
        }
    }
    letters.next().is_none()
}
