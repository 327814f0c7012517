//! The answers of the sources as their contracts state them, one type per operation.
//!
//! Every field of a contract stands here and no other: an unknown one is refused when an answer is
//! read. `Debug` shows nothing of a person.

use jiff::civil::Date;
use schemas::pinfl::{Pinfl, Sex};
use serde::{Deserialize, Deserializer, Serialize};

use crate::money::Soum;
use crate::month::Month;
use crate::redact::redact;

macro_rules! answer {
    ($($(#[$doc:meta])* struct $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $kind,)*
        }
        redact!($name);
    )*};
}

macro_rules! words {
    ($($(#[$doc:meta])* enum $name:ident { $($word:ident,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[allow(missing_docs, reason = "each variant is the word of the contract itself")]
        pub enum $name {
            $($word,)*
        }
    )*};
}

/// Reads a field that may be `null` but must be there: the contracts require every field, and a
/// missing one must not pass for "none".
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

words! {
    /// How a marriage ended.
    enum EndReason { Divorce, Death, }
    /// How a child belongs to its legal parent or guardian.
    enum Relation { Birth, Adoption, Guardianship, }
    /// What a pension is paid for.
    enum PensionKind { OldAge, Disability, Survivor, Social, }
    /// What a property is.
    enum PropertyKind { Dwelling, NonResidential, Land, }
    /// By what right a vehicle is held.
    enum Title { Owner, PowerOfAttorney, }
    /// What an institution of education is.
    enum InstitutionKind { Kindergarten, School, College, University, }
}

answer! {
    /// Civil registry, operation `family`: a person's births, deaths, marriages and children.
    struct FamilyRecord {
        /// The person.
        pinfl: Pinfl,
        /// Sex.
        sex: Sex,
        /// Date of birth.
        born: Date,
        /// Date of death.
        #[serde(deserialize_with = "present")]
        died: Option<Date>,
        /// Mother.
        #[serde(deserialize_with = "present")]
        mother: Option<Pinfl>,
        /// Father.
        #[serde(deserialize_with = "present")]
        father: Option<Pinfl>,
        /// Marriages, ended ones too.
        marriages: Vec<Marriage>,
        /// Every child of whom this person is the legal parent or guardian now.
        children: Vec<ChildLink>,
    }

    /// A marriage.
    struct Marriage {
        /// The other spouse.
        spouse: Pinfl,
        /// Date of marriage.
        married: Date,
        /// Date of its end.
        #[serde(deserialize_with = "present")]
        ended: Option<Date>,
        /// How it ended.
        #[serde(deserialize_with = "present")]
        end_reason: Option<EndReason>,
    }

    /// A child in its parent's or guardian's record.
    struct ChildLink {
        /// The child.
        pinfl: Pinfl,
        /// Date of birth.
        born: Date,
        /// Date of death.
        #[serde(deserialize_with = "present")]
        died: Option<Date>,
        /// How the child belongs to the person.
        relation: Relation,
    }

    /// Population register, operation `person`: identity, address and whereabouts.
    struct Person {
        /// The person.
        pinfl: Pinfl,
        /// Surname.
        surname: String,
        /// Given name.
        given_name: String,
        /// Patronymic.
        #[serde(deserialize_with = "present")]
        patronymic: Option<String>,
        /// Citizenship, ISO 3166-1 alpha-2.
        citizenship: String,
        /// Registered address.
        #[serde(deserialize_with = "present")]
        address: Option<Address>,
        /// Everyone registered at the same dwelling, this person too.
        residents: Vec<Pinfl>,
        /// Living abroad since this day.
        #[serde(deserialize_with = "present")]
        abroad_since: Option<Date>,
        /// In prison.
        in_prison: bool,
        /// In a residential institution.
        in_institution: bool,
        /// In conscript service.
        conscript: bool,
        /// Date of death.
        #[serde(deserialize_with = "present")]
        died: Option<Date>,
    }

    /// A registered address.
    struct Address {
        /// Region.
        region: String,
        /// District.
        district: String,
        /// Street and house.
        street: String,
        /// Cadastre number of the dwelling.
        dwelling: String,
    }

    /// Tax committee, operation `income`: income by month from `from` to `to`.
    struct Income {
        /// The person.
        pinfl: Pinfl,
        /// First month asked for.
        from: Month,
        /// Last month asked for.
        to: Month,
        /// Wages by payer and month.
        wages: Vec<Wage>,
        /// Self-employment and business by month.
        business: Vec<BusinessMonth>,
        /// Farm and plot income by month.
        plots: Vec<PlotMonth>,
        /// Remittances by month.
        remittances: Vec<Remittance>,
    }

    /// A month's wage from one payer.
    struct Wage {
        /// STIR of the payer.
        payer_stir: String,
        /// Name of the payer.
        payer_name: String,
        /// Month.
        month: Month,
        /// Amount.
        amount_soum: Soum,
    }

    /// A month of a business.
    struct BusinessMonth {
        /// Month.
        month: Month,
        /// Turnover; not counted as income.
        turnover_soum: Soum,
        /// Income, which counts.
        income_soum: Soum,
    }

    /// A month of a plot or farm.
    struct PlotMonth {
        /// Month.
        month: Month,
        /// Income.
        income_soum: Soum,
    }

    /// Money received from abroad in a month.
    struct Remittance {
        /// Month.
        month: Month,
        /// Amount.
        amount_soum: Soum,
    }

    /// Pension fund, operation `pensions`.
    struct Pensions {
        /// The person.
        pinfl: Pinfl,
        /// Pensions, ended ones too.
        pensions: Vec<Pension>,
    }

    /// A pension, paid monthly.
    struct Pension {
        /// What it is paid for.
        kind: PensionKind,
        /// Amount a month.
        amount_soum: Soum,
        /// First day.
        from: Date,
        /// Last day.
        #[serde(deserialize_with = "present")]
        to: Option<Date>,
    }

    /// A bank, operation `depositTest`: whether the deposits reach the threshold; never a balance.
    struct DepositTest {
        /// The person.
        pinfl: Pinfl,
        /// Whether the deposits are at least the threshold.
        at_least_threshold: bool,
        /// The threshold that was asked for.
        threshold_soum: Soum,
    }

    /// Cadastre, operation `properties`.
    struct Properties {
        /// The person.
        pinfl: Pinfl,
        /// Properties owned, with the share owned.
        properties: Vec<Property>,
    }

    /// A property and the person's share of it.
    struct Property {
        /// Cadastre number.
        cadastre_number: String,
        /// What it is.
        kind: PropertyKind,
        /// The share owned.
        share: Share,
        /// Address.
        address: String,
        /// Owned since.
        since: Date,
    }

    /// A share of a property.
    struct Share {
        /// Numerator.
        numerator: u32,
        /// Denominator.
        denominator: u32,
    }

    /// Road safety, operation `vehicles`.
    struct Vehicles {
        /// The person.
        pinfl: Pinfl,
        /// Vehicles held.
        vehicles: Vec<Vehicle>,
    }

    /// A vehicle.
    struct Vehicle {
        /// Number plate.
        plate: String,
        /// Make and model.
        make: String,
        /// Year made.
        year: i16,
        /// In working order.
        working: bool,
        /// By what right it is held.
        title: Title,
        /// Held since.
        since: Date,
    }

    /// Labour agency, operation `employment`.
    struct Employment {
        /// The person.
        pinfl: Pinfl,
        /// Employment contracts, ended ones too.
        contracts: Vec<Contract>,
        /// On the register of the unemployed since.
        #[serde(deserialize_with = "present")]
        registered_unemployed_since: Option<Date>,
        /// Able to work.
        able_to_work: bool,
    }

    /// An employment contract.
    struct Contract {
        /// STIR of the employer.
        employer_stir: String,
        /// Name of the employer.
        employer_name: String,
        /// Position.
        position: String,
        /// First day.
        from: Date,
        /// Last day.
        #[serde(deserialize_with = "present")]
        to: Option<Date>,
    }

    /// Education, operation `enrolment`.
    struct Enrolment {
        /// The person.
        pinfl: Pinfl,
        /// Enrolments, ended ones too.
        enrolments: Vec<Enrolled>,
    }

    /// One enrolment.
    struct Enrolled {
        /// Institution.
        institution: String,
        /// What the institution is.
        kind: InstitutionKind,
        /// First day.
        from: Date,
        /// Last day.
        #[serde(deserialize_with = "present")]
        to: Option<Date>,
    }

    /// Social agency, operation `status`.
    struct Status {
        /// The person.
        pinfl: Pinfl,
        /// Disability group, 1 to 3.
        #[serde(deserialize_with = "present")]
        disability_group: Option<u8>,
        /// Benefits, ended ones too.
        benefits: Vec<Benefit>,
    }

    /// A benefit, paid monthly.
    struct Benefit {
        /// Kind of benefit.
        kind: String,
        /// Amount a month.
        amount_soum: Soum,
        /// First day.
        from: Date,
        /// Last day.
        #[serde(deserialize_with = "present")]
        to: Option<Date>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHILD: &str =
        r#"{"pinfl":"50303140010034","born":"2014-03-03","died":null,"relation":"birth"}"#;

    #[test]
    fn answers_with_a_missing_or_an_unknown_field_are_refused() {
        assert!(serde_json::from_str::<ChildLink>(CHILD).is_ok());
        let missing = CHILD.replace(r#""died":null,"#, "");
        assert!(serde_json::from_str::<ChildLink>(&missing).is_err());
        let unknown = CHILD.replace(r#""died""#, r#""school":1,"died""#);
        assert!(serde_json::from_str::<ChildLink>(&unknown).is_err());
    }

    #[test]
    fn debug_shows_nothing_of_a_person() {
        let child: ChildLink = serde_json::from_str(CHILD).unwrap();
        assert_eq!(format!("{child:?}"), "ChildLink(personal data)");
    }
}
