//! A configuration is read with its defaults; each wrong value is refused by its key.

use super::*;

const GOOD: &str = r#"
listen = "127.0.0.1:0"
hub_url = "http://127.0.0.1:8080"
client = "UZ/GOV/NASP/register"
purpose = "social-protection"

[pages]

[[sources]]
name = "civil-registry"
kind = "civil-registry"
service = "UZ/GOV/JUSTICE/civil-registry/civil-registry"
path = "/persons/{pinfl}/family"
wave = 1

[[sources]]
name = "bank"
kind = "accounts"
service = "UZ/BANK/AGROBANK/accounts/accounts"
method = "POST"
path = "/deposit-test"
body = '{"pinfl":"{pinfl}","threshold_soum":{threshold_soum}}'
wave = 2
"#;

#[test]
fn sample_is_read_with_its_defaults() {
    let config = RegisterConfig::parse(GOOD).unwrap();
    assert_eq!((config.deadline_ms, config.sources.len()), (2_000, 2));
    assert_eq!(config.hub().unwrap().port, 8080);
}

#[test]
fn example_file_is_accepted_and_names_every_source() {
    let config =
        RegisterConfig::parse(include_str!("../../../../deploy/config/register.toml")).unwrap();
    assert_eq!(config.sources.len(), 11);
}

#[test]
fn each_wrong_value_is_refused_with_its_key() {
    let cases = [
        ("127.0.0.1:0", "0.0.0.0:0", "listen"),
        ("http://127.0.0.1:8080", "http://hub.example:8080", "hub_url"),
        ("http://127.0.0.1:8080", "https://hub.example:8080", "tls"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/r1", "hub_url"),
        ("wave = 1", "wave = 2", "sources[0].wave"),
        ("{pinfl}/family", "{person}/family", "sources[0].path"),
        ("method = \"POST\"\n", "", "sources[1].body"),
        ("name = \"bank\"", "name = \"civil-registry\"", "sources[1].name"),
        ("purpose = \"social-protection\"", "purpose = \"\"", "purpose"),
        ("[pages]", "[pages]\norigin = \"https://a.example/\"", "pages.origin"),
    ];
    for (good, bad, wanted) in cases {
        match RegisterConfig::parse(&GOOD.replace(good, bad)) {
            Err(ConfigError::Value { key, .. }) => assert_eq!(key, wanted, "{bad}"),
            other => panic!("{bad}: {other:?}"),
        }
    }
    let desk = [
        ("[[officers]]\nid = \"a\"\nrole = \"officer\"", "store"),
        ("[card]\nkey_file = \"k\"", "store"),
        (
            "[payments]\npurpose = \"p\"\ntreasury = \"UZ/GOV/T/t/t\"\nbank = \"UZ/BANK/B/b/b\"",
            "store",
        ),
        ("[store]\nkey_file = \"k\"", "store"),
        ("[store]\ndirectory = \"s\"\n[[officers]]\nid = \"a\"\nrole = \"caseworker\"", "officers"),
    ];
    for (more, wanted) in desk {
        match RegisterConfig::parse(&format!("{GOOD}\n{more}\n")) {
            Err(ConfigError::Value { key, .. }) => assert_eq!(key, wanted, "{more}"),
            other => panic!("{more}: {other:?}"),
        }
    }
    let unknown = format!("colour = 1\n{GOOD}");
    assert!(matches!(RegisterConfig::parse(&unknown), Err(ConfigError::Syntax(_))));
}
