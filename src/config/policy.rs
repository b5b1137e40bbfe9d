//! `[policy]` and its overrides: bounds, defaults, and which limit goes with which word.

use std::time::Duration;

use toml::Spanned;

use super::file::PolicySection;
use super::model::Policy;
use super::reader::Reader;
use super::value::Written;
use crate::types::limits::{
    DEGRADE_FOR_MAX, FULL_DEFAULT, FULL_MIN, HOLD_LAST_DEFAULT, HOLD_LAST_MAX, QKD_SOURCES_MAX, REKEY_AND_FULL_MAX,
    REKEY_AUTO_MIN, REKEY_DEFAULT, REKEY_MIN,
};
use crate::types::policy::QkdPolicy;

const WORDS: [(&str, QkdPolicy); 3] =
    [("required", QkdPolicy::Required), ("preferred", QkdPolicy::Preferred), ("off", QkdPolicy::Off)];

/// The resolved policy of `own` over `base`, key by key.
pub(super) fn resolve(reader: &mut Reader<'_>, base: Option<&PolicySection>, own: Option<&PolicySection>) -> Policy {
    let nothing = PolicySection::default();
    let (base, own) = (base.unwrap_or(&nothing), own.unwrap_or(&nothing));
    let qkd = reader.word("qkd", own.qkd.as_ref().or(base.qkd.as_ref()), &WORDS).unwrap_or(QkdPolicy::Required);
    let rekey_key = own.rekey.as_ref().or(base.rekey.as_ref());
    let full_key = own.full.as_ref().or(base.full.as_ref());
    let (rekey, rekey_min) = rekey_interval(reader, own, base);
    let full =
        reader.seconds("full", full_key, FULL_MIN..=REKEY_AND_FULL_MAX).unwrap_or_else(|| FULL_DEFAULT.max(rekey));
    if full < rekey
        && let Some(at) = full_key.or(rekey_key)
    {
        let text =
            format!("full: expected at least as long as rekey ({} s), came {} s", rekey.as_secs(), full.as_secs());
        reader.fail(at, text);
    }
    let min_key = own.min_sources.as_ref().or(base.min_sources.as_ref());
    let min_sources = reader.number("min_sources", min_key, 1..=QKD_SOURCES_MAX as i64).unwrap_or(1);
    let hold_key = own.hold_last.as_ref().or(base.hold_last.as_ref());
    let hold_last = reader.seconds("hold_last", hold_key, Duration::ZERO..=HOLD_LAST_MAX);
    let degrade_key = own.degrade_for.as_ref().or(base.degrade_for.as_ref()).filter(|key| !is_unlimited(key));
    let degrade_for = reader.seconds("degrade_for", degrade_key, Duration::ZERO..=DEGRADE_FOR_MAX);
    Policy {
        qkd,
        min_sources: if qkd == QkdPolicy::Off { 0 } else { min_sources as u8 },
        hold_last: hold_last.or_else(|| (qkd == QkdPolicy::Required).then_some(HOLD_LAST_DEFAULT)),
        degrade_for,
        rekey,
        rekey_min,
        full,
    }
}

fn is_unlimited(key: &Spanned<Written>) -> bool {
    *key.get_ref() == Written::Text("unlimited".to_owned())
}

/// The longest interval and, with `"auto"`, the shortest.
fn rekey_interval(reader: &mut Reader<'_>, own: &PolicySection, base: &PolicySection) -> (Duration, Option<Duration>) {
    let key = own.rekey.as_ref().or(base.rekey.as_ref());
    if key.is_none_or(|key| *key.get_ref() != Written::Text("auto".to_owned())) {
        refuse_range(reader, own, base);
        let rekey = reader.seconds("rekey", key, REKEY_MIN..=REKEY_AND_FULL_MAX).unwrap_or(REKEY_DEFAULT);
        return (rekey, None);
    }
    let (min_key, max_key) =
        (own.rekey_min.as_ref().or(base.rekey_min.as_ref()), own.rekey_max.as_ref().or(base.rekey_max.as_ref()));
    let bounds = REKEY_AUTO_MIN..=REKEY_AND_FULL_MAX;
    let min = reader.seconds("rekey_min", min_key, bounds.clone()).unwrap_or(REKEY_AUTO_MIN);
    let max = reader.seconds("rekey_max", max_key, bounds).unwrap_or_else(|| FULL_DEFAULT.max(min));
    if max < min
        && let Some(at) = max_key.or(min_key)
    {
        let (max, min) = (max.as_secs(), min.as_secs());
        reader.fail(at, format!("rekey_max: expected at least as long as rekey_min ({min} s), came {max} s"));
    }
    (max, Some(min))
}

/// `rekey_min` and `rekey_max` mean something with `rekey = "auto"` only.
fn refuse_range(reader: &mut Reader<'_>, own: &PolicySection, base: &PolicySection) {
    for (key, value) in [("rekey_min", &own.rekey_min), ("rekey_max", &own.rekey_max)]
        .into_iter()
        .chain([("rekey_min", &base.rekey_min), ("rekey_max", &base.rekey_max)])
    {
        if let Some(at) = value {
            reader.fail(at, format!("{key}: belongs to rekey = \"auto\"; remove it, or write that"));
        }
    }
}
