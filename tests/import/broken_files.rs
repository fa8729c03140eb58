//! Source files that cannot become a model: each error names the file and what is wrong, and nothing is left.

use ax650::models::import::ImportOptions;

use crate::fixture::{Gguf, HIDDEN, Meta, Workshop, tiny, values};

/// Imports `bytes` and checks that it fails with a message that has all of `wanted`, and that nothing is left.
fn refused(bytes: &[u8], options: &ImportOptions, wanted: &[&str]) {
    let workshop = Workshop::new();
    let error = match workshop.create("tiny", bytes, options) {
        Ok(_) => panic!("a broken file was imported; wanted {wanted:?}"),
        Err(error) => error.to_string(),
    };
    assert!(error.contains("source.gguf"), "{error}");
    for part in wanted {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
    assert_eq!(workshop.left(), Vec::<std::path::PathBuf>::new(), "{error}");
    assert!(workshop.store.list().unwrap().is_empty());
}

fn change(architecture: &str, change: impl FnOnce(&mut Gguf), wanted: &[&str]) {
    let mut gguf = tiny(architecture);
    change(&mut gguf);
    refused(&gguf.bytes(), &ImportOptions::default(), wanted);
}

/// A header with one metadata pair, whose type and value are `rest`.
fn with_pair(rest: &[u8]) -> Vec<u8> {
    let mut bytes = header(0, 1);
    bytes.extend(3_u64.to_le_bytes());
    bytes.extend(b"key");
    bytes.extend(rest);
    bytes
}

fn header(tensors: u64, pairs: u64) -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend(tensors.to_le_bytes());
    bytes.extend(pairs.to_le_bytes());
    bytes
}

#[test]
fn truncated_at_many_points() {
    let bytes = tiny("qwen3").bytes();
    let header_end = bytes.len() - tiny("qwen3").tensors.iter().map(|t| t.data.len()).sum::<usize>();
    let points =
        (0..64).chain((64..header_end).step_by(397)).chain((header_end..bytes.len()).step_by(20_011));
    for point in points.chain([bytes.len() - 1]) {
        refused(&bytes[..point], &ImportOptions::default(), &["file"]);
    }
}

#[test]
fn not_a_gguf_file() {
    let none = ImportOptions::default();
    refused(b"", &none, &["ends inside the magic number"]);
    refused(b"GGUF", &none, &["ends inside the version"]);
    refused(b"PK\x03\x04 a zip file, not a model", &none, &["not a GGUF file", "PK"]);
    refused(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", &none, &["git lfs pull"]);
    refused(b"GGUF\x01\0\0\0\0\0\0\0\0\0\0\0", &none, &["version 1", "only 2 and 3"]);
    refused(b"GGUF\0\0\0\x03\0\0\0\0\0\0\0\0", &none, &["big-endian"]);
    refused(b"GGUF\x63\0\0\0\0\0\0\0\0\0\0\0", &none, &["version 99"]);
}

#[test]
fn absurd_counts_and_lengths() {
    let none = ImportOptions::default();
    for huge in [1 << 63, u64::MAX, 1 << 40, 5] {
        refused(&header(huge, 0), &none, &["tensor count", &huge.to_string()]);
        refused(&header(0, huge), &none, &["metadata count", &huge.to_string()]);
    }
    for huge in [1_u64 << 63, u64::MAX, u64::MAX - 7] {
        let mut key = header(0, 1);
        key.extend(huge.to_le_bytes());
        key.extend([0; 32]);
        refused(&key, &none, &["length of metadata key 0"]);
        refused(&with_pair(&[&[8, 0, 0, 0], &huge.to_le_bytes()[..]].concat()), &none, &["\"key\""]);
        for element in [0_u8, 8, 12] {
            let array = [&[9, 0, 0, 0, element, 0, 0, 0], &huge.to_le_bytes()[..]].concat();
            refused(&with_pair(&array), &none, &["\"key\""]);
        }
    }
    // 2^24 strings are possible in principle, but not in a file of some bytes.
    let array = [&[9, 0, 0, 0, 8, 0, 0, 0], &(1_u64 << 24).to_le_bytes()[..]].concat();
    refused(&with_pair(&array), &none, &["cut short"]);
    refused(&with_pair(&[77, 0, 0, 0, 0]), &none, &["\"key\"", "unknown type 77"]);
    refused(
        &with_pair(&[9, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
        &none,
        &["\"key\"", "flat arrays"],
    );
}

#[test]
fn impossible_metadata() {
    for value in [0, 3, 100, 1 << 20] {
        change("llama", |g| _ = g.set("general.alignment", Meta::U32(value)), &["general.alignment"]);
    }
    change(
        "llama",
        |g| _ = g.set("general.alignment", Meta::Text("32".into())),
        &["general.alignment", "a string"],
    );
    for key in [
        "block_count",
        "embedding_length",
        "attention.head_count",
        "attention.head_count_kv",
        "context_length",
    ] {
        let key = format!("llama.{key}");
        change("llama", |g| _ = g.set(&key, Meta::U32(0)), &[&key]);
        change("llama", |g| _ = g.set(&key, Meta::U32(u32::MAX)), &[&key]);
        change("llama", |g| _ = g.set(&key, Meta::Text("x".into())), &[&key, "a string"]);
    }
    for key in ["block_count", "embedding_length", "context_length", "attention.layer_norm_rms_epsilon"] {
        let key = format!("llama.{key}");
        change("llama", |g| g.remove_key(&key), &[&key, "missing"]);
    }
    change(
        "llama",
        |g| _ = g.set("llama.attention.head_count_kv", Meta::U32(3)),
        &["head_count_kv\" is 3", "divide"],
    );
    change("llama", |g| _ = g.set("llama.rope.freq_base", Meta::F32(f32::NAN)), &["rope.freq_base\" is NaN"]);
    change("llama", |g| g.metadata.push(("general.name".into(), Meta::U32(1))), &["general.name", "twice"]);
}

#[test]
fn what_is_not_computed() {
    let string = |value: &str| Meta::Text(value.to_owned());
    change(
        "llama",
        |g| _ = g.set("general.architecture", string("gemma3")),
        &["gemma3", "llama", "qwen2", "qwen3"],
    );
    change("llama", |g| g.remove_key("general.architecture"), &["general.architecture"]);
    change("llama", |g| _ = g.set("general.type", string("adapter")), &["general.type", "adapter"]);
    change("llama", |g| _ = g.set("llama.expert_count", Meta::U32(8)), &["expert_count", "dense"]);
    change("llama", |g| _ = g.set("split.count", Meta::U32(2)), &["split.count", "--merge"]);
    change(
        "qwen2",
        |g| _ = g.set("qwen2.rope.scaling.type", string("yarn")),
        &["rope.scaling.type", "yarn", "linear"],
    );
    change(
        "llama",
        |g| _ = g.set("llama.rope.dimension_count", Meta::U32(8)),
        &["rope.dimension_count", "16"],
    );
    change("llama", |g| _ = g.set("llama.attention.value_length", Meta::U32(8)), &["value_length"]);
    change("llama", |g| _ = g.set("llama.logit_scale", Meta::F32(8.0)), &["logit_scale"]);
    // What the card refuses is refused before anything is written.
    for (length, wanted) in [(8, "multiples of 16"), (24, "multiples of 16"), (784, "up to 768")] {
        let wanted = [&format!("head size of {length}"), wanted];
        change("llama", |g| _ = g.set("llama.attention.key_length", Meta::U32(length)), &wanted);
    }
    change(
        "llama",
        |g| {
            g.set("llama.attention.head_count", Meta::U32(4096));
            g.set("llama.attention.key_length", Meta::U32(512));
        },
        &["4096 heads of 512", "1048576 channels"],
    );
    change("llama", |g| _ = g.set("llama.rope.freq_base", Meta::F32(0.5)), &["rope.freq_base", "at least 1"]);
    let epsilon = "llama.attention.layer_norm_rms_epsilon";
    change("llama", |g| _ = g.set(epsilon, Meta::F32(1.0)), &[epsilon, "below 1"]);
    change("llama", |g| _ = g.set("llama.attention.sliding_window", Meta::U32(64)), &["--context 64"]);
    change(
        "llama",
        |g| g.floats("blk.0.attn_output.bias", &[HIDDEN], &values("x", HIDDEN)),
        &["blk.0.attn_output.bias"],
    );
    change(
        "llama",
        |g| g.floats("blk.7.attn_norm.weight", &[HIDDEN], &values("x", HIDDEN)),
        &["blk.7", "2 layers"],
    );
}

#[test]
fn impossible_tensors() {
    for (kind, name) in [(20, "IQ4_NL"), (39, "MXFP4"), (4, "Q4_2"), (12_345, "12345")] {
        let wanted = ["blk.1.ffn_up.weight", name, "Q4_K", "Q8_0"];
        change("llama", |g| g.tensor("blk.1.ffn_up.weight").kind = kind, &wanted);
    }
    for name in ["token_embd.weight", "output_norm.weight", "blk.1.attn_v.weight", "blk.0.attn_norm.weight"] {
        change("llama", |g| g.remove_tensor(name), &[name, "missing"]);
    }
    change("qwen2", |g| g.remove_tensor("blk.1.attn_k.bias"), &["blk.1.attn_k.bias", "missing"]);
    change(
        "qwen3",
        |g| g.remove_tensor("blk.1.attn_k_norm.weight"),
        &["blk.1.attn_k_norm.weight", "missing"],
    );
    let name = "blk.0.attn_q.weight";
    change("llama", |g| g.tensor(name).dimensions = vec![32, 128], &[name, "[32, 128]", "[64, 64]"]);
    change("llama", |g| g.tensor(name).dimensions = vec![64, 32, 2], &[name, "[64, 32, 2]"]);
    change("llama", |g| g.tensor(name).dimensions = vec![], &[name, "0 dimensions"]);
    change("llama", |g| g.tensor(name).dimensions = vec![1; 9], &[name, "9 dimensions"]);
    change("llama", |g| g.tensor(name).dimensions = vec![0, 64], &[name, "zero"]);
    change("llama", |g| g.tensor(name).dimensions = vec![1 << 32, 1 << 32], &[name, "large"]);
    change("llama", |g| g.tensor(name).dimensions = vec![1 << 30, 1 << 32], &[name]);
    change("llama", |g| g.tensor(name).kind = 12, &[name, "blocks of 256"]);
    for offset in [1_u64 << 40, 1 << 63, u64::MAX - 31] {
        change("llama", |g| g.tensor(name).offset = Some(offset), &[name, "beyond the end of the file"]);
    }
    change("llama", |g| g.tensor(name).offset = Some(33), &[name, "alignment"]);
    change("llama", |g| g.tensors[1].name = "token_embd.weight".into(), &["token_embd.weight", "twice"]);
    change("llama", |g| g.floats("rope_freqs.weight", &[8], &[0.0; 8]), &["rope_freqs.weight", "above 0"]);
}

#[test]
fn values_that_are_no_numbers() {
    let poison = |name: &'static str| {
        move |g: &mut Gguf| g.tensor(name).data[4 * 70..4 * 71].copy_from_slice(&f32::INFINITY.to_le_bytes())
    };
    change("llama", poison("blk.1.ffn_down.weight"), &["blk.1.ffn_down.weight", "inf", "row 0"]);
    change("llama", poison("token_embd.weight"), &["token_embd.weight", "inf", "row 1"]);
    let nan =
        |g: &mut Gguf| g.tensor("output_norm.weight").data[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    change("llama", nan, &["output_norm.weight", "NaN"]);
}

#[test]
fn broken_vocabularies() {
    change("llama", |g| g.remove_key("tokenizer.ggml.tokens"), &["tokenizer.ggml.tokens", "missing"]);
    change("llama", |g| g.remove_key("tokenizer.ggml.model"), &["tokenizer.ggml.model", "missing"]);
    change("llama", |g| _ = g.set("tokenizer.ggml.model", Meta::Text("llama".into())), &["llama", "gpt2"]);
    change("llama", |g| _ = g.set("tokenizer.ggml.pre", Meta::Text("what".into())), &["what"]);
    change("llama", |g| _ = g.set("tokenizer.ggml.eos_token_id", Meta::U32(9999)), &["eos_token_id is 9999"]);
    let many = Meta::Texts((0..300).map(|i| format!("t{i}")).collect());
    change("llama", |g| _ = g.set("tokenizer.ggml.tokens", many), &["300", "259"]);
}

#[test]
fn impossible_contexts() {
    for context in [0, 513, usize::MAX] {
        let options = ImportOptions { context: Some(context), ..ImportOptions::default() };
        refused(&tiny("llama").bytes(), &options, &[&format!("context {context}"), "1 to 512"]);
    }
}

#[test]
fn contexts_that_the_card_does_not_hold() {
    let mut gguf = tiny("llama");
    gguf.set("llama.context_length", Meta::U32(1 << 21));
    let options = ImportOptions { context: Some((1 << 20) + 1), ..ImportOptions::default() };
    refused(&gguf.bytes(), &options, &["a context of 1048577", "--context 1048576"]);
}

#[test]
fn sources_that_are_no_files() {
    let workshop = Workshop::new();
    let import = |path: &str| {
        let name = "tiny".parse().unwrap();
        workshop
            .store
            .import(&name, path.as_ref(), &ImportOptions::default(), &mut |_| {})
            .unwrap_err()
            .to_string()
    };
    for path in ["/dev/zero", "/dev/null", "/"] {
        let error = import(path);
        assert!(error.contains(path) && error.contains("regular file"), "{error}");
    }
    let error = import("/nowhere/model.gguf");
    assert!(error.contains("/nowhere/model.gguf"), "{error}");
    assert!(workshop.left().is_empty());
}
