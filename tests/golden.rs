//! Our float32 against golden values that PyTorch computed in float64
//! (`tests/golden/make_golden.py`), and weight files against torchvision itself.

mod case;
mod exchange;
mod inputs;
mod judge;
mod last_layer;

use case::Case;
use fairprune::exec::Mode;
use fairprune::ops::loss_score::Field;
use judge::Judge;

/// Scores, then one teacher-forced step (state loaded, batch given), then two more.
fn check(json: &str) {
    let case = Case::parse(json);
    let mut run = case.run();

    let kinks = case.trunk.is_none();
    let judge = Judge { errors: &case.float32_error.eval, kinks };
    for mode in [Mode::Score, Mode::GradNorm] {
        let logits = run.score(mode);
        judge.list("logits", &logits, &case.eval.logits);
        judge.list("loss", &run.column(Field::Loss), &case.eval.loss);
        judge.list("el2n", &run.column(Field::El2n), &case.eval.el2n);
    }
    judge.list("grand", &run.column(Field::Grand), &case.eval.grand);
    // Without its part of convolutions' biases the norm would be another.
    if !case.eval.grand_conv_bias.is_empty() {
        let without = case.eval.grand.iter().zip(&case.eval.grand_conv_bias);
        let without: Vec<f64> =
            without.map(|(all, biases)| (all * all - biases * biases).sqrt()).collect();
        assert!(!judge.holds("grand", &run.column(Field::Grand), &without), "biases do not show");
    }

    let judge = Judge { errors: &case.float32_error.train, kinks };
    let order = run.begin_training();
    run.train_step();
    let logits = run.executor.logits(Mode::Train, case.batch).unwrap();
    judge.list("logits", &logits, &case.train.logits);
    let gradients = run.executor.gradients().unwrap();
    judge.tensors("gradient", &gradients, &case.train.gradient);
    judge.tensors("weight", &run.tensors(false), &case.train.weight);
    judge.tensors("running", &run.tensors(true), &case.train.running);
    for _ in 1..case.steps {
        run.train_step();
    }
    judge.tensors("weight_end", &run.tensors(false), &case.train.weight_end);
    judge.tensors("running_end", &run.tensors(true), &case.train.running_end);
    let column = run.column(Field::Loss);
    let losses: Vec<f32> = order.iter().map(|&i| column[i as usize]).collect();
    judge.list("loss", &losses, &case.train.loss);
    assert_eq!(run.executor.state().unwrap().bad_step, None);
}

#[test]
fn resnet8() {
    check(include_str!("golden/resnet8.json"));
}

/// Nesterov, strong decay, label smoothing, class weights, odd image sizes.
#[test]
fn resnet8_weighted() {
    check(include_str!("golden/resnet8_weighted.json"));
}

#[test]
fn resnet18_cifar() {
    check(include_str!("golden/resnet18_cifar.json"));
}

/// The 7x7 stem and max-pooling, on images of odd height and width.
#[test]
fn resnet18_imagenet() {
    check(include_str!("golden/resnet18_imagenet.json"));
}

#[test]
fn resnet50() {
    check(include_str!("golden/resnet50.json"));
}

/// The stride in the first 1x1 of a bottleneck.
#[test]
fn resnet50_v1() {
    check(include_str!("golden/resnet50_v1.json"));
}

/// Convolution biases, and the full width of the CIFAR form.
#[test]
fn vgg16() {
    check(include_str!("golden/vgg16.json"));
}

/// Odd sizes, of which poolings drop the last rows and columns, and a head that averages.
#[test]
fn vgg19() {
    check(include_str!("golden/vgg19.json"));
}
