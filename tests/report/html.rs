//! The page: well-formed, self-contained, escaped, for all kinds of results.

use super::example::{Shape, picture, summary};
use fairprune::experiment::comparison::summary::*;
use fairprune::report::{Thumb, render};
use std::collections::BTreeSet;

/// Writes the page where a person can look at it: target/tmp/report-NAME.html.
fn page(name: &str, summary: &RunSummary) -> String {
    let html = render(summary, Some(&picture));
    let path = format!("{}/report-{name}.html", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(path, &html).unwrap();
    check(&html);
    html
}

/// Balanced elements, quoted attributes, unique ids, links that lead somewhere, no request.
pub(super) fn check(html: &str) {
    const VOID: [&str; 5] = ["meta", "img", "br", "link", "input"];
    let mut open: Vec<&str> = Vec::new();
    let (mut ids, mut links) = (BTreeSet::new(), Vec::new());
    let mut rest = html.strip_prefix("<!DOCTYPE html>\n").expect("a document type first");
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "a bare > in {:?}", &rest[..start]);
        let end = start + rest[start..].find('>').expect("an element that ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed by </{name}>, before {:.80}", rest);
            continue;
        }
        let (tag, closed) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric()), "element {name:?}");
        assert!(name != "script" && name != "link", "an element that loads: {tag}");
        while !attributes.trim().is_empty() {
            let attribute = attributes.trim_start();
            if let Some(after) = attribute.strip_prefix("open") {
                attributes = after;
                continue;
            }
            let (key, value) = attribute.split_once("=\"").expect("a quoted attribute");
            assert!(
                key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
                "{key:?} in {tag}"
            );
            let (value, after) = value.split_once('"').expect("a quote that ends");
            attributes = after;
            assert!(!key.starts_with("on"), "a script in {tag}");
            match key {
                "id" => assert!(ids.insert(value), "id {value} twice"),
                "href" => links.push(value.strip_prefix('#').expect("a link inside the page")),
                "src" => assert!(value.starts_with("data:image/png;base64,"), "{value:.60}"),
                "style" => assert!(!value.contains("url") && !value.contains("NaN"), "{tag}"),
                _ => {}
            }
        }
        assert!(!tag.contains("NaN") && !tag.contains("inf\""), "{tag}");
        if name == "style" {
            let end = rest.find("</style>").unwrap();
            let css = &rest[..end];
            assert!(!css.contains("url(") && !css.contains("@import") && !css.contains('<'));
            assert_eq!(css.matches('{').count(), css.matches('}').count());
            rest = &rest[end..];
        }
        if !closed && !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    assert!(links.iter().all(|l| ids.contains(l)), "{links:?} lead to {ids:?}");
    assert!(!html.contains("://"), "an address in the page");
    assert!(html.ends_with("</html>\n"));
}

fn named(n: usize, name: impl Fn(usize) -> String) -> Vec<String> {
    (0..n).map(name).collect()
}

#[test]
fn the_usual_page() {
    let s = summary(&Shape::usual());
    let html = page("usual", &s);
    for id in [
        "results", "tradeoff", "time", "classes", "quotas", "examples", "costs", "reading",
        "recipe",
    ] {
        assert!(html.contains(&format!("<section id=\"{id}\"")), "no {id}");
    }
    // What the page is for: verdict, the headline's numbers, the command, the fingerprint.
    let metriq = s.strategies[3].points[0].headline.as_ref().unwrap();
    let worst = fairprune::report::numbers::share(metriq.worst_recall.mean);
    assert!(html.contains(&format!("<b>{worst}</b>")));
    assert!(html.contains(&s.settings.command) && html.contains(&s.settings.data.fingerprint));
    assert!(html.contains(s.verdicts[0].outcome.label()));
    assert!(html.contains("fewer than 50"));
    assert!(html.contains("prefers-color-scheme: dark"));
    assert_eq!(html.matches("<img ").count(), 10 * 16);
    assert_eq!(html, render(&s, Some(&picture)), "two renderings differ");
    let json = serde_json::to_string(&s).unwrap();
    let again: RunSummary = serde_json::from_str(&json).unwrap();
    assert_eq!(html, render(&again, Some(&picture)), "summary.json loses something");
    assert!(!render(&s, None).contains("<img"));
}

#[test]
fn training_is_drawn_for_every_density() {
    let s = summary(&Shape { densities: vec![0.3, 0.5], ..Shape::usual() });
    let html = page("training", &s);
    let section = html.split("id=\"training\"").nth(1).unwrap().split("</section>").next().unwrap();
    // Three drawings a density; validation was looked at in every other epoch.
    assert_eq!(section.matches(" against steps; ").count(), 6);
    assert_eq!(section.matches("Validation accuracy").count(), 4);
    let curves = section.matches("class=\"curve ").count();
    assert_eq!(curves, 6 * (1 + s.strategies.iter().filter(|s| !s.full_data).count()));
    let mut old = s.clone();
    let runs = old.strategies.iter_mut().flat_map(|s| &mut s.points).flat_map(|p| &mut p.runs);
    runs.for_each(|run| run.curve.clear());
    assert!(!page("without-curves", &old).contains("id=\"training\""));
}

#[test]
fn the_headline_speaks_of_all_densities() {
    let mut s = summary(&Shape { densities: vec![0.3, 0.5], ..Shape::usual() });
    let head = |s: &RunSummary| {
        let html = page("headline", s);
        html.split("</header>")
            .next()
            .unwrap()
            .split("class=\"outcome\">")
            .nth(1)
            .unwrap()
            .to_owned()
    };
    let (strategy, metric) = (s.verdicts[0].strategy.clone(), s.verdicts[0].metric);
    let set = |s: &mut RunSummary, outcomes: [Outcome; 2]| {
        let same = |v: &&mut Verdict| {
            v.strategy == strategy && v.metric == metric && v.baseline == "random"
        };
        s.verdicts.iter_mut().filter(same).zip(outcomes).for_each(|(v, o)| v.outcome = o);
    };
    set(&mut s, [Outcome::Improved, Outcome::Improved]);
    assert!(head(&s).starts_with("improved") && head(&s).contains("at density .5"));
    assert!(head(&s).contains("at density .3"));
    set(&mut s, [Outcome::Improved, Outcome::Worsened]);
    assert!(head(&s).starts_with("not the same at every density"), "{}", head(&s));
    set(&mut s, [Outcome::Undertrained, Outcome::Undertrained]);
    assert!(head(&s).starts_with("undertrained: no verdict"), "{}", head(&s));
    let epochs = s.settings.epochs_to_try();
    assert!(epochs as f64 >= 4.0 * s.settings.epochs);
    assert!(head(&s).contains(&format!("--epochs {epochs}")), "{}", head(&s));
}

#[test]
fn warnings_that_say_the_same_are_one() {
    let mut s = summary(&Shape::usual());
    let same = |who: &str| format!("{who}: fewer than 50 samples are kept of \"ring\" (46)");
    s.warnings = vec![
        same("Random at density 0.3"),
        "the test part is small".to_owned(),
        same("EL2N at density 0.3"),
        same("EL2N at density 0.5"),
    ];
    let html = page("warnings", &s);
    assert_eq!(html.matches("fewer than 50 samples are kept of").count(), 1);
    let merged = "(Random at density 0.3; EL2N at density 0.3, 0.5)";
    assert!(html.contains(merged), "{}", html.split("<nav").next().unwrap());
    assert!(html.contains("the test part is small"));
    // Other seeds of one strategy keep other numbers.
    let seed =
        |n: usize| format!("Random at density 0.3: fewer than 50 samples are kept of \"a\" ({n})");
    s.warnings = vec![seed(1), seed(2), seed(3)];
    let html = page("alike", &s);
    assert!(html.contains("(1) (alike in 2 more)"), "{}", html.split("<nav").next().unwrap());
    assert!(!html.contains("(2)") && !html.contains("(3)"));
}

#[test]
fn several_densities() {
    let shape = Shape { densities: vec![0.1, 0.3, 0.5, 0.8], seeds: 6, ..Shape::usual() };
    let html = page("densities", &summary(&shape));
    assert!(html.contains("<section id=\"densities\"") && html.contains("class=\"band k2\""));
}

#[test]
fn many_classes_and_strategies() {
    let strategies = (0..19)
        .map(|i| match i {
            0 => ("random".into(), "Random".into(), "none".into()),
            18 => ("metriq".into(), "Random + MetriQ".into(), "metriq".into()),
            _ => (format!("s{i}"), format!("Strategy number {i}"), "none".into()),
        })
        .collect();
    let shape = Shape {
        classes: named(1000, |k| format!("n{:08}", k * 7919)),
        strategies,
        ..Shape::usual()
    };
    let html = page("many", &summary(&shape));
    assert!(html.contains("Worst 5 % of classes") && html.contains("classes, sorted"));
    assert!(html.len() < 12_000_000, "{} bytes", html.len());
    let shape = Shape { classes: named(100, |k| format!("class-{k}")), ..Shape::usual() };
    page("hundred", &summary(&shape));
}

#[test]
fn one_seed_and_one_strategy() {
    let shape = Shape { seeds: 1, ..Shape::usual() };
    let html = page("one-seed", &summary(&shape));
    assert!(html.contains("With one seed nothing is decided"));
    let strategies = vec![("random".to_owned(), "Random".to_owned(), "none".to_owned())];
    let html = page("one-strategy", &summary(&Shape { strategies, ..Shape::usual() }));
    assert!(html.contains("No two strategies were compared"));
    let html = page(
        "two-classes",
        &summary(&Shape { classes: named(2, |k| format!("c{k}")), ..Shape::usual() }),
    );
    assert!(html.contains("c0") && html.contains("c1"));
}

#[test]
fn names_from_outside_are_text() {
    let evil = "<script>alert(\"x\" + 'y')</script>&amp;\u{202e}\u{7}";
    let long = "a-name-without-any-place-to-break-that-goes-on-and-on-".repeat(4);
    let mut classes = Shape::usual().classes;
    classes[0] = evil.to_owned();
    classes[1] = long.clone();
    classes[2] = String::new();
    classes[3] = "猫 और कुत्ता 🐕".to_owned();
    let mut s = summary(&Shape { classes, ..Shape::usual() });
    s.settings.command = evil.to_owned();
    s.settings.data.name = evil.to_owned();
    s.settings.recipe.insert(evil.to_owned(), evil.into());
    s.strategies[2].label = evil.to_owned();
    s.warnings.push(evil.to_owned());
    s.phases[0].name = evil.to_owned();
    let html = page("evil", &s);
    assert!(!html.contains("<script") && !html.contains('\u{7}') && !html.contains("alert(\""));
    assert!(
        html.contains("&lt;script&gt;alert(&quot;x&quot; + &#39;y&#39;)&lt;/script&gt;&amp;amp;")
    );
    assert!(html.contains(&long) && html.contains("class 2") && html.contains("🐕"));
}

#[test]
fn missing_and_degenerate_values() {
    let mut s = summary(&Shape::usual());
    // Runs that did not finish, classes without images, no query, numbers that are none.
    s.strategies[1].points[0].runs.clear();
    s.strategies[1].points[0].headline = None;
    for run in &mut s.strategies[2].points[0].runs {
        run.last.recalls[0] = None;
        run.class_densities.clear();
        run.density_recall_correlation = None;
    }
    s.strategies[2].points[0].headline = Headline::of(&s.strategies[2].points[0].runs, Some(0));
    s.strategies[3].points[0].runs.pop();
    s.query = None;
    s.phases[0].seconds = f64::NAN;
    s.phases[1].seconds = f64::INFINITY;
    s.phases[2].seconds = 0.0;
    s.verdicts[0].mean = f64::NAN;
    s.verdicts[0].interval = Some([f64::NEG_INFINITY, f64::NAN]);
    s.strips[0].kept = vec![usize::MAX];
    let html = page("missing", &s);
    assert!(html.contains("no finished run") && html.contains("1 of 4 runs did not finish"));

    // All values equal: no axis without extent.
    let mut s = summary(&Shape { seeds: 2, ..Shape::usual() });
    for strategy in &mut s.strategies {
        for point in &mut strategy.points {
            for run in &mut point.runs {
                run.last.recalls.fill(Some(0.5));
                run.last.average_accuracy = 0.5;
                run.last.worst_recall = 0.5;
                (run.last.gap, run.last.std) = (0.0, 0.0);
                run.class_densities.fill(1.0);
            }
            point.headline = Headline::of(&point.runs, Some(0));
        }
    }
    for v in &mut s.verdicts {
        v.differences.iter_mut().for_each(|d| d.difference = 0.0);
        (v.mean, v.interval) = (0.0, Some([0.0, 0.0]));
    }
    page("equal", &s);

    // Nothing at all.
    s.classes.clear();
    s.strategies.clear();
    s.verdicts.clear();
    s.phases.clear();
    s.warnings.clear();
    s.strips.clear();
    let html = page("empty", &s);
    assert!(!html.contains("id=\"results\"") && html.contains("id=\"recipe\""));
}

#[test]
fn pictures_that_cannot_be_shown_are_left_out() {
    let s = summary(&Shape::usual());
    let html = render(&s, Some(&|p| (p % 2 == 0).then(|| picture(p)).flatten()));
    check(&html);
    assert_eq!(html.matches("<img ").count(), 10 * 8);
    let broken = |_| Some(Thumb { width: 9, height: 9, rgb: vec![0; 5] });
    let html = render(&s, Some(&broken));
    check(&html);
    assert!(!html.contains("<img") && !html.contains("id=\"examples\""));
}

#[test]
fn the_checker_sees_what_it_is_for() {
    let whole = |body: &str| format!("<!DOCTYPE html>\n<html>{body}</html>\n");
    check(&whole("<p id=\"a\">x</p><a href=\"#a\">y</a>"));
    for bad in [
        "<p>",
        "<p></b>",
        "<b><p></b></p>",
        "a > b",
        "<p class=x></p>",
        "<p onclick=\"x\"></p>",
        "<script></script>",
        "<img src=\"picture.png\">",
        "<a href=\"#nowhere\">y</a>",
        "<p id=\"a\"></p><p id=\"a\"></p>",
        "http://example.org",
        "<style>a { background: url(x) }</style>",
        "<line x1=\"NaN\"/>",
    ] {
        let page = whole(bad);
        assert!(std::panic::catch_unwind(|| check(&page)).is_err(), "accepted: {bad}");
    }
}
