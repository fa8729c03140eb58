//! From texts to vectors, for every API family.
//!
//! Any model may be asked, as upstream allows it: encoders give what they were made for, models that generate text give
//! their hidden state (see `engine::embed`). A request is prepared as the others are; then the engine computes all
//! texts, and one that cannot be computed fails the request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::learn_context;
use super::options::Options;
use crate::api::error::{ApiError, EmbedError};
use crate::api::intake::{Memory, Turn};
use crate::api::{AppState, lookup};
use crate::engine::{EmbedRequest, EngineError, KeepAlive};
use crate::models::model::Model;
use crate::text::{EncoderTokenizer, Fitted, TextError, TextModel, TokenId};

/// Most values of all vectors of one request: 64 MiB, or some thousand texts. Beyond that a small body would take
/// memory without bound.
const MAX_VALUES: usize = 16 << 20;

/// Bytes of a value of a vector, as a number and as text with room to grow.
const ANSWER_BYTES: usize = 32;

/// Texts that are to become vectors.
#[derive(Debug, Default)]
pub(crate) struct EmbedAsk {
    /// The model's name as requested.
    pub(crate) model: String,
    /// The texts; none at all asks to load the model.
    pub(crate) inputs: Vec<String>,
    /// Cut texts that do not fit instead of refusing them.
    pub(crate) truncate: bool,
    /// Values of a vector to keep; all if there are no more than that, or if it is 0.
    pub(crate) dimensions: usize,
    /// Native names, unmerged.
    pub(crate) options: Map<String, Value>,
    /// Replaces how long the model stays loaded.
    pub(crate) keep_alive: Option<KeepAlive>,
    /// Give vectors of length 1.
    pub(crate) normalise: bool,
}

/// The vectors, in the order of the texts.
#[derive(Debug)]
pub(crate) struct Embedded {
    pub(crate) vectors: Vec<Vec<f32>>,
    /// Tokens of all texts, as they were computed.
    pub(crate) prompt_tokens: usize,
    /// Time to load the model. Never zero: clients take that for a missing figure.
    pub(crate) load: Duration,
    /// From the arrival of the request. Never zero.
    pub(crate) total: Duration,
    /// Set aside for the vectors and their text, until that has been sent.
    pub(crate) memory: Memory,
}

/// The texts of a field that holds one, several, or none. For everything else, tokens among it, upstream has one text.
///
/// # Errors
/// [`ApiError::BadRequest`].
pub(crate) fn texts(input: Option<Value>) -> Result<Vec<String>, ApiError> {
    let refuse = || ApiError::BadRequest("invalid input type".to_owned());
    match input {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text]),
        Some(Value::Array(items)) => {
            let text = |item| if let Value::String(text) = item { Ok(text) } else { Err(refuse()) };
            items.into_iter().map(text).collect()
        }
        Some(_) => Err(refuse()),
    }
}

/// Computes the vectors of all texts.
///
/// # Errors
/// The table of [`ApiError`]; [`ApiError::Embed`] for what lies with the texts.
pub(crate) async fn embed(state: &AppState, turn: Turn, ask: EmbedAsk) -> Result<Embedded, ApiError> {
    let arrived = Instant::now();
    if ask.model.trim().is_empty() {
        return Err(ApiError::ModelNotFound(ask.model));
    }
    let model = lookup::model(state, &ask.model).await.map_err(|error| match error {
        ApiError::ModelNotFound(name) => ApiError::ModelAbsent(name),
        other => other,
    })?;
    let options = Options::merged(&model.manifest.parameters, &ask.options)?;
    check_count(&ask, &model)?;
    let (turn, loaded_in) = if ask.inputs.is_empty() {
        (turn, Duration::ZERO)
    } else {
        learn_context(state, turn, &model).await?
    };
    let asked = options.num_ctx.or(state.settings.context_length);
    let limit = asked.unwrap_or(usize::MAX).min(model.context_len());
    let EmbedAsk { inputs: texts, truncate, dimensions, keep_alive, normalise, .. } = ask;
    let reader = Arc::clone(&model);
    let inputs = turn.run(move || tokens(&reader, &texts, limit, truncate)).await?;
    // Held until the answer is sent: many texts are much memory while they wait, and so are their vectors.
    let mut memory = turn.pause();
    state.intake.reserve(&mut memory, inputs.len() * model.hidden() * ANSWER_BYTES)?;
    let prompt_tokens = inputs.iter().map(Vec::len).sum();
    let request = EmbedRequest { model: Arc::clone(&model), inputs, keep_alive };
    let embeddings = state.engine.embed(request).await.map_err(|error| match error {
        // The model has turned out to have another window than its texts were cut to.
        EngineError::PromptTooLong { .. } => EmbedError::TooLong.into(),
        EngineError::NotFinite => EmbedError::NotFinite.into(),
        other => ApiError::from(other),
    })?;
    state.windows.note(&model, asked);
    let load = (loaded_in + embeddings.load).max(Duration::from_nanos(1));
    let vectors = lookup::blocking(move || finish(embeddings.vectors, dimensions, normalise)).await?;
    let total = arrived.elapsed().max(Duration::from_nanos(1));
    Ok(Embedded { vectors, prompt_tokens, load, total, memory })
}

fn check_count(ask: &EmbedAsk, model: &Model) -> Result<(), ApiError> {
    let (count, most) = (ask.inputs.len(), MAX_VALUES / model.hidden().max(1));
    if count <= most {
        return Ok(());
    }
    Err(ApiError::BadRequest(format!(
        "{count} inputs in one request; this model takes {most}, send them in parts"
    )))
}

/// The tokens of each text.
fn tokens(
    model: &Model,
    texts: &[String],
    limit: usize,
    truncate: bool,
) -> Result<Vec<Vec<TokenId>>, ApiError> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let tokenizer = Tokenizer::of(model)?;
    let fit = |text: &String| match tokenizer.encode(text, limit) {
        Err(TextError::PromptTooLong { .. }) => Err(EmbedError::NoRoom.into()),
        Err(error) => Err(error.into()),
        Ok(Fitted { cut: true, .. }) if !truncate => Err(EmbedError::TooLong.into()),
        Ok(Fitted { ids, .. }) => Ok(ids),
    };
    texts.iter().map(fit).collect()
}

/// What turns the texts of either kind of model into tokens.
enum Tokenizer {
    Encoder(Arc<EncoderTokenizer>),
    Decoder(Arc<TextModel>),
}

impl Tokenizer {
    fn of(model: &Model) -> Result<Self, ApiError> {
        Ok(match model.encoder() {
            Some(parts) => Self::Encoder(parts.text()?),
            None => Self::Decoder(model.text()?),
        })
    }

    fn encode(&self, text: &str, limit: usize) -> Result<Fitted, TextError> {
        match self {
            Self::Encoder(tokenizer) => tokenizer.encode_within(text, limit),
            Self::Decoder(tokenizer) => {
                let mut fitted = tokenizer.encode_within(text, limit)?;
                if fitted.ids.is_empty() {
                    // A model that marks no beginning has no token for an empty text; its end is the nearest to one.
                    fitted.ids.push(tokenizer.end_ids().first().copied().unwrap_or_default());
                }
                Ok(fitted)
            }
        }
    }
}

/// Checks the vectors, shortens them, and gives them length 1.
fn finish(mut vectors: Vec<Vec<f32>>, dimensions: usize, normalise: bool) -> Result<Vec<Vec<f32>>, ApiError> {
    for vector in &mut vectors {
        if vector.iter().any(|value| !value.is_finite()) {
            return Err(EmbedError::NotFinite.into());
        }
        if dimensions > 0 {
            vector.truncate(dimensions);
        }
        if normalise {
            to_unit_length(vector);
        }
    }
    Ok(vectors)
}

/// A vector of nothing but zeros has no direction and stays.
fn to_unit_length(vector: &mut [f32]) {
    let length = vector.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 {
        for value in vector {
            #[expect(clippy::cast_possible_truncation, reason = "at most 1")]
            let scaled = (f64::from(*value) / length) as f32;
            *value = scaled;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(vector: &[f32]) -> f64 {
        vector.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn shortened_vectors_have_length_one_again() {
        let vectors = || vec![vec![3.0, 4.0, 12.0], vec![1e30, 0.0, 0.0], vec![0.0; 3]];
        let all = finish(vectors(), 0, true).unwrap();
        assert!((length(&all[0]) - 1.0).abs() < 1e-6 && (length(&all[1]) - 1.0).abs() < 1e-6);
        assert_eq!(all[2], [0.0; 3]);
        let short = finish(vectors(), 2, true).unwrap();
        assert_eq!(short[0], [0.6, 0.8]);
        assert_eq!(finish(vectors(), 9, true).unwrap(), all, "there are no more than three values");
        assert_eq!(finish(vectors(), 2, false).unwrap()[0], [3.0, 4.0]);
    }

    #[test]
    fn what_is_no_number_is_an_error() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = finish(vec![vec![1.0], vec![value]], 0, true).unwrap_err();
            assert_eq!(error.status().as_u16(), 400);
            assert_eq!(error.to_string(), "embedding contains NaN or Inf values");
        }
    }
}
