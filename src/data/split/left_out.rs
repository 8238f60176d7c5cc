//! Samples of the training part that are neither trained on nor kept, because they were found wanting.

use super::Split;

/// What decided that samples are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Identifies what decided it.
    pub digest: String,
    /// Number of samples that the split lost.
    pub samples: usize,
    /// A sentence for people.
    pub text: String,
}

impl Split {
    /// Takes the training positions in `positions`, ascending, out of what may be trained on and
    /// kept. Validation and test samples stay, so that results with and without them compare.
    pub fn without(self, positions: &[usize], why: LeftOut) -> Split {
        let stays = |i: &usize| positions.binary_search(i).is_err();
        let train = self.train.into_iter().filter(stays).collect();
        Split { train, left_out: Some(why), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::SplitKind;

    #[test]
    fn what_is_left_out_is_in_no_fold() {
        let classes = ["a", "b"].map(str::to_owned);
        let labels: Vec<u32> = (0..20).map(|i| i % 2).collect();
        let kind = SplitKind::Crossfit { folds: 2 };
        let split = Split::new(kind, &classes, &labels, None, None, 0).unwrap();
        let why = LeftOut { digest: "d".to_owned(), samples: 2, text: "two".to_owned() };
        let less = split.clone().without(&[3, 18], why);
        assert_eq!(less.train, (0..20).filter(|i| ![3, 18].contains(i)).collect::<Vec<_>>());
        for run in 0..2 {
            let (all, part) = (split.query(run), less.query(run));
            let stays = |list: Vec<usize>| -> Vec<usize> {
                list.into_iter().filter(|i| ![3, 18].contains(i)).collect()
            };
            assert_eq!((part.train, part.val), (stays(all.train), stays(all.val)));
        }
        assert_eq!(less.left_out.unwrap().samples, 2);
    }
}
