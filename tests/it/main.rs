//! Whole-system tests: hub and nodes in this process, on real sockets with real TLS, under a clock that the test sets.
//! At its end each test checks that every log verifies and, unless it kept a side from an exchange, that both sides
//! have recorded every exchange.
//!
//! - [`round`]: an enquiry from tokens to matrix, and what a node that knows nobody learns
//! - [`identity`]: possible matches: authorised, compared, decided, undone, and found again
//! - [`demo`]: the demo, as the program it is, on real processes
//! - [`load`]: the load benchmark, as the program it is, at a size at which its figures mean nothing
//! - [`scenarios`]: what the demo makes of each scenario, beside the tables it was written from
//! - [`reports`]: the documents of information governance, beside the tables of the scenarios whose logs they count
//! - [`subject_access`]: what a person who asks for it is told, who approves it, and what gives nobody away
//! - [`node_process`]: the node's program, as a process that is told to stop
//! - [`connectors`]: a person whom a connector brings into a running node is found
//! - [`release`]: detail from the request to one person's eyes, with reviews, refusals, and the end of the view
//! - [`partnerships`]: one process that is the agency's node in two partnerships, and that nothing crosses between them
//! - [`plan`]: actions that agencies accept
//! - [`review`]: releases that wait for people: deadlines, deputies, redacted texts, and what the hub shows of it
//! - [`views`]: detail at its recipient, and every way in which it ends there
//! - [`consent`]: a person's own agreement, from the recording to the withdrawal and what it closes
//! - [`console_governance`]: what the pages of information governance at the hub show to whom, and that each look is an entry
//! - [`console_hub`]: what the pages of the hub let whom do
//! - [`reconcile`]: both sides of every exchange beside each other, and what is found when one is left out or altered
//! - [`retraction`]: detail that its holder takes back, and the acknowledgement that travels back
//! - [`news`]: what the hub tells agencies of an enquiry, and who reads it
//! - [`partial_failure`]: parties that are away, slow, not enrolled, or start again
//! - [`dial_out`]: nodes that let nothing in, and connections that are cut
//! - [`no_inbound`]: the real programs, with a node whose firewall lets nothing in; run by `tests/no-inbound/run`
//! - [`log_failure`]: a log that can not be written, at a node and at the hub
//! - [`witness`]: logs that see each other, detail that waits for it, and logs that are not what they were
//! - [`receipts`]: answers that come without a good receipt, or from another history, are not used
//! - [`independent_witness`]: a witness of information governance's own, and policies that ask for it
//! - [`other_verifier`]: a verifier that nobody here wrote accepts our logs
//! - [`agreement_change`]: versions of the agreement that end, begin, differ, and parties that withdraw
//! - [`over_versions`]: what was made under a version of the agreement that another has replaced since
//! - [`change_of_evidence`]: ratings that are replaced, withdrawn or challenged, and what that does to releases
//! - [`clocks`]: clocks that differ a little, and too much
//! - [`keys`]: keys that are changed or revoked while everybody works
//! - [`malicious_hub`]: what a hub that has turned bad tries against a holder; [`scene`] is its stage
//! - [`malicious_node`]: what a node that has turned bad tries against the hub; [`stand_in`] takes a node's place
//! - [`authz_coverage`]: every call, and everybody who may not make it
//! - [`browser`]: the consoles, in a browser: scenarios played on pages, and what must be so on every page
//! - [`observability`]: metrics, traces and messages, as their page says, and nobody in them
//! - [`budgets`]: how much may be asked, of how many people and how often
//! - [`alerts`]: what is told to information governance, who reads it, and what becomes of it
//! - [`enrolment`]: epochs that turn, quotas, and what of an enrolment is refused on either side
//! - [`erasure`]: what is left of an enquiry that is erased, holds, and the rule of two
//! - [`s1_erased`]: the whole of S1, erased everywhere
//! - [`life`]: from opening to close: who must answer, what is recorded, what stands in the way, and that a restart changes none of it
//! - [`existence`]: below the threshold nothing tells whether anything is held
//! - [`console_sign_in`]: signing in to a console with a service of another's making, and everything that lets nobody in
//! - [`transcript`]: what a node receives about people it does not know is random to it
//! - [`console_node`]: what the pages of a node let whom do
//! - [`console_identity`]: two identities side by side on a page of the node, and a person who decides
//! - [`console_statements`]: what an agency signs on pages of its node: consent, thresholds, challenges, actions, acknowledgements
//! - [`console_operator`]: the pages of whoever runs a node, which show nothing about anybody
//! - [`backup`]: backups of programs that run, what is put back, what it says of what it lost, and what stays erased
//! - [`killed`]: programs that are killed while they make a backup, put one back, or migrate a store
//! - [`doctor`]: faults that are planted into healthy programs, each found under its subject
//! - [`renewal`]: certificates, authorities, revocation lists, agreement and level of messages that change under load
//! - [`tidy`]: facts about the source text and the wire format

mod agreement_change;
mod alerts;
mod authz_coverage;
mod backup;
mod browser;
mod budgets;
mod change_of_evidence;
mod clocks;
mod conflict;
mod connectors;
mod consent;
mod console_governance;
mod console_hub;
mod console_identity;
mod console_node;
mod console_operator;
mod console_sign_in;
mod console_statements;
mod demo;
mod dial_out;
mod doctor;
mod enrolment;
mod erasure;
mod existence;
mod identity;
mod independent_witness;
mod keys;
mod killed;
mod life;
mod lint;
mod load;
mod log_failure;
mod malicious_hub;
mod malicious_node;
mod news;
mod no_inbound;
mod node_process;
mod observability;
mod other_verifier;
mod over_versions;
mod partial_failure;
mod partnerships;
mod plan;
mod receipts;
mod reconcile;
mod release;
mod renewal;
mod reports;
mod retraction;
mod review;
mod round;
mod s1_erased;
mod scenarios;
mod scene;
mod stand_in;
mod subject_access;
mod tidy;
mod transcript;
mod views;
mod witness;
