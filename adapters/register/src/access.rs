//! Who may do what in the register: one table, default deny.
//!
//! An officer is named by `X-Road-UserId`, which the hub signs and records; the table of officers
//! is the register's configuration. What is not in [`ALLOWED`] is refused.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Characters of an officer's identifier: X-Road's codes have as many.
const OFFICER_MAX_CHARS: usize = 255;
/// Characters of a district's code: SOATO has 4 to 10 digits.
const DISTRICT_MAX_CHARS: usize = 16;

/// A district's code, such as SOATO `1726269`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct District(String);

/// The text is not a district.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a district is 1 to 16 letters or digits, such as SOATO 1726269; correct it")]
pub struct NotADistrict;

impl TryFrom<String> for District {
    type Error = NotADistrict;

    fn try_from(text: String) -> Result<Self, NotADistrict> {
        let fits = (1..=DISTRICT_MAX_CHARS).contains(&text.len());
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if fits && plain { Ok(Self(text)) } else { Err(NotADistrict) }
    }
}

impl From<District> for String {
    fn from(district: District) -> Self {
        district.0
    }
}

impl fmt::Display for District {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an officer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Social worker; works on the cases of the own district.
    Caseworker,
    /// Heads the caseworkers and the multidisciplinary group of a district.
    Supervisor,
    /// Benefit officer of the agency, for all districts.
    Officer,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 3] = [Self::Caseworker, Self::Supervisor, Self::Officer];
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Read a case, a list of cases, or a snapshot.
    ReadCase,
    /// Open a case and work on it.
    WorkOnCase,
    /// Decide on a case.
    DecideCase,
    /// Decide on an appeal.
    DecideAppeal,
    /// Issue, renew, block a card, and change what it says.
    ManageCard,
    /// Block a card that was lost.
    BlockCard,
    /// Read a card and what its holder has received.
    ReadCard,
    /// Read life events, their gaps and what they propose.
    ReadLifeEvents,
    /// See on a family's page which cards its members have and what was paid to them. A family is of
    /// the districts of its members' cases.
    SeeSupport,
    /// File the application that a life event proposes, or close the proposal.
    AnswerProposal,
}

impl Operation {
    /// All operations.
    pub const ALL: [Self; 10] = [
        Self::ReadCase,
        Self::WorkOnCase,
        Self::DecideCase,
        Self::DecideAppeal,
        Self::ManageCard,
        Self::BlockCard,
        Self::ReadCard,
        Self::ReadLifeEvents,
        Self::SeeSupport,
        Self::AnswerProposal,
    ];
}

/// How far a permission reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The officer's own district.
    OwnDistrict,
    /// All districts.
    Everywhere,
}

/// Everything that is allowed. Nobody both works on a case and decides on it.
pub const ALLOWED: &[(Role, Operation, Reach)] = &[
    (Role::Caseworker, Operation::ReadCase, Reach::OwnDistrict),
    (Role::Caseworker, Operation::WorkOnCase, Reach::OwnDistrict),
    (Role::Caseworker, Operation::BlockCard, Reach::Everywhere),
    (Role::Caseworker, Operation::SeeSupport, Reach::OwnDistrict),
    (Role::Supervisor, Operation::ReadCase, Reach::OwnDistrict),
    (Role::Supervisor, Operation::DecideCase, Reach::OwnDistrict),
    (Role::Supervisor, Operation::BlockCard, Reach::Everywhere),
    (Role::Supervisor, Operation::ReadLifeEvents, Reach::Everywhere),
    (Role::Supervisor, Operation::SeeSupport, Reach::OwnDistrict),
    (Role::Officer, Operation::ReadCase, Reach::Everywhere),
    (Role::Officer, Operation::DecideAppeal, Reach::Everywhere),
    (Role::Officer, Operation::ManageCard, Reach::Everywhere),
    (Role::Officer, Operation::BlockCard, Reach::Everywhere),
    (Role::Officer, Operation::ReadCard, Reach::Everywhere),
    (Role::Officer, Operation::ReadLifeEvents, Reach::Everywhere),
    (Role::Officer, Operation::SeeSupport, Reach::Everywhere),
    (Role::Officer, Operation::AnswerProposal, Reach::Everywhere),
];

/// An officer in the register's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Officer {
    /// As `X-Road-UserId` names the officer.
    pub id: String,
    /// The role.
    pub role: Role,
    /// The own district; roles that reach everywhere have none.
    pub district: Option<District>,
}

/// An officer may do what was asked for. Only [`Officers::permit`] makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Permitted {
    operation: Operation,
    by: String,
    role: Role,
}

impl Permitted {
    /// What is permitted.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// To whom.
    #[must_use]
    pub fn by(&self) -> &str {
        &self.by
    }

    /// In which role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }
}

/// Why an officer may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Nobody is named.
    #[error("the caller names no officer; send X-Road-UserId")]
    NobodyNamed,
    /// The officer is not in the table.
    #[error("the officer is not known to the register; an administrator adds `[[officers]]`")]
    UnknownOfficer,
    /// The role does not allow it.
    #[error("the officer's role does not allow this; ask an officer whose role does")]
    Role,
    /// Another district's case.
    #[error("the case is of another district; ask an officer of that district")]
    OtherDistrict,
}

/// All officers of a register.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Officers(Vec<Officer>);

impl Officers {
    /// Takes the table; the fault says what to change.
    ///
    /// # Errors
    /// When an identifier is empty, long or listed twice, or a role of one district has none.
    pub fn new(officers: Vec<Officer>) -> Result<Self, &'static str> {
        for (at, officer) in officers.iter().enumerate() {
            if !(1..=OFFICER_MAX_CHARS).contains(&officer.id.len()) {
                return Err("give every officer an id of 1 to 255 characters");
            }
            if officers.iter().take(at).any(|other| other.id == officer.id) {
                return Err("list every officer once");
            }
            if (officer.role == Role::Officer) != officer.district.is_none() {
                return Err("give caseworkers and supervisors a district, and officers none");
            }
        }
        Ok(Self(officers))
    }

    /// Decides whether `user` may do `operation` in `district`; `None` for what has no district.
    ///
    /// # Errors
    /// [`Denied`] says why not.
    pub fn permit(
        &self,
        user: Option<&str>,
        operation: Operation,
        district: Option<&District>,
    ) -> Result<Permitted, Denied> {
        let user = user.ok_or(Denied::NobodyNamed)?;
        let known = self.0.iter().find(|officer| officer.id == user);
        let officer = known.ok_or(Denied::UnknownOfficer)?;
        let rule = ALLOWED.iter().find(|rule| rule.0 == officer.role && rule.1 == operation);
        let (role, _, reach) = *rule.ok_or(Denied::Role)?;
        let own = district.is_some() && district == officer.district.as_ref();
        if reach == Reach::OwnDistrict && !own {
            return Err(Denied::OtherDistrict);
        }
        Ok(Permitted { operation, by: officer.id.clone(), role })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn district(text: &str) -> District {
        District::try_from(text.to_owned()).unwrap()
    }

    fn officers() -> Officers {
        let one = |id: &str, role, at: Option<&str>| Officer {
            id: id.to_owned(),
            role,
            district: at.map(district),
        };
        let all = vec![
            one("caseworker", Role::Caseworker, Some("1726269")),
            one("supervisor", Role::Supervisor, Some("1726269")),
            one("officer", Role::Officer, None),
        ];
        Officers::new(all).unwrap()
    }

    fn id(role: Role) -> &'static str {
        match role {
            Role::Caseworker => "caseworker",
            Role::Supervisor => "supervisor",
            Role::Officer => "officer",
        }
    }

    #[test]
    fn every_operation_and_role_is_decided_as_the_table_says_and_no_other_way() {
        let (own, other) = (district("1726269"), district("1703"));
        for role in Role::ALL {
            for operation in Operation::ALL {
                let asked = |at| officers().permit(Some(id(role)), operation, at).map(|_| ());
                let rule = ALLOWED.iter().find(|rule| (rule.0, rule.1) == (role, operation));
                let (here, there) = match rule.map(|rule| rule.2) {
                    Some(Reach::Everywhere) => (Ok(()), Ok(())),
                    Some(Reach::OwnDistrict) => (Ok(()), Err(Denied::OtherDistrict)),
                    None => (Err(Denied::Role), Err(Denied::Role)),
                };
                assert_eq!(asked(Some(&own)), here, "{role:?} {operation:?}");
                assert_eq!(asked(Some(&other)), there, "{role:?} {operation:?}");
            }
        }
    }

    #[test]
    fn nobody_works_on_a_case_and_decides_on_it_or_on_its_appeal() {
        for role in Role::ALL {
            let of_role =
                |operation| ALLOWED.iter().any(|rule| (rule.0, rule.1) == (role, operation));
            let duties = [Operation::WorkOnCase, Operation::DecideCase, Operation::DecideAppeal];
            assert_eq!(duties.into_iter().filter(|duty| of_role(*duty)).count(), 1, "{role:?}");
        }
    }

    #[test]
    fn nobody_and_strangers_are_denied_everything() {
        let own = district("1726269");
        for operation in Operation::ALL {
            let asked = |user| officers().permit(user, operation, Some(&own)).unwrap_err();
            assert_eq!(asked(None), Denied::NobodyNamed);
            assert_eq!(asked(Some("stranger")), Denied::UnknownOfficer);
        }
    }

    #[test]
    fn tables_with_twins_or_without_districts_are_refused() {
        let one = |role, district| Officer { id: "a".to_owned(), role, district };
        assert!(Officers::new(vec![one(Role::Officer, None), one(Role::Officer, None)]).is_err());
        assert!(Officers::new(vec![one(Role::Caseworker, None)]).is_err());
        assert!(Officers::new(vec![one(Role::Officer, Some(district("1")))]).is_err());
        assert!(District::try_from("17|26".to_owned()).is_err());
    }
}
