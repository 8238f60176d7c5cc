//! What is planted in the built-in `shapes` is found again: copies in full, label errors as far as networks
//! of this size can tell.

use std::collections::BTreeSet;
use std::time::Duration;

use fairprune::artefact::Existing;
use fairprune::artefact::tables::{FindingKind, FindingRow};
use fairprune::data::{DataSet, Format, Part, SplitKind, shapes};
use fairprune::experiment::quality::{
    Checked, Evidence, OwnEvidence, QualityPlan, QualityQueries, QualitySettings, find,
};
use fairprune::experiment::scoring::QuerySettings;
use fairprune::experiment::settings::{
    DataSettings, DefaultNetwork, NetworkSettings, RecipeSettings,
};
use fairprune::experiment::training::Keeping;
use fairprune::experiment::{Device, Loaded};

const IMAGE: usize = 32 * 32 * 3;
const CLASSES: u32 = 10;
/// Training images of each class, and in all.
const EACH: usize = 100;
const DRAWN: usize = EACH * CLASSES as usize;

/// The set, and what is wrong with it by position in the training part.
struct Planted {
    data: DataSet,
    flipped: BTreeSet<usize>,
    /// Copies of training images, of training images under another label, of test images.
    copies: Vec<usize>,
    /// Brighter ones, and mirrored ones.
    near: Vec<usize>,
}

/// Appends an image to the training part; its position there.
fn append(part: &mut Part, images: &mut Vec<u8>, image: &[u8], label: u32) -> usize {
    images.extend(image);
    part.labels.push(label);
    part.ids.push(format!("planted/{}", part.labels.len()));
    part.labels.len() - 1
}

fn planted() -> Planted {
    let drawn = shapes::generate(Format::Shapes, 0, [EACH, 0, 30], &|_, _| {}).unwrap();
    let (mut train, test) = (drawn.train.clone(), drawn.test.clone().unwrap());
    let mut images = train.images.to_vec();
    let flipped: BTreeSet<usize> = (0..DRAWN).filter(|i| i % 20 == 7).collect();
    for &i in &flipped {
        train.labels[i] = (train.labels[i] + 1 + (i as u32 / 20) % (CLASSES - 1)) % CLASSES;
    }
    let original = |i: usize| drawn.train.image(i).to_vec();
    let (mut copies, mut near) = (Vec::new(), Vec::new());
    for i in (0..DRAWN).step_by(90) {
        let label = drawn.train.labels[i];
        copies.push(append(&mut train, &mut images, &original(i), label));
        let brighter: Vec<u8> = original(i + 1)
            .into_iter()
            .map(|v| (f32::from(v) * 1.08 + 6.0).min(255.0) as u8)
            .collect();
        near.push(append(&mut train, &mut images, &brighter, label));
        let mirrored: Vec<u8> = original(i + 2)
            .chunks(32 * 3)
            .flat_map(|row| row.chunks(3).rev().flatten().copied())
            .collect();
        near.push(append(&mut train, &mut images, &mirrored, label));
    }
    copies.push(append(
        &mut train,
        &mut images,
        &original(50),
        (drawn.train.labels[50] + 1) % CLASSES,
    ));
    for i in [3, 77] {
        copies.push(append(&mut train, &mut images, test.image(i), test.labels[i]));
    }
    train.images = images.into();
    assert_eq!(train.images.len(), IMAGE * train.labels.len());
    let (classes, test) = (drawn.classes.clone(), Some(test));
    let data =
        DataSet::new("planted", Format::Shapes, classes, (32, 32), train, None, test).unwrap();
    Planted { data, flipped, copies, near }
}

/// Positions of the training part that findings of a kind are about.
fn found(rows: &[FindingRow], kind: FindingKind) -> BTreeSet<usize> {
    let of_kind = rows.iter().filter(|row| row.kind == kind && row.sample.part == "train");
    of_kind.map(|row| row.sample.index as usize).collect()
}

/// Evidence of small networks, and what is found by it on one thread and on three.
fn checked(data: DataSet, plan: &QualityPlan) -> (Checked, Checked) {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::with_threads("cpu", 0).unwrap();
    let data = std::sync::Arc::new(data);
    let split = Some(SplitKind::Crossfit { folds: 3 });
    let settings = DataSettings { split, ..DataSettings::default() };
    let network = NetworkSettings {
        arch: Some("resnet8".parse().unwrap()),
        width: Some(8),
        ..NetworkSettings::default()
    };
    let loaded = Loaded::of(&device, data.clone(), &settings);
    let session = loaded.session(&network, DefaultNetwork::default()).unwrap();
    let recipe = RecipeSettings { epochs: Some(16), batch: Some(32), ..RecipeSettings::default() };
    let full = recipe.recipe_of(&session).unwrap();
    let own = OwnEvidence::default();
    let queries =
        QualityQueries::new(&session, full, QuerySettings::default(), *plan, &own).unwrap();
    let dir = queries.identity().unwrap().claim(folder.path(), Existing::Continue).unwrap();
    let keeping = Keeping { dir: &dir, interval: Duration::from_secs(60), keep_checkpoint: false };
    let evidence: Evidence = queries
        .compute(&keeping, &fairprune::requests::Requests::new(), &mut |_, _, _| {})
        .unwrap();
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| find(&data, plan, &evidence)).unwrap()
    };
    (on(1), on(3))
}

#[test]
fn planted_copies_and_label_errors_are_found() {
    let Planted { data, flipped, copies, near } = planted();
    let plan = QualitySettings::default().plan().unwrap();
    let (one, three) = checked(data, &plan);
    assert_eq!(one.rows, three.rows, "the number of threads shows");
    assert_eq!(one.counts, three.counts);

    // Copies: every one and nothing else, unless the original goes because its label is suspected.
    let exact = found(&one.rows, FindingKind::ExactDuplicate);
    assert_eq!((exact.len(), one.counts.exact), (copies.len(), copies.len()));
    let of_held_out =
        one.rows.iter().filter(|r| r.other.as_ref().is_some_and(|o| o.part == "test"));
    assert_eq!(one.counts.exact_of_held_out, 2);
    assert!(of_held_out.clone().all(|row| row.drop));
    assert_eq!(one.counts.exact_groups_of_unlike_labels, 1 + flipped_originals(&flipped));
    let last = copies[copies.len() - 2..].iter();
    assert!(last.copied().all(|i| exact.contains(&i)), "copies of test images go");

    // Near-duplicates: of a pair either may be the one that goes.
    let pairs: BTreeSet<[usize; 2]> = one
        .rows
        .iter()
        .filter(|row| row.kind == FindingKind::NearDuplicate && row.sample.part == "train")
        .filter_map(|row| Some([row.sample.index as usize, row.other.as_ref()?.index as usize]))
        .collect();
    let hit = near.iter().filter(|&&i| pairs.iter().any(|pair| pair.contains(&i))).count();
    println!("near-duplicates: {hit} of {} planted, {} pairs in all", near.len(), pairs.len());
    assert!(hit * 10 >= near.len() * 8, "{hit} of {}", near.len());
    assert!(pairs.len() <= hit + near.len() / 2, "{} pairs, {hit} planted", pairs.len());

    // Labels: how many of the suspects are flipped, and how many of the flipped are suspects.
    let suspects = found(&one.rows, FindingKind::Label);
    let caught = suspects.intersection(&flipped).count();
    let (recall, precision) =
        (caught as f64 / flipped.len() as f64, caught as f64 / suspects.len() as f64);
    let wrong = one.labels.as_ref().unwrap().wrong;
    println!(
        "labels: {caught} of {} flipped among {} suspects: recall {recall:.2}, precision {precision:.2}, \
         estimated share {wrong:.3}",
        flipped.len(),
        suspects.len()
    );
    assert!(recall >= 0.7, "recall {recall}");
    // At random the precision would be the share of flipped labels, .05.
    assert!(precision >= 0.15, "precision {precision}");
    let dropped: Vec<&FindingRow> =
        one.rows.iter().filter(|row| row.kind == FindingKind::Label && row.drop).collect();
    let right = dropped.iter().filter(|row| flipped.contains(&(row.sample.index as usize))).count();
    println!("labels marked drop: {right} flipped of {}", dropped.len());
    assert!(dropped.iter().all(|row| row.score < -0.5) && dropped.len() < suspects.len());
    assert!(right * 10 >= dropped.len() * 4, "{right} of {}", dropped.len());
}

/// Flipped images that were copied with their true label.
fn flipped_originals(flipped: &BTreeSet<usize>) -> usize {
    (0..DRAWN).step_by(90).filter(|i| flipped.contains(i)).count()
}
