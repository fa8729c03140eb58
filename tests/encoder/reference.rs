//! The same arithmetic written down plainly, in f64, one number at a time.

use std::thread;

use ax650::encoder::{Encoder, EncoderError};

use crate::{
    bert::{NORM_EPS, Tensors, TinyBert},
    embed, import,
};

type Rows = Vec<Vec<f64>>;

struct Reference<'a> {
    spec: &'a TinyBert,
    tensors: Tensors,
}

impl Reference<'_> {
    fn row(&self, name: &str, row: usize) -> Vec<f64> {
        let (shape, values) = &self.tensors[name];
        let width = shape.last().copied().unwrap();
        values[row * width..(row + 1) * width].iter().map(|&value| value.into()).collect()
    }

    fn linear(&self, name: &str, rows: &Rows) -> Rows {
        let outputs = self.tensors[&format!("{name}.weight")].0[0];
        let bias = self.row(&format!("{name}.bias"), 0);
        let weights: Rows = (0..outputs).map(|row| self.row(&format!("{name}.weight"), row)).collect();
        let apply = |row: &Vec<f64>| {
            weights.iter().zip(&bias).map(|(weight, bias)| dot(weight, row) + bias).collect()
        };
        rows.iter().map(apply).collect()
    }

    fn norm(&self, at: &str, rows: &Rows) -> Rows {
        let weight = self.row(&format!("{at}.LayerNorm.weight"), 0);
        let bias = self.row(&format!("{at}.LayerNorm.bias"), 0);
        let apply = |row: &Vec<f64>| {
            let count = row.len() as f64;
            let mean = row.iter().sum::<f64>() / count;
            let variance = row.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
            let scale = (variance + NORM_EPS).sqrt();
            row.iter()
                .zip(weight.iter().zip(&bias))
                .map(|(value, (w, b))| (value - mean) / scale * w + b)
                .collect()
        };
        rows.iter().map(apply).collect()
    }

    fn attention(&self, at: &str, rows: &Rows) -> Rows {
        let [queries, keys, values] =
            ["query", "key", "value"].map(|part| self.linear(&format!("{at}.attention.self.{part}"), rows));
        let width = self.spec.hidden / self.spec.heads;
        let mut out = vec![vec![0.0; self.spec.hidden]; rows.len()];
        for head in 0..self.spec.heads {
            let part = head * width..(head + 1) * width;
            for (query, out) in queries.iter().zip(&mut out) {
                let score =
                    |key: &Vec<f64>| dot(&query[part.clone()], &key[part.clone()]) / (width as f64).sqrt();
                let scores: Vec<f64> = keys.iter().map(|key| score(key).exp()).collect();
                let sum: f64 = scores.iter().sum();
                for (score, value) in scores.iter().zip(&values) {
                    for index in part.clone() {
                        out[index] += score / sum * value[index];
                    }
                }
            }
        }
        out
    }

    fn encode(&self, tokens: &[u32]) -> Vec<f64> {
        let embed = |(place, &token): (usize, &u32)| {
            let position = if self.spec.model_type == "bert" { place } else { place + 2 };
            let parts = [("word", token as usize), ("position", position), ("token_type", 0)];
            let parts =
                parts.map(|(name, row)| self.row(&format!("embeddings.{name}_embeddings.weight"), row));
            (0..self.spec.hidden).map(|index| parts.iter().map(|part| part[index]).sum()).collect()
        };
        let mut rows = self.norm("embeddings", &tokens.iter().enumerate().map(embed).collect());
        for layer in 0..self.spec.layers {
            let at = format!("encoder.layer.{layer}");
            let attended = self.linear(&format!("{at}.attention.output.dense"), &self.attention(&at, &rows));
            rows = self.norm(&format!("{at}.attention.output"), &add(&attended, &rows));
            let mut between = self.linear(&format!("{at}.intermediate.dense"), &rows);
            between.iter_mut().flatten().for_each(|value| *value = self.activate(*value));
            let output = self.linear(&format!("{at}.output.dense"), &between);
            rows = self.norm(&format!("{at}.output"), &add(&output, &rows));
        }
        match self.spec.pooling {
            "cls_token" => rows[0].clone(),
            "lasttoken" => rows[rows.len() - 1].clone(),
            _ => {
                let count = rows.len() as f64;
                (0..self.spec.hidden)
                    .map(|index| rows.iter().map(|row| row[index]).sum::<f64>() / count)
                    .collect()
            }
        }
    }

    fn activate(&self, x: f64) -> f64 {
        match self.spec.activation {
            "relu" => x.max(0.0),
            "gelu_new" => {
                0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
            }
            _ => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(a: &Rows, b: &Rows) -> Rows {
    a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect()).collect()
}

/// The error function by its series, which converges everywhere and fast where weights are small.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        let n = f64::from(n);
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    2.0 / std::f64::consts::PI.sqrt() * sum
}

#[test]
fn every_variant_is_computed_as_written() {
    for spec in [
        TinyBert::default(),
        TinyBert {
            pooling: "cls_token",
            activation: "gelu_new",
            prefix: "bert.",
            seed: 2,
            ..TinyBert::default()
        },
        TinyBert { pooling: "lasttoken", activation: "relu", heads: 4, seed: 3, ..TinyBert::default() },
        TinyBert {
            model_type: "xlm-roberta",
            prefix: "roberta.",
            max_tokens: 40,
            seed: 5,
            ..TinyBert::default()
        },
        // More rows than attention takes at a time.
        TinyBert { positions: 600, max_tokens: 600, seed: 4, ..TinyBert::default() },
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (_root, registered) = import(&spec.write(dir.path()));
        let model = registered.model;
        let encoder = Encoder::open(&model, &|| false).unwrap();
        let reference = Reference { spec: &spec, tensors: spec.tensors() };
        for text in ["", "a", "the cat sat", &"on the mat ".repeat(80)] {
            let (tokens, vector) = embed(&model, &encoder, text);
            let wanted = reference.encode(&tokens);
            let worst =
                vector.iter().zip(&wanted).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-4, "{spec:?} {} tokens: {worst}", tokens.len());
        }
    }
}

#[test]
fn a_vector_depends_on_its_text_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (_root, registered) = import(&TinyBert::default().write(dir.path()));
    let (model, texts) = (registered.model, ["a", "some longer text", "", "the cat sat on the mat"]);
    let encoder = Encoder::open(&model, &|| false).unwrap();
    let alone: Vec<_> = texts.iter().map(|text| embed(&model, &encoder, text)).collect();
    let mut backwards: Vec<_> = texts.iter().rev().map(|text| embed(&model, &encoder, text)).collect();
    backwards.reverse();
    assert_eq!(alone, backwards);
    let beside = thread::scope(|scope| {
        let threads = texts.map(|text| scope.spawn(|| embed(&model, &encoder, text)));
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(alone, beside);
}

#[test]
fn what_does_not_fit_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (_root, registered) = import(&TinyBert::default().write(dir.path()));
    let model = registered.model;
    let encoder = Encoder::open(&model, &|| false).unwrap();
    assert!(matches!(encoder.encode(&[], &|| false), Err(EncoderError::Length { tokens: 0, most: 32 })));
    assert!(matches!(encoder.encode(&[2; 33], &|| false), Err(EncoderError::Length { tokens: 33, .. })));
    assert!(matches!(encoder.encode(&[57], &|| false), Err(EncoderError::Token { token: 57, vocab: 57 })));
    assert!(matches!(encoder.encode(&[2, 3], &|| true), Err(EncoderError::Stopped)));
    assert!(matches!(Encoder::open(&model, &|| true), Err(EncoderError::Stopped)));
}
