//! What an import must produce.

use std::fs;

use ax650::models::import::{ImportOptions, Weights};
use ax650::models::manifest::Manifest;
use ax650::models::model::Model;
use ax650::models::name::ModelName;
use ax650::models::store::StoreError;
use half::bf16;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use crate::fixture::{HEAD_DIM, HEADS, HIDDEN, KV_HEADS, LAYERS, Meta, VOCAB, Workshop, tiny, values};

fn name(text: &str) -> ModelName {
    text.parse().unwrap()
}

#[test]
fn every_architecture_and_both_weights() {
    for architecture in ["llama", "qwen2", "qwen3"] {
        for weights in [Weights::W8A16, Weights::Bf16] {
            let workshop = Workshop::new();
            let options = ImportOptions { weights, context: Some(200) };
            let model = workshop.create("Org/Tiny:v1", &tiny(architecture).bytes(), &options).unwrap();
            assert_eq!(model.context_len(), 200);
            assert_eq!((model.hidden(), model.vocab()), (HIDDEN, VOCAB));
            assert_eq!(model.card_parts().unwrap().files.layers.len(), LAYERS);
            assert_eq!(model.manifest.family, architecture);
            assert_eq!(model.manifest.license.as_deref(), Some("mit"));
            check_layer(
                &fs::read(&model.card_parts().unwrap().files.layers[1]).unwrap(),
                architecture,
                weights,
            );
            check_digests(&model.dir, &model.manifest);
            let text = model.text().unwrap();
            assert_eq!(text.end_ids(), [256, 258]);
            assert_eq!(text.encode("<|im_start|>hi", true).unwrap(), [257, 104, 105]);
        }
    }
}

fn check_layer(bytes: &[u8], architecture: &str, weights: Weights) {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let (_, head) = SafeTensors::read_metadata(bytes).unwrap();
    let metadata = head.metadata().clone().unwrap();
    let value = |key: &str| metadata[&format!("ax650.{key}")].as_str();
    let pairs = if architecture == "llama" { "interleaved" } else { "halves" };
    assert_eq!((value("kind"), value("layer"), value("rope_pairs")), ("layer", "1", pairs));
    assert_eq!((value("kv_len"), value("history"), value("chunk")), ("200", "1,128,200", "128"));
    assert_eq!(value("weights"), weights.key());
    assert!((value("rms_eps").parse::<f64>().unwrap() - 1e-5).abs() < 1e-10);
    let down = file.tensor("down.weight").unwrap();
    let wanted = values("blk.1.ffn_down.weight", down.shape().iter().product());
    let columns = down.shape()[1];
    match weights {
        Weights::Bf16 => {
            let rounded: Vec<u8> = wanted.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect();
            assert_eq!((down.dtype(), down.data()), (Dtype::BF16, rounded.as_slice()));
        }
        Weights::W8A16 => {
            let scales = file.tensor("down.scale").unwrap();
            for (row, (got, want)) in down.data().chunks(columns).zip(wanted.chunks(columns)).enumerate() {
                let scale = f32::from_le_bytes(*scales.data().as_chunks::<4>().0.get(row).unwrap());
                for (q, w) in got.iter().zip(want) {
                    assert!((f32::from(q.cast_signed()) * scale - w).abs() <= scale * 0.75, "row {row}");
                }
            }
        }
    }
    let norm = file.tensor("attn_norm").unwrap();
    let wanted: Vec<u8> =
        values("blk.1.attn_norm.weight", HIDDEN).iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!((norm.dtype(), norm.data()), (Dtype::F32, wanted.as_slice()));
    assert_eq!(file.tensor("q.bias").is_ok(), architecture == "qwen2");
    assert_eq!(file.tensor("k_norm").is_ok(), architecture == "qwen3");
    assert_eq!(file.tensor("k.weight").unwrap().shape(), [KV_HEADS * HEAD_DIM, HIDDEN]);
    assert_eq!(file.tensor("o.weight").unwrap().shape(), [HIDDEN, HEADS * HEAD_DIM]);
}

fn check_digests(dir: &std::path::Path, manifest: &Manifest) {
    let on_disk = fs::read_dir(dir).unwrap().count();
    assert_eq!(manifest.files.len() + 1, on_disk, "the manifest lists every file but itself");
    for entry in &manifest.files {
        let bytes = fs::read(dir.join(&entry.name)).unwrap();
        assert_eq!(bytes.len() as u64, entry.size, "{}", entry.name);
        let digest = Sha256::digest(&bytes);
        let pairs = entry.sha256.as_bytes().as_chunks::<2>().0;
        let listed: Vec<u8> =
            pairs.iter().map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
        assert_eq!(digest.as_slice(), listed, "{}", entry.name);
    }
}

#[test]
fn embedding_rows_and_a_separate_head() {
    let workshop = Workshop::new();
    let mut gguf = tiny("qwen3");
    let head = values("output.weight", HIDDEN * VOCAB);
    gguf.floats("output.weight", &[HIDDEN, VOCAB], &head);
    let options = ImportOptions { weights: Weights::Bf16, context: None };
    let model = workshop.create("tiny", &gguf.bytes(), &options).unwrap();
    assert_eq!(model.context_len(), 512, "the trained context is below the default");
    let table = model.embedding().unwrap();
    let mut row = vec![0; HIDDEN];
    table.read_row(258, &mut row).unwrap();
    let wanted = values("token_embd.weight", HIDDEN * VOCAB);
    let wanted: Vec<u16> = wanted[258 * HIDDEN..].iter().map(|v| bf16::from_f32(*v).to_bits()).collect();
    assert_eq!(row, wanted);
    let bytes = fs::read(&model.card_parts().unwrap().files.head).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let wanted: Vec<u8> = head.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect();
    assert_eq!(file.tensor("weight").unwrap().data(), wanted);
}

#[test]
fn rope_factors_of_both_kinds() {
    let factors = |change: &dyn Fn(&mut crate::fixture::Gguf)| {
        let workshop = Workshop::new();
        let mut gguf = tiny("llama");
        change(&mut gguf);
        let model = workshop.create("tiny", &gguf.bytes(), &ImportOptions::default()).unwrap();
        let bytes = fs::read(&model.card_parts().unwrap().files.layers[0]).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        file.tensor("rope_factors").ok().map(|t| t.data().to_vec())
    };
    assert_eq!(factors(&|_| {}), None);
    let llama3: Vec<f32> = vec![1.0, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0];
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let from_tensor = factors(&|gguf| gguf.floats("rope_freqs.weight", &[8], &llama3));
    assert_eq!(from_tensor, Some(bytes(&llama3)));
    let linear = factors(&|gguf| {
        gguf.set("llama.rope.scaling.type", Meta::Text("linear".into()));
        gguf.set("llama.rope.scaling.factor", Meta::F32(4.0));
    });
    assert_eq!(linear, Some(bytes(&[4.0; 8])));
}

#[test]
fn a_sliding_window_of_0_is_none() {
    let mut gguf = tiny("llama");
    gguf.set("llama.attention.sliding_window", Meta::U32(0));
    assert_eq!(
        Workshop::new().create("t", &gguf.bytes(), &ImportOptions::default()).unwrap().context_len(),
        512
    );
}

#[test]
fn capabilities_are_what_the_template_uses() {
    for (template, wanted) in [
        ("{# tools: none, <think> neither #}{{ messages }}", vec!["completion"]),
        ("no special tools {{ messages }}", vec!["completion"]),
        ("{% if tools %}{{ tools }}{% endif %}{{ messages }}", vec!["completion", "tools"]),
        (
            "{% if custom_tools is defined %}{% set tools = custom_tools %}{% endif %}{% if not tools is defined %}\
             {% set tools = none %}{% endif %}{{ tools }}",
            vec!["completion", "tools"],
        ),
        ("{% if enable_thinking %}x{% endif %}{{ messages }}", vec!["completion", "thinking"]),
        ("{{ messages }}<think>\n\n</think>", vec!["completion", "thinking"]),
    ] {
        let mut gguf = tiny("llama");
        gguf.set("tokenizer.chat_template", Meta::Text(template.into()));
        let workshop = Workshop::new();
        let model = workshop.create("t", &gguf.bytes(), &ImportOptions::default()).unwrap();
        assert_eq!(model.capabilities(), wanted, "{template}");
    }
}

#[test]
fn an_imported_model_is_the_one_that_is_found() {
    let workshop = Workshop::new();
    let made = workshop.create("t", &tiny("llama").bytes(), &ImportOptions::default()).unwrap();
    assert!(std::sync::Arc::ptr_eq(&made, &workshop.store.resolve(&name("t")).unwrap()));
    let opened = ax650::models::store::Store::open(workshop.root()).resolve(&name("t")).unwrap();
    let files = |model: &Model| model.card_parts().unwrap().files.clone();
    assert_eq!((&made.dir, files(&made), made.modified), (&opened.dir, files(&opened), opened.modified));
    assert_eq!((&made.digest, made.size), (&opened.digest, opened.size));
    assert!(made.text().is_ok() && made.embedding().is_ok());
}

#[test]
fn the_store_finds_replaces_lists_and_removes() {
    let workshop = Workshop::new();
    let store = &workshop.store;
    assert!(store.list().unwrap().is_empty());
    assert!(matches!(store.resolve(&name("tiny")), Err(StoreError::NotFound(_))));
    let first = workshop.create("Tiny", &tiny("llama").bytes(), &ImportOptions::default()).unwrap();
    // Another case is the same model, and the stored spelling stays.
    let options = ImportOptions { context: Some(7), ..ImportOptions::default() };
    let second = workshop.create("TINY", &tiny("llama").bytes(), &options).unwrap();
    assert_eq!(second.name.to_string(), "Tiny:latest");
    assert_eq!(second.context_len(), 7);
    assert_ne!(first.digest, second.digest);
    let found = store.resolve(&name("tiny:LATEST")).unwrap();
    assert_eq!(found.digest, second.digest);
    assert!(std::sync::Arc::ptr_eq(&found, &store.resolve(&name("tiny")).unwrap()), "opened once");
    workshop.create("bob/other:x", &tiny("qwen2").bytes(), &ImportOptions::default()).unwrap();
    let listed: Vec<String> = store.list().unwrap().iter().map(|entry| entry.name.to_string()).collect();
    assert_eq!(listed, ["bob/other:x", "Tiny:latest"], "newest first");
    store.remove(&name("bob/OTHER:X")).unwrap();
    store.remove(&name("tiny")).unwrap();
    assert!(matches!(store.remove(&name("tiny")), Err(StoreError::NotFound(_))));
    assert_eq!(fs::read_dir(store.folder()).unwrap().count(), 0, "empty parents go too");
}

#[test]
fn progress_ends_at_the_total() {
    let workshop = Workshop::new();
    let source = workshop.source(&tiny("qwen3").bytes());
    let mut seen = Vec::new();
    let mut files = Vec::new();
    let mut progress = |now: ax650::models::import::Progress<'_>| {
        seen.push((now.done_bytes, now.total_bytes));
        files.push(now.file.to_owned());
    };
    workshop.store.import(&name("t"), &source, &ImportOptions::default(), &mut progress).unwrap();
    assert!(seen.is_sorted());
    assert!(seen.iter().all(|(done, total)| done <= total && *total == seen[0].1));
    assert_eq!(seen.last().unwrap().0, seen[0].1);
    assert!(files.iter().any(|file| file.contains("_l1_together")), "{files:?}");
}

#[test]
fn abandoned_staging_directories_are_swept_and_never_listed() {
    let workshop = Workshop::new();
    let stale = workshop.root().join("ax650/.staging-dead/a/b/c");
    fs::create_dir_all(&stale).unwrap();
    assert!(workshop.store.list().unwrap().is_empty());
    workshop.create("t", &tiny("llama").bytes(), &ImportOptions::default()).unwrap();
    assert!(!workshop.root().join("ax650/.staging-dead").exists());
    assert_eq!(workshop.store.list().unwrap().len(), 1);
}
