//! A vocabulary of a few tokens, whole and broken.

use super::*;

/// Owned fields of a vocabulary.
struct Parts {
    pre: &'static str,
    tokens: Vec<String>,
    types: Vec<i32>,
    merges: Vec<String>,
    bos: Option<TokenId>,
    add_bos: Option<bool>,
}

impl Parts {
    fn borrow(&self) -> GgufTokenizer<'_> {
        GgufTokenizer {
            model: "gpt2",
            pre: self.pre,
            tokens: &self.tokens,
            token_types: &self.types,
            merges: &self.merges,
            bos: self.bos,
            eos: Some(1),
            add_bos: self.add_bos,
            add_eos: None,
        }
    }

    fn build(&self) -> Result<Tokenizer, TextError> {
        build_tokenizer(&self.borrow())
    }

    fn encode(&self, text: &str) -> Vec<TokenId> {
        self.build().unwrap().encode_fast(text, true).unwrap().get_ids().to_vec()
    }

    fn error(&self) -> String {
        self.build().unwrap_err().to_string()
    }
}

fn parts() -> Parts {
    let tokens = ["<s>", "<|im_end|>", "<think>", "[PAD]", "a", "b", "c", "Ġ", "ab", "abc", "Ġab", "bc"];
    Parts {
        pre: "gpt-2",
        tokens: tokens.map(String::from).to_vec(),
        types: vec![3, 3, 4, 5, 1, 1, 1, 1, 1, 1, 1, 1],
        merges: ["b c", "a b", "ab c", "Ġ ab"].map(String::from).to_vec(),
        bos: Some(0),
        add_bos: None,
    }
}

#[test]
fn special_tokens_may_have_any_text() {
    for text in ["$B", "$", "<a:b>", "a:1", ":", "$A:0", "bos", "eos"] {
        let mut parts = Parts { add_bos: Some(true), ..parts() };
        parts.tokens[0] = text.to_owned();
        assert_eq!(parts.encode("ab"), [0, 8], "{text}");
        let mut borrowed = parts.borrow();
        borrowed.add_eos = Some(true);
        let tokenizer = build_tokenizer(&borrowed).unwrap();
        assert_eq!(tokenizer.encode_fast("ab", true).unwrap().get_ids(), [0, 8, 1], "{text}");
        // As it is written to the model directory and read from there.
        let tokenizer = Tokenizer::from_bytes(tokenizer.to_string(false).unwrap()).unwrap();
        assert_eq!(tokenizer.encode_fast("ab", true).unwrap().get_ids(), [0, 8, 1], "{text}");
        assert_eq!(tokenizer.encode_fast("ab", false).unwrap().get_ids(), [8], "{text}");
    }
}

#[test]
fn merges_special_and_added_tokens() {
    assert_eq!(parts().encode("abc ab"), [4, 11, 10]);
    assert_eq!(parts().encode("<s>ab<think>c<|im_end|>"), [0, 8, 2, 6, 1]);
    // Unused tokens are never text, and bytes without a token are dropped, as llama.cpp does.
    assert_eq!(parts().encode("[PAD]a"), [4]);
}

#[test]
fn whole_words_go_before_merges_where_the_family_says_so() {
    let mut llama3 = parts();
    llama3.pre = "llama-bpe";
    assert_eq!(llama3.encode("abc"), [0, 9]);
    assert!(adds_bos(&llama3.borrow()).unwrap());
    llama3.add_bos = Some(false);
    assert_eq!(llama3.encode("abc"), [9]);
    assert!(!adds_bos(&llama3.borrow()).unwrap());
}

#[test]
fn end_of_turn_tokens_are_special_whatever_the_file_says() {
    let mut careless = parts();
    careless.types = Vec::new();
    let tokenizer = careless.build().unwrap();
    let special: Vec<u32> = tokenizer.get_added_tokens_decoder().keys().copied().collect();
    assert_eq!(special, [1]);
}

#[test]
fn broken_vocabularies_are_named() {
    let with = |change: &dyn Fn(&mut Parts)| {
        let mut parts = parts();
        change(&mut parts);
        parts.error()
    };
    let error = with(&|parts| parts.merges.push("b a".into()));
    assert!(error.contains("merge 4 (\"b a\") needs the token \"ba\""), "{error}");
    let error = with(&|parts| parts.merges.push("ba".into()));
    assert!(error.contains("is not two tokens"), "{error}");
    let error = with(&|parts| parts.tokens[5] = "a".into());
    assert!(error.contains("tokens 4 and 5 are both \"a\""), "{error}");
    let error = with(&|parts| parts.types.truncate(3));
    assert!(error.contains("12 tokens but 3 token types"), "{error}");
    let error = with(&|parts| parts.tokens.clear());
    assert!(error.contains("there are no tokens"), "{error}");
    let error = with(&|parts| parts.pre = "new-thing");
    assert!(error.contains("\"new-thing\" is not known"), "{error}");
    let error = with(&|parts| (parts.bos, parts.add_bos) = (Some(99), Some(true)));
    assert!(error.contains("special token 99 is beyond"), "{error}");
}

#[test]
fn other_kinds_of_vocabulary_are_refused() {
    let parts = parts();
    let result = build_tokenizer(&GgufTokenizer { model: "llama", ..parts.borrow() });
    assert!(matches!(&result, Err(TextError::UnsupportedVocabulary(model)) if model == "llama"));
}

#[test]
fn repeated_merges_keep_their_first_rank() {
    let mut repeated = parts();
    repeated.merges.push("b c".into());
    assert_eq!(repeated.encode("abc"), [4, 11]);
}
