//! The habits of the vendor's C++ runner of language models on the board (`ax-llm`), step by step.

use std::path::PathBuf;

use super::reference::axcl_outputs;
use super::*;
use crate::cmm_info;
use crate::profile::Interface;
use crate::testing::CHUNK;

/// Tensors of one group with their buffers, in the group's order.
type Bound = (Vec<(Tensor, Buffer)>, Vec<(Tensor, Buffer)>);

/// A model as the runner sets it up.
struct Model {
    path: PathBuf,
    handle: *mut c_void,
    context: *mut c_void,
    groups: Vec<Bound>,
    /// All distinct buffers.
    buffers: Vec<Buffer>,
}

fn find<'a>(bound: &'a [(Tensor, Buffer)], name: &str) -> &'a (Tensor, Buffer) {
    bound.iter().find(|(tensor, _)| tensor.name == name).expect("a tensor of this name")
}

impl Model {
    fn open(client: &Client, path: &Path) -> Self {
        let (handle, context) = load(client, path);
        let mut model =
            Self { path: path.to_owned(), handle, context, groups: Vec::new(), buffers: Vec::new() };
        let count = client.groups(handle);
        let all: Vec<_> = (0..count).map(|group| client.tensors(handle, group)).collect();
        let largest = |name: &str| {
            let tensors = all.iter().flat_map(|(inputs, _)| inputs);
            tensors.filter(|tensor| tensor.name == name).map(|tensor| tensor.size).max().unwrap()
        };
        // The first group has everything, K and V in their largest size.
        let first = model.allocate(client, &all[0], |tensor| match tensor.name.as_str() {
            "K_cache" | "V_cache" => Some(largest(&tensor.name)),
            _ => Some(tensor.size),
        });
        if count == 1 {
            model.groups = vec![first];
            return model;
        }
        // The last one shares K and V with it, those between share all with the last one, by name.
        let mut last = model.allocate(client, &all[all.len() - 1], |tensor| {
            (!tensor.name.ends_with("_cache")).then_some(tensor.size)
        });
        for (tensor, buffer) in last.0.iter_mut().filter(|(tensor, _)| tensor.name.ends_with("_cache")) {
            *buffer = find(&first.0, &tensor.name).1;
        }
        let alias = |tensors: &[Tensor], bound: &[(Tensor, Buffer)]| {
            tensors.iter().map(|tensor| (tensor.clone(), find(bound, &tensor.name).1)).collect::<Vec<_>>()
        };
        let middle = all[1..all.len() - 1]
            .iter()
            .map(|(inputs, outputs)| (alias(inputs, &last.0), alias(outputs, &last.1)));
        model.groups = std::iter::once(first.clone()).chain(middle.collect::<Vec<_>>()).collect();
        model.groups.push(last);
        model
    }

    /// Inputs uncached but for K and V, outputs cached; every fresh buffer is zeroed by the CPU.
    fn allocate(
        &mut self,
        client: &Client,
        group: &(Vec<Tensor>, Vec<Tensor>),
        size: impl Fn(&Tensor) -> Option<u32>,
    ) -> Bound {
        let mut bind = |tensor: &Tensor, cached: bool| {
            let none = Buffer { phy: 0, vir: ptr::null_mut(), size: 0 };
            let buffer = size(tensor).map_or(none, |size| client.allocate(size, cached));
            if buffer.size > 0 {
                buffer.fill(0);
                self.buffers.push(buffer);
            }
            (tensor.clone(), buffer)
        };
        let inputs = group.0.iter().map(|tensor| bind(tensor, tensor.name.ends_with("_cache"))).collect();
        let outputs = group.1.iter().map(|tensor| bind(tensor, true)).collect();
        (inputs, outputs)
    }

    fn input(&self, group: usize, name: &str) -> Buffer {
        find(&self.groups[group].0, name).1
    }

    fn output(&self, group: usize, name: &str) -> Buffer {
        find(&self.groups[group].1, name).1
    }

    /// Flushes all inputs, runs, invalidates all outputs; compares with AXCL.
    fn infer(&self, client: &Client, group: usize) {
        let (inputs, outputs) = &self.groups[group];
        for (_, buffer) in inputs {
            assert_eq!(client.flush(*buffer), 0, "also on uncached memory");
        }
        let mut bound_inputs: Vec<_> = inputs.iter().map(|(_, buffer)| buffer.bind()).collect();
        let mut bound_outputs: Vec<_> = outputs.iter().map(|(_, buffer)| buffer.bind()).collect();
        let mut io = io_of(&mut bound_inputs, &mut bound_outputs);
        let code = if self.groups.len() == 1 {
            ax!(client.table, AX_ENGINE_RunSync(self.handle, &raw mut io))
        } else {
            let index = u32::try_from(group).unwrap();
            ax!(client.table, AX_ENGINE_RunGroupIOSync(self.handle, self.context, index, &raw mut io))
        };
        assert_eq!(hex(code), 0);
        for (_, buffer) in outputs {
            assert_eq!(client.invalidate(*buffer), 0);
        }
        // AXCL has one order of tensors for all groups: that of the first.
        let seen = |order: &[(Tensor, Buffer)], bound: &[(Tensor, Buffer)]| {
            let read = |(tensor, _): &(Tensor, Buffer)| {
                let (tensor, buffer) = find(bound, &tensor.name);
                buffer.read(0, usize::try_from(tensor.size).unwrap())
            };
            order.iter().map(read).collect::<Vec<_>>()
        };
        let (input_order, output_order) = &self.groups[0];
        let expected = axcl_outputs(&self.path, u32::try_from(group).unwrap(), &seen(input_order, inputs));
        assert_eq!(seen(output_order, outputs), expected, "group {group}");
    }
}

/// `CreateHandleV2` with a name, then both kinds of context, as older runners do.
fn load(client: &Client, path: &Path) -> (*mut c_void, *mut c_void) {
    let file = std::fs::read(path).unwrap();
    let (mut handle, mut context) = (ptr::null_mut(), ptr::null_mut());
    let mut extra = ax650_sys::vendor::AX_ENGINE_HANDLE_EXTRA_T {
        pName: c"npu".as_ptr().cast_mut().cast(),
        ..Default::default()
    };
    let size = u32::try_from(file.len()).unwrap();
    let codes = [
        ax!(
            client.table,
            AX_ENGINE_CreateHandleV2(&raw mut handle, file.as_ptr().cast(), size, &raw mut extra)
        ),
        ax!(client.table, AX_ENGINE_CreateContext(handle)),
        ax!(client.table, AX_ENGINE_CreateContextV2(handle, &raw mut context)),
    ];
    assert_eq!(codes, [0; 3]);
    assert!(!context.is_null(), "a null context would make the runner forget the groups");
    (handle, context)
}

/// Additive mask in bf16.
fn mask(rows: usize, columns: usize, sees: impl Fn(usize, usize) -> bool) -> Vec<u8> {
    let cells = (0..rows * columns).map(|cell| sees(cell / columns, cell % columns));
    cells.flat_map(|visible| if visible { [0, 0] } else { [0x80, 0xC7] }).collect()
}

const TOKENS: usize = 5;

/// A prompt through the first prefill group of all layers; K and V rows go into the cache of decode.
fn prefill(client: &Client, layers: &[Model], spec: &TinySpec, embedding: &[u8]) {
    let (hidden, row) = (spec.hidden * 2, spec.kv_dim() * 2);
    let mut rows = embedding[..TOKENS * hidden].to_vec();
    for layer in layers {
        let positions: Vec<u8> = (0..u32::try_from(TOKENS).unwrap()).flat_map(u32::to_le_bytes).collect();
        layer.input(1, "indices").write(0, &positions);
        layer.input(1, "mask").write(0, &mask(CHUNK, CHUNK, |row, column| row < TOKENS && column <= row));
        layer.input(1, "input").write(0, &rows);
        layer.infer(client, 1);
        rows = layer.output(1, "output").read(0, TOKENS * hidden);
        for (from, to) in [("K_cache_out", "K_cache"), ("V_cache_out", "V_cache")] {
            layer.input(0, to).write(0, &layer.output(1, from).read(0, TOKENS * row));
        }
    }
}

/// The token after the prompt, through all layers; returns the hidden state.
fn decode(client: &Client, layers: &[Model], spec: &TinySpec, embedding: &[u8]) -> Vec<u8> {
    let hidden = spec.hidden * 2;
    let mut state = embedding[TOKENS * hidden..][..hidden].to_vec();
    for layer in layers {
        layer.input(0, "indices").write(0, &u32::try_from(TOKENS).unwrap().to_le_bytes());
        let visible = mask(1, spec.kv_len + 1, |_, column| column < TOKENS || column == spec.kv_len);
        layer.input(0, "mask").write(0, &visible);
        layer.input(0, "input").write(0, &state);
        layer.infer(client, 0);
        state = layer.output(0, "output").read(0, hidden);
    }
    state
}

#[test]
fn the_vendors_runner_lives_on_the_board() {
    let spec = TinySpec { architecture: "qwen3", ..TinySpec::default() };
    let (files, _dir) = model(&spec);
    let embedding = std::fs::read(&files.embedding).unwrap();
    let client = Client::new();
    let mut layers: Vec<_> = files.layers.iter().map(|path| Model::open(&client, path)).collect();
    let head = Model::open(&client, &files.head);
    assert_eq!((layers[0].groups.len(), head.groups.len()), (1 + spec.history().len(), 1));

    prefill(&client, &layers, &spec, &embedding);
    let state = decode(&client, &layers, &spec, &embedding);
    head.input(0, "input").write(0, &state);
    head.infer(&client, 0);
    let logits = head.output(0, "output").read(0, spec.vocab * 2);
    assert!(logits.iter().any(|&byte| byte != 0));

    // Dynamic loading: another handle, the old buffers.
    for layer in &mut layers {
        assert_eq!(ax!(client.table, AX_ENGINE_DestroyHandle(layer.handle)), 0);
        (layer.handle, layer.context) = load(&client, &layer.path);
    }
    assert_eq!(decode(&client, &layers, &spec, &embedding), state);

    // Another K/V slot: only the addresses in the IO change between two runs.
    for name in ["K_cache", "V_cache"] {
        let (tensor, old) = find(&layers[0].groups[0].0, name).clone();
        let slot = client.allocate(tensor.size, true);
        slot.fill(0);
        layers[0].buffers.push(slot);
        for (tensor, buffer) in &mut layers[0].groups[0].0 {
            if tensor.name == name {
                *buffer = slot;
            }
        }
        assert_ne!(old.phy, slot.phy);
    }
    assert_ne!(decode(&client, &layers, &spec, &embedding), state);

    assert!(cmm_info(Interface::Board).contains("name=\"npu\""));
    for model in layers.iter().chain([&head]) {
        for buffer in &model.buffers {
            assert_eq!(client.free(*buffer), 0);
        }
        assert_eq!(ax!(client.table, AX_ENGINE_DestroyHandle(model.handle)), 0, "after its buffers");
    }
    assert_eq!((ax!(client.table, AX_ENGINE_Deinit()), ax!(client.table, AX_SYS_Deinit())), (0, 0));
    assert_eq!(client.card.take_violations(), []);
    assert_eq!(client.card.memory_in_use(), 0);
}

#[test]
fn groups_may_list_their_tensors_in_another_order() {
    let spec = TinySpec::default();
    let (files, _dir) = model(&spec);
    let embedding = std::fs::read(&files.embedding).unwrap();
    let plain = {
        let client = Client::new();
        let layers = [Model::open(&client, &files.layers[0])];
        prefill(&client, &layers, &spec, &embedding);
        decode(&client, &layers, &spec, &embedding)
    };
    let client = Client::new();
    client.card.set_mixed_tensors(true);
    let layers = [Model::open(&client, &files.layers[0])];
    let names = |group: usize| layers[0].groups[group].0.iter().map(|(tensor, _)| tensor.name.as_str());
    assert_eq!(names(0).collect::<Vec<_>>(), ["K_cache", "V_cache", "indices", "input", "mask"]);
    assert_eq!(names(1).collect::<Vec<_>>(), ["V_cache", "indices", "input", "mask", "K_cache"]);
    prefill(&client, &layers, &spec, &embedding);
    assert_eq!(decode(&client, &layers, &spec, &embedding), plain);
    assert_eq!(client.card.take_violations(), []);
}
