//! What goes wrong on demand, as a program on the board sees it.

use super::runs::{INPUT, Layer, OUTPUT, opened};
use super::*;
use crate::control::{Mistake, Trouble, Troubles};

/// NaN in bf16, as the card writes it.
const NAN: [u8; 2] = [0xC0, 0x7F];

/// Makes go wrong what a text says.
fn cause(client: &Client, text: &str) {
    let troubles: Troubles = text.parse().expect("faults");
    troubles.into_iter().for_each(|trouble| client.card.cause(trouble));
}

fn create(client: &Client, path: &Path) -> u32 {
    let file = std::fs::read(path).expect("a model file");
    let size = u32::try_from(file.len()).expect("a small file");
    let mut handle = ptr::null_mut();
    hex(ax!(client.table, AX_ENGINE_CreateHandle(&raw mut handle, file.as_ptr().cast(), size)))
}

#[test]
fn a_lost_chip_answers_nothing_until_the_program_begins_anew() {
    let (client, mut layer, files, _dir) = opened();
    cause(&client, "lost@AX_ENGINE_RunGroupIOSync:2=back");
    assert_eq!([layer.run(&client), layer.run(&client), layer.run(&client)], [0, 0x8006_0087, 0x8006_0087]);
    let input = layer.blocks.0[INPUT];
    assert_eq!(hex(client.flush(input)), 0x800B_0030);
    assert_eq!(hex(ax!(client.table, AX_ENGINE_DestroyHandle(layer.handle))), 0x8006_0087);
    // What the program has pointers to is still there.
    input.fill(7);

    assert_eq!(ax!(client.table, AX_SYS_Init()), 0);
    assert_eq!((client.card.models(), client.card.memory_in_use()), (0, 0));
    assert_eq!(input.read(0, 2), [7; 2]);
    let mut attributes = AX_ENGINE_NPU_ATTR_T::default();
    assert_eq!(ax!(client.table, AX_ENGINE_Init(&raw mut attributes)), 0);
    assert_eq!(Layer::open(&client, &files).run(&client), 0);
    assert!(client.broken().is_empty());
}

#[test]
fn memory_ends_at_a_layer() {
    let (client, _layer, files, _dir) = opened();
    cause(&client, "cmm@layer1");
    assert_eq!([create(&client, &files.layers[1]), create(&client, &files.head)], [0x800B_0018; 2]);
    client.card.calm();
    assert_eq!(create(&client, &files.layers[1]), 0);
}

#[test]
fn calls_and_runs_fail_and_results_are_nan_when_it_is_wanted() {
    let (client, mut layer, _files, _dir) = opened();
    cause(
        &client,
        "AX_ENGINE_RunGroupIOSync:2=0x8006008A; run@2=0x80060086; nan@output:2; hang@AX_SYS_MflushCache:1=0ms",
    );
    assert_eq!([(); 4].map(|()| layer.run(&client)), [0, 0x8006_008A, 0x8006_0086, 0]);
    let result = layer.result(&client);
    assert!(result.chunks(2).all(|value| value == NAN));
    assert_eq!(layer.run(&client), 0);
    assert!(!layer.result(&client).chunks(2).any(|value| value == NAN));
    assert_eq!(client.flush(layer.blocks.0[INPUT]), 0);
    // There is no pair of versions on the chip, and no stream.
    cause(&client, "firmware-mismatch; noasync");
    assert_eq!(layer.run(&client), 0);
    assert!(client.broken().is_empty());
}

#[test]
fn memory_that_is_allocated_again_is_not_taken_for_what_was_there() {
    let (client, mut layer, _files, _dir) = opened();
    client.card.cause(Trouble::Wrong(Mistake::StaleHidden));
    assert_eq!(layer.run(&client), 0);
    let expected = layer.result(&client);
    let old = layer.blocks.1[OUTPUT];
    assert_eq!(client.free(old), 0);
    // The chip goes through all of its memory before it begins again.
    let again = |_| {
        let block = client.allocate(old.size, true);
        if block.phy == old.phy {
            return Some(block);
        }
        assert_eq!(client.free(block), 0);
        None
    };
    let new = (0..20_000).find_map(again).expect("the same memory");
    // The same bytes by chance, but no result: the mistake is not made.
    new.write(0, &expected);
    assert_eq!(client.flush(new), 0);
    layer.inputs[INPUT] = new.bind();
    let mut run = || {
        let target = client.allocate(new.size, true);
        layer.outputs[OUTPUT] = target.bind();
        assert_eq!(layer.run(&client), 0);
        assert_eq!(client.invalidate(target), 0);
        target.read(0, usize::try_from(target.size).unwrap())
    };
    let with_mistake = run();
    client.card.calm();
    assert_eq!(with_mistake, run());
    assert!(client.broken().is_empty());
}
