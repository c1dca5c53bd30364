//! Figures, as a table for people or as JSON.
use crate::measure::Spread;
use serde::Serialize;

/// One measured thing.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// The subcommand it belongs to.
    pub measure: &'static str,
    /// What it is.
    pub name: String,
    /// Its unit.
    pub unit: &'static str,
    /// The values of repeated runs.
    pub value: Spread,
    /// By how much the median is that of others measured in this run.
    pub ratios: Vec<Ratio>,
    /// What was aimed at.
    pub aim: Option<Aim>,
}

/// One figure over another.
#[derive(Debug, Serialize)]
pub struct Ratio {
    /// What it is compared with.
    pub to: String,
    /// This median over that one.
    pub times: f64,
}

/// A bound that the median is to keep.
#[derive(Debug, Serialize)]
pub struct Aim {
    /// The bound.
    pub bound: f64,
    /// Whether the median keeps it.
    pub held: bool,
}

impl Figure {
    /// A figure of `measure`.
    pub fn new(measure: &'static str, name: impl Into<String>, unit: &'static str, value: Spread) -> Self {
        Self { measure, name: name.into(), unit, value, ratios: Vec::new(), aim: None }
    }

    /// A figure that was taken once, or is exact.
    pub fn once(measure: &'static str, name: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self::new(measure, name, unit, Spread::of([value]))
    }

    /// Compares it with another one in the same unit.
    pub fn beside(mut self, to: impl Into<String>, other: f64) -> Self {
        self.ratios.push(Ratio { to: to.into(), times: self.value.median / other });
        self
    }

    /// It is to be at least this.
    pub fn at_least(mut self, bound: f64) -> Self {
        self.aim = Some(Aim { bound, held: self.value.median >= bound });
        self
    }

    /// It is to be at most this.
    pub fn at_most(mut self, bound: f64) -> Self {
        self.aim = Some(Aim { bound, held: self.value.median <= bound });
        self
    }

    /// A line for people.
    pub fn line(&self) -> String {
        let Self { measure, name, unit, value, .. } = self;
        let mut line = format!("{measure:<8} {name:<58} {:>11} {unit}", short(value.median));
        if value.runs > 1 {
            line += &format!(" ({} to {}, {} runs)", short(value.min), short(value.max), value.runs);
        }
        for ratio in &self.ratios {
            line += &format!("; {} x {}", short(ratio.times), ratio.to);
        }
        if let Some(aim) = &self.aim {
            let word = if aim.held { "holds" } else { "MISSES" };
            line += &format!("; {word} the aim of {}", short(aim.bound));
        }
        line
    }
}

/// Four significant digits, thousands set apart.
fn short(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    let whole = value.abs();
    if whole < 1000.0 {
        let digits = if whole >= 100.0 {
            1
        } else if whole >= 10.0 {
            2
        } else {
            3
        };
        return format!("{value:.digits$}");
    }
    let digits = format!("{whole:.0}");
    let mut out = if value < 0.0 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        let cases = [
            (1_234_567.8, "1,234,568"),
            (999.96, "1000.0"),
            (12.345, "12.35"),
            (0.5, "0.500"),
            (-1000.0, "-1,000"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn a_missed_aim_is_loud() {
        let figure = Figure::once("open", "first page", "ms", 60.0).at_most(50.0).beside("a page read", 30.0);
        let line = figure.line();
        assert!(line.contains("MISSES the aim of 50.00") && line.contains("2.000 x a page read"), "{line}");
    }
}
