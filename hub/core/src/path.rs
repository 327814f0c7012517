//! Paths as policy sees them: decoded segments, and the patterns that they are matched against.
//!
//! The path that is checked is the path that is forwarded. So a path is read segment by segment:
//! `%2F` stays inside its segment, and whatever another program could read as a different
//! path is refused: dot segments in any encoding, empty segments, double encodings, backslashes.
//! X-Road's matching has six weak spots here (see the tests); a sound rule has none of them.

use std::fmt;

use schemas::identifier::decode_segment;

/// Why a path or pattern is refused. Never holds the path: it may name a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathRefusal {
    /// The path does not begin with `/`.
    #[error("the path after the service code does not begin with `/`")]
    NotAbsolute,
    /// A character stands raw that must be percent-encoded, or a percent sequence is broken.
    #[error("the path is not percent-encoded UTF-8 as RFC 3986 has it")]
    Encoding,
    /// An empty segment, as in `//` or a trailing `/`.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// `.` or `..`, plain, encoded or with a parameter.
    #[error("the path has a dot segment")]
    DotSegment,
    /// A segment that a second decoding would change.
    #[error("the path is percent-encoded twice")]
    DoubleEncoding,
    /// A backslash or control character.
    #[error("the path has a backslash or control character")]
    Character,
}

/// A path in decoded segments. No segments: the service's base path, empty or `/`.
#[derive(Clone, PartialEq, Eq)]
pub struct DecodedPath(Vec<String>);

impl fmt::Debug for DecodedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecodedPath({} segments)", self.0.len())
    }
}

impl DecodedPath {
    /// Reads the raw path after the service code.
    ///
    /// # Errors
    /// [`PathRefusal`] when the path is malformed or could be read in two ways.
    pub fn parse(raw: &str) -> Result<Self, PathRefusal> {
        if raw.is_empty() || raw == "/" {
            return Ok(Self(Vec::new()));
        }
        let segments = raw.strip_prefix('/').ok_or(PathRefusal::NotAbsolute)?;
        segments.split('/').map(decode).collect::<Result<_, _>>().map(Self)
    }

    /// The decoded segments.
    #[must_use]
    pub fn segments(&self) -> &[String] {
        &self.0
    }
}

fn decode(segment: &str) -> Result<String, PathRefusal> {
    let decoded = decode_segment(segment).map_err(|_| PathRefusal::Encoding)?;
    let before_parameters = decoded.split(';').next().unwrap_or_default();
    if decoded.is_empty() {
        return Err(PathRefusal::EmptySegment);
    }
    if matches!(before_parameters, "." | "..") {
        return Err(PathRefusal::DotSegment);
    }
    if decoded.chars().any(|c| c == '\\' || c.is_control()) {
        return Err(PathRefusal::Character);
    }
    // A `/` in a segment is kept, but not with dots beside it: a source that decodes too early
    // would climb.
    if decoded.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(PathRefusal::DotSegment);
    }
    let mut after_percent = decoded.split('%').skip(1);
    let encoded_again =
        |rest: &str| rest.get(..2).is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if after_percent.any(encoded_again) {
        return Err(PathRefusal::DoubleEncoding);
    }
    Ok(decoded)
}

/// A path template such as `/persons/{pinfl}/income`; `*` is one segment, `**` at the end any rest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathPattern {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Segment {
    Literal(String),
    One(String),
    Rest,
}

/// Why a text is not a path pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no path pattern: write /literal/{{name}}/*, and ** only as the last segment")]
pub struct NotAPattern(pub String);

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`NotAPattern`] with the pattern, which comes from a configuration file.
    pub fn parse(text: &str) -> Result<Self, NotAPattern> {
        let refused = || NotAPattern(text.to_owned());
        let mut segments = Vec::new();
        let inner = text.strip_prefix('/').ok_or_else(refused)?;
        let mut parts = inner.split('/').filter(|_| !inner.is_empty()).peekable();
        while let Some(part) = parts.next() {
            segments.push(match part {
                "**" if parts.peek().is_none() => Segment::Rest,
                "*" => Segment::One(String::new()),
                named if named.starts_with('{') && named.ends_with('}') && named.len() > 2 => {
                    Segment::One(named.trim_matches(['{', '}']).to_owned())
                }
                literal if literal.is_empty() || literal.contains(['*', '{', '}', '\\']) => {
                    return Err(refused());
                }
                literal => Segment::Literal(literal.to_owned()),
            });
        }
        Ok(Self { text: text.to_owned(), segments })
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the pattern covers the path.
    #[must_use]
    pub fn matches(&self, path: &DecodedPath) -> bool {
        let mut segments = path.segments().iter();
        for pattern in &self.segments {
            let fits = match pattern {
                Segment::Rest => return true,
                Segment::Literal(literal) => segments.next() == Some(literal),
                Segment::One(_) => segments.next().is_some(),
            };
            if !fits {
                return false;
            }
        }
        segments.next().is_none()
    }

    /// Whether the pattern covers every path that `narrower` covers.
    #[must_use]
    pub fn covers(&self, narrower: &Self) -> bool {
        let mut segments = narrower.segments.iter();
        for pattern in &self.segments {
            let fits = match (pattern, segments.next()) {
                (Segment::Rest, _) => return true,
                (Segment::Literal(own), Some(Segment::Literal(other))) => own == other,
                (Segment::One(_), Some(Segment::Literal(_) | Segment::One(_))) => true,
                _ => false,
            };
            if !fits {
                return false;
            }
        }
        segments.next().is_none()
    }

    /// The segment that stands for `{name}`; `None` when the pattern has no such name.
    #[must_use]
    pub fn capture<'p>(&self, name: &str, path: &'p DecodedPath) -> Option<&'p str> {
        let at = self.segments.iter().position(|s| matches!(s, Segment::One(n) if n == name))?;
        path.segments().get(at).map(String::as_str)
    }

    /// How many segments are literal: the more, the more exact the pattern.
    #[must_use]
    pub fn literal_count(&self) -> usize {
        self.segments.iter().filter(|s| matches!(s, Segment::Literal(_))).count()
    }
}

#[cfg(test)]
mod tests;
