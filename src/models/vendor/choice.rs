//! Which of a package's run scripts tells the settings.

use serde_json::{Map, Value};

use super::VendorError;
use super::folder::{Folder, Found, has_end};
use super::script::{self, MAX_SCRIPT_BYTES, Script};
use super::settings::Settings;

/// Flags whose value must be known.
const NEEDED: [&str; 6] = [
    "template_filename_axmodel",
    "axmodel_num",
    "filename_post_axmodel",
    "filename_tokens_embed",
    "tokens_embed_num",
    "tokens_embed_size",
];
/// Most scripts of a directory that are read.
const MAX_SCRIPTS: usize = 64;

/// The script that was chosen.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) name: String,
    pub(super) settings: Settings,
    /// Which and why, for people.
    pub(super) notes: Vec<String>,
}

/// Chooses among the scripts of `folder`, or takes the one named `only`. `None` if no script starts a model.
///
/// Scripts of a package mostly differ in the program they start. Those whose files are there go first, then the one for
/// a card behind PCIe, on this processor, then that for the board; then the alphabet decides.
pub(super) fn choose(folder: &Folder, only: Option<&str>) -> Result<Option<Chosen>, VendorError> {
    let names = match only {
        Some(name) => vec![name.to_owned()],
        None => folder.names().into_iter().filter(|name| has_end(name, "sh")).take(MAX_SCRIPTS).collect(),
    };
    let mut candidates = Vec::new();
    for name in names {
        let Some(bytes) = folder.read(&name, MAX_SCRIPT_BYTES)? else { continue };
        if let Some(script) = script::parse(&String::from_utf8_lossy(&bytes)) {
            let settings = settings_of(folder, &name, &script);
            let complete = settings.as_ref().is_ok_and(|settings| has_files(folder, settings));
            candidates.push((!complete, platform(&name), name, settings));
        } else if only.is_some() {
            let reason = "starts no model: no command in it has --template_filename_axmodel".to_owned();
            return Err(VendorError::Unreadable { path: folder.root().join(name), reason });
        }
    }
    candidates.sort_by(|a, b| (a.0, a.1, &a.2).cmp(&(b.0, b.1, &b.2)));
    let mut candidates = candidates.into_iter();
    let Some((.., name, settings)) = candidates.next() else { return Ok(None) };
    let settings = settings?;
    let mut notes = vec![format!("settings taken from {name}")];
    let others = candidates.filter(|(incomplete, .., other)| {
        !incomplete && other.as_ref().is_ok_and(|other| other.layers != settings.layers)
    });
    let others: Vec<String> = others.map(|(.., name, _)| name).collect();
    if !others.is_empty() {
        let rest = others.join(", ");
        notes.push(format!(
            "other weights are started by {rest}; give the path of a script after --from to take those"
        ));
    }
    Ok(Some(Chosen { name, settings, notes }))
}

fn settings_of(folder: &Folder, name: &str, script: &Script) -> Result<Settings, VendorError> {
    let path = folder.root().join(name);
    if let Some(sign) = first_generation(script) {
        return Err(VendorError::FirstGeneration { path, sign });
    }
    let mut keys = Map::new();
    for (flag, word) in &script.flags {
        match &word.unknown {
            None => drop(keys.insert(flag.clone(), Value::from(word.text.as_str()))),
            Some(unknown) if NEEDED.contains(&flag.as_str()) => {
                let reason = format!(
                    "takes --{flag} from {unknown}, which only a shell knows; write the value into the script, or add a config.json"
                );
                return Err(VendorError::Unreadable { path, reason });
            }
            // What is not needed stays unknown.
            Some(_) => {}
        }
    }
    Settings::read(&keys).map_err(|source| VendorError::Settings { path, source })
}

/// By what a script of the first generation shows itself.
fn first_generation(script: &Script) -> Option<String> {
    if let Some(flag) = ["template_prefill_filename_axmodel", "prefill_axmodel_num"]
        .iter()
        .find(|flag| script.flags.contains_key(**flag))
    {
        return Some(format!("it has --{flag}"));
    }
    let layers = &script.flags.get("template_filename_axmodel")?.text;
    let built_in =
        script.flags.get("tokenizer_type").is_some_and(|kind| matches!(kind.text.trim(), "0" | "1" | "3"));
    let file =
        ["filename_tokenizer_model", "url_tokenizer_model"].iter().find_map(|flag| script.flags.get(*flag));
    let old_file =
        file.is_some_and(|word| [".model", ".tiktoken"].iter().any(|end| word.text.ends_with(end)));
    if !layers.contains("together") && (built_in || old_file || !layers.contains("_p")) {
        return Some(format!("its layers {layers:?} are not \"together\" with prompts"));
    }
    None
}

fn has_files(folder: &Folder, settings: &Settings) -> bool {
    let is_there = |key, name: &str| matches!(folder.find(key, name), Ok(Found::File { .. }));
    is_there("template_filename_axmodel", &settings.layers.file_name(0))
        && is_there("filename_post_axmodel", &settings.head)
}

/// Rank of a script by the machine that its name names.
fn platform(name: &str) -> (u8, bool) {
    let machine = if cfg!(target_arch = "aarch64") { "axcl_aarch" } else { "axcl_x86" };
    let rank = match name {
        name if name.contains(machine) => 0,
        name if name.contains("axcl") => 1,
        name if name.contains("ax650") => 2,
        _ => 3,
    };
    (rank, name.contains("api"))
}
