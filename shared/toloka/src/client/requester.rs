//! The requester.

use super::{Client, transport::Request};
use crate::{Error, types::Requester};

impl Client {
    /// Who the client acts for. A good first call: it fails when the credentials are wrong.
    ///
    /// # Errors
    /// [`Error::Auth`] when the platform does not know the credentials.
    pub async fn get_requester(&self) -> Result<Requester, Error> {
        self.send(Request::get(["v1", "requester"])).await?.json()
    }
}
