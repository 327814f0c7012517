//! Families as records of SPDCI: names and codes of `spdci/schemas` (extensions social and ibr, v1).

use jiff::civil::Date;
use register::answers::Person;
use register::composition::{Member, Role};
use register::decision::{Clause, Decision};
use register::profile::Profile;
use schemas::pinfl::{Pinfl, Sex};
use serde_json::{Value as Json, json};
use spdci::filter::{Attributes, Value};
use spdci::registry::Entry;

use super::enrolment::Enrolment;
use super::family::Family;

const SOCIAL: &str = "https://schema.spdci.org/extensions/social/v1/";
const BENEFICIARIES: &str = "https://schema.spdci.org/extensions/ibr/v1";

/// The family as Group. `asked` is the member by whom it was found, else its head.
pub(crate) fn group(family: &Family, asked: Option<Pinfl>, today: Date) -> Entry {
    let profile = &family.profile;
    let head = family.applicant();
    let members: Vec<Json> =
        profile.family.members.iter().map(|member| member_record(family, member)).collect();
    let (score, standing) = (poverty_score(profile), family.standing(today));
    let place = person(profile, head).and_then(|person| person.address.as_ref());
    let mut record = json!({
        "@context": {"@vocab": SOCIAL}, "@type": "Group", "@id": urn(&family.id),
        "group_identifier": [identifier("FAMILY", &family.id)],
        // 3 is a family (spdci/schemas, GroupTypeEnum).
        "group_type": "3",
        "group_size": members.len(), "group_head_info": members.first(),
        "member_list": members,
        "registration_date": midnight(family.registered_on()),
        "last_updated": profile.assembled_at.to_rfc3339(),
        "additional_attributes": [{"outcome": outcome(profile), "status": standing.word()}],
    });
    if let (Some(score), Json::Object(record)) = (score, &mut record) {
        record.insert("poverty_score".to_owned(), score.into());
        let kind = "thousandths of the minimum consumer expenditure";
        record.insert("poverty_score_type".to_owned(), kind.into());
    }
    if let (Some(place), Json::Object(record)) = (place, &mut record) {
        let address = json!([{"region": place.region, "locality": place.district}]);
        record.insert("address".to_owned(), address);
    }
    let mut attributes = common(family, asked.unwrap_or(head), today);
    let size = i64::try_from(profile.family.members.len()).unwrap_or(i64::MAX);
    attributes.insert("group_size".to_owned(), Value::Number(size));
    attributes.insert("outcome".to_owned(), text(outcome(profile)));
    attributes.insert("age".to_owned(), Value::Number(head.age_on(today).into()));
    if let Some(score) = score {
        attributes.insert("poverty_score".to_owned(), Value::Number(score));
    }
    if let Some(place) = place {
        attributes.insert("region".to_owned(), text(&place.region));
        attributes.insert("location".to_owned(), text(&place.district));
    }
    Entry { record, attributes }
}

/// Each member of the family as Member.
pub(crate) fn members(family: &Family, today: Date) -> Vec<Entry> {
    let entry = |member: &Member| {
        let mut attributes = common(family, member.pinfl, today);
        attributes.insert("age".to_owned(), Value::Number(member.pinfl.age_on(today).into()));
        attributes.insert("birth_date".to_owned(), text(&member.born.to_string()));
        attributes.insert("sex".to_owned(), text(sex(member.pinfl)));
        attributes.insert("role".to_owned(), text(role(member.role)));
        Entry { record: member_record(family, member), attributes }
    };
    family.profile.family.members.iter().map(entry).collect()
}

/// The head of the family as Beneficiary, also when its support is stopped or over.
pub(crate) fn beneficiary(family: &Family, today: Date) -> Option<Entry> {
    let head = family.profile.family.members.first()?;
    let entitlement = family.entitlement()?;
    let enrolled = family.registered_on().to_string();
    let status = family.standing(today).code();
    let record = json!({
        "@context": {"@vocab": BENEFICIARIES}, "@type": "Beneficiary", "@id": urn(&family.id),
        // 3 is a family (spdci/schemas, GroupTypeEnum).
        "assistance_unit": "3",
        "member": member_record(family, head),
        "programme_identifier": [identifier("PROGRAMME", &entitlement.category)],
        "enrollment_date": enrolled,
        "enrollment_status": status,
        "status_change_date": [family.changed_on(today).to_string()],
        "benefits": [{
            "benefit_type": "cash", "benefit_date": enrolled,
            "benefit_value": format!("UZS {}", entitlement.monthly_soum.amount()),
            "benefit_frequency": "monthly", "benefit_months": entitlement.months,
        }],
    });
    let mut attributes = common(family, head.pinfl, today);
    attributes.insert("person_identifier".to_owned(), text(head.pinfl.as_str()));
    attributes.insert("programme_identifier".to_owned(), text(&entitlement.category));
    attributes.insert("enrollment_status".to_owned(), text(status));
    attributes.insert("enrollment_date".to_owned(), text(&enrolled));
    Some(Entry { record, attributes })
}

/// An enrolment that was reported, as it was.
pub(crate) fn reported(enrolment: &Enrolment) -> Entry {
    let mut attributes = Attributes::new();
    let of = |name: &str| enrolment.beneficiary.get(name).and_then(Json::as_str);
    attributes.insert("uin".to_owned(), text(enrolment.person.as_str()));
    attributes.insert("person_identifier".to_owned(), text(enrolment.person.as_str()));
    for name in ["enrollment_status", "enrollment_date"] {
        if let Some(value) = of(name) {
            attributes.insert(name.to_owned(), text(value));
        }
    }
    Entry { record: enrolment.beneficiary.clone(), attributes }
}

/// The person whom a reported beneficiary is.
pub(crate) fn reported_person(beneficiary: &Json) -> Option<Pinfl> {
    let info = beneficiary.get("member")?.get("demographic_info")?;
    let holders = [info.get("person"), info.get("identifier"), info.pointer("/identifier/0")];
    let value = holders.into_iter().flatten().find_map(|holder| holder.get("identifier_value"));
    value?.as_str()?.parse().ok()
}

fn member_record(family: &Family, member: &Member) -> Json {
    let pinfl = member.pinfl;
    let mut demographic = json!({
        "@type": "SRPerson", "identifier": [identifier("UIN", pinfl.as_str())],
        "sex": sex(pinfl), "birth_date": format!("{}T00:00:00Z", member.born),
    });
    if let (Some(person), Json::Object(demographic)) =
        (person(&family.profile, pinfl), &mut demographic)
    {
        let name = json!({
            "surname": person.surname, "given_name": person.given_name,
            "second_name": person.patronymic.clone().unwrap_or_default(),
        });
        demographic.insert("name".to_owned(), name);
    }
    json!({
        "@context": {"@vocab": SOCIAL}, "@type": "Member", "@id": format!("urn:pinfl:{pinfl}"),
        "identifier": identifier("UIN", pinfl.as_str()),
        "member_identifier": [identifier("UIN", pinfl.as_str())],
        "demographic_info": demographic,
        "registration_date": midnight(family.registered_on()),
        "last_updated": family.profile.assembled_at.to_rfc3339(),
        "additional_attributes": [{"family": family.id, "role": role(member.role)}],
    })
}

fn common(family: &Family, uin: Pinfl, today: Date) -> Attributes {
    let updated = family.profile.assembled_at.to_rfc3339();
    Attributes::from([
        ("uin".to_owned(), text(uin.as_str())),
        ("group_identifier".to_owned(), text(&family.id)),
        ("status".to_owned(), text(family.standing(today).word())),
        ("registration_date".to_owned(), text(&family.registered_on().to_string())),
        ("last_updated".to_owned(), text(updated.get(..10).unwrap_or_default())),
    ])
}

fn identifier(kind: &str, value: &str) -> Json {
    json!({"@type": "Identifier", "identifier_type": kind, "identifier_value": value})
}

/// A day as the moment that SPDCI's fields want.
fn midnight(day: Date) -> String {
    format!("{day}T00:00:00Z")
}

fn urn(id: &str) -> String {
    format!("urn:family:{id}")
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn sex(pinfl: Pinfl) -> &'static str {
    match pinfl.sex() {
        Sex::Male => "male",
        Sex::Female => "female",
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Applicant => "applicant",
        Role::Spouse => "spouse",
        Role::Child => "child",
    }
}

fn outcome(profile: &Profile) -> &'static str {
    match profile.assessment.decision {
        Decision::Eligible(_) => "eligible",
        Decision::NotEligible { .. } => "not_eligible",
        Decision::Pending { .. } => "pending",
    }
}

/// What the population register says of a person.
fn person(profile: &Profile, pinfl: Pinfl) -> Option<&Person> {
    let mut of_person = profile.case.answers.iter().filter(|(subject, _, _)| *subject == pinfl);
    of_person.find_map(|(_, _, answer)| answer.population()?.value())
}

/// Income per member and month in thousandths of the minimum consumer expenditure, cut to whole
/// ones: for finding families only, the decision compares exactly.
fn poverty_score(profile: &Profile) -> Option<i64> {
    let steps = &profile.assessment.steps;
    let step = steps.iter().find(|step| step.clause == Clause::IncomeBand)?;
    let number = |name: &str| step.numbers.get(name).map(|number| number.0);
    let shares = number("members")?.checked_mul(number("months")?)?;
    let whole = shares.checked_mul(number("minimum_consumer_expenditure_soum")?)?;
    let score = number("sum_soum")?.checked_mul(1000)?.checked_div(whole)?;
    i64::try_from(score).ok()
}
