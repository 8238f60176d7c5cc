//! Scores that another program computed.

use std::path::{Path, PathBuf};

use serde_json::{Map, json};

use crate::artefact::foreign::{self, MatchedScores, NamedScores, ScoreColumns, WantedColumns};
use crate::artefact::{Provenance, digest, input, provenance};
use crate::data::{DataSet, Format};
use crate::error::{Error, Result};
use crate::experiment::folder::provenance::identity;
use crate::experiment::folder::scores::check_digest;
use crate::prune::Direction;
use crate::score::Method;

/// What a file of scores does not say itself.
#[derive(Clone, Debug, Default)]
pub struct GivenSettings {
    /// Which end is kept first: `high` or `low`; None takes low for a column called aum.
    pub direction: Option<String>,
    /// The order of an array, or what the numbers of a CSV count in: `imagefolder`, `dataset` or `ids:FILE`.
    pub order: Option<String>,
    /// Column of a CSV that holds the score, or array of a .npz; None takes `score`, `aum`, or the only
    /// one.
    pub score_column: Option<String>,
    /// Column of a CSV that names the samples; None takes a known one.
    pub name_column: Option<String>,
    /// The numbers 0 to N - 1 in an array are the samples' ranks, and meant as scores.
    pub as_ranks: bool,
    /// Samples without a row in a table are held out.
    pub partial: bool,
}

impl GivenSettings {
    /// The name of a setting that is given, if one is.
    pub fn first(&self) -> Option<&'static str> {
        let settings = [
            ("direction", &self.direction),
            ("order", &self.order),
            ("score_column", &self.score_column),
            ("name_column", &self.name_column),
        ];
        let first = settings.into_iter().find(|(_, value)| value.is_some()).map(|(name, _)| name);
        let first = first.or(self.as_ranks.then_some("as_ranks"));
        first.or(self.partial.then_some("partial"))
    }
}

/// Scores of a file, one a training sample; NaN where a sample that cannot be kept has none.
pub struct GivenScores {
    pub values: Vec<f64>,
    pub direction: Direction,
    pub record: provenance::MethodRecord,
    /// Digest of the whole file.
    pub digest: String,
    /// Positions that may be kept no more, ascending: the file holds them out, or has no row for them.
    pub held_out: Vec<usize>,
    /// Says how many these are, and why.
    pub notes: Vec<String>,
}

/// How positions of a file belong to samples.
enum FileOrder {
    DataSet,
    Ids(PathBuf),
}

impl GivenScores {
    /// Reads `path` for the samples of `data`, of which `eligible` may be kept; with `parts` its column `part`
    /// says which of them are held out.
    pub fn read(
        path: &Path,
        settings: &GivenSettings,
        data: &DataSet,
        eligible: &[usize],
        parts: bool,
    ) -> Result<GivenScores> {
        let what = format!("`scores` {}", path.display());
        let bytes = input::read(path, input::MOST)?;
        // An array or table of `fairprune score` says beside itself what it is of.
        let beside = path.with_file_name("scores.json");
        let stated = match beside.is_file().then(|| Provenance::read(&beside)) {
            Some(Ok(said)) => {
                said.check_positions(&what, &identity(data))?;
                check_digest(&beside, path, &bytes)?;
                Some(said)
            }
            Some(Err(error @ Error::Damaged { .. })) => return Err(error),
            // A JSON of another program says nothing to this one.
            Some(Err(_)) | None => None,
        };
        let order = settings.order.as_deref().map(|text| order(text, data)).transpose()?;
        let is =
            |extension: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension));
        let samples = Samples { what: &what, ids: &data.train.ids, eligible, parts };
        let mut known_direction = None;
        let (said, column) = if is("npy") || is("npz") {
            let (values, column) = samples.of_array(path, is("npz"), settings, order)?;
            if stated.is_none() && !settings.as_ranks && foreign::is_permutation(&values) {
                let found = format!("the numbers 0 to {}, each once", values.len() - 1);
                let expected = "scores; `as_ranks` if each is the rank of its sample; if they are \
                                positions in an order, numpy.argsort of them are ranks";
                return Err(Error::invalid(what, found, expected));
            }
            (MatchedScores { values, ..MatchedScores::default() }, column)
        } else if is("csv") {
            let (said, columns) = samples.of_table(path, settings, order)?;
            let method = columns.score.parse::<Method>().ok().filter(|_| columns.own);
            known_direction = method.map(Method::direction);
            (said, Some(columns.score))
        } else {
            let expected = "a folder that `fairprune score` wrote, a .csv, a .npz or a .npy";
            return Err(Error::invalid(what, "another kind of file", expected));
        };
        let direction = match (settings.direction.as_deref(), known_direction) {
            (None, Some(known)) => known,
            (stated, _) => direction(stated, column.as_deref(), &what)?,
        };
        let record = record(path, settings, direction, column, &digest(&bytes));
        let MatchedScores { values, mut held_out, without_row } = said;
        held_out.retain(|i| eligible.binary_search(i).is_ok());
        let all = data.train.len();
        let note = |count: usize, why: &str| {
            (count > 0).then(|| format!("{count} of {all} training images {why}: held out"))
        };
        let name = path.display();
        let notes = [
            note(held_out.len(), &format!("are not of the part train in {name}")),
            note(without_row.len(), &format!("have no row in {name}")),
        ];
        held_out.extend(without_row);
        held_out.sort_unstable();
        let notes = notes.into_iter().flatten().collect();
        Ok(GivenScores { values, direction, record, digest: digest(&bytes), held_out, notes })
    }
}

/// The samples that scores are wanted for.
struct Samples<'a> {
    /// The file of scores, for messages.
    what: &'a str,
    ids: &'a [String],
    eligible: &'a [usize],
    /// Whether a column says which of them are held out.
    parts: bool,
}

impl Samples<'_> {
    /// Reads an array, alone or in an archive, and returns its numbers by sample, and its name.
    fn of_array(
        &self,
        path: &Path,
        archive: bool,
        settings: &GivenSettings,
        order: Option<FileOrder>,
    ) -> Result<(Vec<f64>, Option<String>)> {
        if settings.partial || self.parts {
            let name = if self.parts { "held_out" } else { "partial" };
            let expected = "a CSV file with a row a sample";
            return Err(Error::invalid(format!("`{name}`"), "an array", expected));
        }
        let Some(order) = order else {
            let expected = "`order` imagefolder, dataset or ids:FILE: an array does not say whose \
                            its numbers are";
            return Err(Error::invalid(self.what, "an array without an order", expected));
        };
        if settings.name_column.is_some() || (settings.score_column.is_some() && !archive) {
            let name = if settings.name_column.is_some() { "name_column" } else { "score_column" };
            let expected = "a CSV file, whose columns have names";
            return Err(Error::invalid(format!("`{name}`"), "an array", expected));
        }
        let (values, name) = match archive {
            true => {
                let (name, values) = foreign::read_npz(path, settings.score_column.as_deref())?;
                (values, Some(name))
            }
            false => (foreign::read_array(path)?, None),
        };
        let values = match order {
            FileOrder::DataSet => foreign::in_order(self.what, values, self.ids.len())?,
            FileOrder::Ids(list) => {
                let names = lines(&list)?;
                if names.len() != values.len() {
                    let found = format!("{} numbers", values.len());
                    let expected = format!("{}, the lines of {}", names.len(), list.display());
                    return Err(Error::invalid(self.what, found, expected));
                }
                let rows = NamedScores { names, scores: values, held_out: Vec::new() };
                let list = list.display().to_string();
                foreign::by_name(&list, &rows, self.ids, self.eligible, false)?.values
            }
        };
        Ok((values, name))
    }

    /// Reads a table and returns what it says by sample, and its columns.
    fn of_table(
        &self,
        path: &Path,
        settings: &GivenSettings,
        order: Option<FileOrder>,
    ) -> Result<(MatchedScores, ScoreColumns)> {
        let wanted = WantedColumns {
            name: settings.name_column.as_deref(),
            score: settings.score_column.as_deref(),
            parts: self.parts,
        };
        let (columns, mut rows) = foreign::read_csv(path, wanted)?;
        if let Some(order) = order {
            let names = match order {
                FileOrder::DataSet => self.ids.to_vec(),
                FileOrder::Ids(list) => lines(&list)?,
            };
            name_positions(self.what, &mut rows, &names)?;
        }
        let partial = settings.partial;
        let said =
            foreign::by_name(self.what, &rows, self.ids, self.eligible, partial).map_err(|e| {
                let numbers = rows.names.iter().all(|n| n.parse::<u64>().is_ok());
                match e {
                    Error::Invalid { what, found, expected }
                        if numbers && settings.order.is_none() =>
                    {
                        let expected = format!(
                            "{expected}; if these numbers are positions, say in which `order`"
                        );
                        Error::Invalid { what, found, expected }
                    }
                    other => other,
                }
            })?;
        Ok((said, columns))
    }
}

fn record(
    path: &Path,
    settings: &GivenSettings,
    direction: Direction,
    column: Option<String>,
    digest: &str,
) -> provenance::MethodRecord {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    provenance::MethodRecord {
        name: "given".to_owned(),
        variant: format!("scores of another program, {file}"),
        direction: Some(match direction {
            Direction::KeepHighest => provenance::KeptEnd::HigherFirst,
            Direction::KeepLowest => provenance::KeptEnd::LowerFirst,
        }),
        hyper_parameters: Map::from_iter([
            ("source".to_owned(), json!("file")),
            ("digest".to_owned(), json!(digest)),
            ("column".to_owned(), json!(column)),
            ("order".to_owned(), json!(settings.order.as_deref().unwrap_or("names"))),
        ]),
    }
}

fn order(text: &str, data: &DataSet) -> Result<FileOrder> {
    match text {
        "dataset" => Ok(FileOrder::DataSet),
        "imagefolder" if data.format == Format::ImageFolder => Ok(FileOrder::DataSet),
        "imagefolder" => {
            let found = format!("imagefolder, and a data set of format {}", data.format);
            let expected = "dataset, the order of that format's own reader; or ids:FILE";
            Err(Error::invalid("`order`", found, expected))
        }
        _ => match text.strip_prefix("ids:") {
            Some(file) if !file.is_empty() => Ok(FileOrder::Ids(PathBuf::from(file))),
            _ => Err(Error::invalid("`order`", text, "imagefolder, dataset or ids:FILE")),
        },
    }
}

/// AUM says itself which end is hard: low margins. Of other scores nothing is assumed.
fn direction(given: Option<&str>, column: Option<&str>, what: &str) -> Result<Direction> {
    match (given, column) {
        (Some("high"), _) => Ok(Direction::KeepHighest),
        (Some("low"), _) => Ok(Direction::KeepLowest),
        (Some(other), _) => Err(Error::invalid("`direction`", other, "high or low")),
        (None, Some(column)) if column.trim().eq_ignore_ascii_case("aum") => {
            Ok(Direction::KeepLowest)
        }
        (None, _) => {
            let expected = "`direction` high or low: which end of the scores is kept first";
            Err(Error::invalid(what, "scores without a direction", expected))
        }
    }
}

fn lines(path: &Path) -> Result<Vec<String>> {
    let bytes = input::read(path, input::MOST_DOCUMENT)?;
    let text = String::from_utf8(bytes).map_err(|_| {
        let expected = "a text file in UTF-8, a name a line";
        Error::invalid(path.display().to_string(), "bytes that are not UTF-8", expected)
    })?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Names for rows that are called by their position.
fn name_positions(what: &str, rows: &mut NamedScores, names: &[String]) -> Result<()> {
    for name in rows.names.iter_mut().chain(&mut rows.held_out) {
        let position = name.parse::<usize>().ok();
        let Some(id) = position.and_then(|i| names.get(i)) else {
            let expected =
                format!("positions from 0 to {}, since there is `order`", names.len() - 1);
            return Err(Error::invalid(what, format!("the name {name:?}"), expected));
        };
        *name = id.clone();
    }
    Ok(())
}
