//! A query of a real PostgreSQL, which the test starts in a folder of its own.

use std::process::Command;

use brag_common::testing::TestCa;
use tokio::runtime::Handle;

use super::*;
use crate::connect::{
    config::PostgresqlConfig,
    postgresql::{Database, PART},
};

/// A server of its own; stopped when dropped. It answers on a socket, and with TLS on a loopback port.
struct Server {
    dir: tempfile::TempDir,
    bin: PathBuf,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let versions = fs::read_dir("/usr/lib/postgresql");
        let versions =
            versions.expect("PostgreSQL is not installed (Debian: apt-get install postgresql)");
        let bin = versions.map(|item| item.unwrap().path().join("bin")).max().unwrap();
        // The port of a listener that is gone: nobody else is given it soon.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { dir: tempfile::tempdir().unwrap(), bin, port };
        let ca = TestCa::new("exampleshire".parse().unwrap());
        ca.hub().write(&ca, server.dir.path(), "server");
        if is_root() {
            let all =
                ["", "server.pem", "server.key", "ca.pem"].map(|name| server.dir.path().join(name));
            assert!(Command::new("chown").arg("postgres").args(all).status().unwrap().success());
        }
        let data = server.path("data");
        server.run(
            "initdb",
            &[
                "-D",
                &data,
                "-A",
                "trust",
                "-U",
                "postgres",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
            ],
        );
        let options = format!(
            "-k {socket} -p {port} -c listen_addresses=127.0.0.1 -c fsync=off -c ssl=on -c ssl_cert_file={socket}/server.pem -c ssl_key_file={socket}/server.key",
            socket = server.path(""),
        );
        server.run(
            "pg_ctl",
            &["-D", &data, "-w", "-l", &server.path("log"), "-o", &options, "start"],
        );
        server
    }

    fn path(&self, name: &str) -> String {
        let path =
            if name.is_empty() { self.dir.path().to_owned() } else { self.dir.path().join(name) };
        path.display().to_string()
    }

    /// Runs one of its programs, as a user who is not root: it refuses to be.
    fn run(&self, program: &str, args: &[&str]) {
        let program = self.bin.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let ran = command.args(args).current_dir("/").output().unwrap();
        assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    }

    fn sql(&self, sql: &str) {
        let port = self.port.to_string();
        self.run(
            "psql",
            &[
                "-h",
                &self.path(""),
                "-p",
                &port,
                "-U",
                "postgres",
                "-v",
                "ON_ERROR_STOP=1",
                "-qc",
                sql,
            ],
        );
    }

    fn config(&self, user: &str, query: &str, cursor: &str) -> PostgresqlConfig {
        let (host, port) = (self.path(""), self.port);
        let text = format!(
            "host = \"{host}\"\nport = {port}\ntls = \"none\"\ndatabase = \"postgres\"\nuser = \"{user}\"\nquery = \"{query}\"\ncursor = \"{cursor}\"\n"
        );
        toml::from_str(&text).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.run("pg_ctl", &["-D", &self.path("data"), "-m", "immediate", "stop"]);
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.starts_with(b"0\n")
}

const MAPPING: &str = "[person]\nid = \"id\"\ngiven = \"given\"\nborn = \"born\"\n\
    [[entry]]\nid = \"id\"\nentry = \"id\"\nwhen = [{ field = \"note\", present = true }]\n\
    category = { value = \"C33\" }\ntext = \"note\"\n";

fn open(
    ground: &Ground,
    config: &PostgresqlConfig,
    handle: &Handle,
) -> Result<Database, SourceFailure> {
    let waiting = Waiting { handle: handle.clone(), stop: CancellationToken::new() };
    let state = ground.state();
    let mark = state.marks.get(PART).map(String::as_str);
    Database::open(config, mapping(MAPPING), options(), &ground.shared_clock(), waiting, mark)
}

fn bring(ground: &Ground, config: &PostgresqlConfig, handle: &Handle) -> RunReport {
    let (report, done) = ground.bring(&mut open(ground, config, handle).unwrap());
    done.unwrap();
    report
}

/// 450 tenants, one changed each hour; the ids have more digits than a float keeps.
const TENANTS: &str = "CREATE TABLE tenants (id numeric PRIMARY KEY, given text, born date, note text, changed timestamptz); \
    INSERT INTO tenants SELECT 12345678901234567000 + n, 'Nadia', '1992-03-04', CASE WHEN n % 2 = 0 THEN 'Note ' || n END, \
    '2026-01-01T00:00:00Z'::timestamptz + n * interval '1 hour' FROM generate_series(1, 450) AS n; \
    CREATE ROLE reader LOGIN; GRANT SELECT ON tenants TO reader";
const QUERY: &str = "SELECT id, given, born, note, changed FROM tenants -- all of them";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_read_in_batches_from_its_mark_on_and_never_written() {
    let handle = Handle::current();
    let work = tokio::task::spawn_blocking(move || {
        let server = Server::start();
        server.sql(TENANTS);
        nothing_is_written_and_no_error_repeats_a_row(&server, &handle);
        a_killed_run_goes_on_from_its_mark(&server, &handle);
        over_tls_with_a_certificate_that_is_checked(&server, &handle);
        a_row_that_is_too_long_is_rejected_alone(&server, &handle);
    });
    work.await.unwrap();
}

fn nothing_is_written_and_no_error_repeats_a_row(server: &Server, handle: &Handle) {
    let ground = Ground::new();
    server.sql("CREATE FUNCTION spoil() RETURNS int VOLATILE LANGUAGE sql AS 'DELETE FROM tenants; SELECT 1'");
    let failure = |user: &str, query: &str, cursor: &str| {
        let config = server.config(user, query, cursor);
        match open(&ground, &config, handle) {
            Err(failure) => failure.to_string(),
            Ok(mut source) => ground.bring(&mut source).1.unwrap_err().to_string(),
        }
    };
    // Even the owner of everything, over this connection.
    let spoilt = failure("postgres", "SELECT spoil() AS n", "n");
    assert!(spoilt.contains("25006"), "{spoilt}");
    let refused = failure("reader", "SELECT rolname::text AS n FROM pg_authid", "n");
    assert!(refused.contains("42501"), "{refused}");
    let told = failure(
        "reader",
        "SELECT (note || given)::int AS n FROM tenants WHERE note IS NOT NULL",
        "n",
    );
    assert!(told.contains("22P02") && !told.contains("Nadia"), "{told}");
    assert!(failure("reader", QUERY, "none").contains("42703"));
    assert!(failure("reader", "SELECT true AS b", "b").contains("order of changes"));
    assert!(ground.told().is_empty() && ground.n_people() == 0);
}

fn a_killed_run_goes_on_from_its_mark(server: &Server, handle: &Handle) {
    let ground = Ground::new();
    let config = server.config("reader", QUERY, "changed");
    let source = open(&ground, &config, handle).unwrap();
    let stopped = ground.bring(&mut Cut { source, after: 1 }).1;
    assert!(matches!(stopped, Err(RunFailure::Source(SourceFailure::Stopping))), "{stopped:?}");
    assert_eq!(ground.state().marks[PART], "2026-01-09 08:00:00+00");
    assert_eq!(ground.n_people(), 200);
    // The row of the mark comes again; 251 people and the notes of half of them.
    let report = bring(&ground, &config, handle);
    assert_eq!(
        (report.rows.read, report.rows.new, report.rows.unchanged),
        (251 + 126, 375, 2),
        "{report:?}"
    );
    assert_eq!((ground.n_people(), ground.told().iter().sum::<u64>()), (450, 675));
    let report = bring(&ground, &config, handle);
    assert_eq!((report.rows.read, report.rows.unchanged), (2, 2), "{report:?}");

    server.sql(
        "UPDATE tenants SET given = 'Moira', changed = '2026-03-01T00:00:00Z' WHERE id = 12345678901234567007; \
         INSERT INTO tenants VALUES (7, 'Zoe', NULL, NULL, '2026-01-19T17:58:00Z')",
    );
    // One was committed two minutes before the last row's time: it is found all the same.
    let report = bring(&ground, &config, handle);
    assert_eq!((report.rows.new, report.rows.changed), (1, 1), "{report:?}");
    assert_eq!(ground.state().marks[PART], "2026-03-01 00:00:00+00");
    // A time that is still to come is read, and is no mark.
    server.sql("INSERT INTO tenants VALUES (8, 'Una', NULL, NULL, '9999-12-31T00:00:00Z')");
    assert_eq!(bring(&ground, &config, handle).rows.new, 1);
    assert_eq!(ground.state().marks[PART], "2026-03-01 00:00:00+00");
}

fn over_tls_with_a_certificate_that_is_checked(server: &Server, handle: &Handle) {
    let mut config = server.config("reader", QUERY, "id");
    config.tls = config::PostgresqlTls::Required;
    config.host = "localhost".to_owned();
    config.roots = brag_common::config::ConfigPath::new(server.path("ca.pem"));
    let ground = Ground::new();
    assert_eq!(bring(&ground, &config, handle).rows.rejected, 0);
    assert_eq!(ground.n_people(), 452);
    let other = TestCa::new("elsewhere".parse().unwrap());
    other.save(server.dir.path());
    let refused = open(&ground, &config, handle).err().unwrap().to_string();
    assert!(refused.contains("the database: "), "{refused}");
}

fn a_row_that_is_too_long_is_rejected_alone(server: &Server, handle: &Handle) {
    server.sql("INSERT INTO tenants VALUES (9, 'Vic', NULL, repeat('y', 300000), '2026-03-02T00:00:00Z'), (10, 'Wyn', NULL, NULL, '2026-03-02T00:00:00Z')");
    let ground = Ground::new();
    let report = bring(&ground, &server.config("reader", QUERY, "id"), handle);
    assert_eq!((report.rows.rejected, ground.n_people()), (1, 453), "{report:?}");
    assert!(report.rejects[0].reason.contains("too long"));
}
