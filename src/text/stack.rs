//! A thread with a large stack, for work on what strangers nested.

use super::TextError;

/// Stack of the thread. Dropping a list in a list in a list... takes some 100 bytes of stack per level, and the budget
/// of a chat template pays for a few hundred thousand levels. Only the pages that are used take memory.
const STACK_BYTES: usize = 128 << 20;

/// Does `work` on a thread of its own and waits for it. A panic is an error of the template.
pub(super) fn on_large_stack<T: Send>(
    work: impl FnOnce() -> Result<T, TextError> + Send,
) -> Result<T, TextError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("chat-template".into())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|error| TextError::Template(format!("cannot start a thread to render it: {error}")))?;
        thread.join().unwrap_or_else(|_| Err(TextError::Template("the renderer panicked".into())))
    })
}
