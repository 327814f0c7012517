//! The invented family of the worked example, as answers that a test may change.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::civil::Date;
use register::assessment::{Assessment, assess};
use register::case::Case;
use register::decision::Decision;
use register::rules::Rulebook;
use register::source::{
    Absence, AbsenceCause, Answer, Answers, Provenance, SourceKind, SourceName,
};
use schemas::clock::UnixMillis;
use schemas::pinfl::Pinfl;
use serde_json::{Value, json};

pub(crate) const FATHER: &str = "31505850010011";
pub(crate) const MOTHER: &str = "42007870010023";
pub(crate) const SON: &str = "50303140010034";
pub(crate) const DAUGHTER: &str = "61206180010047";
pub(crate) const BABY: &str = "62509240010052";
pub(crate) const GRANDFATHER: &str = "30101500010069";
pub(crate) const FAMILY: [&str; 5] = [FATHER, MOTHER, SON, DAUGHTER, BABY];

pub(crate) const SOURCES: [(&str, SourceKind); 10] = [
    ("civil-registry", SourceKind::CivilRegistry),
    ("population", SourceKind::Population),
    ("tax", SourceKind::Tax),
    ("pensions", SourceKind::Pensions),
    ("bank", SourceKind::Accounts),
    ("cadastre", SourceKind::Cadastre),
    ("vehicles", SourceKind::Vehicles),
    ("employment", SourceKind::Employment),
    ("education", SourceKind::Education),
    ("social-agency", SourceKind::SocialAgency),
];

pub(crate) static RULEBOOK: LazyLock<Rulebook> = LazyLock::new(|| Rulebook::built_in().unwrap());

pub(crate) fn pinfl(text: &str) -> Pinfl {
    text.parse().unwrap()
}

pub(crate) fn kind_of(source: &str) -> SourceKind {
    SOURCES.iter().find(|(name, _)| *name == source).unwrap().1
}

pub(crate) fn provenance(source: &str) -> Provenance {
    Provenance {
        source: source.parse().unwrap(),
        service: "UZ/GOV/X/x/x".parse().unwrap(),
        fetched_at: UnixMillis(1_772_446_500_000),
        as_of: UnixMillis(1_772_446_500_000),
        receipt: r#"log="log.example/hub"; index=7; exchange="e-7""#.parse().ok(),
        exchange: format!("exchange-{source}"),
        other_request: None,
    }
}

/// Answers as JSON by person and source; `Null` means no record, a text means absent.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) applicant: &'static str,
    pub(crate) day: Date,
    pub(crate) answers: BTreeMap<(String, String), Value>,
    pub(crate) declared: Vec<Value>,
}

impl Sample {
    pub(crate) fn worked_example() -> Self {
        let mut sample = Self {
            applicant: FATHER,
            day: Date::constant(2026, 3, 2),
            answers: BTreeMap::new(),
            declared: Vec::new(),
        };
        for person in FAMILY {
            for (source, kind) in SOURCES {
                sample.set(person, source, plain_answer(person, kind));
            }
        }
        sample.families();
        sample.wages(FATHER, [2_400_000, 2_400_000, 2_550_000]);
        sample.business(MOTHER, [300_000, 0, 450_000]);
        sample
    }

    fn families(&mut self) {
        let children = [SON, DAUGHTER, BABY].map(child);
        for (person, spouse) in [(FATHER, MOTHER), (MOTHER, FATHER)] {
            let record = self.answer(person, "civil-registry");
            record["children"] = json!(children);
            record["marriages"] = json!([{"spouse": spouse, "married": "2010-09-01",
                "ended": null, "end_reason": null}]);
        }
        for person in [SON, DAUGHTER, BABY] {
            let record = self.answer(person, "civil-registry");
            record["mother"] = json!(MOTHER);
            record["father"] = json!(FATHER);
        }
    }

    pub(crate) fn set(&mut self, person: &str, source: &str, answer: Value) {
        self.answers.insert((person.to_owned(), source.to_owned()), answer);
    }

    pub(crate) fn answer(&mut self, person: &str, source: &str) -> &mut Value {
        self.answers.get_mut(&(person.to_owned(), source.to_owned())).unwrap()
    }

    pub(crate) fn absent(&mut self, person: &str, source: &str) {
        self.set(person, source, json!("down"));
    }

    pub(crate) fn absent_everywhere(&mut self, source: &str) {
        for person in FAMILY {
            self.absent(person, source);
        }
    }

    pub(crate) fn wages(&mut self, person: &str, amounts: [u64; 3]) {
        let wage = |(month, amount)| {
            json!({"payer_stir": "301234567", "payer_name": "Paxta LLC",
                "month": month, "amount_soum": amount})
        };
        let months = ["2025-12", "2026-01", "2026-02"];
        let wages: Vec<Value> = months.into_iter().zip(amounts).map(wage).collect();
        self.answer(person, "tax")["wages"] = json!(wages);
    }

    pub(crate) fn business(&mut self, person: &str, amounts: [u64; 3]) {
        let month = |(month, amount): (_, u64)| json!({"month": month, "turnover_soum": amount * 2, "income_soum": amount});
        let months = ["2025-12", "2026-01", "2026-02"];
        let business: Vec<Value> = months.into_iter().zip(amounts).map(month).collect();
        self.answer(person, "tax")["business"] = json!(business);
    }

    pub(crate) fn declare(&mut self, person: &str, month: &str, amount: u64) {
        self.declared.push(json!({"member": person, "month": month, "amount_soum": amount,
            "what": "bazaar trade", "declared_by": self.applicant}));
    }

    pub(crate) fn vehicle(&mut self, person: &str, plate: &str, year: u16) {
        let vehicles = &mut self.answer(person, "vehicles")["vehicles"];
        vehicles.as_array_mut().unwrap().push(json!({"plate": plate, "make": "Chevrolet Cobalt",
            "year": year, "working": true, "title": "owner", "since": "2022-01-01"}));
    }

    pub(crate) fn property(&mut self, person: &str, number: &str, kind: &str, share: (u32, u32)) {
        let properties = &mut self.answer(person, "cadastre")["properties"];
        properties.as_array_mut().unwrap().push(json!({"cadastre_number": number, "kind": kind,
            "share": {"numerator": share.0, "denominator": share.1},
            "address": "Tashkent", "since": "2015-01-01"}));
    }

    pub(crate) fn case(&self) -> Case {
        self.case_in_order(self.answers.iter().collect())
    }

    pub(crate) fn case_in_order(&self, answers: Vec<(&(String, String), &Value)>) -> Case {
        let mut collected = Answers::default();
        for ((person, source), value) in answers {
            let name: SourceName = source.parse().unwrap();
            let subject = pinfl(person);
            let answer = match value {
                Value::Null => Answer::no_record(kind_of(source), provenance(source)),
                Value::String(_) => {
                    Answer::absent(kind_of(source), Absence::of(AbsenceCause::TimedOut))
                }
                value => {
                    let json = serde_json::to_vec(value).unwrap();
                    Answer::read(kind_of(source), subject, &json, provenance(source)).unwrap()
                }
            };
            collected.insert(subject, name, answer).unwrap();
        }
        let sources = SOURCES.map(|(name, kind)| (name.parse().unwrap(), kind)).into();
        let applicant = pinfl(self.applicant);
        let declared =
            self.declared.iter().map(|declared| serde_json::from_value(declared.clone()).unwrap());
        Case {
            applicant,
            application_date: self.day,
            sources,
            answers: collected,
            declared: declared.collect(),
        }
    }

    pub(crate) fn assess(&self, rules: &str) -> Assessment {
        assess(&self.case(), RULEBOOK.by_id(rules).unwrap()).unwrap()
    }

    pub(crate) fn decide(&self, rules: &str) -> Decision {
        self.assess(rules).decision
    }
}

pub(crate) fn child(person: &str) -> Value {
    json!({"pinfl": person, "born": pinfl(person).born(), "died": null, "relation": "birth"})
}

/// What a source says about a person of whom there is nothing to say.
pub(crate) fn plain_answer(person: &str, kind: SourceKind) -> Value {
    let who = pinfl(person);
    let residents: Vec<&str> = FAMILY.into_iter().chain([GRANDFATHER]).collect();
    match kind {
        SourceKind::CivilRegistry => json!({"pinfl": who, "sex": who.sex(), "born": who.born(),
            "died": null, "mother": null, "father": null, "marriages": [], "children": []}),
        SourceKind::Population => json!({"pinfl": who, "surname": "Sinov", "given_name": "Namuna",
            "patronymic": null, "citizenship": "UZ", "address": null, "residents": residents,
            "abroad_since": null, "in_prison": false, "in_institution": false,
            "conscript": false, "died": null}),
        SourceKind::Tax => json!({"pinfl": who, "from": "2025-12", "to": "2026-02", "wages": [],
            "business": [], "plots": [], "remittances": []}),
        SourceKind::Pensions => json!({"pinfl": who, "pensions": []}),
        SourceKind::Accounts => {
            json!({"pinfl": who, "at_least_threshold": false, "threshold_soum": 6_355_000})
        }
        SourceKind::Cadastre => json!({"pinfl": who, "properties": []}),
        SourceKind::Vehicles => json!({"pinfl": who, "vehicles": []}),
        SourceKind::Employment => json!({"pinfl": who, "contracts": [],
            "registered_unemployed_since": null,
            "able_to_work": who.born().year() < 2000}),
        SourceKind::Education => json!({"pinfl": who, "enrolments": []}),
        SourceKind::SocialAgency => {
            json!({"pinfl": who, "disability_group": null, "benefits": []})
        }
    }
}
