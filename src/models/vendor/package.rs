//! Opening a package: which generation it is, where its settings are, and whether its files are all there.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::folder::{Folder, Found, POINTER, has_end};
use super::settings::{Settings, check_supported};
use super::window::Window;
use super::{VendorError, choice};
use crate::models::config::MAX_CONFIG_BYTES;

/// Which of the vendor's programs a package is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// Flags in run scripts (2025).
    B,
    /// `config.json` (2026).
    C,
}

/// Where the tokenizer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenizerSource {
    /// A folder with `tokenizer.json`, or `vocab.json` and `merges.txt`.
    Folder(PathBuf),
    /// A file in the vendor's own format.
    Text(PathBuf),
}

/// A vendor's model directory, complete and unchanged.
#[derive(Debug)]
pub struct Package {
    /// The directory, without links.
    pub dir: PathBuf,
    /// Its name; in the cache of Hugging Face's tools that of the model, because the directory is called by a digest.
    pub name: String,
    /// What it is made for.
    pub generation: Generation,
    /// The file that the settings come from.
    pub settings_file: PathBuf,
    /// The settings.
    pub settings: Settings,
    /// Layer files, in order, without links; so are the next two.
    pub layers: Vec<PathBuf>,
    /// Final norm and output head.
    pub head: PathBuf,
    /// bf16 embedding table; its length fits vocabulary and hidden size.
    pub embedding: PathBuf,
    /// The tokenizer, where the package has it.
    pub tokenizer: TokenizerSource,
    /// Content of the file with the sampling defaults.
    pub post_config: Option<(PathBuf, Vec<u8>)>,
    /// The model's description as Hugging Face has it; empty if there is none.
    pub description: Map<String, Value>,
    /// Windows of attention that the settings and the description name, and the files that do.
    pub windows: Vec<(PathBuf, Window)>,
    /// What a person should know: choices made, parts left out.
    pub notes: Vec<String>,
    folder: Folder,
}

/// What `config.json` turned out to be.
enum ConfigFile {
    Absent,
    /// Cannot be read, and why.
    Broken(String),
    Runtime(Map<String, Value>),
    Description(Map<String, Value>),
}

impl Package {
    /// Opens the package in the directory `source`, or the one whose run script `source` is.
    pub fn open(source: &Path) -> Result<Self, VendorError> {
        let script = source.is_file().then(|| source.file_name().and_then(|name| name.to_str())).flatten();
        let dir = if script.is_some() { source.parent().unwrap_or(source) } else { source };
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        let folder = Folder::open(dir)?;
        let config = read_config(&folder)?;
        let mut notes = Vec::new();
        let mut description = Map::new();
        let config_path = folder.root().join("config.json");
        let (generation, settings_file, settings) =
            match (config, script.filter(|name| *name != "config.json")) {
                (ConfigFile::Runtime(keys), None) => {
                    let settings = Settings::read(&keys)
                        .map_err(|source| VendorError::Settings { path: config_path.clone(), source })?;
                    (Generation::C, config_path, settings)
                }
                (config, script) => {
                    match config {
                        ConfigFile::Description(keys) => description = keys,
                        ConfigFile::Broken(reason) => notes.push(format!("config.json {reason}")),
                        ConfigFile::Absent | ConfigFile::Runtime(_) => {}
                    }
                    let Some(chosen) = choice::choose(&folder, script)? else {
                        return Err(nothing_to_run(&folder, notes.pop()));
                    };
                    notes.extend(chosen.notes);
                    (Generation::B, folder.root().join(chosen.name), chosen.settings)
                }
            };
        Self::complete(folder, generation, settings_file, settings, description, notes)
    }

    /// Reads a small file of the package; `None` if it is not there.
    ///
    /// # Errors
    ///
    /// [`VendorError::File`] if it is longer than `limit` bytes, [`VendorError::Pointers`] for a placeholder of
    /// git-lfs.
    pub fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, VendorError> {
        let bytes = self.folder.read(&path.to_string_lossy(), limit)?;
        match bytes {
            Some(bytes) if bytes.starts_with(POINTER) => {
                Err(pointers(&self.folder, &[path.to_string_lossy().into_owned()]))
            }
            other => Ok(other),
        }
    }

    fn complete(
        folder: Folder,
        generation: Generation,
        settings_file: PathBuf,
        settings: Settings,
        mut description: Map<String, Value>,
        mut notes: Vec<String>,
    ) -> Result<Self, VendorError> {
        notes.extend(settings.notes.iter().cloned());
        let files = files(&folder, &settings)?;
        let tokenizer = super::tokenizer::find(&folder, settings.tokenizer.as_deref(), &mut notes)?;
        let beside = match &tokenizer {
            TokenizerSource::Folder(dir) => Some(dir.as_path()),
            TokenizerSource::Text(file) => file.parent(),
        };
        // The vendor's program looks there, too, for what a layer computes.
        let beside = beside.filter(|dir| *dir != folder.root()).map(|dir| dir.join("config.json"));
        let mut windows: Vec<_> =
            settings.window.iter().map(|window| (settings_file.clone(), window.clone())).collect();
        let mut check = |path: PathBuf, keys: &Map<String, Value>| match check_supported(keys) {
            Ok(window) => {
                windows.extend(window.map(|window| (path, window)));
                Ok(())
            }
            Err(source) => Err(VendorError::Settings { path, source }),
        };
        check(folder.root().join("config.json"), &description)?;
        if let Some(path) = beside
            && let Some(bytes) = folder.read(&path.to_string_lossy(), MAX_CONFIG_BYTES)?
            && let Ok(Value::Object(keys)) = serde_json::from_slice(&bytes)
        {
            check(path, &keys)?;
            if description.is_empty() {
                description = keys;
            }
        }
        if folder.directory("kvcache").is_some() && !notes.iter().any(|note| note.contains("kvcache")) {
            notes.push("stored key/value caches (kvcache/) are not used: prompts are computed".to_owned());
        }
        let post_config = match folder.find("post_config_path", &settings.post_config)? {
            Found::File { named, .. } => {
                folder.read(&named.to_string_lossy(), MAX_CONFIG_BYTES)?.map(|bytes| (named, bytes))
            }
            Found::Pointer => return Err(pointers(&folder, &[settings.post_config])),
            Found::Missing => None,
        };
        let Files { layers, head, embedding } = files;
        Ok(Self {
            dir: folder.root().to_owned(),
            name: folder.name(),
            generation,
            settings_file,
            settings,
            layers,
            head,
            embedding,
            tokenizer,
            post_config,
            description,
            windows,
            notes,
            folder,
        })
    }
}

fn read_config(folder: &Folder) -> Result<ConfigFile, VendorError> {
    const REPAIR: &str = "copy the file from the package's page again";
    let Some(bytes) = folder.read("config.json", MAX_CONFIG_BYTES)? else { return Ok(ConfigFile::Absent) };
    let broken = |reason: String| Ok(ConfigFile::Broken(reason));
    if bytes.trim_ascii().is_empty() {
        return broken(format!(
            "is empty (0 bytes; some packages are published so); {REPAIR}, or write its keys"
        ));
    }
    if bytes.starts_with(POINTER) {
        return broken(
            "is a git-lfs pointer and not the file itself; run `git lfs pull` in the directory".to_owned(),
        );
    }
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(keys)) if Settings::is_runtime(&keys) => Ok(ConfigFile::Runtime(keys)),
        Ok(Value::Object(keys)) => Ok(ConfigFile::Description(keys)),
        Ok(_) => broken(format!("is not an object of keys; {REPAIR}")),
        Err(error) => broken(format!("is broken ({error}); correct it, or {REPAIR}")),
    }
}

/// A directory without settings; `config` is what is wrong with its `config.json`, if that is the reason.
fn nothing_to_run(folder: &Folder, config: Option<String>) -> VendorError {
    if let Some(reason) = config {
        let path = folder.root().join("config.json");
        let reason = reason.strip_prefix("config.json ").unwrap_or(&reason).to_owned();
        return VendorError::Unreadable { path, reason };
    }
    let names = folder.names();
    let layers = names.iter().filter(|name| has_end(name, "axmodel")).count();
    let found = if layers > 0 { format!(" ({layers} .axmodel files are there)") } else { String::new() };
    VendorError::NotAPackage { dir: folder.root().to_owned(), found }
}

struct Files {
    layers: Vec<PathBuf>,
    head: PathBuf,
    embedding: PathBuf,
}

/// Finds the files with the weights. All that is missing is named at once.
fn files(folder: &Folder, settings: &Settings) -> Result<Files, VendorError> {
    let (mut missing, mut pointing) = (Vec::new(), Vec::new());
    let mut look = |key, name: String| -> Result<(PathBuf, u64), VendorError> {
        Ok(match folder.find(key, &name)? {
            Found::File { real, bytes, .. } => (real, bytes),
            Found::Missing => {
                missing.push(name);
                (PathBuf::new(), 1)
            }
            Found::Pointer => {
                pointing.push(name);
                (PathBuf::new(), 1)
            }
        })
    };
    let names = (0..settings.layer_count).map(|index| settings.layers.file_name(index));
    let layers =
        names.map(|name| look("template_filename_axmodel", name)).collect::<Result<Vec<_>, VendorError>>()?;
    let head = look("filename_post_axmodel", settings.head.clone())?;
    let embedding = look("filename_tokens_embed", settings.embedding.clone())?;
    if !pointing.is_empty() {
        return Err(pointers(folder, &pointing));
    }
    if let Some(first) = missing.first() {
        let nearest = twin(folder, first).unwrap_or_else(|| folder.nearest(first));
        let dir = folder.root().to_owned();
        return Err(VendorError::Missing { dir, missing: enumerate(&missing), nearest });
    }
    if let Some((path, _)) = layers.iter().chain([&head]).find(|(_, bytes)| *bytes == 0) {
        let reason = "is empty (0 bytes); download it again".to_owned();
        return Err(VendorError::File { path: path.clone(), reason });
    }
    check_embedding(&embedding.0, embedding.1, settings)?;
    let layers = layers.into_iter().map(|(path, _)| path).collect();
    Ok(Files { layers, head: head.0, embedding: embedding.0 })
}

pub(super) fn pointers(folder: &Folder, names: &[String]) -> VendorError {
    let first = names.first().cloned().unwrap_or_default();
    VendorError::Pointers { dir: folder.root().to_owned(), count: names.len(), first }
}

/// Some names and how many more there are.
fn enumerate(names: &[String]) -> String {
    let shown = names.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(3) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// An intermediate form of the embedding table that is there instead of the table.
fn twin(folder: &Folder, name: &str) -> Option<String> {
    let stem = name.strip_suffix(".bfloat16.bin")?;
    let twins = [".float32.bin", ".npy", ".float32.npy"].map(|end| format!("{stem}{end}"));
    let found = twins
        .into_iter()
        .find(|twin| matches!(folder.find("filename_tokens_embed", twin), Ok(Found::File { .. })))?;
    Some(format!("; {found} is there, but that is an intermediate form, the card's table is in bf16"))
}

fn check_embedding(path: &Path, bytes: u64, settings: &Settings) -> Result<(), VendorError> {
    let (vocab, hidden) = (settings.vocab as u64, settings.hidden as u64);
    let wanted = vocab * hidden * 2;
    if bytes == wanted {
        return Ok(());
    }
    let why = if bytes == wanted * 2 {
        "; it is in float32, the card needs bf16".to_owned()
    } else if bytes > 0 && bytes.is_multiple_of(hidden * 2) {
        format!(
            "; it has rows for {} tokens, correct tokens_embed_num if that is right",
            bytes / (hidden * 2)
        )
    } else {
        "; it is cut short or belongs to another model: download it again".to_owned()
    };
    let reason = format!(
        "has {bytes} bytes, but {vocab} tokens (tokens_embed_num) of {hidden} values (tokens_embed_size) take {wanted}{why}"
    );
    Err(VendorError::File { path: path.to_owned(), reason })
}
