//! Transparency-log structures of the C2SP specifications.
