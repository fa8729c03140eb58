//! Any bytes as the vendor's tokenizer file: no panic, and every number in it names a token.
#![no_main]

use libfuzzer_sys::fuzz_target;
use readers::vocabulary::{Kind, parse};

fuzz_target!(|data: &[u8]| {
    let Ok(file) = parse(data) else { return };
    let tokens = match &file.kind {
        Kind::SentencePiece { tokens } => *tokens,
        Kind::Tiktoken { tokens } => tokens.len(),
        Kind::HuggingFace { tokens, .. } => tokens.len(),
        Kind::Bert => return,
    };
    assert!(tokens > 0 && tokens <= data.len());
    let ids = file.specials.iter().chain(&file.stops).chain(&file.prefix);
    assert!(ids.into_iter().all(|id| (*id as usize) < tokens));
});
