//! `POST /api/create`: a model made of another one, or of an uploaded GGUF file.
//!
//! A client names models and digests, never places: what it calls a file says nothing but how the file is called.

mod imports;
mod request;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::response::Response;

pub(crate) use self::imports::Imports;
use self::request::{CreateRequest, Material};
use super::blobs::failed;
use super::progress::{self, Record, Reporter};
use crate::api::error::ApiError;
use crate::api::{AppState, body, lookup};
use crate::models::blobs::{Digest, HeldBlob};
use crate::models::changes::Changes;
use crate::models::import::{ImportOptions, Wishes};
use crate::models::name::ModelName;
use crate::models::store::Store;
use crate::text::{ChatTemplate, JINJA_OF_A_STRANGER};

/// Time between two records of a conversion.
const PACE: Duration = Duration::from_millis(60);
/// The first bytes of a GGUF file.
const GGUF: [u8; 4] = *b"GGUF";

/// Reads a body and says whether it is a request.
#[cfg(test)]
pub(super) fn read(body: &[u8]) -> Result<(), ApiError> {
    CreateRequest::parse(body).map(drop)
}

/// The handler.
pub(super) async fn create(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let (body, memory) = body::read(&state.intake, request.into_body()).await?;
    let turn = state.intake.turn(memory).await?;
    let ask = turn.run(move || CreateRequest::parse(&body)).await?;
    // What was read lives as long as the work, and takes as much.
    let memory = turn.pause();
    let store = state.store.clone();
    let CreateRequest { name, material, changes, streamed } = ask;
    match material {
        Material::Model(bases) => {
            let work = move |reporter: &Reporter| {
                let _held = memory;
                derive(&store, &name, &bases, &changes, reporter)
            };
            progress::answer(streamed, work).await
        }
        Material::File(file, digest) => {
            let place = state.imports.line_up()?;
            let prunes = state.settings.prunes;
            let work = move |reporter: &Reporter| {
                let _held = memory;
                // Before the turn comes: what is not there is told at once, and what is there waits as well.
                let blob = hold(&store, &digest)?;
                let _turn = place.wait(reporter)?;
                convert(&store, &name, (&file, &digest, blob.path()), changes, reporter)?;
                drop(blob);
                if prunes {
                    store.blobs().prune();
                }
                Ok(())
            };
            progress::answer(streamed, work).await
        }
    }
}

fn derive(
    store: &Store,
    name: &ModelName,
    bases: &[ModelName],
    changes: &Changes,
    reporter: &Reporter,
) -> Result<(), ApiError> {
    let shown = bases.last().map(ToString::to_string).unwrap_or_default();
    // A broken one is no better as the base of another.
    let model = lookup::find(store, bases, &shown)?;
    let base = model.name.clone();
    let layers: Vec<String> =
        model.manifest.files.iter().map(|file| format!("sha256:{}", file.sha256)).collect();
    // An encoder has no text side, and no template either.
    let text = model.text().ok();
    check_language(changes, text.as_ref().and_then(|text| text.template_source()))?;
    drop((model, text));
    for digest in layers {
        reporter.say(Record::new(format!("using existing layer {digest}")));
    }
    say_changes(changes, reporter);
    reporter.say(Record::new("writing manifest"));
    store.derive(name, &base, changes).map_err(|error| ApiError::from_import(error, &shown))?;
    Ok(())
}

/// Refuses a template in Jinja, unless it is the base's `own`: see
/// [`crate::text::TextModel::with_template_of_request`].
fn check_language(changes: &Changes, own: Option<&str>) -> Result<(), ApiError> {
    let Some(template) = &changes.template else { return Ok(()) };
    let is_own = own.is_some_and(|own| own.trim() == template.trim());
    let is_jinja = || ChatTemplate::given(template.clone(), None, None).is_ok_and(|given| given.is_jinja());
    if !is_own && is_jinja() {
        return Err(ApiError::BadRequest(format!("template error: {JINJA_OF_A_STRANGER}")));
    }
    Ok(())
}

fn say_changes(changes: &Changes, reporter: &Reporter) {
    for layer in changes.layers() {
        reporter.say(Record::new(format!("creating new layer {}", Digest::of(layer.as_bytes()))));
    }
}

/// The uploaded file, which stays for as long as the result lives.
fn hold(store: &Store, digest: &Digest) -> Result<HeldBlob, ApiError> {
    let absent = || ApiError::BadRequest(ApiError::BlobNotFound(digest.to_string()).to_string());
    store.blobs().hold(digest).ok_or_else(absent)
}

fn convert(
    store: &Store,
    name: &ModelName,
    (file, digest, path): (&str, &Digest, &Path),
    changes: Changes,
    reporter: &Reporter,
) -> Result<(), ApiError> {
    check_kind(path, file)?;
    check_language(&changes, None)?;
    let cancel = reporter.cancel();
    // Reading all of a large file takes minutes; a client that hears nothing for so long gives up.
    reporter.say(Record::new(format!("verifying {digest}")));
    store.blobs().check(digest, &|| cancel.load(Ordering::Relaxed)).map_err(failed)?;
    reporter.say(Record::new("parsing GGUF"));
    say_changes(&changes, reporter);
    let wishes = Wishes { options: ImportOptions::default(), changes, cancel };
    let mut told: Option<Instant> = None;
    let mut tell = |done: crate::models::import::Progress<'_>| {
        let is_last = done.done_bytes == done.total_bytes;
        if is_last || told.is_none_or(|at| at.elapsed() >= PACE) {
            told = Some(Instant::now());
            reporter.mention(Record {
                digest: Some(digest.to_string()),
                total: Some(done.total_bytes),
                completed: Some(done.done_bytes),
                ..Record::new("converting model")
            });
        }
    };
    store
        .import_changed(name, path, &wishes, &mut tell)
        .map_err(|error| ApiError::from_import(error, &name.to_string()))?;
    reporter.say(Record::new("writing manifest"));
    Ok(())
}

/// Says by its first bytes whether the uploaded file is one that can be converted.
fn check_kind(path: &Path, file: &str) -> Result<(), ApiError> {
    let mut first = Vec::new();
    File::open(path)
        .and_then(|blob| blob.take(GGUF.len() as u64).read_to_end(&mut first))
        .map_err(|error| ApiError::model(format!("cannot read the uploaded file: {error}")))?;
    let has_end = |end: &str| file.len() > end.len() && file.to_ascii_lowercase().ends_with(end);
    if first == GGUF {
        Ok(())
    } else if has_end(".gguf") {
        Err(ApiError::BadRequest("supplied file was not in GGUF format".into()))
    } else if has_end(".safetensors") {
        Err(ApiError::BadRequest(
            "safetensors files are not converted by the server; give a GGUF file, or run `ax650 create` beside the files"
                .into(),
        ))
    } else {
        Err(ApiError::BadRequest("unknown type".into()))
    }
}
