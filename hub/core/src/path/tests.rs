//! Path rules: X-Road's six weak spots (its Java code, read), and what a sound rule decides.

use proptest::prelude::*;

use super::*;

fn permits(pattern: &str, raw: &str) -> Result<bool, PathRefusal> {
    let pattern = PathPattern::parse(pattern).unwrap();
    DecodedPath::parse(raw).map(|path| pattern.matches(&path))
}

#[test]
fn weak_spot_1_encoded_slash_stays_in_its_segment_and_encoded_hyphen_is_a_hyphen() {
    assert_eq!(permits("/a/b", "/a%2Fb"), Ok(false));
    assert_eq!(permits("/{one}", "/a%2Fb"), Ok(true));
    assert_eq!(permits("/zy-ggy", "/zy%2Dggy"), Ok(true));
}

#[test]
fn weak_spot_2_encoded_question_mark_does_not_cut_the_path() {
    assert_eq!(permits("/public", "/public%3Fx/secret"), Ok(false));
    assert_eq!(permits("/public", "/public%23x/secret"), Ok(false));
    assert_eq!(permits("/{any}/secret", "/public%3Fx/secret"), Ok(true));
}

#[test]
fn weak_spot_3_nothing_is_decoded_twice() {
    assert_eq!(permits("/xA", "/x%2541"), Err(PathRefusal::DoubleEncoding));
    assert_eq!(permits("/**", "/%252e%252e/x"), Err(PathRefusal::DoubleEncoding));
    assert_eq!(
        permits("/100%", "/100%25"),
        Ok(true),
        "a plain per cent sign is no double encoding"
    );
}

#[test]
fn weak_spot_4_space_and_braces_are_ordinary_when_encoded() {
    for raw in ["/a%20b", "/a%7Bb", "/a%7Cb", "/a%22b"] {
        assert_eq!(permits("/{any}", raw), Ok(true), "{raw}");
    }
    for raw in ["/a b", "/a{b", "/a|b", "/a\"b", "/a<b", "/a^b", "/a`b", "/[a]"] {
        assert_eq!(permits("/{any}", raw), Err(PathRefusal::Encoding), "{raw}");
    }
}

#[test]
fn weak_spot_5_double_slash_is_no_authority() {
    assert_eq!(permits("/y", "//x/y"), Err(PathRefusal::EmptySegment));
    assert_eq!(permits("/**", "/a//b"), Err(PathRefusal::EmptySegment));
    assert_eq!(permits("/**", "/a/"), Err(PathRefusal::EmptySegment));
}

#[test]
fn weak_spot_6_two_dots_inside_a_name_are_a_name() {
    assert_eq!(permits("/a..b", "/a..b"), Ok(true));
    for raw in ["/..", "/a/../b", "/%2e%2e/b", "/.%2E/b", "/.", "/..;x=1/b", "/a%2F..%2Fb"] {
        assert_eq!(permits("/**", raw), Err(PathRefusal::DotSegment), "{raw}");
    }
}

#[test]
fn backslash_and_control_characters_are_refused() {
    assert_eq!(permits("/**", "/a%5C..%5Cb"), Err(PathRefusal::Character));
    assert_eq!(permits("/**", "/a%00"), Err(PathRefusal::Character));
    assert_eq!(permits("/**", "/a%0d%0aX"), Err(PathRefusal::Character));
    assert_eq!(permits("/**", "x"), Err(PathRefusal::NotAbsolute));
}

#[test]
fn base_path_matches_only_the_base_and_the_rest_pattern() {
    assert_eq!(permits("/", ""), Ok(true));
    assert_eq!(permits("/**", "/"), Ok(true));
    assert_eq!(permits("/{any}", "/"), Ok(false));
    assert_eq!(permits("/persons/{pinfl}/income", "/persons/1/income"), Ok(true));
    assert_eq!(permits("/persons/{pinfl}/income", "/persons/1/income/x"), Ok(false));
}

#[test]
fn pattern_covers_the_narrower_ones_and_no_wider() {
    let covers = |wide: &str, narrow: &str| {
        PathPattern::parse(wide).unwrap().covers(&PathPattern::parse(narrow).unwrap())
    };
    for (wide, narrow) in
        [("/**", "/a/{b}"), ("/a/{x}", "/a/{y}"), ("/a/*", "/a/b"), ("/**", "/**")]
    {
        assert!(covers(wide, narrow), "{wide} {narrow}");
    }
    for (narrow, wide) in [("/a/b", "/a/{x}"), ("/a/{x}", "/**"), ("/a", "/a/b"), ("/a/b", "/a")] {
        assert!(!covers(narrow, wide), "{narrow} {wide}");
    }
}

#[test]
fn named_segments_are_captured_decoded() {
    let pattern = PathPattern::parse("/persons/{pinfl}/income").unwrap();
    let path = DecodedPath::parse("/persons/31%2D5/income").unwrap();
    assert_eq!(pattern.capture("pinfl", &path), Some("31-5"));
    assert_eq!(pattern.capture("other", &path), None);
}

#[test]
fn patterns_that_could_be_misread_are_refused() {
    for bad in ["", "a", "/a*b", "/**/b", "/{}", "/a//b", "/a\\*"] {
        assert!(PathPattern::parse(bad).is_err(), "{bad}");
    }
}

proptest! {
    /// Whatever is accepted reads the same after any number of decodings that a source might do.
    #[test]
    fn accepted_segments_never_climb(raw in "(/[a-z.%/;0-9A-F]{0,12}){1,4}") {
        if let Ok(path) = DecodedPath::parse(&raw) {
            for segment in path.segments() {
                for part in segment.split(['/', '\\']) {
                    prop_assert!(part != ".." && part != ".");
                }
                prop_assert_eq!(decode_segment(&segment.replace('/', "%2F").replace('%', "%25"))
                    .is_ok(), segment.bytes().all(|b| b"-._~!$&'()*+,;=:@%/".contains(&b) || b.is_ascii_alphanumeric()));
            }
        }
    }
}
