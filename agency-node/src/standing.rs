//! Standing ratings: what the agency has judged before, signed for one enquiry where it is fresh and allowed there.

use brag_common::{
    enquiry::RatedAnswer,
    id::{EnquiryRef, RequestId},
    matching::identity::CanonicalIdentity,
    rating::{Colour, SaltedAnalysis},
    secret::random_bytes,
    statement::{Body, PersonIn, Rating, SignedStatement, Statement},
    time::Timestamp,
};

use crate::{analysis::Named, guard::Refusal, node::Shared, store::shapes::StandingRating};

/// One person of one enquiry who may be answered for by a standing rating.
#[derive(Debug)]
pub struct Rateable<'a> {
    /// The enquiry.
    pub enquiry: &'a EnquiryRef,
    /// The person.
    pub person: &'a PersonIn,
    /// Whether the enquiry has evidence of domestic abuse.
    pub domestic_abuse: bool,
}

impl Rateable<'_> {
    /// The agency's standing rating of a record, signed for this enquiry; `None` when there is none that is fresh and
    /// allowed here, or its analysis names somebody, so that a person rates.
    ///
    /// # Errors
    /// When the store or the machine's randomness fails.
    pub fn standing_rating(
        &self,
        shared: &Shared,
        record: u64,
        identity: &CanonicalIdentity,
        named: &Named,
    ) -> Result<Option<(RequestId, RatedAnswer)>, Refusal> {
        let Some(standing) = shared.store.standing_rating(record)? else { return Ok(None) };
        let terms = shared.agreement.agreement().rating();
        let now = shared.clock.now();
        let StandingRating { colour, analysis, topics, rated_by, rated_at } = standing;
        let fresh = now.duration_since(rated_at) <= terms.standing_age_max && rated_at <= now;
        let blue_forbidden =
            colour == Colour::Blue && self.domestic_abuse && terms.forbid_blue_with_domestic_abuse;
        // Whatever is not fit to be sent is put to a person instead.
        if !fresh || blue_forbidden || named.analysis(&analysis, terms.analysis).is_err() {
            return Ok(None);
        }
        let analysis = SaltedAnalysis::new(&analysis).map_err(|_| Refusal::Internal)?;
        let rating = Rating {
            person: self.person.clone(),
            colour,
            analysis_digest: analysis.digest(),
            topics: topics.into_iter().collect(),
            rated_at,
            via: None,
            subject_is_child: is_child(identity, now),
        };
        // One version for all of it: another may take over at any moment.
        let version = shared.agreement.versions().current();
        let statement = Statement {
            id: random_bytes().map(RequestId::from_random).map_err(|_| Refusal::Internal)?,
            signer: shared.config.agency.clone(),
            agreement: version.agreement.digest(),
            enquiry: self.enquiry.clone(),
            made_at: now,
            made_by: Some(rated_by),
            body: Body::Rating(rating),
        };
        let signed = SignedStatement::sign(&statement, &version.realm, &version.keys.statements);
        Ok(Some((statement.id, RatedAnswer { signed, analysis })))
    }
}

/// Whether the identity is of a person under 18; not when nothing is known of their birth.
#[must_use]
pub fn is_child(identity: &CanonicalIdentity, now: Timestamp) -> bool {
    identity.identity().age_band(today(now)).is_child()
}

pub(crate) fn today(now: Timestamp) -> jiff::civil::Date {
    now.to_zoned(jiff::tz::TimeZone::UTC).date()
}
