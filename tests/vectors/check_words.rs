//! `check-words.json`: what people read to each other to see that both sites are in one epoch (PROTOCOL 2.9).

use plait::crypto::check_words::CheckWords;

use super::folder;
use super::hex::array;

#[test]
fn check_words() {
    let Some(vectors) = folder::load("check-words.json") else { return };
    for case in folder::cases(&vectors, "words", 5) {
        let words = CheckWords::of_epoch(&array(&case["hs"])).to_string();
        assert_eq!(words, case["words"].as_str().unwrap(), "{}", case["what"]);
    }
}
