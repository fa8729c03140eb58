//! What is known of model families, for packages that do not say it themselves.
//!
//! The vendor's packages often come without a chat template, and their tokenizer files without a pre-tokenizer and with
//! half of the tokens that end an answer; the vendor's program has them in its code, by family. Here they are data. A
//! family is found by the model's name, else by the vendor's `tokenizer_type`, else by the marks in the vocabulary.
//! What a package brings itself always goes before what stands here.

/// One family. The templates are written from the wire formats that the models' makers publish.
#[derive(Debug)]
pub struct Family {
    name: &'static str,
    architecture: &'static str,
    pre_tokenizer: &'static str,
    template: &'static str,
    default_system: Option<&'static str>,
    bos: Option<&'static str>,
    ends: &'static [&'static str],
    /// Words of a model's name, normalised: all of one entry must be in it.
    names: &'static [&'static [&'static str]],
    /// Tokens that a vocabulary of this family has. Empty: not recognised by them.
    marks: &'static [&'static str],
}

const CHATML: &str = include_str!("families/chatml.jinja");
const QWEN2_5: &str =
    concat!(include_str!("families/qwen-tools.jinja"), include_str!("families/qwen2.5.jinja"));
const QWEN3: &str = concat!(include_str!("families/qwen-tools.jinja"), include_str!("families/qwen3.jinja"));
const QWEN3_THINKING: &str = concat!(
    "{%- set always_thinks = true -%}\n",
    include_str!("families/qwen-tools.jinja"),
    include_str!("families/qwen3.jinja")
);
const CHATML_ENDS: &[&str] = &["<|im_end|>", "<|endoftext|>"];

/// `ChatML` on a Qwen vocabulary, which most families refine.
const QWEN: Family = Family {
    name: "chatml",
    architecture: "qwen2",
    pre_tokenizer: "qwen2",
    template: CHATML,
    default_system: None,
    bos: None,
    ends: CHATML_ENDS,
    names: &[],
    marks: &[],
};

/// The first whose name fits counts, so special ones stand before general ones.
const FAMILIES: &[Family] = &[
    Family {
        name: "deepseek-r1",
        pre_tokenizer: "deepseek-r1-qwen",
        template: include_str!("families/deepseek-r1.jinja"),
        bos: Some("<｜begin▁of▁sentence｜>"),
        ends: &["<｜end▁of▁sentence｜>"],
        names: &[&["deepseek", "r1"], &["dsr1"]],
        marks: &["<｜User｜>", "<｜Assistant｜>"],
        ..QWEN
    },
    Family {
        name: "qwen3-thinking",
        architecture: "qwen3",
        template: QWEN3_THINKING,
        names: &[&["qwen3", "thinking"]],
        ..QWEN
    },
    // Without a switch: an empty thought in the prompt harms models that were not trained to think.
    Family {
        name: "qwen3-instruct",
        architecture: "qwen3",
        template: QWEN2_5,
        names: &[&["qwen3", "2507"], &["qwen3", "instruct"], &["qwen3vl"], &["qwen3coder"], &["internvl3.5"]],
        ..QWEN
    },
    Family {
        name: "qwen3.5",
        architecture: "qwen35",
        pre_tokenizer: "qwen35",
        names: &[&["qwen3.5"]],
        ..QWEN
    },
    Family {
        name: "qwen3",
        architecture: "qwen3",
        template: QWEN3,
        names: &[&["qwen3"]],
        marks: &["<|im_start|>", "<think>", "<|vision_start|>"],
        ..QWEN
    },
    Family {
        name: "qwen2.5-vl",
        default_system: Some("You are a helpful assistant."),
        names: &[&["qwen2.5", "vl"], &["qwen2.5", "omni"], &["fastvlm"], &["mimovl"], &["qwen1.5"]],
        ..QWEN
    },
    Family {
        name: "qwen2.5",
        template: QWEN2_5,
        default_system: Some("You are Qwen, created by Alibaba Cloud. You are a helpful assistant."),
        names: &[&["qwen2.5"]],
        ..QWEN
    },
    Family {
        name: "qwen2",
        default_system: Some("You are a helpful assistant."),
        names: &[&["qwen2"]],
        ..QWEN
    },
    Family { name: "internvl", names: &[&["internvl"]], ..QWEN },
    Family {
        name: "smolvlm",
        architecture: "llama",
        pre_tokenizer: "smollm",
        template: include_str!("families/smolvlm.jinja"),
        ends: &["<end_of_utterance>", "<|im_end|>"],
        names: &[&["smolvlm"]],
        marks: &["<|im_start|>", "<end_of_utterance>"],
        ..QWEN
    },
    Family {
        name: "smollm3",
        architecture: "smollm3",
        pre_tokenizer: "llama-bpe",
        names: &[&["smollm3"]],
        ..QWEN
    },
    Family {
        name: "smollm",
        architecture: "llama",
        pre_tokenizer: "smollm",
        default_system: Some("You are a helpful AI assistant named SmolLM, trained by Hugging Face"),
        names: &[&["smollm"]],
        marks: &["<|im_start|>", "<repo_name>", "<jupyter_start>"],
        ..QWEN
    },
    Family {
        name: "minicpm",
        architecture: "minicpm",
        bos: Some("<s>"),
        ends: &["<|im_end|>", "</s>"],
        names: &[&["minicpm4"], &["minicpm5"]],
        ..QWEN
    },
    Family {
        name: "llama3.1",
        architecture: "llama",
        pre_tokenizer: "llama-bpe",
        template: include_str!("families/llama3.1.jinja"),
        bos: Some("<|begin_of_text|>"),
        ends: &["<|eot_id|>", "<|end_of_text|>", "<|eom_id|>"],
        names: &[&["llama3.1"], &["llama3.2"], &["llama3.3"]],
        marks: &["<|start_header_id|>", "<|eot_id|>", "<|python_tag|>"],
        ..QWEN
    },
    Family {
        name: "llama3",
        architecture: "llama",
        pre_tokenizer: "llama-bpe",
        template: include_str!("families/llama3.jinja"),
        bos: Some("<|begin_of_text|>"),
        ends: &["<|eot_id|>", "<|end_of_text|>", "<|eom_id|>"],
        names: &[&["llama3"]],
        marks: &["<|start_header_id|>", "<|eot_id|>"],
        ..QWEN
    },
    Family {
        name: "gemma",
        architecture: "gemma3",
        pre_tokenizer: "",
        template: include_str!("families/gemma.jinja"),
        bos: Some("<bos>"),
        ends: &["<end_of_turn>", "<eos>"],
        names: &[&["gemma"]],
        marks: &["<start_of_turn>", "<end_of_turn>"],
        ..QWEN
    },
    Family {
        name: "phi3",
        architecture: "phi3",
        pre_tokenizer: "",
        template: include_str!("families/phi3.jinja"),
        ends: &["<|end|>", "<|endoftext|>"],
        names: &[&["phi3"]],
        marks: &["<|assistant|>", "<|end|>"],
        ..QWEN
    },
    Family { marks: &["<|im_start|>", "<|im_end|>"], ..QWEN },
];

impl Family {
    /// The family whose name is in one of `names`; the first name that says something decides.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<&'static Self> {
        names.into_iter().find_map(|name| {
            let name = normalise(name);
            let fits = |words: &&[&str]| words.iter().all(|word| name.contains(word));
            FAMILIES.iter().find(|family| family.names.iter().any(fits))
        })
    }

    /// The family that a vocabulary with these tokens belongs to.
    pub fn of_vocabulary(has: impl Fn(&str) -> bool) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| !family.marks.is_empty() && family.marks.iter().all(|mark| has(mark)))
    }

    /// Its name, for people.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Architecture in GGUF's words.
    pub fn architecture(&self) -> &'static str {
        self.architecture
    }

    /// Name of the pre-tokenizer; empty where the vocabulary is not byte-level.
    pub fn pre_tokenizer(&self) -> &'static str {
        self.pre_tokenizer
    }

    /// The chat template.
    pub fn template(&self) -> String {
        match self.default_system {
            // Of the texts above, none has a quote.
            Some(system) => format!("{{%- set default_system = '{system}' -%}}\n{}", self.template),
            None => self.template.to_owned(),
        }
    }

    /// Text of the token that begins a text, if there is one.
    pub fn bos(&self) -> Option<&'static str> {
        self.bos
    }

    /// Texts of the tokens that end an answer, the most usual first.
    pub fn ends(&self) -> &'static [&'static str] {
        self.ends
    }
}

/// Small letters, digits and the points between digits; the vendor writes these as underscores, too.
fn normalise(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let digit = |index: usize| characters.get(index).is_some_and(char::is_ascii_digit);
    let keep = |(index, &character): (usize, &char)| match character {
        '.' | '_' if index > 0 && digit(index - 1) && digit(index + 1) => Some('.'),
        other => other.is_ascii_alphanumeric().then(|| other.to_ascii_lowercase()),
    };
    characters.iter().enumerate().filter_map(keep).collect()
}

#[cfg(test)]
mod tests;
