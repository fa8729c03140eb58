use super::*;

const MERGES: &str = "h e\n";

/// A vocabulary of all bytes, a merge and three marks, as a file of kind 3.
fn file(kind: u8, stops: &str, first_lines: &str) -> String {
    let mut tokens: Vec<String> = (0..=255).map(|byte| char_of_byte(byte).to_string()).collect();
    tokens.extend(["he", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>"].map(str::to_owned));
    let counts = format!("430 {kind}\n4 {} 0\n257 258 259 260 {stops}\n", stops.split_whitespace().count());
    match kind {
        1 => {
            let bytes =
                |text: &String| text.chars().filter_map(crate::text::token_table::byte_of_char).collect();
            let lines = tokens.iter().map(|text| {
                let bytes: Vec<u8> = if text.starts_with('<') && text.len() > 1 {
                    text.bytes().collect()
                } else {
                    bytes(text)
                };
                base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes) + "\n"
            });
            format!("{counts}{}\n{}", tokens.len(), lines.collect::<String>())
        }
        _ => format!("{counts}{} {first_lines}\n{}\n{MERGES}", tokens.len(), tokens.join("\n")),
    }
}

fn built(text: &str, family: Option<&str>) -> Result<VendorTokenizer, TextError> {
    let family = family.map(|name| Family::named([name]).unwrap());
    build(&read::parse(text.as_bytes()).unwrap(), family)
}

fn ids(tokenizer: &VendorTokenizer, text: &str) -> Vec<u32> {
    tokenizer.tokenizer.encode_fast(text, true).unwrap().get_ids().to_vec()
}

#[test]
fn both_kinds_give_the_same_tokens() {
    let merged = built(&file(3, "259", "1 0"), Some("qwen3")).unwrap();
    let ranked = built(&file(1, "259", ""), Some("qwen3")).unwrap();
    for (text, expected) in [
        ("he", vec![256]),
        ("eh", vec![u32::from(b'e'), u32::from(b'h')]),
        ("<|im_start|>he<|im_end|>", vec![258, 256, 259]),
        ("é", vec![0xc3, 0xa9]),
        ("<think>", vec![260]),
    ] {
        assert_eq!(ids(&merged, text), expected, "{text}");
        assert_eq!(ids(&ranked, text), expected, "{text}");
    }
    // A thought is text, a mark is not.
    assert_eq!(merged.tokenizer.decode(&[260, 256, 259], true).unwrap(), "<think>he");
}

#[test]
fn tokens_that_end_an_answer_are_added_where_the_file_forgets_them() {
    for stops in ["", "257", "259"] {
        assert_eq!(built(&file(3, stops, "1"), Some("qwen3")).unwrap().end_ids, [257, 259], "{stops:?}");
    }
    assert_eq!(built(&file(3, "65", "1"), Some("qwen3")).unwrap().end_ids, [65, 257, 259]);
}

#[test]
fn the_pre_tokenizer_comes_from_the_file_or_the_family() {
    let name = |lines: &str, family: Option<&'static Family>| {
        pre_tokenizer(&read::parse(file(3, "", lines).as_bytes()).unwrap(), family)
    };
    assert_eq!(name("1 0", Family::named(["smollm2"])), Some("smollm"));
    assert_eq!(name("1 1", Family::named(["qwen3"])), Some("qwen35"));
    assert_eq!(name("1 3", Family::named(["llama-3"])), Some("llama-bpe"));
    assert_eq!(name("1 3", None), Some("glm4"));
    assert_eq!(name("1", None), None);
    // Without a name, the marks decide.
    assert_eq!(ids(&built(&file(3, "", "1"), None).unwrap(), "he"), [256]);
}

#[test]
fn what_cannot_be_exact_is_refused_with_the_way_out() {
    for (text, kind) in
        [("430 0\n0 0 0\n\n1\nYQ== -1.0 1\n", "SentencePiece"), ("430 2\n0 0 0\n\n1\nYQ==\n", "BERT")]
    {
        let error = built(text, Some("gemma")).unwrap_err().to_string();
        assert!(error.contains(kind) && error.contains("tokenizer.json"), "{error}");
    }
    let unknown = "430 3\n0 0 0\n\n1 0\na\n";
    assert!(built(unknown, None).unwrap_err().to_string().contains("family"));
}
