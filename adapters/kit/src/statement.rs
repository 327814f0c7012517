//! SQL with named parameters: `:pinfl` becomes `$1`, which SQLite and PostgreSQL both bind.
//!
//! Names inside quotes and comments are text, `::` is PostgreSQL's cast. A second statement after
//! `;` is refused. Values are bound by the driver and never become part of the SQL text.

use std::sync::Arc;

/// One SQL statement, ready to bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    text: Arc<str>,
    parameters: Vec<String>,
}

/// The SQL holds a `;` before its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SecondStatement;

impl Statement {
    /// Parses one statement with named parameters.
    pub(crate) fn parse(sql: &str) -> Result<Self, SecondStatement> {
        let mut parameters: Vec<String> = Vec::new();
        let mut text = String::with_capacity(sql.len());
        let mut rest = sql.trim().trim_end_matches(';');
        while let Some(first) = rest.chars().next() {
            let token = rest.get(..token_bytes(rest, first)).unwrap_or(rest);
            rest = rest.get(token.len()..).unwrap_or_default();
            match token.strip_prefix(':').filter(|name| !name.is_empty() && *name != ":") {
                Some(name) => {
                    let known = parameters.iter().position(|parameter| parameter == name);
                    let index = known.unwrap_or_else(|| {
                        parameters.push(name.to_owned());
                        parameters.len() - 1
                    });
                    text.push_str(&format!("${}", index + 1));
                }
                None if token == ";" => return Err(SecondStatement),
                None => text.push_str(token),
            }
        }
        Ok(Self { text: text.into(), parameters })
    }

    /// The SQL with `$1`, `$2`, …
    pub(crate) fn text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// Names of the parameters; the first is `$1`.
    pub(crate) fn parameters(&self) -> &[String] {
        &self.parameters
    }
}

/// Length of the token that starts with `first`: a quoted text, a comment, `::`, `:name` or one
/// character.
fn token_bytes(rest: &str, first: char) -> usize {
    let after = rest.get(1..).unwrap_or_default();
    let until = |end: &str, from: &str| from.find(end).map_or(from.len(), |at| at + end.len());
    match first {
        '\'' => 1 + until("'", after),
        '"' => 1 + until("\"", after),
        '-' if after.starts_with('-') => until("\n", rest),
        '/' if after.starts_with('*') => until("*/", rest),
        ':' if after.starts_with(':') => 2,
        ':' if after.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            1 + after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len())
        }
        _ => first.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(sql: &str) -> (String, Vec<String>) {
        let statement = Statement::parse(sql).unwrap();
        (statement.text().to_string(), statement.parameters().to_vec())
    }

    #[test]
    fn names_become_positions_and_repeat() {
        let (text, names) = parsed("SELECT a FROM t WHERE a = :pinfl AND m >= :from OR b=:pinfl;");
        assert_eq!(text, "SELECT a FROM t WHERE a = $1 AND m >= $2 OR b=$1");
        assert_eq!(names, ["pinfl", "from"]);
    }

    #[test]
    fn quotes_comments_and_casts_hold_no_parameters() {
        let sql = "SELECT ':a', \":b\", x::text /* :c; */ -- :d; é\n, 'it''s :e' FROM t";
        assert_eq!(parsed(sql), (sql.to_owned(), Vec::new()));
    }

    #[test]
    fn second_statement_is_refused() {
        assert_eq!(Statement::parse("SELECT 1; DROP TABLE t"), Err(SecondStatement));
        assert!(Statement::parse("SELECT ';' ;").is_ok());
    }
}
