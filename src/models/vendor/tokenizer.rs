//! Finding a package's tokenizer.

use std::path::{Path, PathBuf};

use super::folder::{Folder, Found, has_end};
use super::package::pointers;
use super::{TokenizerSource, VendorError};

/// Finds the tokenizer. `named` is what the settings say: a file, or the address of a server that does the work there.
/// What is returned is where the package has it, links or not: its companions lie beside that.
///
/// A folder with `tokenizer.json` goes first: it has everything, and the vendor's file was made from it. `vocab.json`
/// with `merges.txt` comes last.
pub(super) fn find(
    folder: &Folder,
    named: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<TokenizerSource, VendorError> {
    let named = named.filter(|name| !name.contains("://"));
    let key = "url_tokenizer_model";
    let file = match named {
        Some(name) => match folder.find(key, name)? {
            Found::File { named, .. } => Some(named),
            Found::Pointer => return Err(pointers(folder, &[name.to_owned()])),
            Found::Missing => None,
        },
        None => None,
    };
    if let Some(path) = &file
        && path.extension().is_some_and(|end| end == "json")
    {
        return Ok(TokenizerSource::Folder(path.parent().unwrap_or(folder.root()).to_owned()));
    }
    let mut folders: Vec<PathBuf> = named.and_then(|name| folder.directory(name)).into_iter().collect();
    folders.extend(candidates(folder));
    let whole: Vec<&PathBuf> = folders.iter().filter(|dir| dir.join("tokenizer.json").is_file()).collect();
    if let [first, others @ ..] = &whole[..] {
        if !others.is_empty() && others.iter().any(|other| other != first) {
            notes.push(format!("of {} folders with a tokenizer, {} is taken", whole.len(), first.display()));
        } else if let Some(file) = &file {
            notes.push(format!(
                "tokenizer.json of {} is taken instead of {}",
                first.display(),
                name_of(file)
            ));
        }
        return Ok(TokenizerSource::Folder((*first).clone()));
    }
    if let Some(path) = file {
        return Ok(TokenizerSource::Text(path));
    }
    if let Some(dir) = folders.into_iter().find(|dir| is_pair(dir)) {
        return Ok(TokenizerSource::Folder(dir));
    }
    let text = |name: &&String| has_end(name, "txt") && name.contains("tokenizer");
    if let Some(name) = folder.names().iter().find(text)
        && let Found::File { named, .. } = folder.find(key, name)?
    {
        return Ok(TokenizerSource::Text(named));
    }
    let (missing, nearest) = match named {
        Some(name) => (name.to_owned(), folder.nearest(name)),
        None => (
            "tokenizer".to_owned(),
            ": neither a folder with tokenizer.json, or vocab.json and merges.txt, nor a *tokenizer*.txt file".to_owned(),
        ),
    };
    Err(VendorError::Missing { dir: folder.root().to_owned(), missing, nearest })
}

/// The directory itself and the folders in it, those called tokenizer first.
fn candidates(folder: &Folder) -> Vec<PathBuf> {
    let mut names: Vec<String> = folder.names();
    names.sort_by_key(|name| !name.contains("tokenizer"));
    let inside = names.iter().filter_map(|name| folder.directory(name));
    let all = inside.chain([folder.root().to_owned()]);
    all.filter(|dir| dir.join("tokenizer.json").is_file() || is_pair(dir)).collect()
}

fn is_pair(dir: &Path) -> bool {
    dir.join("vocab.json").is_file() && dir.join("merges.txt").is_file()
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
