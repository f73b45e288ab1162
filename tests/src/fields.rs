//! Header and trailer fields as they stood on the wire: order, case and repetitions kept.

/// Fields in wire order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads the lines of a head after its first, or of a trailer section. A line without a colon becomes a name without a
    /// value, so that tests see it. Bytes that are not UTF-8 are replaced.
    pub fn parse(lines: &[u8]) -> Self {
        let text = String::from_utf8_lossy(lines);
        let lines =
            text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).filter(|line| !line.is_empty());
        Self(
            lines
                .map(|line| {
                    let (name, value) = line.split_once(':').unwrap_or((line, ""));
                    (name.to_owned(), value.trim_matches([' ', '\t']).to_owned())
                })
                .collect(),
        )
    }

    /// Adds a field at the end.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// The value of the only field of a name, whatever its case; `None` when there is none.
    ///
    /// # Panics
    ///
    /// When there are several: a test that expects that asks [`Fields::all`].
    #[track_caller]
    pub fn get(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() < 2, "`{name}` stands {} times: {values:?}", values.len());
        values.first().copied()
    }

    /// All values of a name, whatever its case.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// Whether there is a field of a name, whatever its case.
    pub fn contains(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    /// Names and values in wire order, case as written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&http::HeaderMap> for Fields {
    fn from(map: &http::HeaderMap) -> Self {
        Self(
            map.iter()
                .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
                .collect(),
        )
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Fields {
    fn from(fields: [(&str, &str); N]) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}
