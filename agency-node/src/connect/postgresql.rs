//! A query of a PostgreSQL database, read and never written.
//!
//! One read-only transaction, one snapshot: the query is the inside of ours, which orders its rows by the cursor column and gives
//! each as a JSON object of texts, so that numbers stay as they are written. A server-side cursor gives them in batches. The mark
//! is the last row's value of the cursor column; the next run begins with it again, and for times some minutes before it, so that a
//! row is rather read twice than never.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use brag_common::{
    fetch::{client_tls, read_secret_file},
    time::SharedClock,
};
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::{
    Client, Config, Error, NoTls,
    config::SslMode,
    tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream},
    types::Type,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    BATCH_ROWS, Batch, Order, Source, SourceFailure, Waiting,
    config::{PostgresqlConfig, PostgresqlTls},
    mapping::Mapping,
};
use crate::import::{Fault, ImportOptions, Reason, Reject, Row, reject::MAX_ROW_BYTES};

/// The part of the source that its mark is of.
pub(crate) const PART: &str = "query";
/// How long signing in may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// How long the database may take until the first rows come.
const ANSWER_WITHIN: Duration = Duration::from_secs(630);
/// What holds for the session: nothing is written, nothing is waited for for ever, and texts have one form.
const SESSION: &str = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; SET statement_timeout = '600s'; \
    SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '600s'; SET client_min_messages = 'error'; \
    SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'";
const BEGIN: &str = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// A query under way.
pub(crate) struct Database {
    waiting: Waiting,
    client: Client,
    _connection: AbortOnDropHandle<()>,
    mapping: Mapping,
    options: ImportOptions,
    fetch: String,
    line: u64,
    ended: bool,
}

/// What is wrong with the settings of a database. Asks nobody.
pub(crate) fn check(config: &PostgresqlConfig) -> Result<(), String> {
    if config.tls == PostgresqlTls::None && !is_this_machine(&config.host) {
        return Err(
            "`tls = \"none\"` is for a socket or a loopback address: what is read is about people"
                .to_owned(),
        );
    }
    if let Some(path) = &config.password_file {
        read_secret_file(path.as_path()).map_err(|problem| format!("password_file: {problem}"))?;
    }
    if config.tls == PostgresqlTls::Required {
        if config.host.starts_with('/') {
            return Err("a socket has no TLS: set `tls = \"none\"`".to_owned());
        }
        if !config.roots.as_path().is_file() {
            return Err(format!("roots: `{}` is not there", config.roots.as_path().display()));
        }
    }
    inside(&config.query).map(drop)?;
    quoted(&config.cursor).map(drop)
}

fn is_this_machine(host: &str) -> bool {
    let is_loopback = |host: &str| host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    host.starts_with('/') || host == "localhost" || is_loopback(host)
}

/// The query without a `;` at its end.
fn inside(query: &str) -> Result<&str, String> {
    let query = query.trim().trim_end_matches(';').trim_end();
    let first = query.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    if first.eq_ignore_ascii_case("select") || first.eq_ignore_ascii_case("with") {
        Ok(query)
    } else {
        Err("`query` has to be one SELECT".to_owned())
    }
}

/// A column's name as SQL writes it.
fn quoted(name: &str) -> Result<String, String> {
    if name.is_empty() || name.len() > 63 || name.chars().any(char::is_control) {
        return Err("`cursor` is not the name of a column".to_owned());
    }
    Ok(format!("\"{}\"", name.replace('"', "\"\"")))
}

/// The types that grow with each change, and whether they are times.
fn cursor_type(found: &Type) -> Option<(&'static str, bool)> {
    Some(match *found {
        Type::TIMESTAMPTZ => ("timestamptz", true),
        Type::TIMESTAMP => ("timestamp", true),
        Type::DATE => ("date", false),
        Type::INT2 | Type::INT4 | Type::INT8 => ("int8", false),
        Type::NUMERIC => ("numeric", false),
        Type::TEXT | Type::VARCHAR => ("text", false),
        _ => return None,
    })
}

/// Our query around the operator's.
fn declare(config: &PostgresqlConfig, found: &Type, mark: Option<&str>) -> Result<String, String> {
    let (inside, column) = (inside(&config.query)?, quoted(&config.cursor)?);
    let (type_name, is_time) = cursor_type(found).ok_or_else(|| {
        format!("the column `{}` is of a type that does not tell the order of changes: a time, a date, a number or a text is expected", config.cursor)
    })?;
    // A time that is still to come would keep every change until then from being read.
    let told = if is_time {
        format!("CASE WHEN q.{column} <= now() + interval '1 day' THEN q.{column}::text END")
    } else {
        format!("q.{column}::text")
    };
    let since = match (mark, is_time) {
        (None, _) => String::new(),
        (Some(_), false) => format!("WHERE q.{column} >= $1::text::{type_name}"),
        (Some(_), true) => format!(
            "WHERE q.{column} >= $1::text::{type_name} - interval '{} seconds'",
            config.overlap.get().as_secs()
        ),
    };
    // A line feed behind the query: it may end in a comment.
    Ok(format!(
        "DECLARE brag NO SCROLL CURSOR FOR SELECT CASE WHEN octet_length(r.j) <= {MAX_ROW_BYTES} THEN r.j END, r.m \
         FROM (SELECT (SELECT json_object_agg(e.key, e.value) FROM json_each_text(row_to_json(q)) AS e)::text AS j, \
         {told} AS m, q.{column} AS o FROM ({inside}\n) AS q {since}) AS r ORDER BY r.o NULLS FIRST"
    ))
}

impl Database {
    /// Signs in and begins the query behind `mark`.
    pub(crate) fn open(
        config: &PostgresqlConfig,
        mapping: Mapping,
        options: ImportOptions,
        clock: &SharedClock,
        waiting: Waiting,
        mark: Option<&str>,
    ) -> Result<Self, SourceFailure> {
        check(config).map_err(SourceFailure::Settings)?;
        let mut to = Config::new();
        to.host(&config.host)
            .port(config.port)
            .dbname(&config.database)
            .user(&config.user)
            .application_name("brag agency-node")
            .connect_timeout(CONNECT_WITHIN);
        if let Some(path) = &config.password_file {
            let secret = read_secret_file(path.as_path());
            to.password(secret.map_err(SourceFailure::Settings)?.as_bytes());
        }
        let (client, connection) = match config.tls {
            PostgresqlTls::None => {
                to.ssl_mode(SslMode::Disable);
                let connected = waiting.wait(CONNECT_WITHIN, to.connect(NoTls))?;
                let (client, connection) = connected.map_err(|error| failed(&error))?;
                (client, waiting.handle.spawn(async move { _ = connection.await }))
            }
            PostgresqlTls::Required => {
                to.ssl_mode(SslMode::Require);
                let tls = client_tls(config.roots.as_path(), clock, b"postgresql");
                let tls = Encrypting(tls.map_err(SourceFailure::Settings)?);
                let connected = waiting.wait(CONNECT_WITHIN, to.connect(tls))?;
                let (client, connection) = connected.map_err(|error| failed(&error))?;
                (client, waiting.handle.spawn(async move { _ = connection.await }))
            }
        };
        let connection = AbortOnDropHandle::new(connection);
        let begun = waiting.wait(ANSWER_WITHIN, begin(&client, config, mark))?;
        begun?;
        let fetch = format!("FETCH FORWARD {BATCH_ROWS} FROM brag");
        Ok(Self {
            waiting,
            client,
            _connection: connection,
            mapping,
            options,
            fetch,
            line: 0,
            ended: false,
        })
    }
}

async fn begin(
    client: &Client,
    config: &PostgresqlConfig,
    mark: Option<&str>,
) -> Result<(), SourceFailure> {
    let say = |error: Error| failed(&error);
    client.batch_execute(SESSION).await.map_err(say)?;
    client.batch_execute(BEGIN).await.map_err(say)?;
    let inside = inside(&config.query).map_err(SourceFailure::Settings)?;
    let column = quoted(&config.cursor).map_err(SourceFailure::Settings)?;
    let look = format!("SELECT q.{column} FROM ({inside}\n) AS q");
    let looked = client.prepare(&look).await.map_err(say)?;
    let found = looked.columns().first().map(|column| column.type_().clone());
    let found = found.ok_or_else(|| SourceFailure::Other("the query has no columns".to_owned()))?;
    let declare = declare(config, &found, mark).map_err(SourceFailure::Settings)?;
    match mark {
        Some(mark) => client.execute(&declare, &[&mark]).await,
        None => client.execute(&declare, &[]).await,
    }
    .map(drop)
    .map_err(say)
}

impl Source for Database {
    fn repeats(&self) -> Order {
        Order::Changes
    }

    fn next(&mut self) -> Result<Option<Batch>, SourceFailure> {
        if self.ended {
            return Ok(None);
        }
        let fetched = self.waiting.wait(ANSWER_WITHIN, self.client.query(&self.fetch, &[]))?;
        let fetched = fetched.map_err(|error| failed(&error))?;
        self.ended = fetched.len() < BATCH_ROWS;
        let mut batch = Batch { begins: self.line == 0, file: 1, ..Batch::default() };
        for row in &fetched {
            self.line += 1;
            let text: Option<&str> = row.try_get(0).map_err(|error| failed(&error))?;
            let mark: Option<&str> = row.try_get(1).map_err(|error| failed(&error))?;
            if let Some(mark) = mark {
                batch.mark = Some((PART.to_owned(), mark.to_owned()));
            }
            let value = text.ok_or(Reason::RowTooLong);
            let value: Result<Value, Reason> =
                value.and_then(|text| serde_json::from_str(text).map_err(|_| Reason::NotJson));
            match value {
                Ok(value) => {
                    let made = self.mapping.rows(self.line, &value, &self.options);
                    batch.passed_over += u64::from(made.is_empty());
                    batch.rows.extend(made);
                }
                Err(reason) => {
                    let item = Err(vec![Fault::row(reason)]);
                    batch.rows.push(Row { line: self.line, item });
                }
            }
        }
        Ok(Some(batch))
    }

    fn stored(&mut self, _rejects: &[Reject]) -> Result<(), SourceFailure> {
        Ok(())
    }
}

/// What the database said, without what it may repeat of a row: texts of errors about data do.
fn failed(error: &Error) -> SourceFailure {
    let Some(said) = error.as_db_error() else {
        // What failed on the way to it: no text of these holds a row.
        return SourceFailure::Other(format!("the database: {}", super::config::chain(error)));
    };
    let code = said.code().code();
    // Classes of SQLSTATE whose texts are about the query, the sign-in, or the server: never about what a row holds.
    let harmless = ["08", "25", "28", "3D", "42", "53", "57"];
    SourceFailure::Other(if harmless.iter().any(|class| code.starts_with(class)) {
        format!("the database refused: {} ({code})", said.message())
    } else {
        format!("the database refused with {code}; its own log has the text")
    })
}

/// TLS under a connection to the database.
#[derive(Clone)]
struct Encrypting(Arc<rustls::ClientConfig>);

/// TLS to one server.
struct EncryptingTo(Arc<rustls::ClientConfig>, ServerName<'static>);

/// A connection under TLS.
struct Encrypted<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Encrypting {
    type Stream = Encrypted<S>;
    type TlsConnect = EncryptingTo;
    type Error = rustls_pki_types::InvalidDnsNameError;

    fn make_tls_connect(&mut self, domain: &str) -> Result<EncryptingTo, Self::Error> {
        let name = ServerName::try_from(domain.to_owned())?;
        Ok(EncryptingTo(Arc::clone(&self.0), name))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for EncryptingTo {
    type Stream = Encrypted<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let Self(config, name) = self;
        let connecting = tokio_rustls::TlsConnector::from(config).connect(name, stream);
        Box::pin(async move { connecting.await.map(Encrypted) })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(extra: &str) -> PostgresqlConfig {
        let text = format!("database = \"d\"\nuser = \"u\"\n{extra}");
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn settings_that_would_write_or_go_over_a_network_without_tls_are_refused() {
        for extra in [
            "host = \"db.example\"\ntls = \"none\"\nquery = \"SELECT 1 AS n\"\ncursor = \"n\"\n",
            "host = \"/run/postgresql\"\nquery = \"SELECT 1 AS n\"\ncursor = \"n\"\n",
            "host = \"/run/x\"\ntls = \"none\"\nquery = \"DELETE FROM people RETURNING *\"\ncursor = \"n\"\n",
            "host = \"/run/x\"\ntls = \"none\"\nquery = \"SELECT 1 AS n\"\ncursor = \"\"\n",
        ] {
            assert!(check(&config(extra)).is_err(), "{extra}");
        }
        let good = "host = \"/run/x\"\ntls = \"none\"\nquery = \"WITH x AS (SELECT 1 AS n) SELECT * FROM x;\"\ncursor = \"n\"\n";
        assert_eq!(check(&config(good)), Ok(()));
    }

    #[test]
    fn a_column_can_not_end_its_quotes_and_a_type_without_an_order_is_refused() {
        let text =
            "host = \"/run/x\"\ntls = \"none\"\nquery = \"SELECT 1\"\ncursor = 'a\"; DROP'\n";
        let sql = declare(&config(text), &Type::INT8, Some("7")).unwrap();
        assert!(sql.contains("q.\"a\"\"; DROP\" >= $1::text::int8"), "{sql}");
        assert!(declare(&config(text), &Type::BOOL, None).is_err());
    }
}
