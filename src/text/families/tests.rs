use super::*;
use crate::text::{ChatTemplate, Message, RenderOptions};

fn named(name: &str) -> Option<&'static str> {
    Family::named([name]).map(Family::name)
}

#[test]
fn names_as_the_vendor_writes_them() {
    for (name, family) in [
        ("Qwen3-4B", "qwen3"),
        ("qwen3-0.6b-ax650", "qwen3"),
        ("AXERA-TECH/Qwen3-4B-Instruct-2507-GPTQ-Int4", "qwen3-instruct"),
        ("Qwen3VL", "qwen3-instruct"),
        ("Qwen3-VL-4B-Instruct", "qwen3-instruct"),
        ("Qwen3-4B-Thinking-2507", "qwen3-thinking"),
        ("Qwen3.5-0.8B", "qwen3.5"),
        ("Qwen3_5", "qwen3.5"),
        ("Qwen2_5", "qwen2.5"),
        ("Qwen2.5-1.5B-Instruct-CTX-Int8", "qwen2.5"),
        ("Qwen2.5-VL-3B-Instruct", "qwen2.5-vl"),
        ("qwen2_p128_l%d_together.axmodel", "qwen2"),
        ("DeepSeek-R1-Distill-Qwen-1.5B", "deepseek-r1"),
        ("SmolLM2-360M-Instruct", "smollm"),
        ("SmolVLM2-500M", "smolvlm"),
        ("InternVL3_5-1B", "internvl3.5"),
        ("InternVL3-2B", "internvl"),
        ("MiniCPM4-0.5B", "minicpm"),
        ("Llama-3.2-1B", "llama3.1"),
        ("Llama-3-8B", "llama3"),
        ("gemma-3-1b-it", "gemma"),
        ("Phi3", "phi3"),
    ] {
        let wanted = if family == "internvl3.5" { "qwen3-instruct" } else { family };
        assert_eq!(named(name), Some(wanted), "{name}");
    }
    assert_eq!(named("model"), None);
    assert_eq!(Family::named(["model", "Qwen3VL"]).map(Family::name), Some("qwen3-instruct"));
}

#[test]
fn a_vocabulary_tells_by_its_marks() {
    let by = |tokens: &[&str]| Family::of_vocabulary(|token| tokens.contains(&token)).map(Family::name);
    assert_eq!(by(&["<|im_start|>", "<|im_end|>"]), Some("chatml"));
    assert_eq!(by(&["<|im_start|>", "<|im_end|>", "<repo_name>", "<jupyter_start>"]), Some("smollm"));
    assert_eq!(by(&["<start_of_turn>", "<end_of_turn>"]), Some("gemma"));
    assert_eq!(by(&["a", "b"]), None);
}

/// Renders a conversation with the family that `name` has.
fn render(name: &str, messages: &[(&str, &str)], think: Option<bool>) -> String {
    let family = Family::named([name]).unwrap();
    let template = ChatTemplate::new(family.template(), family.bos().map(str::to_owned), None).unwrap();
    let messages: Vec<Message> =
        messages.iter().map(|(role, content)| Message::new(*role, *content)).collect();
    template.render(&messages, &RenderOptions { think, ..RenderOptions::default() }).unwrap()
}

const TALK: &[(&str, &str)] =
    &[("system", "S"), ("user", "Q"), ("assistant", "<think>\nT\n</think>\n\nA"), ("user", "R")];

#[test]
fn every_family_writes_its_wire_format() {
    for (name, expected) in [
        (
            "deepseek-r1",
            "<｜begin▁of▁sentence｜>S<｜User｜>Q<｜Assistant｜>A<｜end▁of▁sentence｜><｜User｜>R<｜Assistant｜><think>\n",
        ),
        (
            "qwen3-4b",
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n\
             <|im_start|>user\nR<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            "qwen3-4b-thinking",
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n\
             <|im_start|>user\nR<|im_end|>\n<|im_start|>assistant\n<think>\n",
        ),
    ] {
        assert_eq!(render(name, TALK, None), expected, "{name}");
    }
    let plain: &[(&str, &str)] = &[("system", "S"), ("user", "Q"), ("assistant", "A"), ("user", "R")];
    for (name, expected) in [
        (
            "llama-3.2",
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n\
             Q<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n\
             R<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        (
            "gemma-3",
            "<bos><start_of_turn>user\nS\n\nQ<end_of_turn>\n<start_of_turn>model\nA<end_of_turn>\n\
             <start_of_turn>user\nR<end_of_turn>\n<start_of_turn>model\n",
        ),
        (
            "phi-3",
            "<|system|>\nS<|end|>\n<|user|>\nQ<|end|>\n<|assistant|>\nA<|end|>\n<|user|>\nR<|end|>\n<|assistant|>\n",
        ),
        (
            "smolvlm",
            "<|im_start|>System: S<end_of_utterance>\nUser: Q<end_of_utterance>\nAssistant: A<end_of_utterance>\n\
             User: R<end_of_utterance>\nAssistant:",
        ),
    ] {
        assert_eq!(render(name, plain, None), expected, "{name}");
    }
}

#[test]
fn only_models_that_have_the_switch_get_it() {
    let question: &[(&str, &str)] = &[("user", "Q")];
    assert!(render("qwen3-4b", question, Some(false)).ends_with("assistant\n<think>\n\n</think>\n\n"));
    assert!(render("qwen3-4b", question, Some(true)).ends_with("assistant\n"));
    for name in ["qwen3-4b-instruct-2507", "qwen3-vl-4b-instruct", "qwen2.5-1.5b", "smollm2", "minicpm4"] {
        let family = Family::named([name]).unwrap();
        let template = ChatTemplate::new(family.template(), None, None).unwrap();
        assert!(!template.uses_thinking(), "{name}");
        assert_eq!(render(name, question, Some(false)), render(name, question, None), "{name}");
    }
    let thinking = Family::named(["qwen3"]).unwrap();
    assert!(ChatTemplate::new(thinking.template(), None, None).unwrap().uses_thinking());
}

#[test]
fn default_system_messages_give_way() {
    let question: &[(&str, &str)] = &[("user", "Q")];
    assert!(render("qwen2.5", question, None).starts_with("<|im_start|>system\nYou are Qwen, created by"));
    assert!(render("qwen2.5", TALK, None).starts_with("<|im_start|>system\nS<|im_end|>"));
    assert!(render("internvl3", question, None).starts_with("<|im_start|>user\nQ"));
}

#[test]
fn every_template_and_pre_tokenizer_exists() {
    for family in FAMILIES {
        ChatTemplate::new(family.template(), None, None).unwrap();
        if !family.pre_tokenizer.is_empty() {
            crate::text::pre_tokenizer::PreTokenizer::named(family.pre_tokenizer).unwrap();
        }
        assert!(!family.ends.is_empty() && !family.default_system.unwrap_or_default().contains('\''));
    }
}

#[test]
fn families_that_were_trained_to_call_show_tools() {
    let tools = serde_json::json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
    let mut call = Message::new("assistant", "");
    let calls = serde_json::json!([{"function": {"name": "f", "arguments": {"a": 1}}}]);
    call.extra.insert("tool_calls".into(), calls);
    let talk = [Message::new("system", "S"), Message::new("user", "Q"), call, Message::new("tool", "R")];
    for (name, marks) in [
        ("qwen2.5-1.5b", "<tools>\n{\"type\": \"function\""),
        ("qwen3-4b", "<tool_response>\nR\n</tool_response><|im_end|>"),
        ("qwen3-4b-instruct-2507", "system\nS\n\n# Tools"),
        ("qwen3-4b-thinking-2507", "assistant\n<think>\n"),
        ("llama-3.2-3b", "{\"name\": \"f\", \"parameters\": {\"a\": 1}}<|eot_id|>"),
        ("llama-3.2-3b", "Do not use variables.\n\n{\n    \"type\": \"function\""),
    ] {
        let family = Family::named([name]).unwrap();
        let template = ChatTemplate::new(family.template(), None, None).unwrap();
        assert!(template.uses_tools(), "{name}");
        let options = RenderOptions { tools: Some(tools.clone()), ..RenderOptions::default() };
        let text = template.render(&talk, &options).unwrap();
        assert!(text.contains(marks), "{name}: {text}");
    }
    for name in ["deepseek-r1-distill-qwen-1.5b", "smollm2-360m", "internvl3", "gemma-3-1b", "qwen2.5-vl-3b"]
    {
        let family = Family::named([name]).unwrap();
        assert!(!ChatTemplate::new(family.template(), None, None).unwrap().uses_tools(), "{name}");
    }
}
