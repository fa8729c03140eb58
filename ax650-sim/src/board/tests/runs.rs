//! Runs, and what a program may do wrong with them.

use super::reference::axcl_outputs;
use super::*;
use crate::last_error;

const INDICES: usize = 2;
pub(super) const INPUT: usize = 3;
const MASK: usize = 4;
const K_OUT: usize = 0;
pub(super) const OUTPUT: usize = 2;
/// One in bf16.
const ONE: [u8; 2] = [0x80, 0x3F];

/// The first layer, its decode group bound to cached buffers of its own, cleared and flushed.
pub(super) struct Layer {
    pub(super) handle: *mut c_void,
    context: *mut c_void,
    pub(super) inputs: Vec<AX_ENGINE_IO_BUFFER_T>,
    pub(super) outputs: Vec<AX_ENGINE_IO_BUFFER_T>,
    pub(super) blocks: (Vec<Buffer>, Vec<Buffer>),
}

impl Layer {
    pub(super) fn open(client: &Client, files: &TinyModel) -> Self {
        let (handle, context) = client.load(&files.layers[0]);
        let make = |tensor: &Tensor| {
            let block = client.allocate(tensor.size, true);
            block.fill(0);
            assert_eq!(client.flush(block), 0);
            block
        };
        let (inputs, outputs) = client.tensors(handle, 0);
        let blocks: (Vec<_>, Vec<_>) =
            (inputs.iter().map(make).collect(), outputs.iter().map(make).collect());
        let bind = |blocks: &[Buffer]| blocks.iter().map(|block| block.bind()).collect();
        let (inputs, outputs) = (bind(&blocks.0), bind(&blocks.1));
        Self { handle, context, inputs, outputs, blocks }
    }

    fn io(&mut self) -> AX_ENGINE_IO_T {
        io_of(&mut self.inputs, &mut self.outputs)
    }

    pub(super) fn run(&mut self, client: &Client) -> u32 {
        let mut io = self.io();
        hex(ax!(client.table, AX_ENGINE_RunGroupIOSync(self.handle, self.context, 0, &raw mut io)))
    }

    /// The hidden state as the CPU sees it after an invalidation.
    pub(super) fn result(&self, client: &Client) -> Vec<u8> {
        let block = self.blocks.1[OUTPUT];
        assert_eq!(client.invalidate(block), 0);
        block.read(0, usize::try_from(block.size).unwrap())
    }

    /// What AXCL gives for the inputs in memory.
    fn expected(&self, files: &TinyModel) -> Vec<u8> {
        let inputs: Vec<_> =
            self.blocks.0.iter().map(|block| block.read(0, usize::try_from(block.size).unwrap())).collect();
        axcl_outputs(&files.layers[0], 0, &inputs).swap_remove(OUTPUT)
    }
}

pub(super) fn opened() -> (Client, Layer, TinyModel, tempfile::TempDir) {
    let (files, dir) = model(&TinySpec::default());
    let client = Client::new();
    let layer = Layer::open(&client, &files);
    (client, layer, files, dir)
}

#[test]
fn every_kind_of_run_computes_the_same() {
    let (client, mut layer, files, _dir) = opened();
    layer.blocks.0[INPUT].write(0, &ONE);
    assert_eq!(client.flush(layer.blocks.0[INPUT]), 0);
    let expected = layer.expected(&files);
    for kind in 0..3 {
        layer.blocks.1[OUTPUT].fill(0);
        let (handle, context, mut io) = (layer.handle, layer.context, layer.io());
        let code = match kind {
            0 => ax!(client.table, AX_ENGINE_RunSync(handle, &raw mut io)),
            1 => ax!(client.table, AX_ENGINE_RunSyncV2(handle, context, &raw mut io)),
            _ => ax!(client.table, AX_ENGINE_RunGroupIOSync(handle, context, 0, &raw mut io)),
        };
        assert_eq!((code, layer.result(&client)), (0, expected.clone()));
    }
    assert!(client.broken().is_empty());
}

#[test]
fn buffers_may_be_larger_and_lie_anywhere_in_a_block() {
    let (client, mut layer, files, _dir) = opened();
    let expected = layer.expected(&files);
    let large = client.allocate(1 << 16, false);
    large.fill(0);
    layer.inputs[INDICES] = large.from(256).bind();
    layer.inputs[MASK] = large.from(1024).bind();
    layer.outputs[OUTPUT] = large.from(32768).bind();
    assert_eq!(layer.run(&client), 0);
    assert_eq!(large.read(32768, expected.len()), expected);
    assert!(client.broken().is_empty());
}

#[test]
fn what_was_not_flushed_is_not_there_for_the_npu() {
    let (client, mut layer, files, _dir) = opened();
    let before = layer.expected(&files);
    layer.blocks.0[INPUT].write(0, &ONE);
    let after = layer.expected(&files);
    assert_eq!(layer.run(&client), 0);
    assert_eq!(layer.result(&client), before);
    assert_eq!(client.broken(), [Rule::NotFlushed]);
    client.card.set_fatal(true);
    assert_eq!(layer.run(&client), 0x8006_008A);
    assert!(last_error().unwrap().reason.contains("tensor input was written at"));
    assert_eq!(client.flush(layer.blocks.0[INPUT]), 0);
    client.broken();
    assert_eq!((layer.run(&client), layer.result(&client)), (0, after));
    assert!(client.broken().is_empty());
}

#[test]
fn results_that_were_not_invalidated_are_old() {
    let (client, mut layer, files, _dir) = opened();
    assert_eq!(layer.run(&client), 0);
    let block = layer.blocks.1[OUTPUT];
    assert_eq!(block.read(0, 2), [0; 2]);
    assert_eq!(layer.result(&client), layer.expected(&files));
    layer.blocks.0[INPUT].write(0, &ONE);
    assert_eq!(client.flush(layer.blocks.0[INPUT]), 0);
    let old = block.read(0, 128);
    assert_eq!(layer.run(&client), 0);
    assert_eq!(block.read(0, 128), old);
    assert_ne!(layer.result(&client)[..128], old);
    assert!(client.broken().is_empty());
}

#[test]
fn a_lenient_card_has_one_view() {
    let (files, _dir) = model(&TinySpec::default());
    let client = Client::started(false);
    let mut layer = Layer::open(&client, &files);
    layer.blocks.0[INPUT].write(0, &ONE);
    let expected = layer.expected(&files);
    assert_eq!(layer.run(&client), 0);
    let block = layer.blocks.1[OUTPUT];
    assert_eq!(block.read(0, expected.len()), expected);
    assert!(client.broken().is_empty());
}

#[test]
fn the_npu_goes_by_physical_addresses() {
    let (client, mut layer, files, _dir) = opened();
    let expected = layer.expected(&files);
    layer.inputs[INPUT].pVirAddr = layer.blocks.1[OUTPUT].vir.cast();
    layer.inputs[MASK].pVirAddr = ptr::null_mut();
    assert_eq!((layer.run(&client), layer.result(&client)), (0, expected));
    assert_eq!(client.broken(), [Rule::AddressPair]);
}

#[test]
fn ios_that_do_not_fit_the_model_are_refused() {
    let (client, mut layer, _files, _dir) = opened();
    let (handle, context) = (layer.handle, layer.context);
    let run =
        |io: *mut AX_ENGINE_IO_T| hex(ax!(client.table, AX_ENGINE_RunGroupIOSync(handle, context, 0, io)));
    assert_eq!(run(ptr::null_mut()), 0x8006_0084);
    let fields: [fn(&mut AX_ENGINE_IO_T); 4] = [
        |io| io.nInputSize -= 1,
        |io| io.nOutputSize += 1,
        |io| io.pInputs = ptr::null_mut(),
        |io| io.pOutputs = ptr::null_mut(),
    ];
    for change in fields {
        let mut io = layer.io();
        change(&mut io);
        assert_eq!(run(&raw mut io), 0x8006_0084);
    }
    let mut io = layer.io();
    let mut group = |group, context| {
        hex(ax!(client.table, AX_ENGINE_RunGroupIOSync(handle, context, group, &raw mut io)))
    };
    assert_eq!(group(40, context), 0x8006_0084);
    assert!(client.broken().is_empty());
    assert_eq!(group(0, ptr::null_mut()), 0x8006_0082);
    assert_eq!(client.broken(), [Rule::UnknownHandle]);
}

/// The rule that a change breaks, the code of the run, and the change.
type Change = (Rule, u32, fn(&mut Layer));

#[test]
fn wrong_buffers_are_refused_and_written_down() {
    let (client, mut layer, _files, _dir) = opened();
    let good = (layer.inputs.clone(), layer.outputs.clone());
    let changes: [Change; 5] = [
        (Rule::UnboundTensor, 0x8006_0084, |layer| layer.inputs[MASK].phyAddr = 0),
        (Rule::BufferSize, 0x8006_0084, |layer| layer.inputs[INPUT].nSize -= 1),
        (Rule::Misaligned, 0x8006_0084, |layer| {
            layer.inputs[INPUT].phyAddr += 1;
            layer.inputs[INPUT].pVirAddr = ptr::null_mut();
        }),
        (Rule::Overlap, 0x8006_0084, |layer| layer.inputs[INPUT] = layer.outputs[OUTPUT]),
        (Rule::Overlap, 0x8006_0084, |layer| layer.outputs[K_OUT] = layer.outputs[OUTPUT]),
    ];
    for (rule, code, change) in changes {
        change(&mut layer);
        assert_eq!((layer.run(&client), client.broken()), (code, vec![rule]));
        (layer.inputs, layer.outputs) = good.clone();
    }
    let fresh = client.allocate(layer.inputs[INPUT].nSize, false);
    layer.inputs[INPUT] = fresh.bind();
    assert_eq!((layer.run(&client), client.broken()), (0, vec![Rule::NeverWritten]));
    assert_eq!(client.free(fresh), 0);
    assert_eq!((layer.run(&client), client.broken()), (0x8006_008A, vec![Rule::UseAfterFree]));
}

#[test]
fn a_decode_step_may_write_its_rows_into_its_cache() {
    let (client, mut layer, _files, _dir) = opened();
    assert_eq!(layer.run(&client), 0);
    let row = usize::try_from(layer.outputs[K_OUT].nSize).unwrap();
    let plain = layer.blocks.1[K_OUT];
    assert_eq!(client.invalidate(plain), 0);
    let cache = layer.blocks.0[0];
    let slot = cache.from(u32::try_from(3 * row).unwrap());
    layer.outputs[K_OUT] = slot.bind();
    assert_eq!(layer.run(&client), 0);
    assert_eq!(client.invalidate(cache), 0);
    assert_eq!(slot.read(0, row), plain.read(0, row));
    assert!(client.broken().is_empty());
}

#[test]
fn what_is_gone_cannot_run() {
    let (client, mut layer, files, _dir) = opened();
    let old = layer.handle;
    assert_eq!(ax!(client.table, AX_ENGINE_DestroyHandle(old)), 0);
    assert_eq!((layer.run(&client), client.broken()), (0x8006_0081, vec![Rule::UnknownHandle]));
    assert_eq!(hex(ax!(client.table, AX_ENGINE_DestroyHandle(old))), 0x8006_0081);
    client.broken();
    // The context died with the handle.
    layer.handle = client.load(&files.layers[0]).0;
    assert_eq!((layer.run(&client), client.broken()), (0x8006_0082, vec![Rule::UnknownHandle]));
    assert_eq!(ax!(client.table, AX_ENGINE_DestroyHandle(layer.handle)), 0);
    assert_eq!(ax!(client.table, AX_ENGINE_Deinit()), 0);
    assert_eq!((layer.run(&client), client.broken()), (0x8006_0083, vec![Rule::UseAfterFinalize]));
}

#[test]
fn loading_during_a_run_is_noticed() {
    let (files, _dir) = model(&TinySpec::default());
    let client = Client::new();
    client.card.slow_down("AX_ENGINE_RunGroupIOSync", std::time::Duration::from_millis(50));
    let stop = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::SeqCst;
    let (card, stop_runs, layer_files) = (&client.card, &stop, &files);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let client = Client::beside(card);
            let mut layer = Layer::open(&client, layer_files);
            while !stop_runs.load(order) {
                assert_eq!(layer.run(&client), 0);
            }
        });
        // A load between two runs is fine and is tried again.
        let noticed = (0..1000).any(|_| {
            while client.card.runs_in_flight() == 0 {
                std::thread::yield_now();
            }
            client.load(&files.head);
            client.broken() == [Rule::LoadDuringRun]
        });
        stop.store(true, order);
        assert!(noticed);
    });
}
