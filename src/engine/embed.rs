//! Texts to vectors: what is asked for, and who computes it.
//!
//! Encoders are computed by the host. Of a model on the card the vector is its hidden state: of the last token, of the
//! first, or the mean of all, as the model's files say (GGUF key `<family>.pooling_type`), else of the last. Where the
//! files show the weights of the final norm it is applied to each state first; files compiled for the NPU do not, and
//! the vector is made of what the last layer gives. A text takes its turn on the card like any prompt, one text of a
//! request after the other, so that a request with many holds up nobody; its first goes before what runs, as a new
//! prompt does, the others behind it. The request has one place in the queue, until its last text is computed. Keys and
//! values of earlier prompts are made use of where only the last token counts; elsewhere every token is computed,
//! because states are not kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::EngineError;
use super::handle::Engine;
use super::keep_alive::KeepAlive;
use super::request::{GenerateOptions, Request};
use crate::models::model::Model;
use crate::text::TokenId;

/// Texts to be turned into vectors.
#[derive(Debug, Clone)]
pub struct EmbedRequest {
    /// The model that computes them; it is loaded if it is not.
    pub model: Arc<Model>,
    /// The tokens of each text, `1..=context`, each below the model's vocabulary size. Without texts the model is only
    /// loaded.
    pub inputs: Vec<Vec<TokenId>>,
    /// Replaces how long the model stays loaded; `None` leaves it as it is.
    pub keep_alive: Option<KeepAlive>,
}

/// What became of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// A vector per text, in their order, as the model gives it: not normalised.
    pub vectors: Vec<Vec<f32>>,
    /// Time to load the model; zero if it was loaded.
    pub load: Duration,
    /// From the arrival of the request.
    pub total: Duration,
}

impl Engine {
    /// Computes the vectors of all texts; without any, the model is loaded. Dropping the future takes the request back.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::generate`], and [`EngineError::Cancelled`]; one text that fails fails the request.
    pub async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, EngineError> {
        if request.model.encoder().is_some() {
            return self.host().embed(request).await;
        }
        let arrived = Instant::now();
        let EmbedRequest { model, inputs, keep_alive } = request;
        let pooling = model.pooling();
        let total = || arrived.elapsed().max(Duration::from_nanos(1));
        if inputs.is_empty() {
            let load = self.load(model, keep_alive).await?.load;
            return Ok(Embeddings { vectors: Vec::new(), load, total: total() });
        }
        let (mut vectors, mut load) = (Vec::with_capacity(inputs.len()), Duration::ZERO);
        // Kept from the first text to the last: what is computed is not thrown away because others came meanwhile.
        let place = self.enter()?;
        let mut inputs = inputs.into_iter().peekable();
        while let Some(prompt) = inputs.next() {
            // With the last one: before it, a keep-alive of zero would unload the model after every text.
            let keep_alive = keep_alive.filter(|_| inputs.peek().is_none());
            let options = GenerateOptions::default();
            let text = Request { model: Arc::clone(&model), prompt, options, keep_alive };
            let (vector, took) = self.pool(text, pooling, place.clone(), !vectors.is_empty()).await?;
            vectors.push(vector);
            load += took;
        }
        Ok(Embeddings { vectors, load, total: total() })
    }
}
