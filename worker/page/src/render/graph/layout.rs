//! Where the chains of a dataflow stand: in columns by their longest way from a source (Sugiyama's
//! method), each column ordered by where what feeds it stands.

/// Between two columns: room for what is written on edges.
const GAP_X: f64 = 96.0;
const GAP_Y: f64 = 26.0;
const MARGIN: f64 = 4.0;
/// Rounds of ordering; it settles after two or three.
const ROUNDS: usize = 4;

/// Where a card stands.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Placed {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) height: f64,
}

/// A picture without its contents.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Layout {
    pub(super) width: f64,
    pub(super) height: f64,
    /// By number.
    pub(super) placed: Vec<Placed>,
}

impl Layout {
    /// Cards of these heights and one width, numbered in topological order, and who feeds whom.
    pub(super) fn of(heights: &[f64], width: f64, edges: &[(u32, u32)]) -> Self {
        let n = heights.len();
        let edges: Vec<(usize, usize)> = edges
            .iter()
            .map(|&(from, to)| (from as usize, to as usize))
            .filter(|&(from, to)| from < to && to < n)
            .collect();
        let columns = columns(n, &edges);
        let mut order: Vec<Vec<usize>> = Vec::new();
        for (card, &column) in columns.iter().enumerate() {
            order.resize(order.len().max(column + 1), Vec::new());
            order[column].push(card);
        }
        let mut middle = vec![0.0; n];
        for _ in 0..ROUNDS {
            for column in &mut order {
                let wanted = |card: usize, middle: &[f64]| {
                    let near = edges.iter().filter_map(|&(a, b)| match card {
                        c if c == b => Some(middle[a]),
                        c if c == a => Some(middle[b]),
                        _ => None,
                    });
                    let near: Vec<f64> = near.collect();
                    near.iter().sum::<f64>() / near.len().max(1) as f64
                };
                column.sort_by(|&a, &b| wanted(a, &middle).total_cmp(&wanted(b, &middle)));
                let mut y = 0.0;
                for &card in column.iter() {
                    middle[card] = y + heights[card] / 2.0;
                    y += heights[card] + GAP_Y;
                }
            }
        }
        let tall =
            |column: &Vec<usize>| column.iter().map(|&c| heights[c] + GAP_Y).sum::<f64>() - GAP_Y;
        let height = order.iter().map(tall).fold(0.0, f64::max);
        let mut placed = vec![Placed::default(); n];
        for (number, column) in order.iter().enumerate() {
            // Columns stand in the middle of the picture.
            let mut y = MARGIN + (height - tall(column)) / 2.0;
            for &card in column {
                let x = MARGIN + number as f64 * (width + GAP_X);
                placed[card] = Placed { x, y, height: heights[card] };
                y += heights[card] + GAP_Y;
            }
        }
        let width = order.len().max(1) as f64 * (width + GAP_X) - GAP_X + 2.0 * MARGIN;
        Self { width, height: height + 2.0 * MARGIN, placed }
    }
}

/// The longest way from a source; sources stand right before what they feed.
fn columns(n: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut column = vec![0; n];
    for card in 0..n {
        let before = edges.iter().filter(|(_, to)| *to == card).map(|(from, _)| column[*from] + 1);
        column[card] = before.max().unwrap_or(0);
    }
    for card in (0..n).rev() {
        let has_inputs = edges.iter().any(|(_, to)| *to == card);
        let next = edges.iter().filter(|(from, _)| *from == card).map(|(_, to)| column[*to]).min();
        if let Some(next) = next.filter(|_| !has_inputs) {
            column[card] = next - 1;
        }
    }
    column
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_from_left_to_right_and_cards_do_not_overlap() {
        let edges = [(0, 2), (1, 2), (2, 3), (2, 4), (1, 4), (5, 6)];
        let heights = [80.0, 100.0, 60.0, 80.0, 120.0, 60.0, 60.0];
        let layout = Layout::of(&heights, 200.0, &edges);
        for (from, to) in edges {
            assert!(layout.placed[from as usize].x < layout.placed[to as usize].x, "{from} → {to}");
        }
        for a in 0..heights.len() {
            let one = layout.placed[a];
            assert!(one.x + 200.0 <= layout.width && one.y + one.height <= layout.height);
            for b in 0..a {
                let other = layout.placed[b];
                let apart = one.x != other.x
                    || one.y + one.height <= other.y
                    || other.y + other.height <= one.y;
                assert!(apart, "{a} and {b}: {one:?} {other:?}");
            }
        }
        assert_eq!(layout.placed[0].x, layout.placed[1].x, "sources stand before what they feed");
        assert!(Layout::of(&[], 200.0, &[]).placed.is_empty());
    }
}
