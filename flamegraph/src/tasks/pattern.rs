//! Which kinds of tasks are asked for.

/// A part of a kind's name, in which `*` stands for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindPattern {
    /// What stands between the stars: found in this order, these make a name fit.
    parts: Vec<String>,
}

impl KindPattern {
    /// The pattern that this text means.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self {
            parts: text.split('*').map(str::to_owned).collect(),
        }
    }

    /// Whether a kind is meant.
    #[must_use]
    pub fn fits(&self, name: &str) -> bool {
        let mut rest = name;
        self.parts.iter().all(|part| match rest.find(&**part) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_part_of_the_name_and_stars_are_gaps() {
        let fits = |pattern: &str| KindPattern::new(pattern).fits("app::http::handler");
        for pattern in ["", "app::http::handler", "http", "app::*::handler", "*h*h*"] {
            assert!(fits(pattern), "{pattern}");
        }
        for pattern in ["https", "handler*app", "h*h*h*h", "Handler"] {
            assert!(!fits(pattern), "{pattern}");
        }
    }
}
