//! Everything a simulated KME can do wrong or otherwise, by name: one table, named after the behaviour.
//!
//! Faults are spent: each order says how many of the next keys, answers or connections have one. Habits last, as real KMEs have
//! theirs. What each row does is in `fault` (keys), `api` (rules), `spoil` (bodies) and `delivery` (the way of an answer).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::types::nearest::nearest;

/// What an order is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// New keys.
    Key,
    /// Requests for keys by id.
    Fetch,
    /// Answers to requests for keys.
    Answer,
    /// Connections.
    Connection,
    /// Not counted: it lasts.
    Habit,
}

macro_rules! faults {
    ($($scope:ident { $($variant:ident = $name:literal, $words:literal;)+ })+) => {
        /// One thing that a KME does otherwise than it should, or than others do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum Fault { $($(#[doc = $words] $variant,)+)+ }

        impl Fault {
            /// All of them, in the order of the table.
            pub const ALL: &[Self] = &[$($(Self::$variant,)+)+];

            /// Its name in `pair.toml` and in orders.
            pub fn name(self) -> &'static str {
                match self { $($(Self::$variant => $name,)+)+ }
            }

            /// What it does, in a few words.
            pub fn words(self) -> &'static str {
                match self { $($(Self::$variant => $words,)+)+ }
            }

            /// What it is counted by.
            pub fn scope(self) -> Scope {
                match self { $($(Self::$variant)|+ => Scope::$scope,)+ }
            }
        }
    };
}

faults! {
    Key {
        WrongKey = "wrong-key", "one bit differs between the two sites";
        OtherKey = "other-key", "every byte differs between the two sites";
        LostKey = "lost-key", "the other KME never learns of the key";
        LateKey = "late-key", "the other KME learns of the key two seconds later";
        RepeatedKey = "repeated-key", "the bytes of the key before, under another key_ID";
        RepeatedId = "repeated-id", "other bytes, under the key_ID of the key before";
        ConstantKey = "constant-key", "every byte is zero";
        OnesKey = "ones-key", "every bit is one";
        TextKey = "text-key", "the bytes are the word test, again and again";
        ShortKey = "short-key", "one byte less than asked for";
        HalfKey = "half-key", "half as long as asked for";
        EmptyKey = "empty-key", "no byte at all";
        LongKey = "long-key", "one byte more than asked for";
    }
    Fetch {
        VoidedKey = "voided-key", "the key is voided after its key_ID was handed out: unknown from now on";
        ForgetsKeys = "forgets-keys", "as after a restart: all keys that waited for their slave are unknown";
    }
    Answer {
        ExtraKey = "extra-key", "one key more than asked for";
        MissingKey = "missing-key", "one key less than asked for";
        TwinEntry = "twin-entry", "the same key twice in one answer";
        EmptyBody = "empty-body", "200 with nothing in it";
        HtmlBody = "html-body", "200 with a page for browsers";
        ErrorIn200 = "error-in-200", "200 with an error body";
        CutJson = "cut-json", "the JSON ends in the middle, the length is right";
        DeepJson = "deep-json", "20000 lists inside each other";
        NullKeys = "null-keys", "the member keys is null";
        NoKeys = "no-keys", "the member keys is missing";
        NoKeyId = "no-key-id", "the member key_ID is missing";
        NoMaterial = "no-material", "the member key is missing";
        WrongTypes = "wrong-types", "members of other types";
        DoubleMember = "double-member", "the member keys twice";
        BadUtf8 = "bad-utf8", "bytes that are no UTF-8";
        ByteOrderMark = "byte-order-mark", "a byte order mark before the JSON";
        NotANumber = "not-a-number", "NaN, which is not JSON";
        BadBase64 = "bad-base64", "a character outside base64 in the key";
        SpacedBase64 = "spaced-base64", "a blank inside the key's base64";
        UnpaddedBase64 = "unpadded-base64", "base64 without its padding";
        UrlBase64 = "url-base64", "base64 in the alphabet for URLs";
        LooseBase64 = "loose-base64", "base64 whose last bits are not zero";
        LongId = "long-id", "a key_ID of 10000 characters";
        EmptyId = "empty-id", "a key_ID without a character";
        LineFeedId = "line-feed-id", "a key_ID with CR and LF in it";
        NulId = "nul-id", "a key_ID with a NUL in it";
        OtherId = "other-id", "a key by id comes under another key_ID";
        HugeBody = "huge-body", "a megabyte around the key";
        GzipBody = "gzip-body", "a compressed body nobody asked for";
        Redirect = "redirect", "301 to another place";
        Answers202 = "answers-202", "202, and the key is gone";
        Answers204 = "answers-204", "204, and the key is gone";
        Answers400 = "answers-400", "400, and the key is gone";
        Answers401 = "answers-401", "401, and the key is gone";
        Answers403 = "answers-403", "403, and the key is gone";
        Answers404 = "answers-404", "404, and the key is gone";
        Answers408 = "answers-408", "408, and the key is gone";
        Answers409 = "answers-409", "409, and the key is gone";
        Answers412 = "answers-412", "412, and the key is gone";
        Answers413 = "answers-413", "413, and the key is gone";
        Answers429 = "answers-429", "429 with Retry-After, and the key is gone";
        Answers500 = "answers-500", "500, and the key is gone";
        Answers502 = "answers-502", "502, and the key is gone";
        Answers503 = "answers-503", "503, and the key is gone";
        Answers504 = "answers-504", "504, and the key is gone";
        Hang = "hang", "nothing comes after the request";
        HangInHead = "hang-in-head", "nothing comes after the first 20 bytes";
        HangInBody = "hang-in-body", "nothing comes after the first bytes of the body";
        Drip = "drip", "one byte each 200 ms";
        SlowAnswer = "slow-answer", "the answer comes after 2 s";
        LateAnswer = "late-answer", "the answer comes after 12 s: too late";
        CutInHead = "cut-in-head", "TCP ends inside the head, TLS says nothing";
        CutInBody = "cut-in-body", "TCP ends inside the body, TLS says nothing";
        CloseInBody = "close-in-body", "TLS ends properly inside the body";
        ShortLength = "short-length", "a Content-Length that is too small";
        LongLength = "long-length", "a Content-Length that is too large";
        HugeLength = "huge-length", "a Content-Length of a gigabyte";
        NegativeLength = "negative-length", "a Content-Length below zero";
        EndlessHead = "endless-head", "header fields without end";
        EndlessBody = "endless-body", "a body without end";
        EndlessChunks = "endless-chunks", "chunks without end";
        ManyHeaders = "many-headers", "10000 header fields";
        NotHttp = "not-http", "an answer in another protocol";
        Http2 = "http-2", "an answer that calls itself HTTP/2";
        DoubleAnswer = "double-answer", "the same answer twice";
        EarlierAnswer = "earlier-answer", "the answer before, again";
    }
    Connection {
        ResetConnection = "reset-connection", "TCP is reset at once";
        HangInHandshake = "hang-in-handshake", "TLS never answers";
        PlainText = "plain-text", "HTTP without TLS";
    }
    Habit {
        IdNotUuid = "id-not-uuid", "key_IDs are words, not UUIDs";
        IdCounter = "id-counter", "key_IDs are UUIDs that count from the nil UUID";
        IdOtherCase = "id-other-case", "one KME writes key_IDs in upper case, the other in lower case";
        IdExactCase = "id-exact-case", "a key_ID is found in its own case only";
        GivesAgain = "gives-again", "a key by id is given as often as it is asked for";
        LosesUnfetched = "loses-unfetched", "a new key makes the pair's earlier ones unknown";
        NotFound401 = "not-found-401", "an unknown key_ID is 401";
        NotFound403 = "not-found-403", "an unknown key_ID is 403";
        NotFound404 = "not-found-404", "an unknown key_ID is 404";
        NotFound409 = "not-found-409", "an unknown key_ID is 409";
        NotFound422 = "not-found-422", "an unknown key_ID is 422";
        NotFound503 = "not-found-503", "an unknown key_ID is 503";
        NotFoundEmpty = "not-found-empty", "an unknown key_ID is 200 without keys";
        Empty400 = "empty-400", "no key in stock is 400";
        Empty404 = "empty-404", "no key in stock is 404";
        Empty429 = "empty-429", "no key in stock is 429 with Retry-After";
        EmptyList = "empty-list", "no key in stock is 200 without keys";
        Partial = "partial", "fewer keys than asked for, if the stock has no more";
        Invalid422 = "invalid-422", "a request of another form is 422";
        Stranger400 = "stranger-400", "a SAE that is not registered gets 400";
        Stranger404 = "stranger-404", "a SAE that is not registered gets 404";
        Unknown404 = "unknown-404", "an unknown other SAE is 404";
        Unknown500 = "unknown-500", "an unknown other SAE is 500";
        FixedSize = "fixed-size", "keys have 256 bits whatever is asked for";
        LongSize = "long-size", "keys have 512 bits whatever is asked for";
        SizeInBytes = "size-in-bytes", "the size of a key is counted in bytes";
        OneKey = "one-key", "one key a request";
        GetOnly = "get-only", "POST is not taken";
        PostOnly = "post-only", "GET is not taken for keys";
        GetIgnored = "get-ignored", "number and size of a GET are ignored";
        NoEmptyPost = "no-empty-post", "a POST without a body is 415";
        IgnoresMandatory = "ignores-mandatory", "extension_mandatory is ignored";
        StatusFails = "status-fails", "the status is 500, keys come";
        StatusPartial = "status-partial", "the status has three of its members";
        StockZero = "stock-zero", "the stock reads 0 although keys come";
        StockCapped = "stock-capped", "the stock reads 10 at most";
        StockWaiting = "stock-waiting", "the stock counts keys that wait for their slave";
        TextIntegers = "text-integers", "numbers are written as text";
        Nulls = "nulls", "absent members are written as null";
        ExtraMembers = "extra-members", "members that the standard does not have";
        Reordered = "reordered", "members in another order";
        Pretty = "pretty", "JSON on many lines";
        CapitalKeys = "capital-keys", "the member keys is written Keys";
        Escaped = "escaped", "characters of the base64 are written as escapes";
        ErrorDetail = "error-detail", "errors have detail in place of message";
        ErrorList = "error-list", "errors have detail, a list of objects";
        ErrorDetails = "error-details", "errors have message and details";
        ErrorHtml = "error-html", "errors are pages for browsers";
        ErrorText = "error-text", "errors are plain text";
        ErrorEmpty = "error-empty", "errors have no body";
        NoContentType = "no-content-type", "no Content-Type";
        Charset = "charset", "a Content-Type with a character set";
        HtmlType = "html-type", "JSON that calls itself text/html";
        ClosesEach = "closes-each", "the connection is closed after each answer";
        OldHttp = "old-http", "answers in HTTP/1.0";
        Chunked = "chunked", "bodies in chunks, without a length";
        ToTheEnd = "to-the-end", "bodies without a length, which end with the connection";
        Continue100 = "continue-100", "100 before each answer";
        WrongDate = "wrong-date", "a Date header of 1994";
    }
}

impl Fault {
    /// The fault of this name.
    ///
    /// # Errors
    /// A sentence with the nearest name.
    pub fn named(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().copied().find(|fault| fault.name() == name);
        found.ok_or_else(|| {
            let guess = nearest(name, Self::ALL.iter().map(|fault| fault.name()));
            format!("no fault of a KME is called \"{}\"{guess}", name.escape_debug())
        })
    }

    /// Whether it lasts until it is taken back.
    pub fn is_habit(self) -> bool {
        self.scope() == Scope::Habit
    }
}

impl TryFrom<String> for Fault {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::named(&name)
    }
}

impl From<Fault> for String {
    fn from(fault: Fault) -> Self {
        fault.name().to_owned()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_found_and_stands_for_one_fault() {
        let names: BTreeSet<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        assert_eq!(names.len(), Fault::ALL.len());
        for fault in Fault::ALL {
            assert_eq!(Fault::named(fault.name()), Ok(*fault));
            let is_bare = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(fault.name().chars().all(is_bare), "{fault} is a key of TOML without quotes");
            assert!(!fault.words().is_empty() && !fault.words().ends_with('.'));
        }
    }

    #[test]
    fn another_name_is_refused_with_the_nearest() {
        assert!(Fault::named("wrong-kye").unwrap_err().contains("did you mean `wrong-key`?"));
        let far = Fault::named("\n").unwrap_err();
        assert!(far.contains("\\n") && !far.contains("did you mean"), "{far}");
    }
}
