//! News of an enquiry: what the hub tells an agency that has a part in it, in one word and what that word is about.
//!
//! News are the hub's own word, so they open nothing and are evidence of nothing. They carry a word of a fixed list, an agency,
//! the name of an outcome, a clock or an action, and at most a random reference: no name, no colour, no detail and nothing that
//! anybody has typed.

use serde::{Deserialize, Serialize};

use crate::{
    audit::entry::Digest,
    enquiry::Envelope,
    id::{AgencyId, EnquiryRef, PersonRef, RequestId},
    time::Timestamp,
};

/// The longest `about`, in characters.
pub const MAX_ABOUT_CHARS: usize = 64;

/// What has come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewsKind {
    /// The enquiry is closed; about its outcome.
    Closed,
    /// An agency leads from now on; about that agency.
    LeadNamed,
    /// An agency has answered after the round had closed; about that agency.
    LateRating,
    /// A clock has run out; about that clock.
    ClockBreached,
    /// The agency owns a new action of the plan; about the action, and the person whom it concerns.
    ActionPlanned,
    /// Somebody of this enquiry is also in another one; about nothing and nobody.
    ConnectedPersonInOtherFamily,
}

impl NewsKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Closed,
        Self::LeadNamed,
        Self::LateRating,
        Self::ClockBreached,
        Self::ActionPlanned,
        Self::ConnectedPersonInOtherFamily,
    ];

    /// The word for it, on the wire and in logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::LeadNamed => "lead_named",
            Self::LateRating => "late_rating",
            Self::ClockBreached => "clock_breached",
            Self::ActionPlanned => "action_planned",
            Self::ConnectedPersonInOtherFamily => "connected_person_in_other_family",
        }
    }

    /// The kind of this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Whether this is something that news of the kind can be about.
    fn takes(self, about: &str) -> bool {
        match self {
            Self::Closed | Self::ClockBreached => {
                let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
                (1..=MAX_ABOUT_CHARS).contains(&about.len()) && about.bytes().all(plain)
            }
            Self::LeadNamed | Self::LateRating => about.parse::<AgencyId>().is_ok(),
            // Its name in the plan, of the form of a reference.
            Self::ActionPlanned => about.parse::<RequestId>().is_ok(),
            Self::ConnectedPersonInOtherFamily => about.is_empty(),
        }
    }
}

/// Why something is no news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotNews {
    /// It is about something that news of its kind are not about.
    #[error("not what news of this kind are about")]
    About,
    /// It names a person, and is of a kind that names nobody.
    #[error("news of this kind name nobody")]
    Person,
}

/// One piece of news of an enquiry. That it is of a known form was checked when it was made or read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Shape", into = "Shape")]
pub struct News(Shape);

/// How news are stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Shape {
    news: NewsKind,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    about: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    person: Option<PersonRef>,
}

impl TryFrom<Shape> for News {
    type Error = NotNews;

    fn try_from(shape: Shape) -> Result<Self, NotNews> {
        Self::new(shape.news, shape.at, &shape.about, shape.person)
    }
}

impl From<News> for Shape {
    fn from(news: News) -> Self {
        news.0
    }
}

impl News {
    /// News: what came about when, what it is about (see [`NewsKind`]; empty where it is about nothing), and, of a planned
    /// action only, the person whom it concerns. The time is kept to the millisecond, as it travels.
    ///
    /// # Errors
    /// When it is about something else than its kind, or names a person whom its kind does not name.
    pub fn new(
        kind: NewsKind,
        at: Timestamp,
        about: &str,
        person: Option<PersonRef>,
    ) -> Result<Self, NotNews> {
        if !kind.takes(about) {
            return Err(NotNews::About);
        }
        if person.is_some() && kind != NewsKind::ActionPlanned {
            return Err(NotNews::Person);
        }
        let at = Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at);
        Ok(Self(Shape { news: kind, at, about: about.to_owned(), person }))
    }

    /// What has come about.
    #[must_use]
    pub const fn kind(&self) -> NewsKind {
        self.0.news
    }

    /// When it came about.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.0.at
    }

    /// What it is about; empty where the word says everything.
    #[must_use]
    pub fn about(&self) -> &str {
        &self.0.about
    }

    /// The person whom a planned action concerns.
    #[must_use]
    pub const fn person(&self) -> Option<&PersonRef> {
        self.0.person.as_ref()
    }

    /// A name that follows from what it says: the same news twice have one name, and are one piece of news.
    #[must_use]
    pub fn name(&self) -> RequestId {
        let Shape { news, at, about, person } = &self.0;
        let person = person.as_ref().map_or("", PersonRef::as_str);
        // No part can hold the mark between them.
        let said = format!("{}|{}|{about}|{person}", news.word(), at.as_millisecond());
        let digest = Digest::of(said.as_bytes());
        RequestId::from_random(digest.as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

/// News as the hub brings them to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InformQuery {
    /// Head of the request.
    pub envelope: Envelope,
    /// The enquiry.
    pub enquiry: EnquiryRef,
    /// What is told of it.
    pub news: News,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Timestamp {
        "2027-02-09T09:00:00.123456Z".parse().unwrap()
    }

    fn about(kind: NewsKind) -> &'static str {
        match kind {
            NewsKind::Closed => "child_protection_plan",
            NewsKind::LeadNamed | NewsKind::LateRating => "CSC",
            NewsKind::ClockBreached => "s47",
            NewsKind::ActionPlanned => "A-2",
            NewsKind::ConnectedPersonInOtherFamily => "",
        }
    }

    #[test]
    fn news_are_about_what_their_kind_is_about_and_hold_no_text() {
        let long = "a".repeat(65);
        for kind in NewsKind::ALL {
            for wrong in ["Zoë Brookes", "two words", "a|b", "A-2\n", long.as_str()] {
                assert_eq!(News::new(kind, at(), wrong, None), Err(NotNews::About), "{kind:?}");
            }
            let is_of_nothing = kind == NewsKind::ConnectedPersonInOtherFamily;
            assert_eq!(News::new(kind, at(), "", None).is_ok(), is_of_nothing, "{kind:?}");
            assert!(News::new(kind, at(), about(kind), None).is_ok(), "{kind:?}");
        }
    }

    #[test]
    fn only_a_planned_action_names_a_person() {
        for kind in NewsKind::ALL {
            let named = News::new(kind, at(), about(kind), "P1".parse().ok());
            assert_eq!(named.is_ok(), kind == NewsKind::ActionPlanned, "{kind:?}");
        }
    }

    #[test]
    fn what_says_the_same_has_the_same_name_and_what_says_anything_else_has_another() {
        let news = |kind, at, about, person: Option<&str>| {
            News::new(kind, at, about, person.map(|p| p.parse().unwrap())).unwrap()
        };
        let (kind, later) = (NewsKind::ActionPlanned, at() + jiff::SignedDuration::from_secs(1));
        let first = news(kind, at(), "A-2", None);
        assert_eq!(first.name(), news(kind, first.at(), "A-2", None).name());
        let others = [
            news(kind, later, "A-2", None),
            news(kind, at(), "A-3", None),
            news(kind, at(), "A-2", Some("P1")),
            news(NewsKind::LeadNamed, at(), "CSC", None),
        ];
        assert!(others.iter().all(|other| other.name() != first.name()));
    }

    #[test]
    fn what_is_stored_reads_back_and_what_is_no_news_does_not() {
        let news = News::new(NewsKind::ActionPlanned, at(), "A-2", "P1".parse().ok()).unwrap();
        let text = serde_json::to_string(&news).unwrap();
        assert_eq!(serde_json::from_str::<News>(&text).unwrap(), news);
        for other in [text.replace("A-2", "two words"), text.replace("action_planned", "closed")] {
            assert!(serde_json::from_str::<News>(&other).is_err(), "{other}");
        }
    }
}
