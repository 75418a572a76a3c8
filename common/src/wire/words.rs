//! Enumerations of the wire and of the domain, one pair of functions each.

use super::{WireError, pb};
use crate::{
    agreement::LinkKind,
    rating::Colour,
    statement::{PersonRole, ReviewStage},
};

/// The wire's word for a colour.
#[must_use]
pub const fn colour(colour: Colour) -> pb::Colour {
    match colour {
        Colour::Blue => pb::Colour::Blue,
        Colour::Green => pb::Colour::Green,
        Colour::Amber => pb::Colour::Amber,
        Colour::Red => pb::Colour::Red,
    }
}

/// A colour that may be absent.
///
/// # Errors
/// When the number is none of the wire's.
pub fn to_optional_colour(number: i32) -> Result<Option<Colour>, WireError> {
    match pb::Colour::try_from(number) {
        Ok(pb::Colour::Unspecified) => Ok(None),
        Ok(pb::Colour::Blue) => Ok(Some(Colour::Blue)),
        Ok(pb::Colour::Green) => Ok(Some(Colour::Green)),
        Ok(pb::Colour::Amber) => Ok(Some(Colour::Amber)),
        Ok(pb::Colour::Red) => Ok(Some(Colour::Red)),
        Err(_) => Err(WireError::invalid("colour", "a colour this version knows")),
    }
}

/// A colour.
///
/// # Errors
/// When it is absent or unknown.
pub fn to_colour(number: i32) -> Result<Colour, WireError> {
    to_optional_colour(number)?.ok_or(WireError::Missing("colour"))
}

/// The wire's word for a kind of link.
#[must_use]
pub const fn link_kind(kind: LinkKind) -> pb::LinkKind {
    match kind {
        LinkKind::Household => pb::LinkKind::Household,
        LinkKind::PosesRiskTo => pb::LinkKind::PosesRiskTo,
        LinkKind::AtRiskFrom => pb::LinkKind::AtRiskFrom,
        LinkKind::Relative => pb::LinkKind::Relative,
        LinkKind::ContactVenue => pb::LinkKind::ContactVenue,
    }
}

/// A kind of link.
///
/// # Errors
/// When it is absent or unknown.
pub fn to_link_kind(number: i32) -> Result<LinkKind, WireError> {
    match pb::LinkKind::try_from(number) {
        Ok(pb::LinkKind::Household) => Ok(LinkKind::Household),
        Ok(pb::LinkKind::PosesRiskTo) => Ok(LinkKind::PosesRiskTo),
        Ok(pb::LinkKind::AtRiskFrom) => Ok(LinkKind::AtRiskFrom),
        Ok(pb::LinkKind::Relative) => Ok(LinkKind::Relative),
        Ok(pb::LinkKind::ContactVenue) => Ok(LinkKind::ContactVenue),
        Ok(pb::LinkKind::Unspecified) => Err(WireError::Missing("kind")),
        Err(_) => Err(WireError::invalid("kind", "a link this version knows")),
    }
}

/// The wire's word for a role.
#[must_use]
pub const fn role(role: Option<PersonRole>) -> pb::PersonRole {
    match role {
        None => pb::PersonRole::Unspecified,
        Some(PersonRole::Victim) => pb::PersonRole::Victim,
        Some(PersonRole::Child) => pb::PersonRole::Child,
        Some(PersonRole::PersonPosingRisk) => pb::PersonRole::PersonPosingRisk,
        Some(PersonRole::ConnectedPerson) => pb::PersonRole::ConnectedPerson,
        Some(PersonRole::Unclear) => pb::PersonRole::Unclear,
    }
}

/// A role that may be absent.
///
/// # Errors
/// When the number is none of the wire's.
pub fn to_role(number: i32) -> Result<Option<PersonRole>, WireError> {
    match pb::PersonRole::try_from(number) {
        Ok(pb::PersonRole::Unspecified) => Ok(None),
        Ok(pb::PersonRole::Victim) => Ok(Some(PersonRole::Victim)),
        Ok(pb::PersonRole::Child) => Ok(Some(PersonRole::Child)),
        Ok(pb::PersonRole::PersonPosingRisk) => Ok(Some(PersonRole::PersonPosingRisk)),
        Ok(pb::PersonRole::ConnectedPerson) => Ok(Some(PersonRole::ConnectedPerson)),
        Ok(pb::PersonRole::Unclear) => Ok(Some(PersonRole::Unclear)),
        Err(_) => Err(WireError::invalid("role", "a role this version knows")),
    }
}

/// The wire's word for who may act on a review.
#[must_use]
pub const fn review_stage(stage: ReviewStage) -> pb::ReviewStage {
    match stage {
        ReviewStage::Approver => pb::ReviewStage::Approver,
        ReviewStage::DeputyApprover => pb::ReviewStage::DeputyApprover,
    }
}

/// Who may act on a review; `None` when it is not said.
#[must_use]
pub const fn to_review_stage(stage: pb::ReviewStage) -> Option<ReviewStage> {
    match stage {
        pb::ReviewStage::Unspecified => None,
        pb::ReviewStage::Approver => Some(ReviewStage::Approver),
        pb::ReviewStage::DeputyApprover => Some(ReviewStage::DeputyApprover),
    }
}
