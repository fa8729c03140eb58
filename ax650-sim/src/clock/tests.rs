//! The clock alone, with a host time that only moves when it is told to.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;

const US: u64 = 1000;

fn clock(pace: Pace) -> (Clock, Arc<AtomicU64>) {
    let host = Arc::new(AtomicU64::new(5_000_000));
    let profile = Arc::new(Profile::named("pi5-llm8850").unwrap());
    // The source starts at 5 ms, the card at 0.
    let clock = Clock::new(profile, pace, 1, Source::Manual(host.clone()));
    clock.inner.lock().offset_ns = -5_000_000;
    (clock, host)
}

/// A layer that reads 25 MB: 457 us and 1 ms.
const LAYER: Work =
    Work::Run { head: false, weight_bytes: 20_000_000, cache_bytes: 5_000_000, operations: 0 };
const LAYER_NS: u64 = 1457 * US;

#[test]
fn a_virtual_call_takes_what_it_is_charged_and_not_what_it_takes() {
    let (clock, host) = clock(Pace::Virtual);
    host.fetch_add(10 * US, Ordering::SeqCst);
    let at = clock.enter();
    assert_eq!(at, 10 * US);
    host.fetch_add(777 * US, Ordering::SeqCst);
    let end = clock.charge(0, at, &LAYER);
    assert_eq!(end, at + 65 * US + LAYER_NS);
    clock.leave(end);
    host.fetch_add(3 * US, Ordering::SeqCst);
    let reading = clock.reading(0);
    assert_eq!(reading.now_ns, end + 3 * US);
    assert_eq!(reading.npu_busy_ns, LAYER_NS);
    assert_eq!(reading.npu_idle_ns, (10 + 65 + 3) * US);
    assert_eq!(
        (reading.runs, reading.weight_bytes_read, reading.cache_bytes_read),
        (1, 20_000_000, 5_000_000)
    );
}

#[test]
fn queued_runs_follow_each_other_without_a_gap() {
    let (clock, host) = clock(Pace::Virtual);
    for _ in 0..3 {
        let at = clock.enter();
        clock.leave(clock.enqueue(0, 7, at, &LAYER));
        host.fetch_add(20 * US, Ordering::SeqCst);
    }
    // The host has needed 60 us so far, of which the NPU was busy all but the first submission.
    assert_eq!(clock.reading(0).npu_busy_ns, 60 * US);
    let at = clock.enter();
    assert_eq!(clock.wait_at_most(7, at, LAYER_NS), Err(at + LAYER_NS));
    clock.leave(clock.wait(7, at));
    let reading = clock.reading(0);
    assert_eq!(reading.now_ns, 3 * LAYER_NS + 65 * US);
    assert_eq!((reading.npu_busy_ns, reading.npu_idle_ns), (3 * LAYER_NS, 65 * US));
}

#[test]
fn a_run_that_waits_for_a_copy_stalls() {
    let (clock, _) = clock(Pace::Virtual);
    let copy = Work::ToDevice { bytes: 45_000, pinned: true };
    let mut at = clock.enter();
    for work in [LAYER, copy, LAYER] {
        at = clock.enqueue(0, 7, at, &work);
    }
    clock.leave(clock.wait(7, at));
    let reading = clock.reading(0);
    assert_eq!((reading.npu_stall_ns, reading.link_busy_ns), (100 * US, 100 * US));
    assert_eq!(reading.bytes_to_device, 45_000);
    assert_eq!(reading.npu_idle_ns, 65 * US);
}

#[test]
fn copies_of_unpinned_memory_cost_the_host_a_millisecond() {
    let (clock, _) = clock(Pace::Virtual);
    let at = clock.enter();
    let pinned = clock.charge(0, at, &Work::FromDevice { bytes: 450, pinned: true });
    assert_eq!(pinned - at, 66 * US);
    let unpinned = clock.charge(0, pinned, &Work::FromDevice { bytes: 450, pinned: false });
    assert_eq!(unpinned - pinned, 1066 * US);
    assert_eq!(
        clock.enqueue(0, 7, unpinned, &Work::ToDevice { bytes: 1, pinned: false }),
        unpinned + 1000 * US
    );
}

#[test]
fn events_carry_the_end_of_one_stream_to_another() {
    let (clock, _) = clock(Pace::Virtual);
    let at = clock.enter();
    clock.enqueue(0, 7, at, &LAYER);
    clock.order(7, 99);
    clock.order(99, 8);
    let copy = Work::ToDevice { bytes: 450, pinned: true };
    clock.enqueue(0, 8, at, &copy);
    assert_eq!(clock.wait_for_all(at), at + LAYER_NS + US + 65 * US);
}

#[test]
fn calls_of_two_threads_never_turn_the_clock_back() {
    let (clock, host) = clock(Pace::Virtual);
    let first = clock.enter();
    host.fetch_add(500 * US, Ordering::SeqCst);
    let second = clock.enter();
    assert_eq!(first, second);
    clock.leave(second + 40 * US);
    assert_eq!(clock.reading(0).now_ns, 40 * US);
    clock.leave(first + 30 * US);
    assert_eq!(clock.reading(0).now_ns, 40 * US);
}

#[test]
fn a_real_pace_sleeps_until_the_call_is_over() {
    let (clock, host) = clock(Pace::Real);
    let at = clock.enter();
    clock.leave(clock.charge(0, at, &LAYER));
    assert_eq!(host.load(Ordering::SeqCst), 5_000_000 + 65 * US + LAYER_NS);
    // A call that took the host longer than the card is not prolonged.
    let at = clock.enter();
    host.fetch_add(100_000 * US, Ordering::SeqCst);
    clock.leave(clock.charge(0, at, &LAYER));
    assert_eq!(host.load(Ordering::SeqCst), at + 100_000 * US);
}

#[test]
fn heads_and_chunks_have_figures_of_their_own() {
    let profile = Profile::named("pi5-llm8850").unwrap();
    let head = Work::Run { head: true, weight_bytes: 155_600_000, cache_bytes: 0, operations: 0 };
    assert_eq!(head.device_ns(&profile) / US, 7938);
    let chunk = Work::Run { head: false, weight_bytes: 0, cache_bytes: 0, operations: 2_600_000_000 };
    assert_eq!(chunk.device_ns(&profile), 1457 * US);
    let board = Profile::named("board-ax650n").unwrap();
    assert_eq!(Work::Cache { bytes: 24_000 }.device_ns(&board), US);
    assert_eq!(Work::Load { bytes: 98 }.device_ns(&board), US);
    assert_eq!(Work::OnDevice { bytes: 9200 }.device_ns(&board), US);
}

/// What a program does next.
#[derive(Debug, Clone)]
enum Step {
    /// Waits for work.
    Charge(Work),
    /// Queues work in one of two streams.
    Enqueue(u64, Work),
    /// Waits for a stream.
    Wait(u64),
    /// Does something else, for so many microseconds.
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let up = Work::ToDevice { bytes: 90_000, pinned: true };
    let down = Work::FromDevice { bytes: 300_000, pinned: false };
    let works = vec![LAYER, up, down, Work::OnDevice { bytes: 10_000_000 }, Work::Message];
    let work = || prop::sample::select(works.clone());
    let step = prop_oneof![
        work().prop_map(Step::Charge),
        (0..2_u64, work()).prop_map(|(stream, work)| Step::Enqueue(stream, work)),
        (0..2_u64).prop_map(Step::Wait),
        (0..3000_u64).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    #[test]
    fn time_and_its_parts_only_grow(steps in steps()) {
        let (clock, host) = clock(Pace::Virtual);
        let parts = |reading: ClockReading| {
            let ClockReading { now_ns, npu_busy_ns, npu_stall_ns, npu_idle_ns, link_busy_ns, .. } = reading;
            [now_ns, npu_busy_ns, npu_stall_ns, npu_idle_ns, link_busy_ns]
        };
        let mut before = parts(clock.reading(0));
        for step in steps {
            match step {
                Step::Pass(us) => drop(host.fetch_add(us * US, Ordering::SeqCst)),
                call => {
                    let at = clock.enter();
                    clock.leave(match call {
                        Step::Charge(work) => clock.charge(0, at, &work),
                        Step::Enqueue(stream, work) => clock.enqueue(0, stream, at, &work),
                        Step::Wait(stream) => clock.wait(stream, at),
                        Step::Pass(_) => at,
                    });
                }
            }
            let now = parts(clock.reading(0));
            prop_assert!(now.iter().zip(&before).all(|(now, before)| now >= before), "{before:?}, then {now:?}");
            let [time, busy, stall, idle, _] = now;
            prop_assert_eq!(busy + stall + idle, time);
            before = now;
        }
    }
}
