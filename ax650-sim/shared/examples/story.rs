//! Writes a tiny model and the answer that it must give to a prompt, for `tests/libs`. The answer is computed here,
//! without any of the vendor's functions. The argument is the directory to write to.
//!
//! `story` in it has three lines of numbers: layers and channels of the hidden state; the prompt; the answer.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use ax650_sim::compute::{Engine, Pool, Scratch};
use ax650_sim::testing::{TinyModel, TinySpec, write_tiny_model};

const PROMPT_TOKENS: u32 = 140;
const ANSWER_TOKENS: usize = 30;
/// Hides a column; the vendor's value, as bf16.
const BLOCKED: [u8; 2] = [0x80, 0xC7];

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let directory = std::env::args_os().nth(1).ok_or("usage: story DIRECTORY")?;
    let directory = Path::new(&directory);
    let pair = directory.join("pair");
    fs::create_dir_all(&pair)?;
    // Two decode groups, of which the first is not the largest, and a ladder of prefill groups. The answer outgrows the
    // first.
    let spec = TinySpec { architecture: "qwen3", smaller_decode: vec![160], ..TinySpec::default() };
    let files = write_tiny_model(directory, &spec)?;
    let prompt: Vec<u32> = (0..PROMPT_TOKENS).map(|i| (i * i + 7 * i + 3) % 199).collect();
    let answer = Reader::open(&files, &spec)?.answer(&prompt)?;

    let line = |numbers: &[u32]| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let mut story = String::new();
    writeln!(story, "{} {}", spec.layers, spec.hidden)?;
    writeln!(story, "{}\n{}", line(&prompt), line(&answer))?;
    fs::write(directory.join("story"), story)?;

    // A model of one decode and one prefill group.
    write_tiny_model(&pair, &TinySpec { kv_len: 2, layers: 1, ..TinySpec::default() })?;
    Ok(())
}

/// Reads one token at a time, in the largest decode group.
struct Reader {
    layers: Vec<Engine>,
    head: Engine,
    embedding: Vec<u8>,
    /// K and V of each layer.
    caches: Vec<[Vec<u8>; 2]>,
    mask: Vec<u8>,
    group: usize,
    row_bytes: usize,
    pool: Pool,
    scratch: Scratch,
}

impl Reader {
    fn open(files: &TinyModel, spec: &TinySpec) -> Result<Self, Failure> {
        let layers: Vec<_> = files.layers.iter().map(|path| Engine::load(path)).collect::<Result<_, _>>()?;
        let cache = vec![0; spec.kv_len * spec.kv_dim() * 2];
        let mut mask = BLOCKED.repeat(spec.kv_len);
        // The last column is the token itself.
        mask.extend([0, 0]);
        Ok(Self {
            caches: vec![[cache.clone(), cache]; layers.len()],
            layers,
            head: Engine::load(&files.head)?,
            embedding: fs::read(&files.embedding)?,
            mask,
            group: spec.smaller_decode.len(),
            row_bytes: spec.hidden * 2,
            pool: Pool::new(1),
            scratch: Scratch::default(),
        })
    }

    fn answer(&mut self, prompt: &[u32]) -> Result<Vec<u32>, Failure> {
        let mut next = 0;
        for (position, &token) in prompt.iter().enumerate() {
            next = self.read(token, position)?;
        }
        let mut answer = Vec::with_capacity(ANSWER_TOKENS);
        for position in prompt.len()..prompt.len() + ANSWER_TOKENS {
            answer.push(next);
            next = self.read(next, position)?;
        }
        Ok(answer)
    }

    /// The likeliest token after `token`.
    fn read(&mut self, token: u32, position: usize) -> Result<u32, Failure> {
        let start = usize::try_from(token)? * self.row_bytes;
        let mut hidden = self.embedding[start..start + self.row_bytes].to_vec();
        // A vector, because engines want their tensors aligned.
        let indices = u32::try_from(position)?.to_le_bytes().to_vec();
        for (layer, [keys, values]) in self.layers.iter().zip(&mut self.caches) {
            let bytes = |index: usize| layer.outputs()[index].bytes(self.group);
            let (mut key, mut value, mut output) = (vec![0; bytes(0)], vec![0; bytes(1)], vec![0; bytes(2)]);
            let inputs = [&keys[..], &values[..], &indices[..], &hidden[..], &self.mask[..]];
            let outputs = &mut [&mut key[..], &mut value[..], &mut output[..]];
            layer.run(&self.pool, self.group, &inputs, outputs, &mut self.scratch)?;
            keys[position * key.len()..][..key.len()].copy_from_slice(&key);
            values[position * value.len()..][..value.len()].copy_from_slice(&value);
            hidden = output;
        }
        self.mask[position * 2..][..2].fill(0);
        let mut logits = vec![0; self.head.outputs()[0].bytes(0)];
        self.head.run(&self.pool, 0, &[&hidden[..]], &mut [&mut logits[..]], &mut self.scratch)?;
        let logit = |pair: &[u8]| f32::from_bits(u32::from(u16::from_le_bytes([pair[0], pair[1]])) << 16);
        let mut best = (f32::NEG_INFINITY, 0);
        for (token, pair) in (0..).zip(logits.chunks_exact(2)) {
            if logit(pair) > best.0 {
                best = (logit(pair), token);
            }
        }
        Ok(best.1)
    }
}
