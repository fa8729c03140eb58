//! How much of a body is not UTF-8, counted while it arrives.

/// Counts the bytes that belong to no character. Where they are read as text, up to three in a row become one U+FFFD.
#[derive(Debug, Default)]
pub(super) struct Mend {
    broken: usize,
    /// Bytes of a character whose rest is still to come.
    begun: usize,
    /// How many are to come.
    missing: usize,
    /// The second byte of some characters is not any byte of 0x80..=0xbf: there are no longer forms of short ones, no
    /// halves of surrogate pairs and nothing above U+10FFFF. `None` behind the second byte.
    second: Option<(u8, u8)>,
}

impl Mend {
    /// Counts the next byte.
    pub(super) fn push(&mut self, byte: u8) {
        if self.missing > 0 {
            let (low, high) = self.second.take().unwrap_or((0x80, 0xbf));
            if (low..=high).contains(&byte) {
                self.missing -= 1;
                self.begun = if self.missing == 0 { 0 } else { self.begun + 1 };
                return;
            }
            self.broken += self.begun;
            (self.begun, self.missing) = (0, 0);
        }
        if byte.is_ascii() {
            return;
        }
        let (missing, second) = match byte {
            0xc2..=0xdf => (1, (0x80, 0xbf)),
            0xe0 => (2, (0xa0, 0xbf)),
            0xed => (2, (0x80, 0x9f)),
            0xe1..=0xef => (2, (0x80, 0xbf)),
            0xf0 => (3, (0x90, 0xbf)),
            0xf1..=0xf3 => (3, (0x80, 0xbf)),
            0xf4 => (3, (0x80, 0x8f)),
            _ => {
                self.broken += 1;
                return;
            }
        };
        (self.begun, self.missing, self.second) = (1, missing, Some(second));
    }

    /// Bytes so far that belong to no character, as if nothing more came.
    pub(super) fn broken(&self) -> usize {
        self.broken + self.begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(bytes: &[u8]) -> usize {
        let mut mend = Mend::default();
        for &byte in bytes {
            mend.push(byte);
        }
        mend.broken()
    }

    #[test]
    fn text_is_whole() {
        for code in (0..=0x10_ffff).filter_map(char::from_u32) {
            assert_eq!(broken(code.encode_utf8(&mut [0; 4]).as_bytes()), 0, "{code:?}");
        }
        assert_eq!(broken("a\u{f6}\u{65e5}\u{1f600}z".as_bytes()), 0);
    }

    #[test]
    fn what_the_standard_library_mends_is_broken() {
        // Bytes at the edges of every class.
        let edges = [
            b'a', 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xec, 0xed, 0xef, 0xf0,
            0xf3, 0xf4, 0xf5, 0xff,
        ];
        let count = edges.len();
        for number in 0..count.pow(4) {
            let bytes = [number, number / count, number / count.pow(2), number / count.pow(3)];
            let bytes = bytes.map(|digit| edges[digit % count]);
            let expected: usize = bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
            assert_eq!(broken(&bytes), expected, "{bytes:x?}");
        }
    }
}
