//! Tokenizer, templates, stop strings.
