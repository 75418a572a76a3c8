//! A verifier that nobody here wrote accepts our logs, and refuses them once anything in them is changed.
//!
//! `tests/verifier` is a Go program around `golang.org/x/mod/sumdb`; `tests/run` installs Go and that library from Debian.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use brag_common::{
    audit::{
        Action, AuditLog, EntryDraft, LogOptions,
        command::{self, LogCommand, ProveArgs, TilesArgs},
    },
    keys::SigningKey,
    time::SystemClock,
    tlog::{KeyKind, NoteKey},
};

/// More than one full tile, and a partial one.
const N_ENTRIES: u64 = 600;

/// The size of the earlier checkpoint.
const EARLIER: u64 = 517;

/// The verifier, built once.
fn verifier() -> &'static Path {
    static BUILT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, program) = BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("verifier");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("verifier/main.go");
        let built = Command::new("go")
            .args(["build", "-o"])
            .arg(&program)
            .arg(source)
            .env("GO111MODULE", "off")
            .env("GOFLAGS", "")
            .env("GOPATH", "/usr/share/gocode")
            .env("GOCACHE", folder.path().join("cache"))
            .env("CGO_ENABLED", "0")
            .output()
            .expect("Go is missing; `tests/run` installs it (Debian: golang-go golang-golang-x-mod-dev)");
        let error = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{error}");
        (folder, program)
    });
    program
}

/// A log with two cosigners, as tiles, receipts and a consistency proof.
struct Exported {
    folder: tempfile::TempDir,
    keys: PathBuf,
    tiles: PathBuf,
    receipts: Vec<(PathBuf, PathBuf)>,
    consistency: PathBuf,
}

impl Exported {
    fn new() -> Self {
        tokio::runtime::Runtime::new().unwrap().block_on(Self::build())
    }

    async fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let origin = "exampleshire/CSC/1".parse().unwrap();
        let clock = std::sync::Arc::new(SystemClock);
        let options = LogOptions::new(path("log"), origin, SigningKey::generate().unwrap(), clock);
        let log = AuditLog::open(options).unwrap();
        let draft = |count| {
            let mut draft = EntryDraft::new(Action::RateAnswered);
            draft.count = Some(count);
            draft
        };
        log.record_all((0..EARLIER).map(draft).collect()).await.unwrap();
        let earlier = log.tree().head();
        log.record_all((EARLIER..N_ENTRIES).map(draft).collect()).await.unwrap();
        let mut note = log.sign(&log.tree()).unwrap();
        let mut keys = format!("{}\n", log.note_key());
        for name in ["exampleshire/hub/witness", "ig.example/witness"] {
            let key = SigningKey::generate().unwrap();
            let public = NoteKey::new(name, KeyKind::Witness, key.verifying_key()).unwrap();
            note.cosign(&public, "2027-02-09T12:00:00Z".parse().unwrap(), &key).unwrap();
            keys.push_str(&format!("{public}\n"));
        }
        log.keep_checkpoint(&note).unwrap();
        fs::write(path("keys"), keys).unwrap();
        let hashes = log.tree().prove_consistency(EARLIER, N_ENTRIES).unwrap();
        let hashes: String = hashes.iter().map(|hash| format!("{hash}\n")).collect();
        let proof = format!("{}\n{}\n{hashes}", earlier.size, earlier.root);
        fs::write(path("consistency"), proof).unwrap();

        let mut out = Vec::new();
        let tiles = TilesArgs { dir: log.dir().to_owned(), out: path("tiles") };
        assert_eq!(command::run(&LogCommand::Tiles(tiles), &mut out).unwrap(), command::DONE);
        let mut receipts = Vec::new();
        for what in ["0", "255", "256", "511", "599"] {
            let prove = ProveArgs {
                dir: log.dir().to_owned(),
                what: what.to_owned(),
                policy: None,
                out: path("receipts"),
            };
            let code = command::run(&LogCommand::Prove(prove), &mut out).unwrap();
            assert_eq!(code, command::DONE, "{}", String::from_utf8_lossy(&out));
            let name = path("receipts").join(format!("exampleshire-CSC-1-{what}"));
            let with = |ending: &str| PathBuf::from(format!("{}.{ending}", name.display()));
            receipts.push((with("tlog-proof"), with("entry.json")));
        }
        let (keys, tiles, consistency) = (path("keys"), path("tiles"), path("consistency"));
        Self { folder, keys, tiles, receipts, consistency }
    }

    fn verify(&self) -> Output {
        let mut command = Command::new(verifier());
        command.arg(&self.keys).arg(&self.tiles);
        for (receipt, entry) in &self.receipts {
            command.arg(receipt).arg(entry);
        }
        command.arg("consistency").arg(&self.consistency);
        command.output().unwrap()
    }

    /// Changes a file, asks that the verifier refuses, and puts the file back.
    fn refused_when(&self, file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let whole = fs::read(file).unwrap();
        let mut changed = whole.clone();
        change(&mut changed);
        assert_ne!(changed, whole);
        fs::write(file, changed).unwrap();
        let output = self.verify();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{}: {error}", file.display());
        fs::write(file, whole).unwrap();
    }
}

fn replaced(from: &'static str, to: &'static str) -> impl FnOnce(&mut Vec<u8>) {
    move |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        *bytes = text.replacen(from, to, 1).into_bytes();
    }
}

#[test]
fn the_verifier_of_go_accepts_a_log_with_its_receipts_and_refuses_every_change() {
    let exported = Exported::new();
    let output = exported.verify();
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert_eq!(text, "600 entries, 6 checked apart\n");

    for bundle in ["tile/entries/000", "tile/entries/001", "tile/entries/002.p/88"] {
        exported.refused_when(&exported.tiles.join(bundle), |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
        exported.refused_when(&exported.tiles.join(bundle), |bytes| _ = bytes.pop());
        // The length of the first entry.
        exported.refused_when(&exported.tiles.join(bundle), |bytes| bytes[1] ^= 1);
        exported.refused_when(&exported.tiles.join(bundle), |bytes| bytes[0] ^= 1);
    }
    let checkpoint = exported.tiles.join("checkpoint");
    exported.refused_when(&checkpoint, replaced("\n600\n", "\n599\n"));
    exported.refused_when(&checkpoint, replaced("exampleshire/CSC/1", "exampleshire/POL/1"));
    exported.refused_when(&checkpoint, |bytes| {
        // The last line is the second witness's.
        let lines: Vec<_> = bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        *bytes = lines[..lines.len() - 1].concat();
    });
    let (receipt, entry) = &exported.receipts[2];
    exported.refused_when(receipt, replaced("index 256", "index 257"));
    exported.refused_when(entry, replaced("\"count\":256", "\"count\":257"));
    exported.refused_when(&exported.consistency, replaced("517", "516"));
    drop(exported.folder);
}
