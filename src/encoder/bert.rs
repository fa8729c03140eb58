//! The forward pass of a BERT for one text. That of a `RoBERTa` differs in the rows of the table of positions alone.

use candle_core::{D, Device, Tensor};
use candle_nn::{LayerNorm, Linear, Module, ops::softmax_last_dim};

use super::EncoderError;
use crate::models::encoder::{Activation, EncoderConfig};
use crate::text::TokenId;

/// Rows whose attention is computed at a time: what bounds the memory of long texts.
const ROWS_AT_A_TIME: usize = 256;

/// Gives a tensor by its name and shape.
pub(super) type Read<'a> = dyn Fn(&str, &[usize]) -> Result<Tensor, EncoderError> + 'a;

/// Embeddings and layers.
#[derive(Debug)]
pub(super) struct Bert {
    words: Tensor,
    /// From the row of the first token on.
    positions: Tensor,
    /// Row 0 of the table of segments: a text is one segment.
    segment: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    attended_norm: LayerNorm,
    between: Linear,
    output: Linear,
    output_norm: LayerNorm,
    heads: usize,
    activation: Activation,
}

impl Bert {
    pub(super) fn new(config: &EncoderConfig, read: &Read<'_>) -> Result<Self, EncoderError> {
        let hidden = config.hidden;
        let table =
            |name: &str, rows: usize| read(&format!("embeddings.{name}_embeddings.weight"), &[rows, hidden]);
        Ok(Self {
            words: table("word", config.vocab)?,
            positions: table("position", config.positions)?.narrow(
                0,
                config.first_position,
                config.longest(),
            )?,
            segment: table("token_type", config.segments)?.narrow(0, 0, 1)?,
            norm: norm(config, read, "embeddings")?,
            layers: (0..config.layers)
                .map(|index| Layer::new(config, read, index))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The last layer's rows, `[tokens, hidden]`. `tokens` are within the tables. Looks at `stop` before every layer.
    pub(super) fn forward(
        &self,
        tokens: &[TokenId],
        stop: &dyn Fn() -> bool,
    ) -> Result<Tensor, EncoderError> {
        let ids = Tensor::new(tokens, &Device::Cpu)?;
        let words = self.words.index_select(&ids, 0)?;
        let positions = self.positions.narrow(0, 0, tokens.len())?;
        let mut rows = self.norm.forward(&(words + positions)?.broadcast_add(&self.segment)?)?;
        for layer in &self.layers {
            if stop() {
                return Err(EncoderError::Stopped);
            }
            rows = layer.forward(&rows)?;
        }
        Ok(rows)
    }
}

impl Layer {
    fn new(config: &EncoderConfig, read: &Read<'_>, index: usize) -> Result<Self, EncoderError> {
        let (hidden, between) = (config.hidden, config.intermediate);
        let at = |name: &str| format!("encoder.layer.{index}.{name}");
        let linear = |name: &str, rows: usize, columns: usize| -> Result<Linear, EncoderError> {
            let weight = read(&at(&format!("{name}.weight")), &[rows, columns])?;
            let bias = read(&at(&format!("{name}.bias")), &[rows])?;
            Ok(Linear::new(weight, Some(bias)))
        };
        Ok(Self {
            query: linear("attention.self.query", hidden, hidden)?,
            key: linear("attention.self.key", hidden, hidden)?,
            value: linear("attention.self.value", hidden, hidden)?,
            attended: linear("attention.output.dense", hidden, hidden)?,
            attended_norm: norm(config, read, &at("attention.output"))?,
            between: linear("intermediate.dense", between, hidden)?,
            output: linear("output.dense", hidden, between)?,
            output_norm: norm(config, read, &at("output"))?,
            heads: config.heads,
            activation: config.activation,
        })
    }

    fn forward(&self, rows: &Tensor) -> Result<Tensor, EncoderError> {
        let attended = self.attended.forward(&self.attention(rows)?)?;
        let rows = self.attended_norm.forward(&(attended + rows)?)?;
        let between = self.between.forward(&rows)?;
        let between = match self.activation {
            Activation::Gelu => between.gelu_erf()?,
            Activation::GeluTanh => between.gelu()?,
            Activation::Relu => between.relu()?,
        };
        Ok(self.output_norm.forward(&(self.output.forward(&between)? + rows)?)?)
    }

    /// Every row sees every row: there is one text, so nothing is masked.
    fn attention(&self, rows: &Tensor) -> Result<Tensor, EncoderError> {
        let (count, hidden) = rows.dims2()?;
        let width = hidden / self.heads;
        // [heads, tokens, width]
        let split = |linear: &Linear| {
            linear.forward(rows)?.reshape((count, self.heads, width))?.transpose(0, 1)?.contiguous()
        };
        let scale = 1.0 / (width as f64).sqrt();
        let queries = (split(&self.query)? * scale)?;
        let keys = split(&self.key)?.transpose(1, 2)?.contiguous()?;
        let values = split(&self.value)?;
        let mut parts = Vec::with_capacity(count.div_ceil(ROWS_AT_A_TIME));
        for start in (0..count).step_by(ROWS_AT_A_TIME) {
            let some = queries.narrow(1, start, ROWS_AT_A_TIME.min(count - start))?.contiguous()?;
            parts.push(softmax_last_dim(&some.matmul(&keys)?)?.matmul(&values)?);
        }
        let attended = Tensor::cat(&parts, 1)?;
        Ok(attended.transpose(0, 1)?.contiguous()?.flatten_from(D::Minus2)?)
    }
}

fn norm(config: &EncoderConfig, read: &Read<'_>, at: &str) -> Result<LayerNorm, EncoderError> {
    let part = |name: &str| read(&format!("{at}.LayerNorm.{name}"), &[config.hidden]);
    Ok(LayerNorm::new(part("weight")?, part("bias")?, config.norm_eps))
}
