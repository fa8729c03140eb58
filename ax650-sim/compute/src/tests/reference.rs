//! The same layers in double precision, as plainly as possible.

use std::collections::HashMap;
use std::path::Path;

use half::bf16;
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use crate::testing::TinySpec;

pub(super) struct Layer {
    pub(super) output: Vec<f64>,
    pub(super) v: Vec<f64>,
}

type Tensors = HashMap<String, Vec<f64>>;

/// All tensors, dequantised.
fn read(path: &Path) -> Tensors {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Tensors = HashMap::new();
    for (name, view) in file.iter() {
        let data = view.data();
        let values: Vec<f64> = match view.dtype() {
            Dtype::F32 => {
                data.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect()
            }
            Dtype::BF16 => {
                data.chunks_exact(2).map(|b| f64::from(bf16::from_le_bytes(b.try_into().unwrap()))).collect()
            }
            Dtype::I8 => data.iter().map(|b| f64::from(b.cast_signed())).collect(),
            other => unreachable!("{other}"),
        };
        tensors.insert(name.to_owned(), values);
    }
    let scales: Vec<String> = tensors.keys().filter(|name| name.ends_with("scale")).cloned().collect();
    for name in scales {
        let scale = tensors[&name].clone();
        let weight = tensors.get_mut(&name.replace("scale", "weight")).unwrap();
        let width = weight.len() / scale.len();
        weight.iter_mut().enumerate().for_each(|(i, w)| *w *= scale[i / width]);
    }
    tensors
}

fn times(tensors: &Tensors, name: &str, x: &[f64]) -> Vec<f64> {
    let key = if name.is_empty() { "weight".to_owned() } else { format!("{name}.weight") };
    let mut y: Vec<f64> =
        tensors[&key].chunks_exact(x.len()).map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum()).collect();
    if let Some(bias) = tensors.get(&format!("{name}.bias")) {
        y.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
    }
    y
}

fn norm(x: &[f64], weight: &[f64]) -> Vec<f64> {
    let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
    x.iter().zip(weight).map(|(x, w)| x / (mean + 1e-5).sqrt() * w).collect()
}

fn rope(head: &mut [f64], position: usize, halves: bool) {
    let dim = head.len();
    for i in 0..dim / 2 {
        let angle = position as f64 * 10_000_f64.powf(-2.0 * i as f64 / dim as f64);
        let pair = if halves { (i, i + dim / 2) } else { (2 * i, 2 * i + 1) };
        let (x, y) = (head[pair.0], head[pair.1]);
        head[pair.0] = x * angle.cos() - y * angle.sin();
        head[pair.1] = x * angle.sin() + y * angle.cos();
    }
}

fn rounded(x: &[f64]) -> Vec<f64> {
    x.iter().map(|x| f64::from(bf16::from_f64(*x))).collect()
}

fn widened(rows: &[u16]) -> Vec<f64> {
    rows.iter().map(|bits| f64::from(bf16::from_bits(*bits))).collect()
}

/// Causal attention over all rows from position 0 on.
pub(super) fn layer(path: &Path, spec: &TinySpec, rows: &[u16]) -> Layer {
    let t = read(path);
    let d = spec.head_dim;
    let halves = spec.architecture != "llama";
    let (mut keys, mut values, mut output) = (Vec::new(), Vec::new(), Vec::new());
    for (position, x) in widened(rows).chunks_exact(spec.hidden).enumerate() {
        let normed = norm(x, &t["attn_norm"]);
        let heads = |name: &str, norm_name: &str| {
            let mut y = times(&t, name, &normed);
            for head in y.chunks_exact_mut(d) {
                if let Some(weight) = t.get(norm_name) {
                    head.copy_from_slice(&norm(head, weight));
                }
                rope(head, position, halves);
            }
            y
        };
        let q = heads("q", "q_norm");
        keys.push(rounded(&heads("k", "k_norm")));
        values.push(rounded(&times(&t, "v", &normed)));
        let mut context = Vec::new();
        for (h, q) in q.chunks_exact(d).enumerate() {
            let at = h / (spec.heads / spec.kv_heads) * d;
            let scores: Vec<f64> = keys
                .iter()
                .map(|k| q.iter().zip(&k[at..]).map(|(q, k)| q * k).sum::<f64>() / (d as f64).sqrt())
                .collect();
            let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - greatest).exp()).collect();
            let sum: f64 = weights.iter().sum();
            context.extend(
                (0..d).map(|i| weights.iter().zip(&values).map(|(w, v)| w * v[at + i]).sum::<f64>() / sum),
            );
        }
        let x: Vec<f64> = times(&t, "o", &context).iter().zip(x).map(|(a, b)| a + b).collect();
        let normed = norm(&x, &t["ffn_norm"]);
        let (gate, up) = (times(&t, "gate", &normed), times(&t, "up", &normed));
        let hidden: Vec<f64> = gate.iter().zip(up).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect();
        output.extend(times(&t, "down", &hidden).iter().zip(x).map(|(a, b)| a + b));
    }
    Layer { output, v: values.concat() }
}

pub(super) fn head(path: &Path, _spec: &TinySpec, row: &[u16]) -> Vec<f64> {
    let t = read(path);
    times(&t, "", &norm(&widened(row), &t["norm"]))
}
