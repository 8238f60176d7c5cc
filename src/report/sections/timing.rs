//! Accuracy against everything that it took: query runs, scoring, choosing, training.

use super::top::places;
use super::tradeoff::{legend, tag};
use crate::experiment::comparison::summary::{Headline, Preparation, SeedRun, Spread};
use crate::report::markup::{self, esc, figure, name, push};
use crate::report::numbers;
use crate::report::page::Section;
use crate::report::plane::{ACROSS, HEIGHT, PlotAxis, UP, WIDTH, axes, place_labels};
use crate::report::svg::{Scale, Svg};
use crate::report::view::{Entry, SummaryView};

/// Times further apart than this factor stand on a logarithmic axis.
const APART: f64 = 15.0;

/// One strategy at one density, with what it took.
struct Timed<'a> {
    entry: Entry<'a>,
    headline: &'a Headline,
    total: Spread,
    /// Seconds of query runs, scoring, choosing and training, means over seeds.
    parts: [f64; 4],
    query_runs: usize,
}

impl<'a> Timed<'a> {
    /// Adds up the times of an entry; `None` without runs, or where a run does not tell its times.
    fn of(entry: Entry<'a>) -> Option<Self> {
        let runs = &entry.point.runs;
        let totals: Option<Vec<f64>> = runs.iter().map(SeedRun::total_seconds).collect();
        let total = Spread::of(totals?).filter(|s| s.min.is_finite() && s.max.is_finite())?;
        let mean = |of: fn(&Preparation) -> f64| {
            runs.iter().filter_map(|r| r.preparation.as_ref()).map(of).sum::<f64>()
                / runs.len() as f64
        };
        let train = runs.iter().map(|r| r.train_seconds).sum::<f64>() / runs.len() as f64;
        let query_runs = runs.iter().filter_map(|r| Some(r.preparation.as_ref()?.query_runs));
        Some(Timed {
            entry,
            headline: entry.point.headline.as_ref()?,
            total,
            parts: [
                mean(|p| p.query_seconds),
                mean(|p| p.score_seconds),
                mean(|p| p.choose_seconds),
                train,
            ],
            query_runs: query_runs.max().unwrap_or(0),
        })
    }
}

pub(in crate::report) fn section(view: &SummaryView) -> Option<Section> {
    let beside: Vec<Timed> = view.beside().into_iter().filter_map(Timed::of).collect();
    let at =
        |&d: &f64| -> Vec<Timed> { view.pruned_at(d).into_iter().filter_map(Timed::of).collect() };
    let groups: Vec<(f64, Vec<Timed>)> = view.densities.iter().map(|d| (*d, at(d))).collect();
    if groups.iter().all(|g| g.1.is_empty()) {
        return None;
    }
    let all: Vec<&Timed> = beside.iter().chain(groups.iter().flat_map(|g| &g.1)).collect();
    let mut body = String::from(
        "<p class=\"lead\">Total time is everything that one result takes: the query runs that its \
         strategy needs, scoring, choosing the samples, training on them. Query runs, and scoring \
         passes that give several scores, are counted whole for every strategy that needs them, \
         although one set serves them all. Reading images and the final test are left out. Up and \
         to the left is better.</p>\n",
    );
    body.push_str(&legend(view));
    let text = "Means over seeds; whiskers reach from the lowest seed to the highest, dotted lines \
                are full data.";
    let logarithmic = if scale(&all).1 { " Time is on a logarithmic axis." } else { "" };
    let text = format!("{text}{logarithmic}");
    push!(
        body,
        "<div class=\"pair\">{}{}</div>\n",
        figure(
            "Average accuracy",
            &text,
            &plot(view, &all, "average accuracy", |h| { h.average_accuracy })
        ),
        figure(
            &view.words("Worst class"),
            &text,
            &plot(view, &all, &view.words("recall of the worst class"), |h| { h.worst_recall })
        )
    );
    body.push_str(&table(view, &beside, &groups));
    Some(Section { id: "time", title: "Accuracy against total time", body })
}

/// Chooses the scale of the time axis, and tells whether it is logarithmic.
fn scale(all: &[&Timed]) -> (Scale, bool) {
    let ends = || all.iter().flat_map(|t| [t.total.min, t.total.max]);
    let high = ends().fold(0.0, f64::max);
    let low = ends().filter(|s| *s > 0.0).fold(high, f64::min);
    if low > 0.0 && high / low > APART {
        (Scale::around(ends().map(place), (-6.0, 12.0), ACROSS), true)
    } else {
        (Scale::fixed(0.0, high.max(1e-3) * 1.05, ACROSS.0, ACROSS.1), false)
    }
}

/// Returns the place of a time on a logarithmic axis.
fn place(seconds: f64) -> f64 {
    seconds.max(1e-3).log10()
}

/// Round times, from a millisecond to a year.
const ROUND: [f64; 33] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0,
    120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 18000.0, 36000.0, 72000.0, 86400.0,
    172800.0, 432000.0, 864000.0, 2592000.0, 7776000.0, 31536000.0,
];

fn short(seconds: f64) -> String {
    let number = |x: f64| x.to_string();
    match seconds {
        0.0 => "0".to_owned(),
        s if s < 1.0 => format!("{} ms", number(s * 1000.0)),
        s if s < 60.0 => format!("{} s", number(s)),
        s if s < 3600.0 => format!("{} min", number(s / 60.0)),
        s if s < 86400.0 => format!("{} h", number(s / 3600.0)),
        s => format!("{} d", number(s / 86400.0)),
    }
}

fn time_axis(all: &[&Timed]) -> (PlotAxis<'static>, bool) {
    let (scale, logarithmic) = scale(all);
    let ticks: Vec<(f64, String)> = if logarithmic {
        let inside = |s: &&f64| scale.contains(place(**s));
        let round: Vec<f64> = ROUND.iter().filter(inside).copied().collect();
        let every = round.len().div_ceil(6).max(1);
        let kept = round.into_iter().step_by(every);
        kept.map(|s| (place(s), short(s))).collect()
    } else {
        let inside = |step: f64| (1..).map(move |i| i as f64 * step);
        let fits = |step: &&f64| !scale.contains(**step * 6.0);
        let step = ROUND.iter().find(fits).copied().unwrap_or(f64::INFINITY);
        let first = [(0.0, short(0.0))];
        let rest = inside(step).take_while(|s| scale.contains(*s)).map(|s| (s, short(s)));
        first.into_iter().chain(rest).collect()
    };
    (PlotAxis { scale, ticks, name: "total time" }, logarithmic)
}

fn plot(
    view: &SummaryView,
    all: &[&Timed],
    y_name: &str,
    value: fn(&Headline) -> Spread,
) -> String {
    let (x, logarithmic) = time_axis(all);
    let ends = all.iter().map(|t| value(t.headline)).flat_map(|s| [s.min, s.max]);
    let y = PlotAxis::of_numbers(Scale::around(ends, (0.0, 1.0), UP), y_name);
    let label =
        format!("{y_name} against total time of {} results; values in the table.", all.len());
    let mut svg = Svg::new(WIDTH, HEIGHT, label);
    axes(&mut svg, &x, &y);
    let across = |seconds: f64| x.at(if logarithmic { place(seconds) } else { seconds });
    if let Some(full) = all.iter().find(|t| t.entry.strategy.full_data) {
        let (fx, fy) = (across(full.total.mean), y.at(value(full.headline).mean));
        svg.line((fx, UP.1), (fx, UP.0), "guide");
        svg.line((ACROSS.0, fy), (ACROSS.1, fy), "guide");
    }
    for (mark, strategy) in view.with_marks() {
        let of = |t: &&&Timed| t.entry.mark == mark && t.entry.strategy.name == strategy.name;
        let points: Vec<(f64, f64)> = all
            .iter()
            .filter(of)
            .map(|t| (across(t.total.mean), y.at(value(t.headline).mean)))
            .collect();
        if points.len() > 1 {
            svg.path(&points, false, &format!("join {}", mark.class()));
        }
    }
    let mut labels = Vec::new();
    for t in all {
        let (v, class) = (value(t.headline), format!("whisker {}", t.entry.mark.class()));
        let at = (across(t.total.mean), y.at(v.mean));
        svg.line((across(t.total.min), at.1), (across(t.total.max), at.1), &class);
        svg.line((at.0, y.at(v.min)), (at.0, y.at(v.max)), &class);
        labels.push((at, t.entry.mark, tag(view, &t.entry)));
    }
    for (t, (at, ..)) in all.iter().zip(&labels) {
        let title = format!(
            "{}, density {}: {} after {}",
            t.entry.strategy.label,
            numbers::digits(t.entry.point.density, places(t.entry.point.density)),
            numbers::spread(&value(t.headline)),
            numbers::seconds(t.total.mean)
        );
        svg.mark(t.entry.mark, *at, 5.5, &title);
    }
    place_labels(&mut svg, &labels);
    svg.finish()
}

/// Writes seconds, or milliseconds where there are few.
fn brief(seconds: f64) -> String {
    match seconds {
        s if s < 0.0005 => "< 1 ms".to_owned(),
        s if s < 0.095 => format!("{:.0} ms", s * 1000.0),
        s => numbers::seconds(s),
    }
}

const PARTS: [&str; 4] = ["Query runs", "Scoring", "Choosing", "Training"];

fn table(view: &SummaryView, beside: &[Timed], groups: &[(f64, Vec<Timed>)]) -> String {
    let full = beside.iter().find(|t| t.entry.strategy.full_data);
    let rows = || beside.iter().chain(groups.iter().flat_map(|g| &g.1));
    let table = TimeTable {
        view,
        longest: rows().map(|t| t.total.mean).fold(0.0, f64::max),
        reference: full.map(|t| t.total.mean).filter(|s| *s > 0.0),
    };
    let mut out = table.head();
    let columns = 5 + usize::from(table.reference.is_some()) + PARTS.len();
    let body = |rows: &[Timed]| rows.iter().map(|t| table.row(t)).collect::<String>();
    if !beside.is_empty() {
        push!(out, "<tbody>{}</tbody>\n", body(beside));
    }
    for (density, entries) in groups.iter().filter(|g| !g.1.is_empty()) {
        let digits = numbers::digits(*density, places(*density));
        push!(
            out,
            "<tbody><tr class=\"group\"><th colspan=\"{columns}\" scope=\"rowgroup\">Density \
             {digits}: {}</th></tr>{}</tbody>\n",
            numbers::density(*density),
            body(entries)
        );
    }
    let s = &view.summary.settings;
    out + &format!(
        "</table>\n<p class=\"foot\">Means over seeds; in brackets the number of query runs. \
         Measured on {}, {} thread{}, with whatever else ran there.</p>\n",
        esc(&s.device),
        s.threads,
        if s.threads == 1 { "" } else { "s" }
    )
}

/// What the rows of the table compare with.
struct TimeTable<'v> {
    view: &'v SummaryView<'v>,
    /// Seconds of the longest row, which fill a bar.
    longest: f64,
    /// Seconds of full data, where that was trained on.
    reference: Option<f64>,
}

impl TimeTable<'_> {
    fn head(&self) -> String {
        let mut out = String::from(
            "<table role=\"table\" class=\"cards times\"><thead><tr><th scope=\"col\">Strategy</th>\
             <th scope=\"col\" class=\"n\">Total</th><th aria-hidden=\"true\"></th>",
        );
        if self.reference.is_some() {
            out.push_str("<th scope=\"col\" class=\"n\">Full data = 1</th>");
        }
        for (i, part) in PARTS.iter().enumerate() {
            push!(out, "<th scope=\"col\" class=\"n\"><i class=\"part p{i}\"></i>{part}</th>");
        }
        push!(
            out,
            "<th scope=\"col\" class=\"n\">Average</th><th scope=\"col\" class=\"n\">{}</th>\
             </tr></thead>\n",
            self.view.words("Worst class"),
        );
        out
    }

    fn row(&self, t: &Timed) -> String {
        let mut out = format!(
            "<tr role=\"row\"><th role=\"rowheader\" scope=\"row\">{}{}</th>",
            t.entry.mark.inline(),
            name(&t.entry.strategy.label)
        );
        out.push_str(&cell("Total", &format!("<b>{}</b>", esc(&brief(t.total.mean)))));
        out.push_str(&self.bar(t));
        if let Some(reference) = self.reference {
            let times = numbers::digits(t.total.mean / reference, 2);
            out.push_str(&cell("Full data = 1", &times));
        }
        for (i, (&seconds, part)) in t.parts.iter().zip(PARTS).enumerate() {
            let text = match (i, seconds > 0.0) {
                (0, true) => format!(
                    "{} <span class=\"range\">({})</span>",
                    numbers::seconds(seconds),
                    t.query_runs
                ),
                (_, true) => esc(&brief(seconds)),
                (_, false) => "<span class=\"soft\">–</span>".to_owned(),
            };
            out.push_str(&cell(part, &text));
        }
        let share = |s: Spread| markup::minus(&numbers::share(s.mean));
        out.push_str(&cell("Average", &share(t.headline.average_accuracy)));
        out.push_str(&cell(&self.view.words("Worst class"), &share(t.headline.worst_recall)));
        out + "</tr>"
    }

    /// Shows the parts of a row's time as a bar.
    fn bar(&self, t: &Timed) -> String {
        let mut bar =
            String::from("<td class=\"wide\" aria-hidden=\"true\"><span class=\"stack\">");
        for (i, seconds) in t.parts.iter().enumerate() {
            let width = if self.longest > 0.0 { seconds / self.longest * 100.0 } else { 0.0 };
            if width >= 0.05 {
                push!(bar, "<i class=\"p{i}\" style=\"width:{width:.1}%\"></i>");
            }
        }
        bar + "</span></td>"
    }
}

fn cell(label: &str, content: &str) -> String {
    format!("<td role=\"cell\" data-label=\"{label}\" class=\"n\"><span>{content}</span></td>")
}
