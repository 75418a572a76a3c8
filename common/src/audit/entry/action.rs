//! What can happen, one word for each.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::text_form::OneText;

macro_rules! actions {
    ($($(#[doc = $doc:literal])* $name:ident = $word:literal;)*) => {
        /// What happened: one variant for each kind of exchange or act.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Action {
            $($(#[doc = $doc])* #[serde(rename = $word)] $name,)*
        }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word for the action, as it stands in an entry.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// What happened, in one or two sentences of plain words, for people who read the log.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_ascii(),)* }
            }
        }

        impl FromStr for Action {
            type Err = UnknownAction;

            fn from_str(word: &str) -> Result<Self, UnknownAction> {
                match word {
                    $($word => Ok(Self::$name),)*
                    _ => Err(UnknownAction),
                }
            }
        }

        impl OneText for Action {
            fn stands(text: &str) -> bool {
                text.parse::<Self>().is_ok()
            }
        }
    };
}

actions! {
    /// The hub opened an enquiry.
    EnquiryOpened = "enquiry_opened";
    /// An enquiry asked again, with a reason, about somebody who was asked about a short time before; `count` is in how many enquiries.
    SecondEnquiry = "second_enquiry";
    /// The hub closed an enquiry.
    EnquiryClosed = "enquiry_closed";
    /// The hub asked a node, by tokens, whether it knows a person.
    ScreenAsked = "screen_asked";
    /// A node answered which keys hit.
    ScreenAnswered = "screen_answered";
    /// The hub asked a node that knows the person to rate.
    RateAsked = "rate_asked";
    /// A node answered: a rating, or that one will follow, or why not.
    RateAnswered = "rate_answered";
    /// An assessor gave a rating.
    RatingGiven = "rating_given";
    /// An agency took back a rating.
    RatingWithdrawn = "rating_withdrawn";
    /// The hub took an agency's newer rating, or its withdrawal, in place of an older one; both stay.
    RatingChanged = "rating_changed";
    /// An agency asked another to look again at its rating.
    RatingChallenged = "rating_challenged";
    /// An agency answered a challenge: its rating stays.
    RatingKept = "rating_kept";
    /// The hub has what an agency delivered of its own accord; `decision`: `taken`, or `refused` for good.
    Delivered = "delivered";
    /// An answer came after its round had closed: recorded by the hub beside the answer itself, whose word is in `decision`.
    AnswerLate = "answer_late";
    /// A person authorised, confirmed or refused a match of identities.
    IdentityReviewed = "identity_reviewed";
    /// A person at an agency confirmed a link between two people, or said which part one has.
    LinkConfirmed = "link_confirmed";
    /// An agency stated a fact that can open a gate (section 47, Marac, Care Act).
    AssertionMade = "assertion_made";
    /// Somebody recorded, refused or withdrew a person's agreement to sharing.
    ConsentRecorded = "consent_recorded";
    /// Detail was asked for.
    ReleaseAsked = "release_asked";
    /// The holder decided about detail.
    ReleaseDecided = "release_decided";
    /// An approver approved a release.
    ReviewApproved = "review_approved";
    /// An approver refused a release.
    ReviewRefused = "review_refused";
    /// Nobody had decided a review by its share of the clock, and deputies were asked too.
    ReviewEscalated = "review_escalated";
    /// A review ran out of time.
    ReviewExpired = "review_expired";
    /// The holder sealed detail to a recipient.
    DetailSealed = "detail_sealed";
    /// The hub passed on sealed detail that it can not read.
    DetailRelayed = "detail_relayed";
    /// Sealed detail arrived at its recipient.
    DetailReceived = "detail_received";
    /// A person at the recipient opened a detail.
    DetailOpened = "detail_opened";
    /// Opening was refused or its time had passed; `decision` says which.
    DetailExpired = "detail_expired";
    /// A view of detail ended and its key was destroyed; `decision` says why.
    DetailClosed = "detail_closed";
    /// A holder took back detail that it had released: at the holder, at the hub, and at the recipient.
    DetailRetracted = "detail_retracted";
    /// A person at the recipient knows of a retraction: at the recipient, at the hub, and at the holder.
    RetractionAcknowledged = "retraction_acknowledged";
    /// The hub passed a signed notice on to the agency that it concerns; `decision` is its kind.
    NoticeRelayed = "notice_relayed";
    /// The hub told an agency news of an enquiry that it has a part in; `decision` is the word of the news.
    NewsTold = "news_told";
    /// A node was told news of an enquiry; `decision` is the word of the news.
    NewsReceived = "news_received";
    /// A node began to enrol its people; `count` is how many it declares.
    EnrolmentStarted = "enrolment_started";
    /// The hub evaluated blinded match keys for a node's enrolment.
    EnrolmentEvaluated = "enrolment_evaluated";
    /// An agency said that everybody is enrolled in an epoch; `count` is the epoch's number.
    EnrolmentCompleted = "enrolment_completed";
    /// Something that information governance should look into; `decision` is the alert's word.
    AlertRaised = "alert_raised";
    /// A person looked into an alert; `count` is the number of the alert's entry, `decision` its word.
    AlertHandled = "alert_handled";
    /// The hub made the secret of an agency's next epoch; `count` is the epoch's number.
    EpochPrepared = "epoch_prepared";
    /// The hub destroyed the secret of an epoch that is over; `count` is the epoch's number.
    EpochDestroyed = "epoch_destroyed";
    /// A node loaded records.
    RecordsImported = "records_imported";
    /// What is kept of an enquiry is erased, its key is destroyed; recorded before it is done. One entry for each kind of record;
    /// `decision` is the rule and the kind, `count` how many. The log stays whole.
    RecordsErased = "records_erased";
    /// A person asked that an enquiry be erased; another has to confirm.
    ErasureAsked = "erasure_asked";
    /// A person put an enquiry under legal hold: it is not erased.
    HoldSet = "hold_set";
    /// A person lifted a legal hold.
    HoldLifted = "hold_lifted";
    /// An action of the plan was proposed, accepted, done or dropped; `decision` says which when the hub's staff recorded it.
    PlanChanged = "plan_changed";
    /// Something that a person has to see came about in an enquiry; `decision` is the flag's word.
    FlagRaised = "flag_raised";
    /// A flag does not stand any more.
    FlagCleared = "flag_cleared";
    /// Something that happened was recorded; `decision` is its word.
    EventRecorded = "event_recorded";
    /// It was recorded which agency, `peer`, leads an enquiry.
    LeadNamed = "lead_named";
    /// A meeting has discussed an enquiry; `peer` chaired.
    MeetingHeld = "meeting_held";
    /// A recommended answer is not waited for.
    AnswerWaived = "answer_waived";
    /// A member of staff said that an enquiry concerns their own family or friends.
    ConflictDeclared = "conflict_declared";
    /// A request was refused before any decision: unknown peer, replay, past its deadline, over its budget, against a rule.
    RequestRefused = "request_refused";
    /// A call came to nothing: nobody answered in time, or it was refused; never read as a colour.
    NoResponse = "no_response";
    /// Somebody read reports or this log through the program.
    ReportRead = "report_read";
    /// One of a node's staff was shown, on a page, who is asked about or what their own agency holds; `decision` says how much: `names`,
    /// `person`, `record` or `release`. Recorded before the page is made.
    OwnRecordShown = "own_record_shown";
    /// Somebody signed in at the program's console.
    SignedIn = "signed_in";
    /// Somebody signed out of it.
    SignedOut = "signed_out";
    /// Signing in was refused to somebody who gave the name of one of the staff; `decision`: `refused`, or `locked_out`.
    SignInRefused = "sign_in_refused";
    /// A member of staff who was invited set up their account for the console.
    AccountSetUp = "account_set_up";
    /// Information governance asked what the hub keeps about a person who wants access to it. The entry's own number is the request's;
    /// one more entry for each enquiry that was looked at, and every later one of the request, have that number in `count`.
    SubjectAccessAsked = "subject_access_asked";
    /// A second person approved a draft of the answer; `payload_digest` is the draft's, salted.
    SubjectAccessApproved = "subject_access_approved";
    /// The answer was issued as it was approved; `payload_digest` is the draft's, salted.
    SubjectAccessIssued = "subject_access_issued";
    /// A signed agreement was loaded or replaced.
    AgreementLoaded = "agreement_loaded";
    /// A new shard of the log was begun; `count` is the number of the one before, and the digest that of its last checkpoint.
    ShardBegun = "shard_begun";
    /// The shard of the log ends here, at the turn of the year; `count` is the number of the next.
    ShardClosed = "shard_closed";
    /// The shard continues the one before, at the turn of the year; `count` is how many entries stand in all shards before it, `evidence`
    /// has the root of the last one's tree, and the digest is that of its last checkpoint.
    ShardContinued = "shard_continued";
    /// The log was put back from a backup and goes on in this shard; `count` is how many entries of the shard before the backup held,
    /// `evidence` has the root over them, and the digest is that of the backup. What was recorded behind them is not in this log.
    LogRestored = "log_restored";
    /// How much `peer` has seen of the shard before that the backup did not hold: `count` entries; `evidence` has the root that it knows, and the
    /// digest is that of its checkpoint.
    RestoreGap = "restore_gap";
    /// A backup was made, or is about to be whole; `decision` is what is in it, `count` how many entries of the log, and the digest is that of
    /// the file.
    BackupMade = "backup_made";
    /// The program started to serve.
    ServiceStarted = "service_started";
    /// The program stopped in good order.
    ServiceStopped = "service_stopped";
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A text that is not an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an action of the audit log, for example `release_decided`")]
pub struct UnknownAction;
