//! Element kinds of GGUF tensors.

use std::fmt;

/// How the elements of a tensor are stored. Only the kinds that can be imported; numbers are those of ggml.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each name is ggml's own name of the kind")]
#[expect(non_camel_case_types, reason = "ggml's spelling, under which everyone knows them")]
pub enum TensorKind {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q8_1,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    Q8_K,
}

/// Every kind with ggml's number, the elements of a block and the bytes of a block.
const TABLE: [(TensorKind, u32, usize, usize); 15] = [
    (TensorKind::F32, 0, 1, 4),
    (TensorKind::F16, 1, 1, 2),
    (TensorKind::Q4_0, 2, 32, 18),
    (TensorKind::Q4_1, 3, 32, 20),
    (TensorKind::Q5_0, 6, 32, 22),
    (TensorKind::Q5_1, 7, 32, 24),
    (TensorKind::Q8_0, 8, 32, 34),
    (TensorKind::Q8_1, 9, 32, 36),
    (TensorKind::Q2_K, 10, 256, 84),
    (TensorKind::Q3_K, 11, 256, 110),
    (TensorKind::Q4_K, 12, 256, 144),
    (TensorKind::Q5_K, 13, 256, 176),
    (TensorKind::Q6_K, 14, 256, 210),
    (TensorKind::Q8_K, 15, 256, 292),
    (TensorKind::BF16, 30, 1, 2),
];

/// Names of ggml kinds that are not imported, so that the error can name them.
const OTHERS: [(u32, &str); 19] = [
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
    (40, "NVFP4"),
    (4, "Q4_2"),
];

impl TensorKind {
    /// The kind of ggml's number, if it can be imported.
    pub fn from_number(number: u32) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == number).map(|row| row.0)
    }

    /// The kinds that can be imported, for messages.
    pub fn supported() -> String {
        TABLE.iter().map(|row| row.0.to_string()).collect::<Vec<_>>().join(", ")
    }

    /// What to call a number that is not supported: ggml's name if known.
    pub fn describe(number: u32) -> String {
        match OTHERS.iter().find(|(known, _)| *known == number) {
            Some((_, name)) => format!("{name} (number {number})"),
            None => format!("number {number}"),
        }
    }

    fn row(self) -> (usize, usize) {
        TABLE.iter().find(|row| row.0 == self).map_or((1, 4), |row| (row.2, row.3))
    }

    /// Elements in one block; a row is a whole number of blocks.
    pub fn block_elements(self) -> usize {
        self.row().0
    }

    /// Bytes of one block.
    pub fn block_bytes(self) -> usize {
        self.row().1
    }
}

impl fmt::Display for TensorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_complete() {
        for (kind, number, elements, bytes) in TABLE {
            assert_eq!(TensorKind::from_number(number), Some(kind));
            assert_eq!((kind.block_elements(), kind.block_bytes()), (elements, bytes));
            assert!(OTHERS.iter().all(|(other, _)| *other != number));
        }
        assert_eq!(TensorKind::from_number(20), None);
        assert!(TensorKind::describe(20).contains("IQ4_NL"));
    }
}
