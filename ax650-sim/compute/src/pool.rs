//! Threads that stay, and one way to use them: run `f(0..tasks)`, in any order, and return when all are done.
//!
//! A token of a small model costs some hundred and fifty such rounds of a few ten microseconds, so a round must
//! cost well under one. Workers therefore spin for a moment after each round before they sleep, and tasks
//! are claimed from one counter: the caller takes part, and never waits for a worker that has not claimed
//! anything, so a thread that the system does not schedule costs speed and no more.

use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long an idle worker spins before it sleeps. Longer than the gap between two layers and between two
/// tokens of a small model, too short to show in the load of an idle process.
const SPIN: Duration = Duration::from_micros(300);

/// One round: a closure that lives at least until the round ends.
type Job<'a> = &'a (dyn Fn(usize) + Sync + 'a);

struct Shared {
    /// `tasks << 32 | next`: the counter from which tasks are claimed.
    state: AtomicU64,
    /// The closure of the round. Written only between rounds.
    job: UnsafeCell<Option<Job<'static>>>,
    /// Tasks of this round that have ended.
    done: AtomicU32,
    /// Workers that sleep or are about to.
    sleeping: AtomicUsize,
    stop: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `job` is the only field that is not Sync. It is written by the one caller that holds `Pool::round`,
// while no task is claimed (all of the previous round are done, and `state` allows no claim), and read only by
// a thread that has claimed a task, which the release store and the acquire claim on `state` order after the write.
unsafe impl Sync for Shared {}

impl Shared {
    /// Takes part in the round until no task is left to claim. Returns whether it did anything.
    fn work(&self) -> bool {
        let mut worked = false;
        loop {
            // The first look keeps the counter from running on while there is nothing to do.
            let seen = self.state.load(Ordering::SeqCst);
            if seen & 0xFFFF_FFFF >= seen >> 32 {
                return worked;
            }
            let claimed = self.state.fetch_add(1, Ordering::SeqCst);
            #[expect(clippy::cast_possible_truncation, reason = "two halves of 64 bits")]
            let (index, tasks) = (claimed as u32, (claimed >> 32) as u32);
            if index >= tasks {
                return worked;
            }
            worked = true;
            // SAFETY: the claim above allows this read, see the impl of Sync.
            let job = unsafe { *self.job.get() };
            if let Some(job) = job
                && let Err(payload) = catch_unwind(AssertUnwindSafe(|| job(index as usize)))
            {
                self.keep_first(payload);
            }
            self.done.fetch_add(1, Ordering::Release);
        }
    }

    /// Keeps a payload for the caller of the round. Any further one is leaked: its destructor could panic, and the task
    /// would never count as done.
    fn keep_first(&self, payload: Box<dyn Any + Send>) {
        let mut first = self.panic.lock();
        if first.is_some() {
            std::mem::forget(payload);
        } else {
            *first = Some(payload);
        }
    }

    fn worker(&self) {
        let mut idle_since = Instant::now();
        while !self.stop.load(Ordering::SeqCst) {
            if self.work() {
                idle_since = Instant::now();
                continue;
            }
            for _ in 0..64 {
                std::hint::spin_loop();
            }
            if idle_since.elapsed() < SPIN {
                continue;
            }
            // Announce first, look again, then sleep: whoever publishes after the look sees the announcement.
            self.sleeping.fetch_add(1, Ordering::SeqCst);
            let state = self.state.load(Ordering::SeqCst);
            if state & 0xFFFF_FFFF >= state >> 32 && !self.stop.load(Ordering::SeqCst) {
                thread::park();
            }
            self.sleeping.fetch_sub(1, Ordering::SeqCst);
            idle_since = Instant::now();
        }
    }
}

/// Persistent worker threads of the software card.
///
/// Results never depend on the number of threads: tasks are cut by the caller, and write to separate places.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held during a round, so that two threads may share the pool.
    round: Mutex<()>,
}

impl Pool {
    /// A pool that computes on `threads` threads, of which the calling thread of each run is one.
    /// 0 means as many as the machine has. If the system refuses a thread the pool has fewer.
    pub fn new(threads: usize) -> Self {
        let threads = match threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            n => n.min(1024),
        };
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            job: UnsafeCell::new(None),
            done: AtomicU32::new(0),
            sleeping: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            panic: Mutex::new(None),
        });
        let spawn = |index: usize| {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name(format!("ax650-sim-{index}")).spawn(move || shared.worker()).ok()
        };
        let workers = (1..threads).map_while(spawn).collect();
        Self { shared, workers, round: Mutex::new(()) }
    }

    /// Threads that compute, the calling one included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Runs `job(i)` once for each `i` below `tasks` and returns when all have returned.
    ///
    /// Must not be called from within a job. If a job panics the others still run, then the panic goes on here.
    pub(super) fn run(&self, tasks: usize, job: &(dyn Fn(usize) + Sync)) {
        if tasks == 0 {
            return;
        }
        if tasks == 1 || self.workers.is_empty() {
            (0..tasks).for_each(job);
            return;
        }
        let round = self.round.lock();
        let shared = &*self.shared;
        let tasks = u32::try_from(tasks).unwrap_or(u32::MAX);
        // SAFETY: only the lifetime changes. The reference is used by claimed tasks only, and this function
        // does not return, nor unwind, before all tasks of the round are done.
        let job = unsafe { std::mem::transmute::<Job<'_>, Job<'static>>(job) };
        // SAFETY: between rounds, under the lock: nobody reads, see the impl of Sync.
        unsafe { *shared.job.get() = Some(job) };
        shared.done.store(0, Ordering::Relaxed);
        shared.state.store(u64::from(tasks) << 32, Ordering::SeqCst);
        if shared.sleeping.load(Ordering::SeqCst) > 0 {
            self.workers.iter().for_each(|worker| worker.thread().unpark());
        }
        shared.work();
        let mut turns = 0_u32;
        while shared.done.load(Ordering::Acquire) < tasks {
            std::hint::spin_loop();
            turns = turns.wrapping_add(1);
            // On a machine with fewer free cores than threads the last task may wait for this very core.
            if turns.is_multiple_of(512) {
                thread::yield_now();
            }
        }
        let panicked = shared.panic.lock().take();
        drop(round);
        if let Some(payload) = panicked {
            resume_unwind(payload);
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads()).finish_non_exhaustive()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for worker in &self.workers {
            worker.thread().unpark();
        }
        for worker in self.workers.drain(..) {
            // Panics of jobs are caught inside; there is nothing else a worker could report.
            drop(worker.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once_in_every_round() {
        for threads in [1, 2, 5] {
            let pool = Pool::new(threads);
            for round in 0..500 {
                let tasks = round % 37;
                let counts: Vec<AtomicU32> = (0..tasks).map(|_| AtomicU32::new(0)).collect();
                pool.run(tasks, &|i| {
                    counts[i].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
                if round % 100 == 0 {
                    thread::sleep(SPIN * 3);
                }
            }
        }
    }

    #[test]
    fn two_threads_may_share_a_pool() {
        let pool = Pool::new(3);
        let sum = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        pool.run(10, &|i| {
                            sum.fetch_add(i, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        assert_eq!(sum.load(Ordering::Relaxed), 2 * 200 * 45);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(2);
        let result = catch_unwind(AssertUnwindSafe(|| pool.run(8, &|i| assert_ne!(i, 5))));
        assert!(result.is_err());
        let ran = AtomicU32::new(0);
        pool.run(8, &|_| {
            ran.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(ran.load(Ordering::Relaxed), 8);
    }

    #[test]
    fn payloads_that_panic_when_dropped_do_not_stop_the_round() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        let pool = Pool::new(3);
        let result = catch_unwind(AssertUnwindSafe(|| pool.run(8, &|_| std::panic::panic_any(Bomb))));
        let payload = result.unwrap_err();
        assert!(payload.is::<Bomb>());
        std::mem::forget(payload);
        pool.run(8, &|_| {});
    }
}
