//! Scores of logits at hand are those of the operator that a training step runs, bit for bit.

use fairprune::backend::{Backend, Cpu, View};
use fairprune::experiment::arrays::{LogitRecorder, score_logits};
use fairprune::ops::loss_score::{
    BatchViews, FIELDS, Field, LogitGradient, LossScore, LossScoreProblem,
};
use fairprune::rng::{Philox, Stream};
use fairprune::score::{Method, Options};
use fairprune::tensor::Dtype;

const N: usize = 37;
const K: usize = 11;

fn logits(epoch: u64) -> Vec<f32> {
    let mut draws = Philox::new(epoch, Stream::Ties).sequence(0);
    (0..N * K).map(|_| (draws.next_u64() >> 40) as f32 / (1 << 20) as f32 - 8.0).collect()
}

fn labels() -> Vec<u32> {
    (0..N as u32).map(|i| i * 5 % K as u32).collect()
}

/// The table after each epoch's pass over all samples in one batch, column after column.
fn tables(epochs: u64) -> Vec<Vec<f32>> {
    let cpu = Cpu::new(2).unwrap();
    let mut offset = 0;
    let mut view = |len: usize, dtype: Dtype| {
        let view = View { buffer: 0, offset, len, dtype };
        offset = (offset + view.bytes()).next_multiple_of(256);
        view
    };
    let of_logits = view(N * K, Dtype::F32);
    let batch = BatchViews {
        order: view(N, Dtype::U32),
        labels: view(N, Dtype::U32),
        state: view(4, Dtype::U32),
        table: view(N * FIELDS, Dtype::F32),
        previous: view(N * K, Dtype::F32),
    };
    let mut memory = cpu.allocate(&[offset], false).unwrap();
    let order: Vec<u32> = (0..N as u32).collect();
    cpu.upload_u32(&mut memory, batch.order, &order).unwrap();
    cpu.upload_u32(&mut memory, batch.labels, &labels()).unwrap();
    cpu.fill(&mut memory, batch.previous, f32::NAN).unwrap();
    let problem = LossScoreProblem { n: N, batch: N, k: K };
    let mut pass = |epoch| {
        cpu.upload(&mut memory, of_logits, &logits(epoch)).unwrap();
        cpu.loss_score(&mut memory, &problem, of_logits, &batch, LogitGradient::None, View::EMPTY)
            .unwrap();
        let mut table = vec![0.0; N * FIELDS];
        cpu.download(&memory, batch.table, &mut table).unwrap();
        table
    };
    (0..epochs).map(&mut pass).collect()
}

#[test]
fn rows_have_the_bits_of_the_operator() {
    let cpu = Cpu::new(2).unwrap();
    let mut previous = vec![f32::NAN; N * K];
    for (epoch, table) in tables(3).iter().enumerate() {
        let told = score_logits(&cpu, K, &logits(epoch as u64), &labels(), &mut previous).unwrap();
        for field in [
            Field::Loss,
            Field::El2n,
            Field::Entropy,
            Field::Margin,
            Field::LabelProbability,
            Field::Aum,
            Field::Correct,
            Field::Prediction,
            Field::TopProbability,
            Field::Divergence,
        ] {
            let column = &table[field as usize * N..][..N];
            let same = told.column(field).zip(column).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "{field:?} in epoch {epoch}");
        }
    }
}

#[test]
fn a_recorder_goes_on_from_its_state() {
    let cpu = Cpu::new(2).unwrap();
    let positions: Vec<u32> = (0..N as u32).rev().collect();
    let of = |values: &[f32], i: usize| values[i * K..(i + 1) * K].to_vec();
    let epoch = |recorder: &mut LogitRecorder, epoch: u64| {
        let (values, labels) = (logits(epoch), labels());
        for batch in positions.chunks(8) {
            let rows: Vec<f32> = batch.iter().flat_map(|&i| of(&values, i as usize)).collect();
            let own: Vec<u32> = batch.iter().map(|&i| labels[i as usize]).collect();
            recorder.update(&cpu, batch, &rows, &own).unwrap();
        }
        recorder.validate(&cpu, &values, &labels).unwrap();
        recorder.end_epoch().unwrap();
    };
    let mut whole = LogitRecorder::new(N, K, true).unwrap();
    (0..12).for_each(|e| epoch(&mut whole, e));
    let mut first = LogitRecorder::new(N, K, true).unwrap();
    (0..5).for_each(|e| epoch(&mut first, e));
    let mut second = LogitRecorder::from_state(first.state().unwrap()).unwrap();
    (5..12).for_each(|e| epoch(&mut second, e));
    assert_eq!(second.recalls().unwrap(), whole.recalls().unwrap());
    let methods = [Method::Tdds, Method::Forgetting, Method::Aum];
    let options = Options::default();
    let bits = |recorder: &mut LogitRecorder| -> Vec<u32> {
        let scores = recorder.scores(&methods, &options).unwrap();
        assert_eq!(scores.iter().map(|s| s.0).collect::<Vec<_>>(), methods);
        scores.iter().flat_map(|s| s.1.iter().map(|v| v.to_bits())).collect()
    };
    assert_eq!(bits(&mut second), bits(&mut whole));
}
