//! Local accounts: how people sign in where there is no other sign-in service.
//!
//! One file for each account, in `console/accounts` of the data folder. An operator *invites* a member of staff (`account
//! invite`): the file then holds the digest of a code, which the operator gives to that person. With it they choose a password
//! and take up a one-time secret in an authenticator app; nobody else ever knows either. Inviting again, locking and removing end
//! the sessions of the account, since every session names the account's serial number.
//!
//! Passwords: argon2id (RFC 9106) with the parameters of OWASP's cheat sheet (19 MiB, 2 passes, 1 lane), at least twelve
//! characters, no rules of composition (NIST SP 800-63B-4, section 3.1.1). The one-time secret is sealed under a key of the
//! store's, with the name as associated data, so that a copy of the folder signs nobody in.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use argon2::{
    Argon2, PasswordHasher as _, PasswordVerifier as _,
    password_hash::{PasswordHash, SaltString},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::{FOLDER, one_time::OneTimeSecret};
use crate::{
    audit::Digest,
    durable::dirs,
    id::{RequestId, StaffName},
    secret::{NoRandomness, SecretBytes, random_bytes},
    symmetric::{NotSealed, SymmetricKey},
    time::Timestamp,
};

/// The fewest characters of a password (NIST SP 800-63B-4 asks for 8 beside a second factor; 15 alone).
pub const MIN_PASSWORD_CHARS: usize = 12;
/// The longest password, in bytes: more is hashed in no useful time.
pub const MAX_PASSWORD_BYTES: usize = 1024;
/// How long an invitation is good.
pub const INVITATION: Duration = Duration::from_secs(72 * 3600);

/// What the key that seals one-time secrets is derived for.
const SEAL: &[u8] = b"brag-exchange/v1/console-one-time-secret\0";

/// Why an account can not be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The file system refused.
    #[error("`{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// The file is not an account, or was sealed under another key.
    #[error("`{}` is not an account of this program; remove it and invite the person again", path.display())]
    NotAnAccount {
        /// The file.
        path: PathBuf,
    },
    /// There is no such account.
    #[error("there is no account of that name")]
    Absent,
    /// The machine gives no randomness, or a key is refused.
    #[error("no key or code can be made on this machine")]
    NotMade,
}

impl From<NoRandomness> for AccountError {
    fn from(_: NoRandomness) -> Self {
        Self::NotMade
    }
}

impl From<NotSealed> for AccountError {
    fn from(_: NotSealed) -> Self {
        Self::NotMade
    }
}

/// Where an account stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum State {
    /// The person may set it up.
    Invited { code_sha256: String, until: Timestamp },
    /// The person has set it up.
    Active { password: String, one_time: String },
    /// Nobody signs in with it until an operator unlocks it by inviting anew.
    Locked,
}

/// The file of an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Account {
    v: u8,
    /// Random; new with every change by an operator and when it is set up. Sessions name it.
    serial: String,
    since: Timestamp,
    #[serde(flatten)]
    state: State,
}

/// Where an account stands, as operators see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Invited, until then.
    Invited(Timestamp),
    /// In use.
    Active,
    /// Locked by an operator.
    Locked,
}

/// An account whose password and one-time secret were given.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) serial: String,
    pub(super) secret: OneTimeSecret,
}

/// The accounts of a program.
pub struct Accounts {
    folder: PathBuf,
    seal: SymmetricKey,
    /// A password hash that nobody's password has: an unknown name takes as long as a known one.
    decoy: OnceLock<String>,
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Accounts {
    /// The accounts in a program's data folder, whose store has this key. Blocks on the disk.
    ///
    /// # Errors
    /// When the folder can not be made.
    pub fn open(data: &Path, store_key: &SecretBytes<32>) -> Result<Self, AccountError> {
        let seal = SymmetricKey::derive(store_key, SEAL)?;
        let folder = folder(data)?;
        Ok(Self { folder, seal, decoy: OnceLock::new() })
    }

    /// Made at the first use: it takes as long as a password's.
    fn decoy(&self) -> Option<&str> {
        if self.decoy.get().is_none() {
            let nobodys = BASE64_STANDARD.encode(random_bytes::<32>().ok()?);
            // Whoever is first wins.
            let _ = self.decoy.set(hash(&nobodys).ok()?);
        }
        self.decoy.get().map(String::as_str)
    }

    /// The serial number of an account that may be used; `None`: there is none, or it may not.
    pub(super) fn serial(&self, name: &StaffName) -> Option<String> {
        let account = read(&self.folder, name).ok()?;
        matches!(account.state, State::Active { .. }).then_some(account.serial)
    }

    /// Checks a password, in the same time whether or not there is such an account. `None`: it is wrong.
    pub(super) fn check(&self, name: Option<&StaffName>, password: &str) -> Option<Opened> {
        let account = name.and_then(|name| Some((name, read(&self.folder, name).ok()?)));
        let (found, stored) = match &account {
            Some((name, Account { serial, state: State::Active { password, one_time }, .. })) => {
                (Some((name, serial, one_time)), password.as_str())
            }
            Some(_) | None => (None, self.decoy()?),
        };
        let parsed = PasswordHash::new(stored).ok()?;
        let right = Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok();
        let (name, serial, one_time) = found.filter(|_| right)?;
        Some(Opened { serial: serial.clone(), secret: self.unseal(name, one_time)? })
    }

    /// Whether this is the code of an invitation that is still good.
    pub(super) fn is_invited(&self, name: &StaffName, code: &str, now: Timestamp) -> bool {
        let Ok(account) = read(&self.folder, name) else { return false };
        let State::Invited { code_sha256, until } = account.state else { return false };
        now < until && digest(code).as_bytes().ct_eq(code_sha256.as_bytes()).into()
    }

    /// Sets up an invited account; the caller has checked the code. The new serial number.
    pub(super) fn set_up(
        &self,
        name: &StaffName,
        password: &str,
        secret: &OneTimeSecret,
        now: Timestamp,
    ) -> Result<String, AccountError> {
        let state = State::Active { password: hash(password)?, one_time: self.seal(name, secret)? };
        let account = Account { v: 1, serial: random_text()?, since: now, state };
        write(&self.folder, name, &account)?;
        Ok(account.serial)
    }

    /// The name is what it is sealed as: no account's secret is another's.
    fn seal(&self, name: &StaffName, secret: &OneTimeSecret) -> Result<String, AccountError> {
        let sealed = self.seal.seal(name.as_str().as_bytes(), secret.expose())?;
        Ok(BASE64_STANDARD.encode(sealed))
    }

    fn unseal(&self, name: &StaffName, sealed: &str) -> Option<OneTimeSecret> {
        let sealed = BASE64_STANDARD.decode(sealed).ok()?;
        OneTimeSecret::from_bytes(&self.seal.open(name.as_str().as_bytes(), &sealed)?)
    }
}

/// Invites a member of staff, over whatever account they had: the code with which they set it up, and until when it is good. It
/// is shown once and kept nowhere.
///
/// # Errors
/// When it can not be written.
pub fn invite(
    data: &Path,
    name: &StaffName,
    now: Timestamp,
) -> Result<(String, Timestamp), AccountError> {
    let code = random_text()?;
    let until = now.checked_add(INVITATION).map_err(|_| AccountError::NotMade)?;
    let state = State::Invited { code_sha256: digest(&code), until };
    let account = Account { v: 1, serial: random_text()?, since: now, state };
    write(&folder(data)?, name, &account)?;
    Ok((code, until))
}

/// Locks an account: nobody signs in with it, and its sessions end.
///
/// # Errors
/// When there is none, or it can not be written.
pub fn lock(data: &Path, name: &StaffName, now: Timestamp) -> Result<(), AccountError> {
    let folder = folder(data)?;
    read(&folder, name)?;
    let account = Account { v: 1, serial: random_text()?, since: now, state: State::Locked };
    write(&folder, name, &account)
}

/// Removes an account; its sessions end.
///
/// # Errors
/// When there is none, or it can not be removed.
pub fn remove(data: &Path, name: &StaffName) -> Result<(), AccountError> {
    let folder = folder(data)?;
    let path = path_of(&folder, name);
    match fs::remove_file(&path).and_then(|()| dirs::sync_dir(&folder)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(AccountError::Absent),
        other => other.map_err(|source| AccountError::Io { path, source }),
    }
}

/// Where the account of a member of staff stands.
///
/// # Errors
/// When there is none, or it can not be read.
pub fn standing(data: &Path, name: &StaffName) -> Result<Standing, AccountError> {
    Ok(match read(&folder(data)?, name)?.state {
        State::Invited { until, .. } => Standing::Invited(until),
        State::Active { .. } => Standing::Active,
        State::Locked => Standing::Locked,
    })
}

fn folder(data: &Path) -> Result<PathBuf, AccountError> {
    let folder = data.join(FOLDER).join("accounts");
    match dirs::create_dirs(&folder) {
        Ok(()) => Ok(folder),
        Err(source) => Err(AccountError::Io { path: folder, source }),
    }
}

/// A name is letters, digits, `.`, `-` and `_`: with the suffix it is never `.` or `..`.
fn path_of(folder: &Path, name: &StaffName) -> PathBuf {
    folder.join(format!("{name}.json"))
}

fn read(folder: &Path, name: &StaffName) -> Result<Account, AccountError> {
    let path = path_of(folder, name);
    match fs::read(&path) {
        Ok(bytes) => {
            let account = serde_json::from_slice(&bytes).ok();
            account
                .filter(|known: &Account| known.v == 1)
                .ok_or(AccountError::NotAnAccount { path })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(AccountError::Absent),
        Err(source) => Err(AccountError::Io { path, source }),
    }
}

/// Replaces the file, whole or not at all.
fn write(folder: &Path, name: &StaffName, account: &Account) -> Result<(), AccountError> {
    let path = path_of(folder, name);
    let json = serde_json::to_vec(account).map_err(io::Error::from);
    let put = json.and_then(|json| dirs::replace(&path, &json, 0o600));
    put.map_err(|source| AccountError::Io { path, source })
}

fn hash(password: &str) -> Result<String, AccountError> {
    let salt = SaltString::encode_b64(&random_bytes::<16>()?).map_err(|_| AccountError::NotMade)?;
    let hashed = Argon2::default().hash_password(password.as_bytes(), &salt);
    hashed.map(|hash| hash.to_string()).map_err(|_| AccountError::NotMade)
}

/// 128 random bits in letters and digits that can be read out.
fn random_text() -> Result<String, AccountError> {
    Ok(RequestId::from_random(random_bytes()?).to_string())
}

fn digest(code: &str) -> String {
    Digest::of(code.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ground() -> (tempfile::TempDir, Accounts, StaffName) {
        let data = tempfile::tempdir().unwrap();
        let accounts = Accounts::open(data.path(), &SecretBytes::new([7; 32])).unwrap();
        (data, accounts, "a.person".parse().unwrap())
    }

    #[test]
    fn nobody_signs_in_without_an_account_that_is_set_up() {
        let (data, accounts, name) = ground();
        assert!(accounts.check(None, "").is_none());
        assert!(accounts.check(Some(&name), "a long password").is_none());
        let (code, _) = invite(data.path(), &name, at(0)).unwrap();
        assert!(accounts.check(Some(&name), &code).is_none());
        assert_eq!(accounts.serial(&name), None);
    }

    #[test]
    fn an_invitation_is_good_for_its_person_its_code_and_its_time() {
        let (data, accounts, name) = ground();
        let (code, until) = invite(data.path(), &name, at(0)).unwrap();
        assert!(accounts.is_invited(&name, &code, at(1)));
        assert!(!accounts.is_invited(&name, "another", at(1)));
        assert!(!accounts.is_invited(&"b".parse().unwrap(), &code, at(1)));
        assert!(!accounts.is_invited(&name, &code, until));
        let (newer, _) = invite(data.path(), &name, at(2)).unwrap();
        assert!(
            !accounts.is_invited(&name, &code, at(3)) && accounts.is_invited(&name, &newer, at(3))
        );
    }

    #[test]
    fn a_password_opens_its_account_until_it_is_locked_removed_or_invited_anew() {
        let (data, accounts, name) = ground();
        let secret = OneTimeSecret::random().unwrap();
        for end in ["lock", "remove", "invite"] {
            let serial = accounts.set_up(&name, "correct horse battery", &secret, at(0)).unwrap();
            assert!(accounts.check(Some(&name), "correct horse batterz").is_none());
            let opened = accounts.check(Some(&name), "correct horse battery").unwrap();
            assert_eq!(opened.serial, serial);
            assert_eq!(opened.secret.expose(), secret.expose());
            assert_eq!(accounts.serial(&name), Some(serial));
            match end {
                "lock" => lock(data.path(), &name, at(1)).unwrap(),
                "remove" => remove(data.path(), &name).unwrap(),
                _ => _ = invite(data.path(), &name, at(1)).unwrap(),
            }
            assert!(accounts.check(Some(&name), "correct horse battery").is_none(), "{end}");
            assert_eq!(accounts.serial(&name), None, "{end}");
        }
    }

    #[test]
    fn the_file_shows_no_secret_and_opens_with_neither_another_key_nor_another_name() {
        let (data, accounts, name) = ground();
        let secret = OneTimeSecret::random().unwrap();
        accounts.set_up(&name, "correct horse battery", &secret, at(0)).unwrap();
        let path = data.path().join("console/accounts/a.person.json");
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("correct horse") && text.contains("$argon2id$"), "{text}");
        let other = Accounts::open(data.path(), &SecretBytes::new([8; 32])).unwrap();
        assert!(other.check(Some(&name), "correct horse battery").is_none());
        fs::copy(&path, data.path().join("console/accounts/b.json")).unwrap();
        assert!(accounts.check(Some(&"b".parse().unwrap()), "correct horse battery").is_none());
    }

    /// As the files of accounts have it since the first version, for `a.person` under the store key `[7; 32]`.
    const WRITTEN_BEFORE: &str = "eGTHecVLP/51i+KWvn1OfyUnXSHObLa4eAd0jOsMYUDza0/iH2+SFsAUpuiY2rlH";
    const SECRET: [u8; 20] =
        [124, 141, 43, 78, 53, 110, 50, 181, 2, 92, 31, 127, 74, 137, 72, 116, 11, 98, 147, 129];

    #[test]
    fn a_secret_that_an_earlier_version_sealed_opens_for_its_name_alone() {
        let (_data, accounts, name) = ground();
        assert!(accounts.unseal(&"b.person".parse().unwrap(), WRITTEN_BEFORE).is_none());
        assert_eq!(accounts.unseal(&name, WRITTEN_BEFORE).unwrap().expose(), &SECRET);
    }
}
