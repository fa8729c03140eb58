//! Which columns each row of the chunk sees, as the mask says.
//!
//! A row's keys are its visible columns from left to right, that is in order of position. Rows whose keys are a prefix
//! of their neighbour's (causal masks, always) are computed together as a tile.

use std::ops::Range;

/// At or below this a mask value hides its column.
const HIDDEN: f32 = -10_000.0;
/// Rows of a tile of attention.
pub(super) const TILE_ROWS: usize = 16;

/// The keys of one row.
#[derive(Debug, Clone, Default)]
pub(super) struct RowKeys {
    /// Where the row's runs of visible columns stand in [`Visible::runs`].
    runs: Range<usize>,
    /// Number of visible columns.
    pub(super) count: usize,
    /// Some visible column has a mask value other than 0.
    pub(super) additive: bool,
}

/// Neighbouring computed rows whose keys are all prefixes of those of one of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile {
    /// First computed row.
    pub(super) first: usize,
    /// Number of rows.
    pub(super) rows: usize,
    /// The computed row with the most keys.
    pub(super) longest: usize,
}

/// The mask of a call, digested.
#[derive(Debug, Default)]
pub(super) struct Visible {
    runs: Vec<Range<usize>>,
    /// Rows of the chunk that are computed, ascending: those that see something or are seen.
    pub(super) rows: Vec<usize>,
    /// Keys of each computed row.
    pub(super) keys: Vec<RowKeys>,
    pub(super) tiles: Vec<Tile>,
    seen: Vec<bool>,
    /// The mask that was read last, and its rows, columns and tile rows: all layers of a step are given the same.
    mask: Vec<u16>,
    shape: (usize, usize, usize),
}

fn value(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

impl Visible {
    /// Reads the mask `[rows, columns]`; the last `rows` columns are the chunk itself. A tile gets at most
    /// `tile_rows` rows.
    pub(super) fn read(&mut self, mask: &[u16], rows: usize, columns: usize, tile_rows: usize) {
        let shape = (rows, columns, tile_rows);
        if self.shape == shape && self.mask == mask {
            return;
        }
        self.mask.clear();
        self.runs.clear();
        self.rows.clear();
        self.keys.clear();
        self.tiles.clear();
        self.seen.clear();
        self.seen.resize(rows, false);
        let own = columns.saturating_sub(rows);
        for row in mask.chunks_exact(columns) {
            let keys = self.scan(row);
            for run in &self.runs[keys.runs.clone()] {
                if run.end > own {
                    self.seen[run.start.saturating_sub(own)..run.end - own].fill(true);
                }
            }
            self.keys.push(keys);
        }
        self.rows.extend((0..rows).filter(|&row| self.keys[row].count > 0 || self.seen[row]));
        let mut row = 0;
        let seen = &self.seen;
        self.keys.retain(|keys| {
            row += 1;
            keys.count > 0 || seen[row - 1]
        });
        self.cut_tiles(tile_rows);
        self.mask.extend_from_slice(mask);
        self.shape = shape;
    }

    fn scan(&mut self, mask: &[u16]) -> RowKeys {
        let first = self.runs.len();
        let mut keys = RowKeys::default();
        let mut column = 0;
        while column < mask.len() {
            let hidden = mask[column..].iter().position(|bits| !hidden(*bits)).unwrap_or(mask.len() - column);
            let start = column + hidden;
            let visible = mask[start..].iter().position(|bits| hidden_or_added(*bits, &mut keys.additive));
            let end = start + visible.unwrap_or(mask.len() - start);
            if end > start {
                self.runs.push(start..end);
                keys.count += end - start;
            }
            column = end;
        }
        keys.runs = first..self.runs.len();
        keys
    }

    fn cut_tiles(&mut self, tile_rows: usize) {
        let mut first = 0;
        while first < self.keys.len() {
            let mut longest = first;
            let mut rows = 1;
            while rows < tile_rows && first + rows < self.keys.len() {
                let next = first + rows;
                if self.is_prefix(longest, next) {
                    longest = next;
                } else if !self.is_prefix(next, longest) {
                    break;
                }
                rows += 1;
            }
            self.tiles.push(Tile { first, rows, longest });
            first += rows;
        }
    }

    /// Whether the keys of computed row `a` are the first ones of row `b`.
    fn is_prefix(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.runs[self.keys[a].runs.clone()], &self.runs[self.keys[b].runs.clone()]);
        let Some((last, whole)) = a.split_last() else { return true };
        b.get(whole.len()).is_some_and(|run| run.start == last.start && run.end >= last.end)
            && b.starts_with(whole)
    }

    /// The columns of keys `range` of computed row `row`, as runs.
    pub(super) fn columns(&self, row: usize, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let mut key = 0;
        self.runs[self.keys[row].runs.clone()].iter().filter_map(move |run| {
            let first = key;
            key += run.len();
            let from = range.start.max(first);
            let to = range.end.min(key);
            (from < to).then(|| run.start + from - first..run.start + to - first)
        })
    }
}

fn hidden(bits: u16) -> bool {
    value(bits) <= HIDDEN
}

fn hidden_or_added(bits: u16, additive: &mut bool) -> bool {
    let hidden = hidden(bits);
    *additive |= !hidden && bits & 0x7FFF != 0;
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    const H: u16 = 0xC780;

    #[test]
    fn a_causal_chunk_is_one_tile_and_its_padding_is_left_out() {
        // Two cached rows of three, a chunk of three rows of which the last is padding.
        let mask = [
            [0, 0, H, 0, H, H], //
            [0, 0, H, 0, 0, H],
            [H, H, H, H, H, H],
        ];
        let mut visible = Visible::default();
        visible.read(mask.as_flattened(), 3, 6, TILE_ROWS);
        assert_eq!(visible.rows, [0, 1]);
        assert_eq!(visible.keys.iter().map(|keys| keys.count).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(visible.columns(1, 0..4).collect::<Vec<_>>(), [0..2, 3..5]);
        assert_eq!(visible.columns(1, 1..3).collect::<Vec<_>>(), [1..2, 3..4]);
        assert_eq!(visible.tiles.len(), 1);
        assert_eq!((visible.tiles[0].rows, visible.tiles[0].longest), (2, 1));
    }

    #[test]
    fn rows_of_a_sliding_window_are_not_nested() {
        let mask = [[0, 0, H, H], [H, 0, 0, H], [H, H, 0, 0]];
        let mut visible = Visible::default();
        visible.read(mask.as_flattened(), 3, 4, TILE_ROWS);
        assert_eq!(visible.tiles.len(), 3);
    }

    #[test]
    fn a_row_that_is_only_seen_is_computed_too() {
        let mask = [[H, H, H], [H, 0, 0x3F80]];
        let mut visible = Visible::default();
        visible.read(mask.as_flattened(), 2, 3, TILE_ROWS);
        assert_eq!(visible.rows, [0, 1]);
        assert_eq!(visible.keys[0].count, 0);
        assert!(visible.keys[1].additive);
        assert_eq!(visible.tiles.len(), 1);
    }

    #[test]
    fn a_mask_is_kept_only_as_long_as_it_is_the_same() {
        let mut visible = Visible::default();
        let counts = |visible: &Visible| visible.keys.iter().map(|keys| keys.count).collect::<Vec<_>>();
        let mask = [0, H, H, 0, 0, H];
        for _ in 0..2 {
            visible.read(&mask, 2, 3, TILE_ROWS);
            assert_eq!((counts(&visible), visible.tiles.len()), (vec![1, 2], 1));
        }
        visible.read(&mask, 2, 3, 1);
        assert_eq!(visible.tiles.len(), 2);
        visible.read(&mask, 1, 6, 1);
        assert_eq!(counts(&visible), [3]);
        visible.read(&[0, H, H, 0, 0, 0], 1, 6, 1);
        assert_eq!(counts(&visible), [4]);
    }
}
