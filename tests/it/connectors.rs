//! Records that a connector brings into a running node: nobody stops it, and whoever is new is found.

use std::fs;

use brag_agency_node::connect::state;
use brag_common::{audit::entry::Action, id::AgencyId, matching::identity::Identity};
use brag_tests::{
    federation::{Federation, eventually, person_of},
    partnership::Partnership,
};

const AGENCY: &str = "SMS";

/// A person as a system exports them.
fn row(person: &Identity) -> String {
    let name = person.current_name().unwrap();
    let address = &person.addresses()[0];
    format!(
        "{},{},{},{},{}\n",
        name.given(),
        name.family(),
        person.birth(),
        address.house().unwrap_or_default().replace(',', " "),
        address.postcode().unwrap_or_default()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_a_connector_brings_is_enrolled_by_the_running_node_and_found() {
    let mut federation = Federation::builder()
        .consoles()
        .nodes(&[AGENCY])
        .silent(&["POL", "CSC", "DAS"])
        .not_enrolled(AGENCY)
        .start()
        .await;
    federation.stop_node(AGENCY).await;
    let file = federation.node_config_file(AGENCY);
    let folder = file.parent().unwrap().join("clients");
    fs::create_dir(&folder).unwrap();
    let mapping = "[person]\nid = { text = \"{Given}-{Born}\" }\ngiven = \"Given\"\nfamily = \"Family\"\nborn = \"Born\"\nhouse = \"House\"\npostcode = \"Postcode\"\n";
    fs::write(file.with_file_name("clients.toml"), mapping).unwrap();
    let connector = "\n[[connector]]\nname = \"clients\"\nevery = \"100ms\"\nmapping = \"clients.toml\"\n[connector.folder]\npath = \"clients\"\nsettled = \"1ms\"\n";
    let config = fs::read_to_string(&file).unwrap();
    fs::write(&file, config + connector).unwrap();
    federation.start_node(AGENCY).await;

    let known = person_of(0);
    let export =
        format!("Given,Family,Born,House,Postcode\n{}{}", row(&known), "Bad,Row,never,,\n");
    fs::write(folder.join("export.csv.part"), export).unwrap();
    fs::rename(folder.join("export.csv.part"), folder.join("export.csv")).unwrap();
    eventually("the node has enrolled whom the file brought", async || {
        let log = federation.log_of(AGENCY);
        let completed = log.iter().any(|entry| entry.action == Action::EnrolmentCompleted);
        // Nothing waits once the hub has answered that too.
        let waits = state::to_enrol(&federation.inside(AGENCY).store).unwrap();
        (completed && waits.is_none()).then_some(())
    })
    .await;
    let log = federation.log_of(AGENCY);
    let imported: Vec<_> =
        log.iter().filter(|entry| entry.action == Action::RecordsImported).collect();
    assert_eq!(imported.iter().map(|entry| entry.count).collect::<Vec<_>>(), [Some(1)]);
    let rejects = fs::read_to_string(folder.join("done/export.csv.rejects.csv")).unwrap();
    assert!(rejects.contains(",3,born,") && !rejects.contains("never"), "{rejects}");

    let enquiry = federation.open(&[("P1", &known)]).await;
    federation.until_asked(AGENCY, &enquiry, "P1").await;

    let agency: AgencyId = AGENCY.parse().unwrap();
    let mut browser = federation.browser_at(AGENCY, &Partnership::operator(&agency)).await;
    let records = browser.get("/operator/records").await;
    let text = records.text();
    assert!(
        text.contains("Connector clients") && text.contains("Mend them in the system"),
        "{text}"
    );
    assert!(!records.body.contains(known.current_name().unwrap().family()), "{text}");
    federation.finish().await;
}
