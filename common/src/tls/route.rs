//! The way to a server: its addresses, any of which will do, and a proxy on the way.

use http::Uri;

use super::Proxy;

/// The most addresses of one server.
const ADDRESSES_MAX: usize = 8;

/// A host to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// A name, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

/// The way to a server.
#[derive(Debug, Clone)]
pub struct Route {
    first: Uri,
    places: Vec<Place>,
    proxy: Option<Proxy>,
}

/// Why addresses are no way to a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Not an address.
    #[error("`{0}` is not `https://host:port`")]
    NotHttps(String),
    /// None, or more than are ever tried.
    #[error("a server has 1 to {ADDRESSES_MAX} addresses, not {0}")]
    Count(usize),
}

impl Route {
    /// To one address, without a proxy.
    ///
    /// # Errors
    /// When it is not `https://host` with a port or without.
    pub fn to(uri: &Uri) -> Result<Self, RouteError> {
        Ok(Self { first: uri.clone(), places: vec![place(uri)?], proxy: None })
    }

    /// To any of these addresses of one server, 1 to 8, each `https://host:port`; the first one is tried first.
    ///
    /// # Errors
    /// When one is not such an address, or there are none or too many.
    pub fn new<'a>(
        addresses: impl IntoIterator<Item = &'a str>,
        proxy: Option<Proxy>,
    ) -> Result<Self, RouteError> {
        let uris = addresses
            .into_iter()
            .map(|text| text.parse().map_err(|_| RouteError::NotHttps(text.to_owned())))
            .collect::<Result<Vec<Uri>, _>>()?;
        let places = uris.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        match uris.first() {
            Some(first) if places.len() <= ADDRESSES_MAX => {
                Ok(Self { first: first.clone(), places, proxy })
            }
            Some(_) | None => Err(RouteError::Count(places.len())),
        }
    }

    /// The same way, beginning with another of the addresses: the `n`th, counted round and round.
    #[must_use]
    pub fn beginning_with(mut self, n: usize) -> Self {
        let by = n.checked_rem(self.places.len()).unwrap_or(0);
        self.places.rotate_left(by);
        self
    }

    pub(super) const fn first(&self) -> &Uri {
        &self.first
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    pub(super) const fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }
}

fn place(uri: &Uri) -> Result<Place, RouteError> {
    let not_https = || RouteError::NotHttps(uri.to_string());
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(not_https)?;
    if uri.scheme_str() != Some("https") {
        return Err(not_https());
    }
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Ok(Place { host: host.to_owned(), port: uri.port_u16().unwrap_or(443) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_has_one_to_eight_addresses_and_all_are_https() {
        let none: [&str; 0] = [];
        assert_eq!(Route::new(none, None).unwrap_err(), RouteError::Count(0));
        let nine = ["https://a:1"; 9];
        assert_eq!(Route::new(nine, None).unwrap_err(), RouteError::Count(9));
        for bad in ["http://a:1", "a:1", "", "https://", "not a uri"] {
            let error = Route::new(["https://a:1", bad], None).unwrap_err();
            assert!(matches!(error, RouteError::NotHttps(_)), "{bad}");
        }
    }

    #[test]
    fn a_way_begins_with_the_address_that_is_asked_for() {
        let route = Route::new(["https://a:1", "https://[::1]", "https://c:3"], None).unwrap();
        let hosts = |route: &Route| {
            route
                .places()
                .iter()
                .map(|place| format!("{}:{}", place.host, place.port))
                .collect::<Vec<_>>()
        };
        assert_eq!(hosts(&route), ["a:1", "::1:443", "c:3"]);
        assert_eq!(hosts(&route.clone().beginning_with(1)), ["::1:443", "c:3", "a:1"]);
        assert_eq!(hosts(&route.beginning_with(3)), ["a:1", "::1:443", "c:3"]);
    }
}
