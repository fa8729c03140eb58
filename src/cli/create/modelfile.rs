//! `ax650 create NAME -f Modelfile`.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use super::{Arguments, plain};
use crate::{
    models::{
        import::{ImportError, Registered},
        modelfile::{MAX_MODELFILE_BYTES, Modelfile},
        name::ModelName,
        store::{Store, StoreError},
    },
    text::ChatTemplate,
};

/// What a Modelfile's FROM means.
#[derive(Debug, PartialEq)]
enum From {
    /// A model of the store.
    Model(ModelName),
    /// A file or a directory.
    Path(PathBuf),
}

impl Arguments {
    /// Makes the model that a Modelfile describes.
    pub(super) fn follow(&self, store: &Store, name: &ModelName, file: &Path) -> anyhow::Result<Registered> {
        let shown = file.display();
        let text = read(file).with_context(|| format!("cannot read {shown}"))?;
        let Modelfile { from, changes } = Modelfile::parse(&text).with_context(|| format!("{shown}"))?;
        if let Some(template) = &changes.template {
            ChatTemplate::given(template.clone(), None, None)
                .with_context(|| format!("{shown}: TEMPLATE"))?;
        }
        match meaning(&from, file.parent().unwrap_or(Path::new("")), store)? {
            From::Path(path) => self.take(store, name, &path, changes),
            From::Model(_) if self.weights.is_some() || self.context.is_some() => {
                bail!("--weights and --context are for GGUF files; '{from}' is a model already")
            }
            From::Model(base) => match store.derive(name, &base, &changes) {
                Ok(model) => Ok(plain(model)),
                Err(ImportError::Store(StoreError::NotFound(_))) => bail!(
                    "{shown}: FROM {from} is neither a model of the store nor a file; `ax650 list` shows the models"
                ),
                Err(error) => Err(error.into()),
            },
        }
    }
}

/// What FROM means: a path is what looks like one or exists, beside the Modelfile.
fn meaning(from: &str, beside: &Path, store: &Store) -> anyhow::Result<From> {
    let path = beside.join(from);
    if !from.starts_with(['.', '/']) && !path.exists() {
        let name =
            from.parse().with_context(|| format!("FROM {from} is neither a file nor a model's name"))?;
        return Ok(From::Model(name));
    }
    // `ax650 show --modelfile` names a model of the store by its directory.
    let inside = path.strip_prefix(store.folder()).ok();
    let parts: Option<Vec<&str>> = inside.and_then(|rest| rest.iter().map(|part| part.to_str()).collect());
    if let Some([host, namespace, model, tag]) = parts.as_deref() {
        return Ok(From::Model(ModelName::from_parts(host, namespace, model, tag)?));
    }
    Ok(From::Path(path))
}

fn read(file: &Path) -> io::Result<String> {
    // One byte more than is allowed is enough to be refused.
    let limit = MAX_MODELFILE_BYTES as u64 + 1;
    let mut text = String::new();
    if file == Path::new("-") {
        io::stdin().take(limit).read_to_string(&mut text)?;
    } else {
        File::open(file)?.take(limit).read_to_string(&mut text)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_name_unless_there_is_such_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().to_owned());
        let of = |from: &str| meaning(from, dir.path(), &store).unwrap();
        std::fs::write(dir.path().join("here.gguf"), "x").unwrap();
        assert_eq!(of("smollm2:135m"), From::Model("smollm2:135m".parse().unwrap()));
        assert_eq!(of("here.gguf"), From::Path(dir.path().join("here.gguf")));
        assert_eq!(of("./absent.gguf"), From::Path(dir.path().join("./absent.gguf")));
        let own = store.folder().join("registry.ollama.ai/library/tiny/latest");
        assert_eq!(of(own.to_str().unwrap()), From::Model("tiny".parse().unwrap()));
        assert!(meaning("a b", dir.path(), &store).is_err());
    }
}
