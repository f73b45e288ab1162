//! Header fields of a message.

use http::header::{Entry, GetAll, HeaderMap, HeaderName, HeaderValue, IntoHeaderName};

/// Header fields in no particular order, several values for a name in the order they came (RFC 9110 section 5.3).
///
/// Names compare without regard to case. The representation is private: it is `http::HeaderMap` today because the codec of
/// today makes one, and no stage may rely on that.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Headers(HeaderMap);

impl Headers {
    /// No fields at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first value of a field, or `None`. `name` may be in any case.
    pub fn get(&self, name: impl http::header::AsHeaderName) -> Option<&HeaderValue> {
        self.0.get(name)
    }

    /// The first value of a field as text, or `None` when it is absent or not visible ASCII.
    pub fn text(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }

    /// The last value of a field: what AWS's mappings read.
    pub fn last(&self, name: impl http::header::AsHeaderName) -> Option<&HeaderValue> {
        self.0.get_all(name).iter().next_back()
    }

    /// All values of a field.
    pub fn get_all(&self, name: impl http::header::AsHeaderName) -> GetAll<'_, HeaderValue> {
        self.0.get_all(name)
    }

    /// Whether a field is there.
    pub fn contains(&self, name: impl http::header::AsHeaderName) -> bool {
        self.0.contains_key(name)
    }

    /// Sets a field to one value, whatever it was.
    pub fn set(&mut self, name: impl IntoHeaderName, value: HeaderValue) {
        self.0.insert(name, value);
    }

    /// Adds a value to a field.
    pub fn append(&mut self, name: impl IntoHeaderName, value: HeaderValue) {
        self.0.append(name, value);
    }

    /// Removes a field with all its values and says whether it was there.
    pub fn remove(&mut self, name: impl http::header::AsHeaderName) -> bool {
        self.0.remove(name).is_some()
    }

    /// Sets a field unless it is there already.
    pub fn set_if_absent(&mut self, name: HeaderName, value: HeaderValue) {
        if let Entry::Vacant(entry) = self.0.entry(name) {
            entry.insert(value);
        }
    }

    /// Every name-value pair; a name with several values comes several times.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.iter()
    }

    /// Every name once, in lower case.
    pub fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.keys()
    }

    /// The number of name-value pairs.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the fields would take on an HTTP/1.1 wire, in bytes: the size that limits speak of.
    pub fn wire_bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
    }
}

/// For the codec, which makes and takes header maps.
impl From<HeaderMap> for Headers {
    fn from(map: HeaderMap) -> Self {
        Self(map)
    }
}

/// For the codec, which makes and takes header maps.
impl From<Headers> for HeaderMap {
    fn from(headers: Headers) -> Self {
        headers.0
    }
}

impl FromIterator<(HeaderName, HeaderValue)> for Headers {
    fn from_iter<T: IntoIterator<Item = (HeaderName, HeaderValue)>>(fields: T) -> Self {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(name, value);
        }
        Self(map)
    }
}
