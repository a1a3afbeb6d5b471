//! The schema: numbered files, embedded, never edited after they landed.

use secrecy::SecretString;

use super::{Error, Ledger, server::Server, session};

mod embedded {
    refinery::embed_migrations!("migrations");
}

impl Ledger {
    /// Brings the database at `url` up to this program's schema; answers the
    /// names of the migrations that it applied. Safe to run from several
    /// places at once.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::Unreachable`], or [`Error::Schema`] where the database has
    /// migrations that this program does not know.
    pub async fn migrate(url: &SecretString) -> Result<Vec<String>, Error> {
        let pool = session::pool(&Server::parse(url)?, 1)?;
        let mut client = session::session(&pool).await?;
        client.batch_execute("SELECT pg_advisory_lock(hashtext('holdfast migrate'))").await?;
        let report = embedded::migrations::runner()
            .set_abort_divergent(true)
            .set_abort_missing(true)
            .run_async(&mut **client)
            .await
            .map_err(|error| Error::Schema(error.to_string()))?;
        Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
    }

    /// Whether the database has exactly this program's schema.
    ///
    /// # Errors
    /// [`Error::Schema`] says what is missing or unknown.
    pub async fn check_schema(&self) -> Result<(), Error> {
        let latest = embedded::migrations::runner()
            .get_migrations()
            .iter()
            .map(refinery::Migration::version)
            .max()
            .unwrap_or_default();
        const SQL: &str = "-- check_schema
            SELECT coalesce(max(version), 0)::int8 FROM refinery_schema_history";
        let row = match self.query_opt(SQL, &[]).await {
            Ok(row) => row,
            Err(Error::Refused(_)) => None,
            Err(error) => return Err(error),
        };
        let found: i64 = row.map_or(0, |row| row.get(0));
        match found.cmp(&i64::from(latest)) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => Err(Error::Schema(format!(
                "it is at version {found} of {latest}; run `holdfast migrate`"
            ))),
            std::cmp::Ordering::Greater => Err(Error::Schema(format!(
                "it is at version {found}, newer than this program's {latest}"
            ))),
        }
    }
}
