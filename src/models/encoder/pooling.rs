//! From the hidden states of a text to its vector.

use serde::{Deserialize, Serialize};

/// How the hidden states of a text become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// That of the first token.
    Cls,
    /// That of the last token.
    Last,
}

impl Pooling {
    /// Its number under the GGUF key `<family>.pooling_type`.
    pub fn gguf_number(self) -> u64 {
        match self {
            Self::Mean => 1,
            Self::Cls => 2,
            Self::Last => 3,
        }
    }

    /// The pooling of such a number; `None` for 0 (none), and for ranking, which gives no vector.
    pub fn from_gguf_number(number: u64) -> Option<Self> {
        [Self::Mean, Self::Cls, Self::Last].into_iter().find(|pooling| pooling.gguf_number() == number)
    }
}
