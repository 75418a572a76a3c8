//! Real programs as child processes: started, waited for until they serve, stopped, and never left behind.
//!
//! Everything a child prints is captured in files, so that it can be searched afterwards.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::{
    net::TcpSocket,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

/// How long a program has to serve: a loaded machine and an unoptimised build.
const START_WITHIN: Duration = Duration::from_secs(60);

/// How long a program has to end after it was told to: it lets calls under way finish.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How much of a child's last words is shown.
const TAIL_BYTES: u64 = 2000;

/// Where the programs are, and where what they print goes.
#[derive(Debug, Clone)]
pub struct Programs {
    folder: PathBuf,
    captured: PathBuf,
    stage: Option<PathBuf>,
}

impl Programs {
    /// The programs beside this one, which come from the same build. `captured` is made.
    ///
    /// # Errors
    /// When they are not there.
    pub fn beside_this(captured: PathBuf) -> anyhow::Result<Self> {
        let this = std::env::current_exe().context("this program has no path")?;
        let mut folder = this.parent().context("this program lies nowhere")?.to_owned();
        // Test programs lie one folder below.
        if folder.ends_with("deps") {
            folder.pop();
        }
        for program in ["agency-node", "hub", "staged"] {
            anyhow::ensure!(
                folder.join(program).is_file(),
                "`{program}` is not beside this program in `{}`; run: cargo build --workspace --bins",
                folder.display()
            );
        }
        fs::create_dir_all(&captured)?;
        Ok(Self { folder, captured, stage: None })
    }

    /// The same programs, whose commands run on a stage: see [`crate::staging`].
    #[must_use]
    pub fn on_stage(&self, stage: &Path) -> Self {
        Self { stage: Some(stage.to_owned()), ..self.clone() }
    }

    /// Path of a program.
    #[must_use]
    pub fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    /// The folder with everything that children printed.
    #[must_use]
    pub fn captured(&self) -> &Path {
        &self.captured
    }

    /// Runs a program to its end. `name` names its captured output.
    ///
    /// # Errors
    /// When it can not be started.
    pub async fn run(&self, name: &str, program: &str, args: &[&str]) -> anyhow::Result<Ended> {
        self.run_watched(name, program, args, async |_| Ok(false)).await
    }

    /// Runs a program to its end; `look` is given its process id before anybody has waited for it, so that what the
    /// system keeps of a process that has ended can still be read. It is called again as long as it says so.
    ///
    /// # Errors
    /// When it can not be started, or `look` fails; then it is killed.
    pub async fn run_watched(
        &self,
        name: &str,
        program: &str,
        args: &[&str],
        mut look: impl AsyncFnMut(u32) -> anyhow::Result<bool>,
    ) -> anyhow::Result<Ended> {
        let mut child = self.spawn(name, program, args)?;
        let id = child.id().context("a program that was just started has an id")?;
        while look(id).await? {}
        let status = child.wait().await?;
        let stdout = fs::read_to_string(self.captured_file(name, "stdout"))?;
        Ok(Ended { status, stdout, tail: self.tail(name) })
    }

    /// Starts a server and waits until it serves. `program` may name a command behind the program: `hub witness`.
    ///
    /// # Errors
    /// When it ends before it serves, with its last words; or does not serve in time.
    pub async fn serve(&self, name: &str, program: &str, config: &Path) -> anyhow::Result<Server> {
        let ready_file = self.captured_file(name, "ready");
        let _ = fs::remove_file(&ready_file);
        let (config, ready) = (config.display().to_string(), ready_file.display().to_string());
        let mut words = program.split(' ');
        let program = words.next().unwrap_or_default();
        let serve = ["serve", "--config", &config, "--ready-file", &ready];
        let args: Vec<&str> = words.chain(serve).collect();
        let mut child = self.spawn(name, program, &args)?;
        let deadline = Instant::now() + START_WITHIN;
        let ready: Ready = loop {
            if let Some(status) = child.try_wait()? {
                anyhow::bail!("{name} ended ({status}) before it served:\n{}", self.tail(name));
            }
            if let Ok(text) = fs::read_to_string(&ready_file) {
                break serde_json::from_str(&text).context("the ready file does not read")?;
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "{name} did not serve within {START_WITHIN:?}:\n{}",
                self.tail(name)
            );
            sleep(LOOK_EVERY).await;
        };
        let Ready { listen, admin, console } = ready;
        Ok(Server { name: name.to_owned(), child, listen, admin, console })
    }

    fn spawn(&self, name: &str, program: &str, args: &[&str]) -> anyhow::Result<Child> {
        let capture = |stream| {
            let mut options = fs::OpenOptions::new();
            options.create(true).append(true).open(self.captured_file(name, stream))
        };
        let mut command = match &self.stage {
            None => Command::new(self.path(program)),
            Some(stage) => {
                let mut staged = Command::new(self.path("staged"));
                staged.arg("--stage").arg(stage).args(["--name", name, program]);
                staged
            }
        };
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(capture("stdout")?)
            .stderr(capture("stderr")?)
            // Ctrl-C in a terminal is for this program, which then stops the others in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("can not start `{program}`"))
    }

    fn captured_file(&self, name: &str, stream: &str) -> PathBuf {
        self.captured.join(format!("{name}.{stream}"))
    }

    /// The last words of a child.
    fn tail(&self, name: &str) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(self.captured_file(name, "stderr"))?;
            let n_bytes = file.metadata()?.len();
            file.seek(SeekFrom::Start(n_bytes.saturating_sub(TAIL_BYTES)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_default()
    }
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    tail: String,
}

impl Ended {
    /// The exit code; `None` when a signal ended it.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// That it ended with 0.
    ///
    /// # Errors
    /// When it did not, with its last words.
    pub fn done(&self, what: &str) -> anyhow::Result<()> {
        anyhow::ensure!(self.status.success(), "{what} failed ({}):\n{}", self.status, self.tail);
        Ok(())
    }
}

#[derive(Deserialize)]
struct Ready {
    listen: SocketAddr,
    admin: SocketAddr,
    #[serde(default)]
    console: Option<SocketAddr>,
}

/// A server that runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    /// What it is called, for example `CSC`.
    pub name: String,
    child: Child,
    /// Where it serves.
    pub listen: SocketAddr,
    /// Where its metrics are.
    pub admin: SocketAddr,
    /// Where its pages are; `None`: it has none.
    pub console: Option<SocketAddr>,
}

/// Servers that run together.
#[derive(Debug)]
pub struct Fleet {
    programs: Programs,
    /// In the order in which they started.
    servers: Mutex<Vec<Server>>,
    /// Ports of servers that are away, held for them: bound, so that nobody else gets one, and not listened on.
    away: Mutex<BTreeMap<String, TcpSocket>>,
}

impl Fleet {
    /// Nothing runs yet.
    #[must_use]
    pub fn new(programs: Programs) -> Self {
        Self { programs, servers: Mutex::default(), away: Mutex::default() }
    }

    /// Starts a server and waits until it serves. `program` may name a command behind the program: `hub witness`.
    ///
    /// # Errors
    /// As [`Programs::serve`].
    pub async fn start(&self, name: &str, program: &str, config: &Path) -> anyhow::Result<()> {
        // Its port is free from here on.
        lock(&self.away).remove(name);
        let server = self.programs.serve(name, program, config).await?;
        lock(&self.servers).push(server);
        Ok(())
    }

    /// Stops one server; its port stays its own until it is started again.
    ///
    /// # Errors
    /// When it does not run, or does not end cleanly.
    pub async fn send_away(&self, name: &str) -> anyhow::Result<()> {
        let server = self.take(name)?;
        let listen = server.listen;
        self.end(vec![server]).await?;
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(listen).with_context(|| format!("can not hold the port of {name}"))?;
        lock(&self.away).insert(name.to_owned(), socket);
        Ok(())
    }

    /// The process of a server; `None` when it does not run.
    #[must_use]
    pub fn process(&self, name: &str) -> Option<u32> {
        lock(&self.servers).iter().find(|server| server.name == name)?.child.id()
    }

    /// Kills one server without a word.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill(&self, name: &str) -> anyhow::Result<()> {
        let mut server = self.take(name)?;
        Ok(server.child.kill().await?)
    }

    /// One server, which from here on may end.
    fn take(&self, name: &str) -> anyhow::Result<Server> {
        let mut servers = lock(&self.servers);
        let place = servers.iter().position(|server| server.name == name);
        Ok(servers.remove(place.with_context(|| format!("{name} does not run"))?))
    }

    /// Everything that runs: name, where it serves, where its metrics are.
    #[must_use]
    pub fn running(&self) -> Vec<(String, SocketAddr, SocketAddr)> {
        let servers = lock(&self.servers);
        servers.iter().map(|s| (s.name.clone(), s.listen, s.admin)).collect()
    }

    /// Where the pages of a server are.
    ///
    /// # Errors
    /// When it does not run, or has none.
    pub fn console(&self, name: &str) -> anyhow::Result<SocketAddr> {
        let servers = lock(&self.servers);
        let server = servers.iter().find(|server| server.name == name);
        server.and_then(|server| server.console).with_context(|| format!("{name} has no console"))
    }

    /// Waits until a server ends that nobody told to, and says which, with its last words.
    pub async fn one_has_died(&self) -> anyhow::Error {
        loop {
            for server in lock(&self.servers).iter_mut() {
                if let Ok(Some(status)) = server.child.try_wait() {
                    let tail = self.programs.tail(&server.name);
                    return anyhow::anyhow!("{} ended by itself ({status}):\n{tail}", server.name);
                }
            }
            sleep(LOOK_EVERY * 5).await;
        }
    }

    /// How many calls of this kind a server has answered, however, since it started.
    ///
    /// # Errors
    /// When it does not run, or its metrics can not be read.
    pub fn n_answered(&self, name: &str, rpc: &str) -> anyhow::Result<u64> {
        let admin = self.running().into_iter().find(|(known, ..)| known == name);
        let (_, _, admin) = admin.with_context(|| format!("{name} does not run"))?;
        let metrics = fetch(admin, "/metrics")
            .with_context(|| format!("the metrics of {name} can not be read"))?;
        let metrics = String::from_utf8_lossy(&metrics);
        let label = format!("rpc=\"{rpc}\"");
        let counted =
            metrics.lines().filter(|l| l.contains("_requests_total{") && l.contains(&label));
        counted
            .map(|line| {
                let count = line.rsplit(' ').next().unwrap_or_default();
                count.parse::<u64>().with_context(|| format!("`{line}` of {name} has no count"))
            })
            .sum()
    }

    /// Keeps every server's metrics beside what it printed.
    ///
    /// # Errors
    /// When one does not answer.
    pub fn keep_metrics(&self) -> anyhow::Result<()> {
        for (name, _, admin) in self.running() {
            let metrics = fetch(admin, "/metrics")
                .with_context(|| format!("the metrics of {name} can not be read"))?;
            fs::write(self.programs.captured_file(&name, "metrics"), metrics)?;
        }
        Ok(())
    }

    /// Tells every server to stop, and waits until all have.
    ///
    /// # Errors
    /// When one does not end in time (it is killed), or not with 0; all have ended in any case.
    pub async fn stop(&self) -> anyhow::Result<()> {
        let servers = std::mem::take(&mut *lock(&self.servers));
        self.end(servers).await
    }

    async fn end(&self, mut servers: Vec<Server>) -> anyhow::Result<()> {
        for server in &servers {
            server.signal(Signal::TERM);
        }
        let mut trouble = Vec::new();
        for server in &mut servers {
            match timeout(STOP_WITHIN, server.child.wait()).await {
                Ok(Ok(status)) if status.success() => {}
                Ok(Ok(status)) => {
                    let how = status.signal().map_or_else(
                        || status.to_string(),
                        |signal| format!("ended by signal {signal}"),
                    );
                    trouble.push(format!(
                        "{} did not stop cleanly: {how}\n{}",
                        server.name,
                        self.programs.tail(&server.name)
                    ));
                }
                Ok(Err(error)) => trouble.push(format!("{}: {error}", server.name)),
                Err(_) => {
                    let _ = server.child.kill().await;
                    trouble.push(format!("{} did not stop within {STOP_WITHIN:?}", server.name));
                }
            }
        }
        anyhow::ensure!(trouble.is_empty(), "{}", trouble.join("\n"));
        Ok(())
    }
}

impl Server {
    /// The process id; absent when it has ended.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(id) = id {
            // It may have ended meanwhile, which is what is wanted.
            let _ = kill_process(id, signal);
        }
    }
}

/// What these locks guard is whole at every moment, so one that a panic left is good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ports of this machine that nobody else takes until they are given out.
#[derive(Debug, Default)]
pub struct Ports(Vec<TcpListener>);

impl Ports {
    /// Reserves `n` ports.
    ///
    /// # Errors
    /// When there are none.
    pub fn reserve(n: usize) -> std::io::Result<Self> {
        (0..n)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The addresses.
    ///
    /// # Errors
    /// When the machine does not know them.
    pub fn addresses(&self) -> std::io::Result<Vec<SocketAddr>> {
        self.0.iter().map(TcpListener::local_addr).collect()
    }

    /// Lets go of one, for the program that it is for.
    pub fn give_out(&mut self, address: SocketAddr) {
        self.0.retain(|listener| listener.local_addr().ok() != Some(address));
    }
}

/// Fetches a page over plain HTTP from this machine.
fn fetch(address: SocketAddr, path: &str) -> anyhow::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    anyhow::ensure!(answer.starts_with(b"HTTP/1.1 200"), "not the answer that was expected");
    Ok(answer)
}
