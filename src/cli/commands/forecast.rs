//! What quotas are predicted to do, as lines of a table.

use fairprune::prune::QuotaForecast;

use crate::cli::output;

/// Most classes that are printed: those whose recall is predicted to change most.
const MOST_ROWS: usize = 24;

/// A class, or what `unit` calls it, a line: recalls predicted without quotas and under them.
pub fn forecast_lines(forecast: &QuotaForecast, unit: &str, names: &[String]) -> String {
    let name = |k: usize| names.get(k).cloned().unwrap_or_else(|| k.to_string());
    let (equal, quotas) = (&forecast.equal.recalls, &forecast.quotas.recalls);
    let known = (0..equal.len()).filter_map(|k| Some((k, equal[k]?, quotas[k]?)));
    let mut changes: Vec<(usize, f64, f64)> = known.collect();
    let all = changes.len();
    let size = |c: &(usize, f64, f64)| (c.2 - c.1).abs();
    changes.sort_by(|a, b| size(b).total_cmp(&size(a)).then(a.0.cmp(&b.0)));
    changes.truncate(MOST_ROWS);
    changes.sort_by_key(|c| c.0);
    let line = |&(k, before, after): &(usize, f64, f64)| {
        let interval = forecast.intervals[k];
        vec![
            name(k),
            format!("{before:.2}"),
            format!("{after:.2}"),
            interval.map_or(String::new(), |(low, high)| format!("[{low:.2}, {high:.2}]")),
            forecast.quotas.taken_for(k).map_or(String::new(), |c| name(c.answer)),
        ]
    };
    let headers = [unit, "without\nquotas", "with\nquotas", "95 % interval", "mostly\ntaken for"];
    let table = output::table(&headers, changes.iter().map(line).collect(), 1);
    let more = match all - changes.len() {
        0 => String::new(),
        more => format!("\n({more} more that change less)"),
    };
    format!("\npredicted recalls, gain {}\n\n{table}{more}", forecast.gain)
}
