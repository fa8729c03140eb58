//! Any bytes as `config.json` and as `manifest.json`: no panic, and no file name that leads out of the directory.
#![no_main]

use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;
use readers::config::Config;
use readers::manifest::Manifest;

fn inside(name: &str) {
    let inside =
        Path::new(name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    assert!(inside && !name.is_empty(), "{name:?}");
}

fuzz_target!(|data: &[u8]| {
    if let Ok(config) = Config::parse(data) {
        inside(&config.template_filename_axmodel.file_name(config.axmodel_num - 1));
        inside(&config.filename_post_axmodel);
        inside(&config.filename_tokens_embed);
        inside(&config.url_tokenizer_model);
        assert!(config.embedding_bytes() > 0);
        let again = serde_json::to_vec(&config).map(|bytes| Config::parse(&bytes));
        assert!(matches!(again, Ok(Ok(again)) if again == config));
    }
    if let Ok(manifest) = Manifest::parse(data) {
        manifest.files.iter().for_each(|file| inside(&file.name));
        manifest.total_bytes();
    }
});
