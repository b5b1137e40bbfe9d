//! The known name that somebody may have meant.

/// `; did you mean NAME?` for the known name closest to what came, or nothing if none is close.
pub fn nearest<'a>(came: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    /// Similarity (Jaro-Winkler, 0..1) below which a guess confuses more than it helps.
    const SIMILAR_ENOUGH: f64 = 0.75;
    let best = known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(came, name), name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(similarity, _)| *similarity >= SIMILAR_ENOUGH);
    best.map_or_else(String::new, |(_, name)| format!("; did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_only_if_it_is_near() {
        assert_eq!(nearest("hold_lst", ["qkd", "hold_last"]), "; did you mean `hold_last`?");
        assert_eq!(nearest("zzz", ["qkd", "hold_last"]), "");
    }
}
