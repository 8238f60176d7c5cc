//! `fairprune theory`: two Gaussians, exactly.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use fairprune::error::Error;
use fairprune::experiment::identity::Identity;
use fairprune::report::numbers::{plain, position, risk, signed};
use fairprune::report::two_gaussians::{TheoryPage, render};
use fairprune::theory::{
    Decision, Estimate, Rule, Simulation, StudyRow, TheoryStudy, TwoGaussians, simulate,
};
use serde_json::{Map, Value, json};

use crate::cli::args::{Common, OutArgs};
use crate::cli::{command_line, context, output};

#[derive(Args, Debug)]
pub struct TheoryArgs {
    /// Mean of class 0; several numbers are a point in as many dimensions
    #[arg(long, value_name = "X,...", value_delimiter = ',', allow_hyphen_values = true)]
    #[arg(default_value = "-1")]
    pub mu0: Vec<f64>,
    /// Mean of class 1; in one dimension above that of class 0
    #[arg(long, value_name = "X,...", value_delimiter = ',', allow_hyphen_values = true)]
    #[arg(default_value = "1")]
    pub mu1: Vec<f64>,
    /// Standard deviation of class 0, in every dimension
    #[arg(long, default_value_t = 0.5, value_name = "S", allow_hyphen_values = true)]
    pub sigma0: f64,
    /// Standard deviation of class 1
    #[arg(long, default_value_t = 1.0, value_name = "S", allow_hyphen_values = true)]
    pub sigma1: f64,
    /// Samples of class 0, or its prior: only the ratio to --n1 counts
    #[arg(long, default_value_t = 1.0, value_name = "N", allow_hyphen_values = true)]
    pub n0: f64,
    /// Samples of class 1
    #[arg(long, default_value_t = 1.0, value_name = "N", allow_hyphen_values = true)]
    pub n1: f64,
    /// Kept fractions of all samples
    #[arg(long, value_name = "D,...", value_delimiter = ',', allow_hyphen_values = true)]
    #[arg(default_value = "0.9,0.7,0.5,0.3,0.1")]
    pub density: Vec<f64>,
    /// Check every risk with this many draws of each class
    #[arg(long, value_name = "S")]
    pub samples: Option<u64>,
    /// Write theory.html and theory.json to this folder
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Start anew in --out, deleting what an earlier call wrote there
    #[arg(long, requires = "out", help_heading = "Output")]
    pub force: bool,
    #[command(flatten)]
    pub common: Common,
}

/// Prints the study, and writes it where `--out` says.
pub fn theory(args: &TheoryArgs) -> Result<u8> {
    let common = &args.common;
    let cpu = common.host()?;
    let classes = classes(args)?;
    let study = classes.study(&args.density).map_err(|e| flagged("--density", e))?;
    let decisions = study.decisions();
    let drawn = match args.samples {
        None => None,
        Some(samples) => {
            let simulation = Simulation {
                means: [&args.mu0, &args.mu1],
                sigmas: [args.sigma0, args.sigma1],
                samples,
                seed: common.seed,
            };
            let estimates = cpu.host().pool().install(|| simulate(&simulation, &decisions));
            Some((samples, estimates.map_err(|e| flagged("--samples", e))?))
        }
    };
    let drawn = drawn.as_ref().map(|(samples, estimates)| (*samples, estimates.as_slice()));
    let document = document(&study, drawn);
    if let Some(out) = &args.out {
        write(args, out, &classes, &study, drawn, &document)?;
    }
    if common.json {
        output::print_json(&document)?;
        return Ok(0);
    }
    print_study(args, &classes, &study, drawn)?;
    Ok(0)
}

fn classes(args: &TheoryArgs) -> Result<TwoGaussians> {
    let sigmas = [args.sigma0, args.sigma1];
    Ok(TwoGaussians::isotropic([&args.mu0, &args.mu1], sigmas, [args.n0, args.n1])?)
}

/// The library's message under the name of the flag.
fn flagged(flag: &str, error: Error) -> Error {
    match error {
        Error::Invalid { found, expected, .. } => Error::invalid(flag, found, expected),
        other => other,
    }
}

/// `theory.html` and `theory.json`.
fn write(
    args: &TheoryArgs,
    out: &std::path::Path,
    classes: &TwoGaussians,
    study: &TheoryStudy,
    drawn: Option<(u64, &[Estimate])>,
    document: &Value,
) -> Result<()> {
    let facts = json!({
        "mu": [args.mu0, args.mu1],
        "sigma": [args.sigma0, args.sigma1],
        "n": [args.n0, args.n1],
        "density": args.density,
        "samples": args.samples,
        "seed": args.samples.map(|_| args.common.seed),
    });
    let folder = OutArgs { out: Some(out.to_owned()), resume: false, force: args.force };
    let dir = context::output_dir(&folder, "theory", &Identity::of("theory", &facts)?)?;
    let command = command_line::typed();
    let dimension = args.mu0.len();
    let page = render(&TheoryPage { classes, dimension, study, drawn, command: &command });
    dir.write("theory.html", |out| std::io::Write::write_all(out, page.as_bytes()))?;
    dir.write_json("theory.json", document)?;
    let root = dir.root().display();
    output::note(&args.common, format!("written: theory.html, theory.json in {root}"));
    Ok(())
}

/// "always 0", "always 1" or null.
fn degenerate(decision: &Decision) -> Value {
    decision.degenerate().map_or(Value::Null, |class| json!(format!("always {class}")))
}

fn document(study: &TheoryStudy, drawn: Option<(u64, &[Estimate])>) -> Value {
    let mut estimates = drawn.map(|(_, estimates)| estimates.iter());
    let mut rule = |decision: &Decision| {
        let mut map = Map::new();
        map.insert("threshold".to_owned(), json!(decision.threshold()));
        map.insert("degenerate".to_owned(), degenerate(decision));
        map.insert("risks".to_owned(), json!(decision.risks));
        if let Some(estimate) = estimates.as_mut().and_then(Iterator::next) {
            let drawn =
                json!({"risks": estimate.risks, "standard_errors": estimate.standard_errors});
            map.insert("drawn".to_owned(), drawn);
        }
        map
    };
    // In the order of `Study::decisions`.
    let mut out = rule(&study.full);
    let mut worst = rule(&study.worst_optimum);
    worst.shift_remove("degenerate");
    worst.shift_remove("risks");
    worst.insert("risk".to_owned(), json!(study.worst_optimum.worst()));
    let rows: Vec<Value> = study.rows.iter().map(|row| row_json(row, &mut rule)).collect();
    let local = study.local_minimum.map(|m| json!({"threshold": m.threshold(), "risks": m.risks}));
    let jump = study.ssp_jump.map(|j| json!({"density": j.density, "margin": j.margin}));
    out.insert("global_minimum".to_owned(), json!(study.full.degenerate().is_none()));
    out.insert("local_minimum".to_owned(), json!(local));
    out.insert("worst_optimum".to_owned(), Value::Object(worst));
    out.insert("optimal_priors".to_owned(), json!(study.optimal_priors));
    out.insert("reachable_density".to_owned(), json!(study.reachable_density));
    out.insert("ssp_jump".to_owned(), json!(jump));
    out.insert("rows".to_owned(), Value::Array(rows));
    out.insert("samples".to_owned(), json!(drawn.map(|(samples, _)| samples)));
    out.insert("warnings".to_owned(), json!(study.warnings()));
    Value::Object(out)
}

fn row_json(row: &StudyRow, rule: &mut impl FnMut(&Decision) -> Map<String, Value>) -> Value {
    let metriq = row.metriq.map(|m| {
        let mut map = Map::from_iter([("densities".to_owned(), json!(m.densities))]);
        map.extend(rule(&m.decision));
        map
    });
    let mut ssp = Map::from_iter([
        ("margin".to_owned(), json!(row.ssp.margin)),
        ("densities".to_owned(), json!(row.ssp.densities)),
    ]);
    ssp.extend(rule(&row.ssp.decision));
    json!({"density": row.density, "metriq": metriq, "ssp": ssp})
}

/// `-.1700`, or which class is always predicted.
fn rule(decision: &Decision) -> String {
    match decision.rule {
        Rule::Threshold(t) => position(t),
        Rule::Always(class) => format!("always {class}"),
    }
}

fn print_study(
    args: &TheoryArgs,
    classes: &TwoGaussians,
    study: &TheoryStudy,
    drawn: Option<(u64, &[Estimate])>,
) -> Result<()> {
    let [[mu0, mu1], [s0, s1], [n0, n1]] =
        [classes.means(), classes.sigmas(), classes.sizes()].map(|pair| pair.map(plain));
    output::print(format!(
        "class 0: mean {mu0}, deviation {s0}, size {n0}\n\
         class 1: mean {mu1}, deviation {s1}, size {n1}\n\
         rule: 1 where x is above the threshold"
    ))?;
    if args.mu0.len() > 1 {
        let dimensions = args.mu0.len();
        output::print(format!(
            "{dimensions} dimensions: x and margins count along the line through the means, from mean 0"
        ))?;
    }
    output::print(format!("\n{}\n", study_table(study)))?;
    for line in remarks(study) {
        output::print(line)?;
    }
    for warning in study.warnings() {
        output::note(&args.common, format!("warning: {warning}"));
    }
    if let Some((samples, estimates)) = drawn {
        output::print(format!(
            "\nrisks against {samples} draws of each class; off: (drawn - exact) / error\n\n{}",
            draws_table(study, estimates)
        ))?;
    }
    Ok(())
}

/// Every rule with its risks.
fn study_table(study: &TheoryStudy) -> String {
    let line = |name: &str, density: &str, margin: &str, kept: Option<[f64; 2]>, d: &Decision| {
        let [kept0, kept1] = kept.map_or([String::new(), String::new()], |kept| kept.map(risk));
        vec![
            name.to_owned(),
            density.to_owned(),
            margin.to_owned(),
            kept0,
            kept1,
            rule(d),
            risk(d.risks[0]),
            risk(d.risks[1]),
            risk(d.worst()),
            if d == &study.full {
                String::new()
            } else {
                signed(d.worst() - study.full.worst(), 4)
            },
        ]
    };
    let mut rows = vec![
        line("least risk", "1", "", Some([1.0; 2]), &study.full),
        line("least worst risk", "", "", None, &study.worst_optimum),
    ];
    for row in &study.rows {
        let density = row.density.to_string();
        match &row.metriq {
            Some(m) => rows.push(line("MetriQ", &density, "", Some(m.densities), &m.decision)),
            None => {
                let mut undefined = vec!["MetriQ".to_owned(), density.clone()];
                undefined.resize(9, String::new());
                undefined.insert(5, "undefined".to_owned());
                rows.push(undefined);
            }
        }
        let (ssp, margin) = (&row.ssp, position(row.ssp.margin));
        rows.push(line("SSP", &density, &margin, Some(ssp.densities), &ssp.decision));
    }
    let headers = [
        "",
        "density",
        "margin",
        "kept 0",
        "kept 1",
        "threshold",
        "risk 0",
        "risk 1",
        "worst",
        "change",
    ];
    output::table(&headers, rows, 1)
}

/// What holds at every density.
fn remarks(study: &TheoryStudy) -> Vec<String> {
    let mut lines = Vec::new();
    match (study.optimal_priors, study.reachable_density) {
        (Some([p0, p1]), Some(d)) => lines.push(format!(
            "Priors {} and {} make the first two rules one; random pruning inside classes reaches \
             them\nup to density {}.",
            risk(p0),
            risk(p1),
            risk(d)
        )),
        _ => lines.push(
            "No priors make the first two rules one: under those that should, a constant rule errs \
             less."
                .to_owned(),
        ),
    }
    if let Some(jump) = study.ssp_jump {
        let (density, margin) = (risk(jump.density), position(jump.margin));
        lines.push(format!("SSP leaves the first rule below density {density} (margin {margin})."));
    }
    if let Some(local) = &study.local_minimum {
        let [r0, r1] = local.risks.map(risk);
        let t = rule(local);
        lines.push(format!("Threshold {t} is a local minimum only: risks {r0} and {r1}."));
    }
    lines
}

/// Exact risks beside drawn ones.
fn draws_table(study: &TheoryStudy, estimates: &[Estimate]) -> String {
    let mut names = vec!["least risk".to_owned(), "least worst risk".to_owned()];
    for row in &study.rows {
        names.extend(row.metriq.map(|_| format!("MetriQ {}", row.density)));
        names.push(format!("SSP {}", row.density));
    }
    let rows = names.into_iter().zip(study.decisions()).zip(estimates);
    let rows = rows.map(|((name, decision), estimate)| {
        let mut line = vec![name];
        for k in 0..2 {
            let (exact, found) = (decision.risks[k], estimate.risks[k]);
            let error = estimate.standard_errors[k];
            let off = if error > 0.0 { signed((found - exact) / error, 1) } else { String::new() };
            line.extend([risk(exact), risk(found), risk(error), off]);
        }
        line
    });
    let headers = ["", "risk 0", "drawn", "error", "off", "risk 1", "drawn", "error", "off"];
    output::table(&headers, rows.collect(), 1)
}
