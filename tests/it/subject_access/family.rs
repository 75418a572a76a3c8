//! The family about whom is asked, and the steps of information governance in few words.

use std::{collections::BTreeSet, fs, path::Path};

use brag_common::{
    audit::entry::{Action, Entry},
    matching::identity::Identity,
    tls::Channel,
    wire::pb::{
        self, AnswerStatus, Colour, DocumentForm, LinkKind, PersonRole, SubjectAccessDraft,
        subject_access_service_client::SubjectAccessServiceClient,
    },
};
use brag_tests::{
    federation::{Enquiry, Federation, Holding, eventually, person_of},
    partnership::{AUDITOR, AUDITOR_COLLEAGUES},
};
use tonic::Status;

/// Every form of a document.
pub(crate) const FORMS: [DocumentForm; 3] =
    [DocumentForm::Text, DocumentForm::Html, DocumentForm::Json];

/// The family, and who has answered about it.
pub(crate) struct Family {
    pub(crate) federation: Federation,
    pub(crate) enquiry: Enquiry,
    pub(crate) mother: Identity,
    pub(crate) father: Identity,
    pub(crate) child: Identity,
}

impl Family {
    /// With the refuge service and the school, or with neither.
    pub(crate) async fn new(with_both: bool) -> Self {
        let (mother, father, child) = (person_of(0), person_of(1), person_of(2));
        let nodes: &[&str] = if with_both {
            &["POL", "CSC", "SMS", "HOU", "DAS", "EDU"]
        } else {
            &["POL", "CSC", "SMS", "HOU"]
        };
        let silent: &[&str] = if with_both { &["HLT"] } else { &["HLT", "DAS", "EDU"] };
        let mut builder = Federation::builder()
            .nodes(nodes)
            .silent(silent)
            .holds("POL", Holding::of(mother.clone()).entry("C11", "fifteen"))
            .holds("POL", Holding::of(father.clone()))
            .holds("CSC", Holding::of(mother.clone()))
            .holds("CSC", Holding::of(father.clone()))
            .holds("SMS", Holding::of(father.clone()).entry("C33", "relapse"))
            .holds("HOU", Holding::of(mother.clone()));
        if with_both {
            builder = builder
                .holds("DAS", Holding::of(mother.clone()).entry("C50", "support since February"))
                .holds("DAS", Holding::of(father.clone()))
                .holds("EDU", Holding::of(child.clone()));
        }
        let federation = builder.start().await;
        let mut opening = Federation::opening(&[("P2", &father), ("P1", &mother), ("P3", &child)]);
        opening.people[2].set_role(PersonRole::Child);
        let name = federation.coordinator().open(opening).await.unwrap().into_inner().enquiry;
        let show = federation.show(&name).await;
        let people = show.people.into_iter().map(|one| (one.label, one.person)).collect();
        let enquiry = Enquiry { name, people };
        let family = Self { federation, enquiry, mother, father, child };
        family.answer(with_both).await;
        family
    }

    async fn answer(&self, with_both: bool) {
        let assault = "Assault at a contact hand-over last night. Children were nearby.";
        self.says("POL", "P1", Colour::Amber, assault, "physical").await;
        self.says("POL", "P2", Colour::Amber, assault, "physical").await;
        let open = "No open work. Likely to close, with nothing new known of the family.";
        self.says("CSC", "P1", Colour::Green, open, "neglect").await;
        self.says("CSC", "P2", Colour::Green, open, "neglect").await;
        let worse = "Marked deterioration after bereavement, drinking heavily.";
        self.says("SMS", "P2", Colour::Red, worse, "substance").await;
        let tenancy = "Tenancy matters only. No reports of disturbance this year.";
        self.says("HOU", "P1", Colour::Green, tenancy, "housing").await;
        if with_both {
            let fear = "Increasing threats around child contact. Fear is high.";
            self.says("DAS", "P1", Colour::Red, fear, "controlling").await;
            self.says("DAS", "P2", Colour::Red, fear, "controlling").await;
            let anxious = "Anxious on Monday mornings, asks who is collecting.";
            self.says("EDU", "P3", Colour::Amber, anxious, "neglect").await;
        }
        // As the police confirm it, so that they know with whom a service works.
        let mut link = pb::ClaimedLink {
            from: self.enquiry.person("P2"),
            to: self.enquiry.person("P1"),
            ..pb::ClaimedLink::default()
        };
        link.set_kind(LinkKind::PosesRiskTo);
        let link = pb::ConfirmLinkRequest { enquiry: self.enquiry.name.clone(), link: Some(link) };
        self.federation.assessor("POL").confirm_link(link).await.unwrap();
        eventually("the hub has the link", async || {
            let has = |entry: &Entry| entry.action == Action::LinkConfirmed;
            self.federation.hub_log().iter().any(has).then_some(())
        })
        .await;
        let ask = async |holder, label, category, recipients: &[&str]| {
            let asked =
                self.federation.ask_detail(&self.enquiry, holder, label, category, recipients);
            let asked = asked.await.unwrap();
            asked.into_iter().map(|view| view.reason).collect::<Vec<_>>()
        };
        assert_eq!(ask("SMS", "P2", "C33", &["CSC", "POL"]).await, ["", ""]);
        assert_eq!(ask("POL", "P1", "C11", &["CSC", "SMS"]).await, ["", "RECIPIENT_CONFLICT"]);
        if with_both {
            assert_eq!(ask("DAS", "P1", "C43", &["CSC"]).await, ["CATEGORY_NEVER"]);
        }
    }

    async fn says(&self, agency: &str, label: &str, colour: Colour, analysis: &str, topic: &str) {
        self.federation.until_asked(agency, &self.enquiry, label).await;
        let request = pb::GiveRatingRequest {
            enquiry: self.enquiry.name.clone(),
            person: self.enquiry.person(label),
            colour: colour.into(),
            analysis: analysis.to_owned(),
            topics: vec![topic.to_owned()],
            via: String::new(),
            decline_reason: String::new(),
        };
        self.federation.assessor(agency).give_rating(request).await.unwrap();
        self.federation.until_status(&self.enquiry, agency, label, AnswerStatus::Rated).await;
    }

    pub(crate) fn as_person(&self, name: &str) -> SubjectAccessServiceClient<Channel> {
        SubjectAccessServiceClient::new(self.federation.to_hub(&self.federation.person(name)))
    }

    pub(crate) async fn ask(
        &self,
        who: &str,
        about: &Identity,
    ) -> Result<(u64, SubjectAccessDraft), Status> {
        let request = pb::AskSubjectAccessRequest {
            identity: about.canonical_bytes(),
            ..pb::AskSubjectAccessRequest::default()
        };
        let asked = self.as_person(who).ask_subject_access(request).await?.into_inner();
        Ok((asked.request, asked.draft.unwrap()))
    }

    pub(crate) async fn show(
        &self,
        who: &str,
        (request, about): (u64, &Identity),
    ) -> Result<SubjectAccessDraft, Status> {
        let asked = pb::ShowSubjectAccessRequest {
            request,
            identity: about.canonical_bytes(),
            ..pb::ShowSubjectAccessRequest::default()
        };
        Ok(self.as_person(who).show_subject_access(asked).await?.into_inner().draft.unwrap())
    }

    pub(crate) async fn approve(
        &self,
        who: &str,
        (request, about): (u64, &Identity),
        draft: &[u8],
    ) -> Result<(u32, u32), Status> {
        let asked = pb::ApproveSubjectAccessRequest {
            request,
            identity: about.canonical_bytes(),
            draft_digest: draft.to_vec(),
        };
        let answer = self.as_person(who).approve_subject_access(asked).await?.into_inner();
        Ok((answer.approvals, answer.approvals_needed))
    }

    pub(crate) async fn issue(
        &self,
        who: &str,
        (request, about): (u64, &Identity),
        form: DocumentForm,
    ) -> Result<String, Status> {
        let asked = pb::IssueSubjectAccessRequest {
            request,
            identity: about.canonical_bytes(),
            form: form.into(),
        };
        let issued = self.as_person(who).issue_subject_access(asked).await?.into_inner();
        Ok(String::from_utf8(issued.document).unwrap())
    }

    /// Asked, approved by both colleagues, and issued in every form.
    pub(crate) async fn issued(&self, about: &Identity) -> Vec<String> {
        let (request, draft) = self.ask(AUDITOR, about).await.unwrap();
        for colleague in AUDITOR_COLLEAGUES {
            self.approve(colleague, (request, about), &draft.digest).await.unwrap();
        }
        let mut forms = Vec::new();
        for form in FORMS {
            forms.push(self.issue(AUDITOR, (request, about), form).await.unwrap());
        }
        forms
    }

    /// What nobody but the person themself may find in an answer: every name of the others.
    pub(crate) fn names_of(people: &[&Identity]) -> BTreeSet<String> {
        let names = people.iter().flat_map(|one| one.names());
        names.flat_map(|name| [name.given().to_owned(), name.family().to_owned()]).collect()
    }

    /// The log's entries of a request, with what each says.
    pub(crate) fn entries(&self, request: u64) -> Vec<Entry> {
        let log = self.federation.hub_log();
        log.into_iter().filter(|one| one.seq == request || one.count == Some(request)).collect()
    }
}

/// The file of a person, as information governance writes it.
pub(crate) fn write_person(path: &Path, identity: &Identity) {
    let name = identity.current_name().unwrap();
    let address = &identity.addresses()[0];
    let text = format!(
        "given = \"{}\"\nfamily = \"{}\"\nborn = \"{}\"\naddresses = [{{ house = \"{}\", postcode = \"{}\" }}]\n",
        name.given(),
        name.family(),
        identity.birth(),
        address.house().unwrap_or_default(),
        address.postcode().unwrap_or_default(),
    );
    fs::write(path, text).unwrap();
}
