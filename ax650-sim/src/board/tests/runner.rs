//! The habits of the vendor's C++ runner of language models (`ax-llm` on the board), step by step.

use super::*;

const INPUT: usize = 3;
const MASK: usize = 4;
const OUTPUT: usize = 2;
const ONE: [u8; 2] = [0x80, 0x3F];

/// One layer with buffers as the runner makes them: inputs uncached, outputs and K/V cached, zeroed by the CPU.
struct Layer {
    handle: *mut c_void,
    context: *mut c_void,
    inputs: Vec<Buffer>,
    outputs: Vec<Buffer>,
}

impl Layer {
    fn open(client: &Client, path: &Path) -> Self {
        let (handle, context) = client.load(path);
        let (inputs, outputs) = client.tensors(handle, 0);
        let make = |tensor: &Tensor, cached: bool| {
            let largest = (0..client.groups(handle)).map(|group| {
                let (inputs, outputs) = client.tensors(handle, group);
                let all = inputs.into_iter().chain(outputs);
                all.filter(|other| other.name == tensor.name).map(|other| other.size).max().unwrap()
            });
            let buffer = client.allocate(largest.max().unwrap(), cached);
            buffer.fill(0);
            assert_eq!(client.flush(buffer), 0);
            buffer
        };
        let inputs = inputs.iter().map(|tensor| make(tensor, tensor.name.ends_with("_cache"))).collect();
        let outputs = outputs.iter().map(|tensor| make(tensor, true)).collect();
        Self { handle, context, inputs, outputs }
    }

    fn run(&self, client: &Client, group: u32) -> i32 {
        let mut inputs: Vec<_> = self.inputs.iter().map(|buffer| buffer.bind()).collect();
        let mut outputs: Vec<_> = self.outputs.iter().map(|buffer| buffer.bind()).collect();
        let mut io = io_of(&mut inputs, &mut outputs);
        ax!(client.table, AX_ENGINE_RunGroupIOSync(self.handle, self.context, group, &raw mut io))
    }
}

/// Mask of a decode step that sees `rows` rows and itself.
fn decode_mask(spec: &TinySpec, rows: usize) -> Vec<u8> {
    let cells = (0..=spec.kv_len).map(|column| column < rows || column == spec.kv_len);
    cells.flat_map(|visible| if visible { [0, 0] } else { [0x80, 0xC7] }).collect()
}

#[test]
fn a_decode_step_runs_on_what_the_cpu_wrote() {
    let spec = TinySpec::default();
    let (files, _dir) = model(&spec);
    let client = Client::new();
    let layer = Layer::open(&client, &files.layers[0]);
    layer.inputs[INPUT].write(0, &ONE.repeat(spec.hidden));
    layer.inputs[MASK].write(0, &decode_mask(&spec, 0));
    assert_eq!(hex(layer.run(&client, 0)), 0);
    assert_eq!(layer.outputs[OUTPUT].read(0, 4), [0; 4], "the CPU still sees its zeros");
    assert_eq!(client.invalidate(layer.outputs[OUTPUT]), 0);
    assert_ne!(layer.outputs[OUTPUT].read(0, spec.hidden * 2), vec![0; spec.hidden * 2]);
    assert!(client.broken().is_empty());
}
