//! Secrets that all servers share, without anybody having set them up.

use secrecy::SecretSlice;

use super::{Error, Ledger};

impl Ledger {
    /// The secret of a name; `fresh` becomes it where there is none.
    pub async fn secret(&self, name: &str, fresh: &[u8]) -> Result<SecretSlice<u8>, Error> {
        const PUT: &str = "-- secret: put
            INSERT INTO secrets (name, secret) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        const GET: &str = "-- secret: get
            SELECT secret FROM secrets WHERE name = $1";
        // Read first: it is made once in a database's life.
        if let Some(row) = self.query_opt(GET, &[&name]).await? {
            return Ok(row.get::<_, Vec<u8>>(0).into());
        }
        self.query(PUT, &[&name, &fresh]).await?;
        let row = self.query_opt(GET, &[&name]).await?;
        let row = row.ok_or_else(|| Error::Corrupt("a secret has gone".into()))?;
        Ok(row.get::<_, Vec<u8>>(0).into())
    }
}
