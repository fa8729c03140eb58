//! Vendor directories that are as they should be: registered without a copy, and answering as the model they hold.

use std::fs;
use std::path::Path;

use ax650::device::DriverOptions;
use ax650::engine::{Engine, EngineConfig, Event, GenerateOptions, Request, SamplingOptions};
use ax650::models::changes::Changes;
use ax650::models::store::Store;
use ax650::text::{Message, RenderOptions};
use serde_json::{Map, json};

use crate::fixture::{HIDDEN, LAYERS, VOCAB, files};
use crate::vendor_fixture::{EMBEDDING, Publisher, config, script, tokenizer_text};

/// The tokens that the models of the stores answer with, greedily.
fn answers(models: &[&std::sync::Arc<ax650::models::model::Model>], prompt: &str) -> Vec<Vec<u32>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let config = EngineConfig {
            device: "software".parse().unwrap(),
            driver: DriverOptions { software_threads: Some(2), ..DriverOptions::default() },
            ..EngineConfig::default()
        };
        let engine = Engine::start(config).unwrap();
        let mut answers = Vec::new();
        for model in models {
            let sampling = SamplingOptions { temperature: 0.0, ..SamplingOptions::default() };
            let options = GenerateOptions { sampling, num_predict: 24, ..GenerateOptions::default() };
            let prompt = model.text().unwrap().encode_prompt(prompt).unwrap();
            let request = Request { model: (*model).clone(), prompt, options, keep_alive: None };
            let mut generation = engine.generate(request).await.unwrap();
            answers.push(loop {
                match generation.next().await.unwrap() {
                    Event::Done(summary) => break summary.tokens,
                    Event::Text { .. } => {}
                    other @ Event::Error(_) => panic!("{other:?}"),
                }
            });
        }
        engine.shutdown().await;
        answers
    })
}

/// No file of the model is a copy of weights.
fn assert_links(dir: &Path) {
    let small: u64 = files(dir).iter().map(|file| fs::symlink_metadata(file).unwrap().len()).sum();
    let links = files(dir).iter().filter(|file| file.is_symlink()).count();
    assert_eq!(links, LAYERS + 2);
    assert!(small < 60_000, "{small} bytes of its own");
}

#[test]
fn both_generations_answer_as_the_model_they_hold() {
    let (c, ranked, b) = (Publisher::new("Qwen3-C"), Publisher::new("Qwen3-D"), Publisher::new("Qwen3-B"));
    c.generation_c(3);
    ranked.generation_c(1);
    b.generation_b();
    let models = [&c, &ranked, &b].map(|publisher| publisher.register("registered").unwrap().model);
    let prompt = "<|im_start|>user\nHello é!<|im_end|>\n";
    let all = answers(&[&c.model, &models[0], &models[1], &models[2]], prompt);
    assert!(all[0].len() > 4, "{all:?}");
    assert!(all.iter().all(|tokens| *tokens == all[0]), "{all:?}");
    for model in &models {
        assert_links(&model.dir);
        assert_eq!((model.hidden(), model.vocab(), model.context_len()), (HIDDEN, VOCAB, 200));
        assert_eq!(
            (model.manifest.family.as_str(), model.manifest.quantization_level.as_str()),
            ("qwen3", "W8A16")
        );
        // The file forgets them, the family does not.
        assert_eq!(model.text().unwrap().end_ids(), [256, 258]);
        let greedy = json!({"temperature": 0, "repeat_penalty": 1.0});
        assert_eq!(Some(&model.manifest.parameters), greedy.as_object());
        let weights: u64 = model
            .card_parts()
            .unwrap()
            .files
            .layers
            .iter()
            .chain([&model.card_parts().unwrap().files.head])
            .map(|f| f.metadata().unwrap().len())
            .sum();
        let estimate = weights + (LAYERS * 200 * 32 * 4) as u64;
        assert_eq!(model.device_bytes_estimate(), estimate);
        // While it is loaded, the last file is on the card twice.
        let head = model.card_parts().unwrap().files.head.metadata().unwrap().len();
        assert_eq!(model.device_bytes_peak(), estimate.max(weights + head));
    }
    // What the script says and the configuration does not.
    assert_eq!(
        (&models[0].manifest.system, models[2].manifest.system.as_deref()),
        (&None, Some("You are Tiny."))
    );
}

#[test]
fn a_template_comes_from_the_package_or_the_family() {
    let own = Publisher::new("Qwen3-Own");
    own.generation_b();
    own.write("qwen3_tokenizer/chat_template.jinja", "{{ messages[0].content }}!");
    let registered = own.register("m").unwrap();
    let render = |model: &ax650::models::model::Model, think| {
        let options = RenderOptions { think, ..RenderOptions::default() };
        model.text().unwrap().render(&[Message::new("user", "Q")], &options).unwrap()
    };
    assert_eq!(render(&registered.model, None), "Q!");
    assert!(!registered.notes.iter().any(|note| note.contains("template")), "{:?}", registered.notes);

    let family = Publisher::new("Qwen3-4B");
    family.generation_c(3);
    let registered = family.register("m").unwrap();
    assert!(
        render(&registered.model, Some(false)).ends_with("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    );
    assert!(registered.notes.iter().any(|note| note.contains("family qwen3")), "{:?}", registered.notes);

    let instruct = Publisher::new("x");
    instruct.generation_c(3);
    let mut keys = config();
    keys["model_name"] = json!("AXERA-TECH/Qwen3-4B-Instruct-2507");
    instruct.write("config.json", keys.to_string());
    let model = instruct.register("m").unwrap().model;
    assert!(!model.capabilities().contains(&"thinking"));
    assert!(render(&model, Some(false)).ends_with("<|im_start|>assistant\n"));
}

/// The answer to `Q` in the template's words.
fn rendered(model: &ax650::models::model::Model) -> String {
    model.text().unwrap().render(&[Message::new("user", "Q")], &RenderOptions::default()).unwrap()
}

#[test]
fn a_cache_of_links_is_read_by_its_names() {
    let publisher = Publisher::new("flat");
    publisher.generation_c(3);
    publisher.write("chat_template.jinja", "cached: {{ messages[0].content }}");
    publisher.write("generation_config.json", json!({"eos_token_id": [65]}).to_string());
    // As Hugging Face's tools keep it: files by their digest, and a snapshot of links with their names.
    let cache = publisher.dir.parent().unwrap().join("models--AXERA-TECH--Qwen3-4B");
    let (blobs, snapshot) = (cache.join("blobs"), cache.join("snapshots/0123abcd"));
    fs::create_dir_all(&blobs).unwrap();
    fs::create_dir_all(&snapshot).unwrap();
    for (index, file) in files(&publisher.dir).iter().enumerate() {
        let blob = format!("{index:040x}");
        fs::rename(file, blobs.join(&blob)).unwrap();
        let name = file.file_name().unwrap();
        std::os::unix::fs::symlink(format!("../../blobs/{blob}"), snapshot.join(name)).unwrap();
    }
    let registered = publisher.register_from("cached", &snapshot).unwrap();
    let text = registered.model.text().unwrap();
    assert_eq!(rendered(&registered.model), "cached: Q", "{:?}", registered.notes);
    assert!(text.end_ids().contains(&65), "{:?}", text.end_ids());
    assert!(!registered.notes.iter().any(|note| note.contains("template")), "{:?}", registered.notes);
    assert_links(&registered.model.dir);

    // A tokenizer as Hugging Face has it is known by its name, too; and a package without a name of its own has the
    // cache's.
    let blob = blobs.join("tokenizer");
    fs::copy(publisher.model.dir.join("tokenizer.json"), &blob).unwrap();
    std::os::unix::fs::symlink(&blob, snapshot.join("tokenizer.json")).unwrap();
    let mut keys = config();
    keys["url_tokenizer_model"] = json!("tokenizer.json");
    keys["model_name"] = json!("");
    fs::remove_file(snapshot.join("config.json")).unwrap();
    fs::write(snapshot.join("config.json"), keys.to_string()).unwrap();
    let registered = publisher.register_from("named", &snapshot).unwrap();
    assert_eq!(rendered(&registered.model), "cached: Q", "{:?}", registered.notes);
    assert_eq!(registered.model.card_parts().unwrap().config.model_name, "AXERA-TECH/Qwen3-4B");
}

#[test]
fn the_template_of_a_processor_counts_where_there_is_no_other() {
    let publisher = Publisher::new("Qwen2.5-VL-3B");
    publisher.generation_b();
    let processor = json!({"chat_template": "processor: {{ messages[0].content }}"});
    publisher.write("qwen3_tokenizer/chat_template.json", processor.to_string());
    let registered = publisher.register("m").unwrap();
    assert_eq!(rendered(&registered.model), "processor: Q");
    assert!(!registered.notes.iter().any(|note| note.contains("template")), "{:?}", registered.notes);
    publisher.write("qwen3_tokenizer/chat_template.jinja", "file: {{ messages[0].content }}");
    assert_eq!(rendered(&publisher.register("m").unwrap().model), "file: Q");
}

#[test]
fn changes_are_made_in_the_same_step_or_not_at_all() {
    let publisher = Publisher::new("Qwen3-0.6B");
    publisher.generation_b();
    let changed = |system: &str| Changes { system: Some(system.to_owned()), ..Changes::default() };
    let model = publisher.register_changed("m", &changed("short")).unwrap().model;
    assert_eq!(model.manifest.system.as_deref(), Some("short"));
    publisher.register_changed("m", &changed(&"long ".repeat(4 << 20))).unwrap_err();
    let kept = Store::open(publisher.workshop.store.folder().parent().unwrap().to_owned());
    assert_eq!(kept.resolve(&model.name).unwrap().digest, model.digest);
}

#[test]
fn a_window_as_wide_as_the_context_makes_no_difference() {
    let publisher = Publisher::new("Gemma");
    publisher.generation_c(3);
    let mut keys = config();
    keys["sliding_window"] = json!(200);
    publisher.write("config.json", keys.to_string());
    assert_eq!(publisher.register("m").unwrap().model.manifest.window(), Some(200));
}

#[test]
fn layers_without_weights_are_called_so() {
    let publisher = Publisher::new("timing");
    let shape = ax650::models::import::SyntheticShape::Qwen3_0_6b;
    let model = publisher.workshop.store.synthesise(&"shape".parse().unwrap(), shape).unwrap();
    let registered = publisher.register_from("again", &model.dir).unwrap();
    assert!(registered.model.is_synthetic());
    assert!(registered.model.take_warning().is_some());
}

#[test]
fn removing_the_model_leaves_the_package() {
    let publisher = Publisher::new("Qwen3-4B");
    publisher.generation_b();
    let before: Vec<_> =
        files(&publisher.dir).iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect();
    let model = publisher.register("m").unwrap().model;
    assert_eq!(model.manifest.source().unwrap(), publisher.dir.canonicalize().unwrap().to_str().unwrap());
    publisher.workshop.store.remove(&model.name).unwrap();
    assert!(!model.dir.exists());
    let after: Vec<_> =
        files(&publisher.dir).iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect();
    assert!(before == after, "the package was changed");
}

#[test]
fn what_happens_to_the_package_later_is_noticed() {
    let publisher = Publisher::new("Qwen3-4B");
    publisher.generation_c(3);
    let model = publisher.register("m").unwrap().model;
    let open =
        || Store::open(publisher.workshop.root()).resolve(&model.name).map_err(|error| error.to_string());
    assert_eq!(open().unwrap().digest, model.digest);
    let layer = publisher.path("qwen3_p128_l1_together.axmodel");
    let bytes = fs::read(&layer).unwrap();
    fs::remove_file(&layer).unwrap();
    let error = open().unwrap_err();
    assert!(error.contains("qwen3_p128_l1_together.axmodel is gone"), "{error}");
    fs::write(&layer, [bytes.as_slice(), b"x"].concat()).unwrap();
    assert!(open().unwrap_err().contains("qwen3_p128_l1_together.axmodel"));
    // Another layer of the same length.
    let mut other = bytes.clone();
    *other.last_mut().unwrap() ^= 1;
    fs::write(&layer, &other).unwrap();
    let error = open().unwrap_err();
    assert!(error.contains("qwen3_p128_l1_together.axmodel") && error.contains("another file"), "{error}");
    assert!(model.check_contents().is_err(), "a model that is open already is looked at before it is loaded");
    // The same one again counts, but what was learned of the old file must not be taken for it.
    fs::write(&layer, &bytes).unwrap();
    let touched = open().unwrap();
    assert_ne!(touched.digest, model.digest);
    assert_eq!(model.check_contents().unwrap(), touched.weights);
    let date = fs::metadata(publisher.path("qwen3_p128_l0_together.axmodel")).unwrap().modified().unwrap();
    fs::File::options().write(true).open(&layer).unwrap().set_modified(date).unwrap();
    assert!(open().is_ok());
    fs::remove_dir_all(&publisher.dir).unwrap();
    assert!(open().unwrap_err().contains("is gone"));
    publisher.workshop.store.remove(&model.name).unwrap();
}

#[test]
fn files_exchanged_date_and_all_are_noticed_before_a_load() {
    let publisher = Publisher::new("Qwen3-4B");
    publisher.generation_c(3);
    let model = publisher.register("m").unwrap().model;
    let head = publisher.path("qwen3_post.axmodel");
    let date = fs::metadata(&head).unwrap().modified().unwrap();
    let mut bytes = fs::read(&head).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&head, bytes).unwrap();
    fs::File::options().write(true).open(&head).unwrap().set_modified(date).unwrap();
    let opened = Store::open(publisher.workshop.root()).resolve(&model.name).unwrap();
    assert_eq!(opened.digest, model.digest);
    let error = opened.check_contents().unwrap_err().to_string();
    assert!(error.contains("qwen3_post.axmodel") && error.contains("another file"), "{error}");
}

#[test]
fn the_context_is_what_the_card_says() {
    let publisher = Publisher::new("Qwen3-4B");
    publisher.generation_c(3);
    assert!(publisher.register("m").unwrap().model.knows_context());
    // Compiled files that hide their shapes.
    for layer in 0..LAYERS {
        publisher.write(&format!("qwen3_p128_l{layer}_together.axmodel"), "\x08\x07\x12\x07Pulsar2");
    }
    publisher.write("qwen3_post.axmodel", "\x08\x07\x12\x07Pulsar2");
    let registered = publisher.register("m").unwrap();
    let model = registered.model;
    assert!(registered.notes.iter().any(|note| note.contains("2047")), "{:?}", registered.notes);
    assert_eq!((model.context_len(), model.knows_context()), (2047, false));
    model.learn_context(4095);
    assert_eq!((model.context_len(), model.knows_context()), (4095, true));
    // A later process knows it too, as long as the files are the same.
    let open = || Store::open(publisher.workshop.root()).resolve(&model.name).unwrap();
    assert_eq!((open().context_len(), open().knows_context()), (4095, true));
    assert_eq!(open().digest, model.digest);
    publisher.write("qwen3_post.axmodel", "\x08\x07\x12\x07Pulsar2");
    assert_eq!((open().context_len(), open().knows_context()), (2047, false));
}

#[test]
fn thinking_is_as_the_package_says() {
    let publisher = Publisher::new("Qwen3-4B");
    publisher.generation_c(3);
    assert!(publisher.register("m").unwrap().model.manifest.thinks_by_default());
    let mut keys = config();
    keys["enable_thinking"] = json!(false);
    publisher.write("config.json", keys.to_string());
    let registered = publisher.register("m").unwrap();
    assert!(!registered.model.manifest.thinks_by_default());
    assert!(!registered.notes.iter().any(|note| note.contains("thinking")), "{:?}", registered.notes);
    publisher.write("chat_template.jinja", "{{ messages[0].content }}");
    let notes = publisher.register("m").unwrap().notes;
    assert!(notes.iter().any(|note| note.contains("no switch")), "{notes:?}");
}

#[test]
fn the_script_for_this_machine_is_taken_and_named() {
    let publisher = Publisher::new("Qwen3-4B");
    publisher.generation_b();
    let notes = publisher.register("m").unwrap().notes;
    let expected = if cfg!(target_arch = "aarch64") { "axcl_aarch64.sh" } else { "axcl_x86.sh" };
    assert!(notes[0].contains(expected), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("kvcache")), "{notes:?}");
    // A second set of weights is named, and can be asked for.
    publisher.weights("qwen3-tiny-int4");
    publisher.write("run_a_int4_ax650.sh", script("main_ax650", "qwen3-tiny-int4"));
    let notes = publisher.register("m").unwrap().notes;
    assert!(notes.iter().any(|note| note.contains("run_a_int4_ax650.sh")), "{notes:?}");
    let chosen = publisher.register_from("int4", &publisher.path("run_a_int4_ax650.sh")).unwrap();
    assert_eq!(
        chosen.model.manifest.quantization_level, "W8A16",
        "the file itself knows better than its name"
    );
    let target = fs::read_link(&chosen.model.card_parts().unwrap().files.head).unwrap();
    assert!(target.ends_with("qwen3-tiny-int4/qwen3_post.axmodel"), "{}", target.display());
    // A script whose files are not there does not count.
    fs::remove_dir_all(publisher.path("qwen3-tiny-ax650")).unwrap();
    let notes = publisher.register("m").unwrap().notes;
    assert!(notes[0].contains("run_a_int4_ax650.sh"), "{notes:?}");
}

#[test]
fn descriptions_and_broken_configurations_give_way_to_a_script() {
    for (content, noted) in [
        (r#"{"model_type": "qwen3", "hidden_size": 64, "max_position_embeddings": 40960}"#, None),
        ("", Some("0 bytes")),
        ("{\"model_name\": ", Some("broken")),
    ] {
        let publisher = Publisher::new("Qwen3-4B");
        publisher.generation_b();
        publisher.write("config.json", content);
        let Ok(registered) = publisher.register("m") else { panic!("{content:?}") };
        let said = registered.notes.iter().any(|note| note.contains(noted.unwrap_or("config.json ")));
        assert_eq!(said, noted.is_some(), "{:?}", registered.notes);
        let trained = if noted.is_some() { 200 } else { 40960 };
        assert_eq!(registered.model.manifest.trained_context, trained);
    }
}

#[test]
fn pictures_are_noted_and_vocab_json_is_enough() {
    let publisher = Publisher::new("Qwen3-VL-4B");
    publisher.generation_c(3);
    fs::remove_file(publisher.path("qwen3_tokenizer.txt")).unwrap();
    let mut keys = config();
    keys["vlm_type"] = json!("Qwen3VL");
    keys["filename_image_encoder_axmodel"] = json!("vit.axmodel");
    publisher.write("config.json", keys.to_string());
    let text = publisher.model.text().unwrap();
    let mut vocab = Map::new();
    for (id, line) in tokenizer_text(3).lines().skip(4).take(256).enumerate() {
        vocab.insert(line.to_owned(), id.into());
    }
    publisher.write("tokenizer/vocab.json", json!(vocab).to_string());
    publisher.write("tokenizer/merges.txt", "#version: 0.2\n");
    let added = |content: &str| json!({"content": content, "special": true});
    let added =
        json!({"256": added("<|endoftext|>"), "257": added("<|im_start|>"), "258": added("<|im_end|>")});
    publisher.write("tokenizer/tokenizer_config.json", json!({"added_tokens_decoder": added}).to_string());
    let registered = publisher.register("m").unwrap();
    assert!(registered.notes.iter().any(|note| note.contains("pictures")), "{:?}", registered.notes);
    let prompt = "<|im_start|>user\nHé<|im_end|>";
    assert_eq!(
        registered.model.text().unwrap().encode(prompt, true).unwrap(),
        text.encode(prompt, true).unwrap()
    );
    assert_eq!(registered.model.text().unwrap().end_ids(), [256, 258]);
    assert!(registered.model.card_parts().unwrap().files.embedding.ends_with(EMBEDDING));
}
