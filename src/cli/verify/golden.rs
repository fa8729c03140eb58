//! The golden file: reference outputs, and what must hold before they can be compared with anything.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

/// Larger files are not reference outputs.
const MAX_BYTES: u64 = 256 << 20;

/// Reference outputs of one model.
#[derive(Debug, Deserialize)]
pub(super) struct Golden {
    pub(super) cases: Vec<Case>,
    #[serde(default)]
    pub(super) tokenizer_cases: Vec<TokenizerCase>,
}

/// One conversation and the reference's greedy continuation. The lists after `prompt_token_ids` run in parallel.
#[derive(Debug, Deserialize)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) messages: Vec<GoldenMessage>,
    /// The messages through the chat template, with the generation prompt.
    pub(super) rendered_prompt: String,
    pub(super) prompt_token_ids: Vec<u32>,
    /// Greedy tokens, an end-of-generation id included.
    pub(super) greedy_token_ids: Vec<u32>,
    /// Natural logarithm of the softmax over the whole vocabulary.
    pub(super) logprob_of_chosen: Vec<f64>,
    /// Distance of the two largest logits.
    pub(super) top1_top2_margin: Vec<f64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct GoldenMessage {
    pub(super) role: String,
    pub(super) content: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct TokenizerCase {
    pub(super) text: String,
    /// Ids with special tokens in the text recognised and none added.
    pub(super) ids_parse_special: Vec<u32>,
}

impl Golden {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let file = || format!("golden file {}", path.display());
        let size = std::fs::metadata(path).with_context(file)?.len();
        if size > MAX_BYTES {
            bail!("{}: {size} bytes are too many for reference outputs", file());
        }
        let text = std::fs::read_to_string(path).with_context(file)?;
        let golden: Self = serde_json::from_str(&text).with_context(file)?;
        golden.check().with_context(file)?;
        Ok(golden)
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.cases.is_empty(), "it has no cases");
        for case in &self.cases {
            let steps = case.greedy_token_ids.len();
            let name = &case.name;
            ensure!(!case.prompt_token_ids.is_empty(), "case '{name}': prompt_token_ids is empty");
            ensure!(steps > 0, "case '{name}': greedy_token_ids is empty");
            for (field, values) in
                [("logprob_of_chosen", &case.logprob_of_chosen), ("top1_top2_margin", &case.top1_top2_margin)]
            {
                let length = values.len();
                ensure!(
                    length == steps,
                    "case '{name}': {field} has {length} entries, greedy_token_ids {steps}"
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(text: &str) -> anyhow::Result<Golden> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Golden::read(file.path())
    }

    #[test]
    fn golden_files_of_the_repository_are_read() {
        for name in ["smollm2", "qwen3-tiny", "qwen2.5-coder-0.5b"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.json"));
            let golden = Golden::read(&path).unwrap();
            assert_eq!((golden.cases.len(), golden.tokenizer_cases.len()), (4, 8), "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_file_and_field() {
        let case = r#"{"name":"a","messages":[],"rendered_prompt":"","prompt_token_ids":[1],"greedy_token_ids":[2,3],
            "logprob_of_chosen":[-0.5],"top1_top2_margin":[0.1,0.2]}"#;
        for (text, expected) in [
            ("{", "EOF"),
            ("{}", "cases"),
            (r#"{"cases":[]}"#, "no cases"),
            (&format!(r#"{{"cases":[{case}]}}"#), "logprob_of_chosen has 1 entries, greedy_token_ids 2"),
        ] {
            let message = format!("{:#}", read(text).unwrap_err());
            assert!(message.contains(expected) && message.contains("golden file"), "{message}");
        }
    }
}
