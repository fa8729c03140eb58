//! The model store: a directory per model, named after the model.
//!
//! It lives beside Ollama's own files, in `<root>/ax650/<host>/<namespace>/<model>/<tag>/`, and never touches
//! anything else there. Opened models are kept, so that a request costs one look at the manifest's date.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;

use super::blobs::Blobs;
use super::changes::Changes;
use super::derive;
use super::import::staging::lock_store;
use super::import::{self, ImportError, ImportOptions, Progress, Registered, SyntheticShape, Wishes};
use super::manifest::MANIFEST_FILE;
use super::model::{Model, ModelError};
use super::name::ModelName;

/// Folder of ours under the root.
const FOLDER: &str = "ax650";

/// The models of one root directory. `Send + Sync`.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    /// Checked models by directory. An entry counts as long as the manifest has the date it had.
    opened: Mutex<HashMap<PathBuf, Arc<Model>>>,
}

/// One model of a listing; a broken one is listed with what is wrong.
#[derive(Debug)]
pub struct Entry {
    /// The model's name.
    pub name: ModelName,
    /// When it was created; the epoch if that cannot be read.
    pub modified: SystemTime,
    /// The model, or why it cannot be used.
    pub model: Result<Arc<Model>, ModelError>,
}

/// Why the store cannot answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no model of that name.
    #[error("model '{0}' not found")]
    NotFound(ModelName),
    /// There is one, but it is broken.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The store's directory cannot be read or written.
    #[error("cannot {action} {path}: {source}; check OLLAMA_MODELS and the permissions of the directory")]
    Io {
        /// `read`, `remove`, ...
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Store {
    /// A store under `root`; nothing is created before the first import.
    #[expect(clippy::needless_pass_by_value, reason = "callers have made the path for this")]
    pub fn open(root: PathBuf) -> Self {
        Self { folder: root.join(FOLDER), opened: Mutex::default() }
    }

    /// The store that the environment names: `OLLAMA_MODELS`, else `~/.ollama/models`.
    pub fn from_env() -> Self {
        let set = std::env::var("OLLAMA_MODELS").unwrap_or_default();
        // As Ollama reads its variables: blanks and quotes around the value do not count.
        let set = set.trim().trim_matches(['"', '\'']).trim();
        if !set.is_empty() {
            return Self::open(PathBuf::from(set));
        }
        let home = std::env::home_dir().unwrap_or_else(|| PathBuf::from("."));
        Self::open(home.join(".ollama").join("models"))
    }

    /// The folder that holds our models, `<root>/ax650`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Files that clients have uploaded.
    pub fn blobs(&self) -> Blobs {
        Blobs::new(&self.folder)
    }

    /// All models, newest first.
    pub fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        for host in directories(&self.folder)? {
            for namespace in directories(&self.folder.join(&host))? {
                let folder = self.folder.join(&host).join(&namespace);
                for model in directories(&folder)? {
                    for tag in directories(&folder.join(&model))? {
                        // Directories whose path is not a name are not ours, e.g. the staging directory of an import.
                        if let Ok(name) = ModelName::from_parts(&host, &namespace, &model, &tag) {
                            entries.push(self.entry(name, &folder.join(&model).join(&tag)));
                        }
                    }
                }
            }
        }
        entries.sort_by(|a, b| {
            b.modified.cmp(&a.modified).then_with(|| a.name.canonical().cmp(&b.name.canonical()))
        });
        Ok(entries)
    }

    fn entry(&self, name: ModelName, dir: &Path) -> Entry {
        let modified = manifest_date(dir).unwrap_or(SystemTime::UNIX_EPOCH);
        Entry { model: self.open_model(&name, dir), name, modified }
    }

    /// The model of that name; case does not matter.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] if there is none, [`StoreError::Model`] if it is broken.
    pub fn resolve(&self, name: &ModelName) -> Result<Arc<Model>, StoreError> {
        let (stored, dir) = self.find(name)?.ok_or_else(|| StoreError::NotFound(name.clone()))?;
        Ok(self.open_model(&stored, &dir)?)
    }

    /// Removes the model of that name, broken or not.
    pub fn remove(&self, name: &ModelName) -> Result<(), StoreError> {
        let (_, dir) = self.find(name)?.ok_or_else(|| StoreError::NotFound(name.clone()))?;
        let fail = |source| StoreError::Io { action: "remove", path: dir.clone(), source };
        // No import makes the directories that are removed here, or puts a model into them, meanwhile.
        let _store = lock_store(&self.folder).map_err(fail)?;
        self.opened.lock().remove(&dir);
        std::fs::remove_dir_all(&dir).map_err(fail)?;
        // Empty parents go too; the first that is not empty ends it.
        for parent in dir.ancestors().skip(1).take_while(|parent| **parent != *self.folder) {
            if std::fs::remove_dir(parent).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Makes a model from a GGUF file; see [`import::create`].
    pub fn import(
        &self,
        name: &ModelName,
        source: &Path,
        options: &ImportOptions,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Arc<Model>, ImportError> {
        let wishes = Wishes { options: *options, ..Wishes::default() };
        import::create(self, name, source, &wishes, progress)
    }

    /// Makes a model from a GGUF file and changes it in one step; see [`import::create`].
    pub fn import_changed(
        &self,
        name: &ModelName,
        source: &Path,
        wishes: &Wishes,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Arc<Model>, ImportError> {
        import::create(self, name, source, wishes, progress)
    }

    /// Registers a vendor's model directory, or the one whose run script `source` is, without copying its weights: the
    /// model's files are links to them. `changes` are made in the same step. Replaces a model of that name.
    pub fn register(
        &self,
        name: &ModelName,
        source: &Path,
        changes: &Changes,
    ) -> Result<Registered, ImportError> {
        import::vendor::register(self, name, source, changes)
    }

    /// Makes a model from a text encoder's directory of safetensors; its weights are copied. `changes` are made in the
    /// same step. Replaces a model of that name.
    pub fn import_encoder(
        &self,
        name: &ModelName,
        source: &Path,
        changes: &Changes,
    ) -> Result<Registered, ImportError> {
        import::safetensors::create(self, name, source, changes)
    }

    /// Makes a model with a real one's shapes and no weights; its answers mean nothing. Replaces a model of that name.
    pub fn synthesise(&self, name: &ModelName, shape: SyntheticShape) -> Result<Arc<Model>, ImportError> {
        import::synthetic::create(self, name, shape)
    }

    /// Makes the model `name` of the model `base`, with which it shares its files; neither needs the other afterwards.
    /// Replaces a model of that name, which may be `base` itself.
    ///
    /// # Errors
    ///
    /// Every error leaves the store as it was.
    pub fn derive(
        &self,
        name: &ModelName,
        base: &ModelName,
        changes: &Changes,
    ) -> Result<Arc<Model>, ImportError> {
        derive::derive(self, name, base, changes)
    }

    /// Gives the model `source` a second name; from then on they are two models. Replaces a model of that name.
    ///
    /// # Errors
    ///
    /// Every error leaves the store as it was.
    pub fn copy(&self, source: &ModelName, destination: &ModelName) -> Result<(), ImportError> {
        derive::copy(self, source, destination)
    }

    /// Where a model of that name is or would be; parts that exist in another case keep their stored spelling.
    pub(super) fn place(&self, name: &ModelName) -> Result<(ModelName, PathBuf), StoreError> {
        let mut dir = self.folder.clone();
        let mut parts = [&name.host, &name.namespace, &name.model, &name.tag].map(String::clone);
        for part in &mut parts {
            let stored = directories(&dir)?;
            if !stored.contains(part)
                && let Some(found) = stored.into_iter().find(|found| found.eq_ignore_ascii_case(part))
            {
                *part = found;
            }
            dir.push(&*part);
        }
        let [host, namespace, model, tag] = parts;
        Ok((ModelName { host, namespace, model, tag }, dir))
    }

    pub(super) fn find(&self, name: &ModelName) -> Result<Option<(ModelName, PathBuf)>, StoreError> {
        self.place(name).map(|(stored, dir)| dir.is_dir().then_some((stored, dir)))
    }

    /// Opens the model in `dir`, or takes the one opened before if its manifest is still the same.
    pub(super) fn open_model(&self, name: &ModelName, dir: &Path) -> Result<Arc<Model>, ModelError> {
        let date = manifest_date(dir);
        if let Some(model) = self.opened.lock().get(dir)
            && Some(model.modified) == date
        {
            return Ok(Arc::clone(model));
        }
        Ok(self.keep(Model::open(name.clone(), dir)?))
    }

    /// Keeps a model that was opened, for the requests to come.
    pub(super) fn keep(&self, mut model: Model) -> Arc<Model> {
        let mut opened = self.opened.lock();
        if let Some(other) = opened.values().find(|other| other.weights == model.weights) {
            model.share_text(other);
        }
        let model = Arc::new(model);
        opened.insert(model.dir.clone(), Arc::clone(&model));
        model
    }
}

fn manifest_date(dir: &Path) -> Option<SystemTime> {
    dir.join(MANIFEST_FILE).metadata().and_then(|data| data.modified()).ok()
}

/// Names of the directories in `path`, sorted; none if it does not exist.
fn directories(path: &Path) -> Result<Vec<String>, StoreError> {
    let fail = |source| StoreError::Io { action: "read", path: path.to_owned(), source };
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(fail)?;
        if let (true, Ok(name)) = (entry.path().is_dir(), entry.file_name().into_string()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
