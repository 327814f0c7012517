//! The agencies of the synthetic instance `UZ`: who they are and what each publishes.

/// An agency with one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agency {
    /// Name in folders and files.
    pub name: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// The member, `CLASS/MEMBER`.
    pub member: &'static str,
    /// Subsystem code.
    pub subsystem: &'static str,
    /// Service code.
    pub service: &'static str,
    /// Folder of the adapter's definition.
    pub definition: &'static str,
    /// `METHOD /template` that the register is granted.
    pub endpoint: &'static str,
    /// How the register asks: path and query, and the body of a POST.
    pub ask: (&'static str, Option<&'static str>),
}

/// The instance code.
pub const INSTANCE: &str = "UZ";
/// The register's member, `CLASS/MEMBER`.
pub const REGISTER_MEMBER: &str = "GOV/NASP";
/// The register's subsystem.
pub const REGISTER: &str = "UZ/GOV/NASP/register";
/// The purpose of the register's calls.
pub const PURPOSE: &str = "social-assessment";
/// The legal basis of the purpose.
pub const LEGAL_BASIS: &str = "Cabinet of Ministers resolution 35 of 29 January 2026";

/// All agencies, in the order in which they are shown.
pub const ALL: [Agency; 11] = [
    Agency {
        name: "civil-registry",
        title: "Civil registry",
        member: "GOV/JUSTICE",
        subsystem: "civil-registry",
        service: "civil-registry",
        definition: "civil-registry",
        endpoint: "GET /persons/{pinfl}/family",
        ask: ("/persons/{pinfl}/family", None),
    },
    Agency {
        name: "population",
        title: "Population register",
        member: "GOV/INTERIOR",
        subsystem: "population",
        service: "population",
        definition: "population",
        endpoint: "GET /persons/{pinfl}",
        ask: ("/persons/{pinfl}", None),
    },
    Agency {
        name: "tax",
        title: "Tax committee",
        member: "GOV/TAX",
        subsystem: "tax",
        service: "tax",
        definition: "tax",
        endpoint: "GET /persons/{pinfl}/income",
        ask: ("/persons/{pinfl}/income?from={from}&to={to}", None),
    },
    Agency {
        name: "pensions",
        title: "Pension fund",
        member: "GOV/PENSIONS",
        subsystem: "pensions",
        service: "pensions",
        definition: "pensions",
        endpoint: "GET /persons/{pinfl}/pensions",
        ask: ("/persons/{pinfl}/pensions", None),
    },
    Agency {
        name: "bank-agro",
        title: "Agrobank",
        member: "BANK/AGROBANK",
        subsystem: "accounts",
        service: "accounts",
        definition: "bank",
        endpoint: "POST /deposit-test",
        ask: DEPOSIT_TEST,
    },
    Agency {
        name: "bank-xalq",
        title: "Xalq banki",
        member: "BANK/XALQBANK",
        subsystem: "accounts",
        service: "accounts",
        definition: "bank",
        endpoint: "POST /deposit-test",
        ask: DEPOSIT_TEST,
    },
    Agency {
        name: "cadastre",
        title: "Cadastre agency",
        member: "GOV/CADASTRE",
        subsystem: "cadastre",
        service: "cadastre",
        definition: "cadastre",
        endpoint: "GET /persons/{pinfl}/properties",
        ask: ("/persons/{pinfl}/properties", None),
    },
    Agency {
        name: "vehicles",
        title: "Road safety service",
        member: "GOV/ROADSAFETY",
        subsystem: "vehicles",
        service: "vehicles",
        definition: "vehicles",
        endpoint: "GET /persons/{pinfl}/vehicles",
        ask: ("/persons/{pinfl}/vehicles", None),
    },
    Agency {
        name: "employment",
        title: "Employment ministry",
        member: "GOV/LABOUR",
        subsystem: "employment",
        service: "employment",
        definition: "employment",
        endpoint: "GET /persons/{pinfl}/employment",
        ask: ("/persons/{pinfl}/employment", None),
    },
    Agency {
        name: "education",
        title: "Education ministry",
        member: "GOV/EDUCATION",
        subsystem: "education",
        service: "education",
        definition: "education",
        endpoint: "GET /persons/{pinfl}/enrolment",
        ask: ("/persons/{pinfl}/enrolment", None),
    },
    Agency {
        name: "social-agency",
        title: "Social protection agency",
        member: "GOV/SOCIAL",
        subsystem: "social-agency",
        service: "social-agency",
        definition: "social-agency",
        endpoint: "GET /persons/{pinfl}/status",
        ask: ("/persons/{pinfl}/status", None),
    },
];

/// The treasury, which takes part where payments are made. It is no source of profiles and
/// has no adapter: [`crate::payments`] runs it.
pub const TREASURY: Agency = Agency {
    name: "treasury",
    title: "Treasury",
    member: "GOV/TREASURY",
    subsystem: "treasury",
    service: "treasury",
    definition: "treasury",
    endpoint: "POST /payment-orders",
    ask: ("/payment-orders", None),
};

const DEPOSIT_TEST: (&str, Option<&str>) =
    ("/deposit-test", Some(r#"{"pinfl":"{pinfl}","threshold_soum":{threshold_soum}}"#));

impl Agency {
    /// The agency with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().chain([TREASURY]).find(|agency| agency.name == name)
    }

    /// `INSTANCE/CLASS/MEMBER`.
    #[must_use]
    pub fn member_id(&self) -> String {
        format!("{INSTANCE}/{}", self.member)
    }

    /// `INSTANCE/CLASS/MEMBER/SUBSYSTEM`.
    #[must_use]
    pub fn subsystem_id(&self) -> String {
        format!("{}/{}", self.member_id(), self.subsystem)
    }

    /// `INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE`.
    #[must_use]
    pub fn service_id(&self) -> String {
        format!("{}/{}", self.subsystem_id(), self.service)
    }
}

/// Serde as a list of names.
pub(crate) mod names {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use super::Agency;

    pub(crate) fn serialize<S: Serializer>(list: &[Agency], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(list.iter().map(|agency| agency.name))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Agency>, D::Error> {
        let unknown = || de::Error::custom("an agency that this release does not know");
        let names = Vec::<String>::deserialize(from)?;
        names.iter().map(|name| Agency::named(name).ok_or_else(unknown)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_services_are_unique_and_found() {
        for agency in ALL {
            assert_eq!(Agency::named(agency.name), Some(agency));
            assert!(agency.service_id().parse::<schemas::identifier::ServiceId>().is_ok());
            let same = ALL.iter().filter(|other| other.service_id() == agency.service_id());
            assert_eq!(same.count(), 1, "{}", agency.name);
        }
    }
}
