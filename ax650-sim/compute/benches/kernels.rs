//! Speed of the software card's arithmetic on layers shaped like those of SmolLM2-135M.
//!
//! `cargo bench -p ax650-sim --features testing --bench kernels [-- THREADS]`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints; failures end it")]

use std::time::Instant;

use ax650_compute::testing::{CHUNK, TinySpec, write_tiny_model};
use ax650_compute::{Engine, Pool, Scratch};

/// Repetitions, of which the best counts: the machine may be busy with other work.
const REPEAT: usize = 9;

/// An engine with buffers for one group.
struct Bound<'a> {
    engine: &'a Engine,
    group: usize,
    inputs: Vec<Vec<u64>>,
    outputs: Vec<Vec<u64>>,
}

impl<'a> Bound<'a> {
    fn new(engine: &'a Engine, group: usize, past: usize) -> Self {
        let buffer = |bytes: usize, pattern: u64| vec![pattern; bytes.div_ceil(8)];
        // bf16 values around 0.5 for everything but the mask and the positions.
        let mut inputs: Vec<Vec<u64>> =
            engine.inputs().iter().map(|t| buffer(t.bytes(group), 0x3F00_BE80_3E20_BF10)).collect();
        if let Some(mask) = engine.inputs().iter().position(|t| t.name == "mask") {
            let rows = if group == 0 { 1 } else { CHUNK };
            let bytes = engine.inputs()[mask].bytes(group);
            let columns = bytes / 2 / rows;
            let values: Vec<u16> = (0..rows * columns)
                .map(|i| {
                    let (row, column) = (i / columns, i % columns);
                    let own = column >= columns - rows && column - (columns - rows) <= row;
                    if column < past.min(columns - rows) || own { 0 } else { 0xC780 }
                })
                .collect();
            bytemuck::cast_slice_mut::<u64, u16>(&mut inputs[mask])[..values.len()].copy_from_slice(&values);
        }
        if let Some(indices) = engine.inputs().iter().position(|t| t.name == "indices") {
            for (i, index) in
                bytemuck::cast_slice_mut::<u64, u32>(&mut inputs[indices]).iter_mut().enumerate()
            {
                *index = u32::try_from(past + i).unwrap();
            }
        }
        let outputs = engine.outputs().iter().map(|t| buffer(t.bytes(group), 0)).collect();
        Self { engine, group, inputs, outputs }
    }

    fn run(&mut self, pool: &Pool, scratch: &mut Scratch) {
        let group = self.group;
        let inputs: Vec<&[u8]> = self
            .inputs
            .iter()
            .zip(self.engine.inputs())
            .map(|(b, t)| &bytemuck::cast_slice(b)[..t.bytes(group)])
            .collect();
        let mut outputs: Vec<&mut [u8]> = self
            .outputs
            .iter_mut()
            .zip(self.engine.outputs())
            .map(|(b, t)| &mut bytemuck::cast_slice_mut(b)[..t.bytes(group)])
            .collect();
        self.engine.run(pool, group, &inputs, &mut outputs, scratch).unwrap();
    }
}

/// Seconds of this thread on a processor.
fn processor_time() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local of the type that the call fills; it fails only for unknown clocks.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Seconds that `work` takes. With one thread only the time on a processor counts: other work on the machine
/// does not disturb.
fn seconds(pool: &Pool, work: impl FnOnce()) -> f64 {
    let now = Instant::now();
    let busy = processor_time();
    work();
    if pool.threads() == 1 { processor_time() - busy } else { now.elapsed().as_secs_f64() }
}

/// Time of one pass over all engines, in seconds: the sum of each one's best.
fn best(bound: &mut [Bound<'_>], pool: &Pool, scratch: &mut Scratch) -> f64 {
    let mut best = vec![f64::INFINITY; bound.len()];
    for _ in 0..REPEAT {
        for (bound, best) in bound.iter_mut().zip(&mut best) {
            *best = best.min(seconds(pool, || bound.run(pool, scratch)));
        }
    }
    best.iter().sum()
}

fn main() {
    let threads = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(2);
    let spec = TinySpec {
        layers: 30,
        hidden: 576,
        heads: 9,
        kv_heads: 3,
        head_dim: 64,
        intermediate: 1536,
        vocab: 49_152,
        kv_len: 2048,
        ..TinySpec::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let model = write_tiny_model(dir.path(), &spec).unwrap();
    let start = Instant::now();
    let layers: Vec<Engine> = model.layers.iter().map(|path| Engine::load(path).unwrap()).collect();
    let head = Engine::load(&model.head).unwrap();
    println!("load: {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    let (pool, mut scratch) = (Pool::new(threads), Scratch::default());
    println!("threads: {}", pool.threads());

    let bytes: u64 = layers.iter().map(Engine::weight_bytes).sum();
    let mut head_bound = [Bound::new(&head, 0, 0)];
    let head_time = best(&mut head_bound, &pool, &mut scratch);
    println!("head, 1 row: {:.1} GB/s", head.weight_bytes() as f64 / head_time / 1e9);
    for past in [0, 128, 1000, 2000] {
        let mut bound: Vec<_> = layers.iter().map(|layer| Bound::new(layer, 0, past)).collect();
        let time = best(&mut bound, &pool, &mut scratch);
        println!(
            "decode at {past}: layers {:.1} GB/s, {:.0} tokens/s with the head",
            bytes as f64 / time / 1e9,
            1.0 / (time + head_time)
        );
    }
    let mut total = 0.0;
    for (group, past) in [(1, 0), (2, 128), (3, 256), (4, 384)] {
        let mut bound: Vec<_> = layers.iter().map(|layer| Bound::new(layer, group, past)).collect();
        let time = best(&mut bound, &pool, &mut scratch);
        let flops = 2.0 * bytes as f64 * CHUNK as f64;
        println!(
            "chunk after {past}: {:.0} GFLOP/s of projections, {:.1} ms",
            flops / time / 1e9,
            time * 1e3
        );
        total += time;
    }
    println!("prefill of 512: {:.0} tokens/s", 512.0 / (total + head_time));
}
