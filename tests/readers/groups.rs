//! Sets with a `metadata.csv`: split, class and attribute of every image.

use std::fs;
use std::path::Path;

use fairprune::data::{DataSet, Format, Part, PartName};

use super::{assert_has, load, png, put, refusal};

const WATERBIRDS: &str = "img_id,img_filename,y,split,place,place_filename\n\
    1,002.Gull/a b.jpg,1,0,0,/f/forest.jpg\n\
    2,001.Wren/c.jpg,0,2,1,/o/ocean.jpg\n\
    3,001.Wren/d.jpg,0,0,0,/f/forest.jpg\n\
    4,002.Gull/e.jpg,1,1,1,/o/ocean.jpg\n\
    5,001.Wren/f.jpg,0,0,1,/o/ocean.jpg\n";

fn make(csv: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (i, name) in
        ["002.Gull/a b.jpg", "001.Wren/c.jpg", "001.Wren/d.jpg", "002.Gull/e.jpg", "001.Wren/f.jpg"]
            .iter()
            .enumerate()
    {
        put(dir.path(), name, &png(2, 2, [i as u8, 1, 2]));
    }
    put(dir.path(), "metadata.csv", csv.as_bytes());
    dir
}

fn loaded(csv: &str) -> DataSet {
    load(make(csv).path(), None).unwrap()
}

fn without_column(csv: &str, column: usize) -> String {
    csv.lines()
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let kept: Vec<&str> =
                (0..cells.len()).filter(|&i| i != column).map(|i| cells[i]).collect();
            kept.join(",") + "\n"
        })
        .collect()
}

#[test]
fn waterbirds_lists_are_read_in_their_order_with_places() {
    let set = loaded(WATERBIRDS);
    assert_eq!(
        (set.format, &set.classes[..]),
        (Format::Metadata, &["landbird", "waterbird"].map(str::to_owned)[..])
    );
    let attributes = set.attributes.as_ref().unwrap();
    assert_eq!(attributes.name, "place");
    assert_eq!(attributes.values, ["land", "water"]);
    assert_eq!(set.train.ids, ["002.Gull/a b.jpg", "001.Wren/d.jpg", "001.Wren/f.jpg"]);
    assert_eq!(
        (&set.train.labels[..], &set.train.attributes[..]),
        (&[1, 0, 0][..], &[0, 0, 1][..])
    );
    assert_eq!(set.train.image(1)[0], 2);
    let part = |name| set.part(name).unwrap();
    let sizes = |part: &Part| attributes.group_sizes(2, part);
    assert_eq!(sizes(&set.train), [1, 1, 1, 0]);
    assert_eq!(
        (sizes(part(PartName::Val)), sizes(part(PartName::Test))),
        (vec![0, 0, 0, 1], vec![0, 1, 0, 0])
    );
    assert_eq!((attributes.groups(2), attributes.group(1, 0)), (4, 2));
    assert_eq!(attributes.group_name(&set.classes, 2), "waterbird / land");
}

#[test]
fn fingerprint_changes_with_attributes_only_where_there_are_any() {
    let reference = loaded(WATERBIRDS).fingerprint;
    let moved = WATERBIRDS.replace("5,001.Wren/f.jpg,0,0,1", "5,001.Wren/f.jpg,0,0,0");
    assert_ne!(loaded(&moved).fingerprint, reference);
    let bare = loaded(&without_column(WATERBIRDS, 4));
    assert!(bare.attributes.is_none() && bare.train.attributes.is_empty());
    // Without places the same images and names are the same set as before there were attributes.
    let pinned = fairprune::data::DataSet::new(
        "x",
        Format::ImageFolder,
        bare.classes.clone(),
        (2, 2),
        bare.train.clone(),
        bare.val.clone(),
        bare.test.clone(),
    );
    assert_eq!(pinned.unwrap().fingerprint, bare.fingerprint);
    // Other names of the column and of nothing else: another fingerprint, since groups are called so.
    let renamed = WATERBIRDS.replace(",place,", ",a,").replace("img_filename", "filename");
    let renamed = loaded(&renamed);
    assert_eq!(renamed.classes, ["0", "1"]);
    assert_eq!(renamed.attributes.as_ref().unwrap().name, "a");
}

#[test]
fn a_single_held_out_split_is_the_test_part() {
    let set = loaded(&WATERBIRDS.replace("c.jpg,0,2", "c.jpg,0,1"));
    assert!(set.val.is_none());
    assert_eq!(set.test.unwrap().ids, ["001.Wren/c.jpg", "002.Gull/e.jpg"]);
}

#[test]
fn bad_lists_are_refused_with_the_line() {
    let message =
        |from: &str, to: &str| refusal(load(make(&WATERBIRDS.replace(from, to)).path(), None));
    assert_has(
        &message("2,001.Wren/c.jpg", "2,../c.jpg"),
        &["metadata.csv, line 3", "../c.jpg", "below the folder"],
    );
    assert_has(&message("2,001.Wren/c.jpg", "2,/etc/passwd"), &["line 3", "/etc/passwd"]);
    assert_has(&message("2,001.Wren/c.jpg", "2,"), &["line 3", "\"\""]);
    assert_has(&message("c.jpg,0,2", "c.jpg,0,3"), &["line 3", "split \"3\"", "below 3"]);
    assert_has(&message("c.jpg,0,2", "c.jpg,-1,2"), &["line 3", "y \"-1\""]);
    assert_has(&message("c.jpg,0,2", "c.jpg,4000000000,2"), &["line 3", "4000000000"]);
    assert_has(&message("3,001.Wren/d.jpg", "3,001.Wren/c.jpg"), &["line 4", "again"]);
    assert_has(&message("3,001.Wren/d.jpg", "3,001.Wren/x.jpg"), &["001.Wren/x.jpg"]);
    assert_has(&message("5,001.Wren/f.jpg,0,0,1,/o/ocean.jpg", "5,x"), &["line 6"]);
    let none = WATERBIRDS.replace(",0,0,", ",0,2,").replace(",1,0,", ",1,2,");
    assert_has(&refusal(load(make(&none).path(), None)), &["no training images"]);
    // A list of another kind is no list of this kind: the folder reader looks at the rest.
    let other = make("file_name,text\n001.Wren/c.jpg,a wren\n");
    assert_has(&refusal(load(other.path(), None)), &["no train folder"]);
}

#[cfg(unix)]
#[test]
fn links_are_followed_out_of_the_tree_and_pipes_are_not_waited_for() {
    let dir = make(WATERBIRDS);
    let elsewhere = tempfile::tempdir().unwrap();
    let reference = load(dir.path(), None).unwrap().fingerprint;
    let file = dir.path().join("001.Wren/c.jpg");
    let target = elsewhere.path().join("c.jpg");
    fs::rename(&file, &target).unwrap();
    std::os::unix::fs::symlink(&target, &file).unwrap();
    assert_eq!(load(dir.path(), None).unwrap().fingerprint, reference);
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(Path::new("/dev/zero"), &file).unwrap();
    assert_has(&refusal(load(dir.path(), None)), &["c.jpg", "no regular file"]);
}
