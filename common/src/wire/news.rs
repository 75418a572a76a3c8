//! News of an enquiry on the wire.

use super::{WireError, id, optional_id, pb, round::envelope, time};
use crate::{
    id::EnquiryRef,
    news::{InformQuery, News, NewsKind, NotNews},
    time::Timestamp,
};

/// The most news in one answer.
const MAX_LINES: usize = 1000;

/// News in one answer, when no number is asked for.
const USUAL_LINES: usize = 100;

/// How many news are wanted.
///
/// # Errors
/// When it is more than may be.
pub fn limit(limit: u32) -> Result<usize, WireError> {
    match usize::try_from(limit) {
        Ok(0) => Ok(USUAL_LINES),
        Ok(limit) if limit <= MAX_LINES => Ok(limit),
        Ok(_) | Err(_) => Err(WireError::invalid("limit", "at most 1000")),
    }
}

/// One piece of news for the agency's staff; `text` is the same in a sentence.
#[must_use]
pub fn item(
    enquiry: &EnquiryRef,
    news: &News,
    received_at: Timestamp,
    text: String,
) -> pb::NewsItem {
    pb::NewsItem {
        enquiry: enquiry.to_string(),
        news: news.kind().word().to_owned(),
        at_unix_ms: news.at().as_millisecond(),
        about: news.about().to_owned(),
        person: news.person().map(ToString::to_string).unwrap_or_default(),
        received_at_unix_ms: received_at.as_millisecond(),
        text,
    }
}

impl From<&InformQuery> for pb::InformRequest {
    fn from(InformQuery { envelope, enquiry, news }: &InformQuery) -> Self {
        Self {
            request_id: envelope.request_id.to_string(),
            agreement_digest: envelope.agreement.as_bytes().to_vec(),
            valid_until_unix_ms: envelope.valid_until.as_millisecond(),
            enquiry: enquiry.to_string(),
            news: news.kind().word().to_owned(),
            at_unix_ms: news.at().as_millisecond(),
            about: news.about().to_owned(),
            person: news.person().map(ToString::to_string).unwrap_or_default(),
        }
    }
}

impl TryFrom<pb::InformRequest> for InformQuery {
    type Error = WireError;

    fn try_from(message: pb::InformRequest) -> Result<Self, WireError> {
        if message.news.is_empty() {
            return Err(WireError::Missing("news"));
        }
        let kind = NewsKind::from_word(&message.news)
            .ok_or(WireError::invalid("news", "news that this version knows"))?;
        let at = time("at_unix_ms", message.at_unix_ms)?;
        let person = optional_id("person", &message.person)?;
        let news = News::new(kind, at, &message.about, person).map_err(|not| match not {
            NotNews::About => WireError::invalid("about", "what news of this word are about"),
            NotNews::Person => WireError::invalid("person", "nobody, for news of this word"),
        })?;
        let envelope =
            envelope(&message.request_id, &message.agreement_digest, message.valid_until_unix_ms)?;
        Ok(Self { envelope, enquiry: id("enquiry", &message.enquiry)?, news })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{enquiry::Envelope, id::AgreementDigest};

    fn message() -> pb::InformRequest {
        (&InformQuery {
            envelope: Envelope {
                request_id: "q1".parse().unwrap(),
                agreement: AgreementDigest::from_bytes([1; 32]),
                valid_until: "2027-02-09T09:00:10Z".parse().unwrap(),
            },
            enquiry: "e1".parse().unwrap(),
            news: News::new(
                NewsKind::ActionPlanned,
                "2027-02-09T09:00:00Z".parse().unwrap(),
                "A-2",
                "P1".parse().ok(),
            )
            .unwrap(),
        })
            .into()
    }

    /// What a test does to a message, with the field that is then wrong.
    type Change = (&'static str, fn(&mut pb::InformRequest));

    #[test]
    fn what_is_no_news_is_refused_by_its_field() {
        let changes: [Change; 9] = [
            ("request_id", |m| m.request_id.clear()),
            ("agreement_digest", |m| m.agreement_digest.truncate(31)),
            ("valid_until_unix_ms", |m| m.valid_until_unix_ms = 0),
            ("enquiry", |m| m.enquiry = "two words".to_owned()),
            ("news", |m| m.news.clear()),
            ("news", |m| m.news = "rated_red".to_owned()),
            ("at_unix_ms", |m| m.at_unix_ms = 0),
            ("about", |m| m.about = "speak to Zoë".to_owned()),
            ("person", |m| (m.news, m.about) = ("closed".to_owned(), "other".to_owned())),
        ];
        for (field, change) in changes {
            let mut wrong = message();
            change(&mut wrong);
            let error = InformQuery::try_from(wrong).unwrap_err();
            assert!(error.to_string().contains(&format!("`{field}`")), "{field}: {error}");
        }
    }

    #[test]
    fn a_number_that_is_too_great_is_refused() {
        assert_eq!((limit(0), limit(1000)), (Ok(100), Ok(1000)));
        assert!(limit(1001).is_err());
    }

    #[test]
    fn news_come_as_they_were_sent() {
        let query = InformQuery::try_from(message()).unwrap();
        assert_eq!(pb::InformRequest::from(&query), message());
    }
}
