//! Questions to the log that auditors keep under a name. A name is made of the log's own words, references and some everyday words, and
//! of nothing else: so nobody's name is ever kept, whatever somebody writes. A question about a member of staff, or about people who
//! were found by an identity, is not kept.

use std::collections::BTreeSet;

use brag_common::{
    agreement::Agreement, alert::Alert, audit::entry::Action, id::RequestId, reason::Reason,
    secret::random_bytes,
};
use tonic::{Request, Status};

use super::{Inspection, question::Question, refused};
use crate::{
    guard::{Refusal, SignedIn},
    store::{Change, shapes::QuestionRecord},
};

/// The longest name, in characters.
pub const MAX_NAME_CHARS: usize = 60;

/// Questions that are kept at one time.
pub const MAX_KEPT: usize = 200;

/// Words that a name may have beside the log's own. No month and no season: people are called April, June, August.
const EVERYDAY: &str = "a about above access adults after agencies agency agreement alert alerts all and answer answers any asked at audit \
    before below board by case cases category check checks children close closed closing colour concern conflict daily day \
    days decided decision declined deny denied detail disclosure due each end enquiries enquiry entries entry erased \
    erasure every evidence exchange family first follow for found friday from gate gates given governance held hold holds \
    hub in information last late legal list log look made meeting monday month monthly months never new next nfa no node \
    not of on one open opened or out over own people person plan police quarter question questions rated rating ratings \
    read reads reason record recorded refusal refusals refused rejected release released releases report reports requested \
    review reviews safeguarding saturday school search section see sign signed since social staff subject sunday the this \
    thursday time to today tuesday unable under until up volume waiting waived was wednesday week weekly weeks were what \
    when which who with without work year yearly yes yesterday";

/// Why a question is not kept under a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// The name is missing or too long.
    #[error("give it a name of 1 to 60 characters")]
    Length,
    /// The name has something in it that is neither a word of the log nor an everyday word.
    #[error(
        "a name is made of the log's words, references, numbers of up to four digits and everyday words, never of anybody's name; \
         write something else for: {0}"
    )]
    Words(String),
    /// It asks what a member of staff did.
    #[error("a question about a member of staff is not kept; ask it anew when there is a reason")]
    Staff,
    /// It asks about somebody who was found by an identity.
    #[error("a question about somebody who was found by an identity is not kept; find them anew")]
    Person,
}

impl NotKept {
    const fn code(&self) -> &'static str {
        match self {
            Self::Length => "name_missing",
            Self::Words(_) => "name_not_of_words",
            Self::Staff => "question_about_staff",
            Self::Person => "question_about_a_person",
        }
    }
}

/// The name as it is kept.
///
/// # Errors
/// See [`NotKept`].
pub fn name(text: &str, question: &Question, agreement: &Agreement) -> Result<String, NotKept> {
    if question.actor.is_some() {
        return Err(NotKept::Staff);
    }
    if question.people.is_some() {
        return Err(NotKept::Person);
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if !(1..=MAX_NAME_CHARS).contains(&text.chars().count()) {
        return Err(NotKept::Length);
    }
    let known = vocabulary(question, agreement);
    let is_number =
        |word: &str| (1..=4).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit());
    let pieces = text.split(|c: char| c.is_whitespace() || "-_.,:/()'".contains(c));
    let unknown = pieces.filter(|piece| {
        !piece.is_empty() && !is_number(piece) && !known.contains(&piece.to_ascii_lowercase())
    });
    let unknown: Vec<&str> = unknown.collect();
    if unknown.is_empty() { Ok(text) } else { Err(NotKept::Words(unknown.join(", "))) }
}

/// Every word that a name may have, in lower case.
fn vocabulary(question: &Question, agreement: &Agreement) -> BTreeSet<String> {
    let actions = Action::ALL.iter().map(|action| action.word());
    let reasons = Reason::ALL.iter().map(|reason| reason.code());
    let alerts = Alert::ALL.iter().map(|alert| alert.word());
    let gates = ["g1", "g2", "g3", "g4", "g5", "g6"].into_iter();
    let mut words: BTreeSet<String> = BTreeSet::new();
    let texts =
        actions.chain(reasons).chain(alerts).chain(gates).chain(EVERYDAY.split_whitespace());
    words.extend(texts.flat_map(|text| text.split('_')).map(str::to_ascii_lowercase));
    words.extend(agreement.parties().map(|party| party.id().as_str().to_ascii_lowercase()));
    words.extend(agreement.categories().keys().map(|code| code.to_string().to_ascii_lowercase()));
    let references = [
        question.enquiry.as_ref().map(ToString::to_string),
        question.person.as_ref().map(ToString::to_string),
        question.exchange.as_ref().map(ToString::to_string),
    ];
    words.extend(references.into_iter().flatten().map(|text| text.to_ascii_lowercase()));
    words
}

impl Inspection {
    /// Keeps a question under a name.
    ///
    /// # Errors
    /// When the caller is no auditor, the question or its name may not be kept ([`NotKept`]), there are too many, or it can not be
    /// recorded.
    pub async fn keep_question(&self, request: Request<(Question, String)>) -> Result<(), Status> {
        let (who, (question, text)) = self.auditor(request)?;
        self.keep(&who, question, &text).await.map_err(refused)
    }

    async fn keep(&self, who: &SignedIn, question: Question, text: &str) -> Result<(), Refusal> {
        let name = name(text, &question, self.shared.agreement.agreement())
            .map_err(|why| Refusal::rule(why.code(), why.to_string()))?;
        let _one_at_a_time = self.shared.auditing.lock().await;
        let kept = self.shared.store.run(|store| store.questions()).await?;
        if kept.len() >= MAX_KEPT {
            return Err(Refusal::rule(
                "too_many_questions",
                "200 questions are kept; delete one first",
            ));
        }
        let record =
            QuestionRecord { name, by: who.name().clone(), at: self.shared.clock.now(), question };
        let place = RequestId::from_random(random_bytes().map_err(|_| Refusal::Internal)?);
        self.looked(who, "question_kept", |_| {}).await?;
        let mut change = Change::new();
        change.question(&place, &record)?;
        Ok(self.shared.store.run(move |store| store.commit(change)).await?)
    }

    /// Every question that is kept, by name. They say nothing of what is in the log.
    ///
    /// # Errors
    /// When the caller is no auditor, or the store fails.
    pub async fn questions(
        &self,
        request: Request<()>,
    ) -> Result<Vec<(RequestId, QuestionRecord)>, Status> {
        let (_, ()) = self.auditor(request)?;
        let kept = self.shared.store.run(|store| store.questions()).await;
        let mut kept = kept.map_err(refused)?;
        kept.sort_by(|a, b| (&a.1.name, &a.0).cmp(&(&b.1.name, &b.0)));
        Ok(kept)
    }

    /// A question that is kept, to be asked.
    ///
    /// # Errors
    /// When the caller is no auditor, there is none, or the store fails.
    pub async fn kept_question(&self, request: Request<RequestId>) -> Result<Question, Status> {
        let (_, place) = self.auditor(request)?;
        let kept = self.shared.store.run(move |store| store.question(&place)).await;
        let kept = kept.map_err(refused)?;
        kept.map(|kept| kept.question).ok_or_else(|| refused(Refusal::NotFound("question")))
    }

    /// Forgets a question.
    ///
    /// # Errors
    /// When the caller is no auditor, there is none, or it can not be recorded.
    pub async fn forget_question(&self, request: Request<RequestId>) -> Result<(), Status> {
        let (who, place) = self.auditor(request)?;
        self.forget(&who, place).await.map_err(refused)
    }

    async fn forget(&self, who: &SignedIn, place: RequestId) -> Result<(), Refusal> {
        let known = place.clone();
        let kept = self.shared.store.run(move |store| store.question(&known)).await?;
        if kept.is_none() {
            return Err(Refusal::NotFound("question"));
        }
        self.looked(who, "question_forgotten", |_| {}).await?;
        let mut change = Change::new();
        change.question_is_over(&place);
        Ok(self.shared.store.run(move |store| store.commit(change)).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testkit::agreement;

    fn kept(text: &str) -> Result<String, NotKept> {
        name(text, &Question::default(), &agreement())
    }

    #[test]
    fn nobodys_name_is_kept_however_it_is_written() {
        for text in [
            "Marta Kowalska",
            "what about Marta",
            "refusals.kowalska",
            "j.okafor",
            "KOWALSKA",
            "Example family",
        ] {
            assert!(matches!(kept(text), Err(NotKept::Words(_))), "{text}");
        }
        // Nor a date of birth or a number of somebody.
        for text in ["9990000018", "person 19870312", "k0walska", "marta@example"] {
            assert!(matches!(kept(text), Err(NotKept::Words(_))), "{text}");
        }
        assert_eq!(kept("  "), Err(NotKept::Length));
        assert_eq!(kept(&"a ".repeat(60)), Err(NotKept::Length));
    }

    #[test]
    fn words_of_the_log_agencies_categories_and_everyday_words_are_names() {
        for text in [
            "Refusals of the last month",
            "CATEGORY_NEVER, POL",
            "Released on g3 (C33)",
            "budget exceeded 2027-02",
        ] {
            assert_eq!(kept(text), Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_question_about_staff_or_about_somebody_who_was_found_is_not_kept() {
        let staff = Question { actor: "j.okafor".parse().ok(), ..Question::default() };
        assert_eq!(name("refusals", &staff, &agreement()), Err(NotKept::Staff));
        let person = Question { people: Some(BTreeSet::new()), ..Question::default() };
        assert_eq!(name("refusals", &person, &agreement()), Err(NotKept::Person));
    }

    #[test]
    fn the_reference_that_is_asked_about_may_stand_in_the_name() {
        let question = Question { enquiry: "xq3k".parse().ok(), ..Question::default() };
        assert_eq!(name("enquiry xq3k", &question, &agreement()), Ok("enquiry xq3k".to_owned()));
        assert!(kept("enquiry xq3k").is_err());
    }
}
