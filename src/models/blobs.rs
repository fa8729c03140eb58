//! Files that clients have uploaded, by their digest: what `/api/create` is to make a model of.
//!
//! They lie in `<root>/ax650/.blobs/`, each under the name `sha256-HEX`, which is also all that a client can say about
//! its place. A file is visible only when it is complete and its digest is right. Nothing refers to one for long: a
//! model is made of it and has its own files then. So those that have not been asked for in a while are removed;
//! whoever asks and whoever removes take turns by a lock on the folder, so that what was found stays for that while. A
//! file that is needed for longer is held by a lock of its own.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::model::hex;

/// Folder in the store's.
const FOLDER: &str = ".blobs";
/// Begin of the names of files that are being written.
const UPLOAD_PREFIX: &str = ".upload-";
/// How long a file stays that nobody asks for.
const KEPT: Duration = Duration::from_hours(1);
/// Bytes of the disk that an upload leaves free: the machine needs some, and so does the model to be made. Uploads at
/// the same time do not know of each other: together they may leave less, by [`CHECKED_BYTES`] each, before they are
/// refused.
const SPARE_BYTES: u64 = 256 << 20;
/// Bytes of an upload after which the free space is looked at again.
const CHECKED_BYTES: u64 = 64 << 20;
/// Bytes that are read at a time.
const PIECE_BYTES: usize = 1 << 20;
const ALGORITHM: &str = "sha256";

/// A SHA-256 digest; 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Digest(String);

/// Why a text is no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid digest format")]
pub struct DigestError;

impl FromStr for Digest {
    type Err = DigestError;

    /// Reads `sha256:` or `sha256-` and 64 hexadecimal digits, and nothing else.
    fn from_str(text: &str) -> Result<Self, DigestError> {
        let digits = text.strip_prefix(ALGORITHM).and_then(|rest| rest.strip_prefix([':', '-']));
        let digits = digits.ok_or(DigestError)?;
        let is_digest = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_digest { Ok(Self(digits.to_ascii_lowercase())) } else { Err(DigestError) }
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{ALGORITHM}:{}", self.0)
    }
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex(&Sha256::digest(bytes)))
    }

    /// The name of the file that has it.
    fn file_name(&self) -> String {
        format!("{ALGORITHM}-{}", self.0)
    }
}

/// Why a file cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The bytes that came are others than were announced.
    #[error("digest mismatch, expected \"{expected}\", got \"{found}\"")]
    Mismatch {
        /// What was announced.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// It is not what was uploaded any more.
    #[error(
        "the uploaded file {digest} was damaged on the disk and is removed; upload it again, and check the disk"
    )]
    Damaged {
        /// What it was.
        digest: Digest,
    },
    /// It cannot be read.
    #[error("cannot read the uploaded file: {0}; check the disk of the model store")]
    Read(io::Error),
    /// It would fill the disk.
    #[error(
        "not enough space for the uploaded file: it needs {needed} bytes more, {free} are free and {SPARE_BYTES} stay so; \
         nothing was kept: remove models or make room"
    )]
    Space {
        /// Bytes that are still to come, as far as is known.
        needed: u64,
        /// Bytes that are free where the models are.
        free: u64,
    },
    /// It cannot be written.
    #[error("cannot keep the uploaded file: {0}; check free space and permissions of the model store")]
    Write(#[from] io::Error),
}

/// The uploaded files of a store.
#[derive(Debug, Clone)]
pub struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    /// Those of the store in `folder`; nothing is created before the first upload.
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.join(FOLDER) }
    }

    /// The file with that digest, if there is one; it stays for another while.
    pub fn find(&self, digest: &Digest) -> Option<PathBuf> {
        self.hold(digest).map(|held| held.path.clone())
    }

    /// The file with that digest, if there is one; it stays for as long as it is held, and for another while.
    pub fn hold(&self, digest: &Digest) -> Option<HeldBlob> {
        let path = self.folder.join(digest.file_name());
        let lock = self
            .lock()
            .inspect_err(|error| tracing::debug!(%digest, %error, "cannot lock the uploaded files"));
        if !path.is_file() {
            return None;
        }
        let file = File::options().read(true).write(true).open(&path).and_then(|file| {
            file.set_modified(SystemTime::now())?;
            file.lock_shared()?;
            Ok(file)
        });
        let file = file
            .inspect_err(
                |error| tracing::debug!(%digest, %error, "cannot note that an uploaded file is in use"),
            )
            .ok();
        drop(lock);
        Some(HeldBlob { path, file })
    }

    /// Reads a file that was found, and removes it if it is not any more what was uploaded: nothing in it would tell,
    /// and while it is there nobody uploads it again. What was uploaded anew meanwhile stays. Ends early, as if all
    /// were well, once `stop` says so.
    ///
    /// # Errors
    ///
    /// [`BlobError::Damaged`], [`BlobError::Read`].
    pub fn check(&self, digest: &Digest, stop: &dyn Fn() -> bool) -> Result<(), BlobError> {
        let path = self.folder.join(digest.file_name());
        let mut file = File::open(&path).map_err(BlobError::Read)?;
        let mut hash = Sha256::new();
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            if stop() {
                return Ok(());
            }
            let read = file.read(&mut piece).map_err(BlobError::Read)?;
            if read == 0 {
                break;
            }
            hash.update(&piece[..read]);
        }
        if hex(&hash.finalize()) == digest.0 {
            return Ok(());
        }
        self.remove_if_same(&path, &file).map_err(BlobError::Read)?;
        Err(BlobError::Damaged { digest: digest.clone() })
    }

    /// Removes the file at `path` if it still is `file`.
    fn remove_if_same(&self, path: &Path, file: &File) -> io::Result<()> {
        let lock = self.lock()?;
        let read = file.metadata()?;
        let is_same = |now: &fs::Metadata| (now.dev(), now.ino()) == (read.dev(), read.ino());
        match fs::metadata(path) {
            Ok(now) if is_same(&now) => fs::remove_file(path)?,
            // Removed, or uploaded anew.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        drop(lock);
        Ok(())
    }

    /// Begins to write a file that is to have the digest `expected`, and `bytes` if that is known.
    ///
    /// # Errors
    ///
    /// [`BlobError::Space`], [`BlobError::Write`].
    pub fn upload(&self, expected: Digest, bytes: Option<u64>) -> Result<Upload, BlobError> {
        fs::create_dir_all(&self.folder)?;
        check_space(free_bytes(&self.folder), bytes.unwrap_or(0))?;
        let file = tempfile::Builder::new().prefix(UPLOAD_PREFIX).tempfile_in(&self.folder)?;
        Ok(Upload {
            folder: self.folder.clone(),
            expected,
            file,
            hash: Sha256::new(),
            unchecked: 0,
            free_bytes,
        })
    }

    /// Held while a file is looked for and touched, looked at and removed, or put in its place. It ends with the file.
    fn lock(&self) -> io::Result<File> {
        lock(&self.folder)
    }

    /// Removes files that nobody has asked for in a while, and what was left of uploads that never ended. Says how
    /// many.
    pub fn prune(&self) -> usize {
        self.prune_older_than(KEPT)
    }

    fn prune_older_than(&self, age: Duration) -> usize {
        let lock = match self.lock() {
            Ok(lock) => lock,
            Err(error) => {
                // Without the folder there has never been an upload.
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(folder = %self.folder.display(), %error, "cannot remove old uploaded files");
                }
                return 0;
            }
        };
        let old = |path: &Path| {
            let modified = path.metadata().and_then(|data| data.modified());
            modified.is_ok_and(|at| at.elapsed().is_ok_and(|passed| passed >= age))
        };
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        // Whoever begins to hold a file needs the lock that is held here.
        let held = |path: &PathBuf| {
            let free = File::open(path).map(|file| file.try_lock());
            matches!(free, Ok(Err(TryLockError::WouldBlock)))
        };
        let stale = files.map(|entry| entry.path()).filter(|path| path.is_file() && old(path) && !held(path));
        let removed = stale.filter(|path| match fs::remove_file(path) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "cannot remove an uploaded file");
                false
            }
        });
        let count = removed.count();
        drop(lock);
        count
    }
}

/// An uploaded file that somebody needs: it is not removed for its age meanwhile.
#[derive(Debug)]
pub struct HeldBlob {
    path: PathBuf,
    /// Locked; `None` where that could not be.
    file: Option<File>,
}

impl HeldBlob {
    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for HeldBlob {
    fn drop(&mut self) {
        // From now on it stays for another while.
        let touched = self.file.as_ref().map_or(Ok(()), |file| file.set_modified(SystemTime::now()));
        if let Err(error) = touched {
            tracing::debug!(file = %self.path.display(), %error, "cannot note that an uploaded file was in use");
        }
    }
}

fn lock(folder: &Path) -> io::Result<File> {
    let lock = File::open(folder)?;
    lock.lock()?;
    Ok(lock)
}

/// Bytes that are free where `folder` is; `None` where nobody says.
fn free_bytes(folder: &Path) -> Option<u64> {
    let status = rustix::fs::statvfs(folder).ok()?;
    Some(status.f_bavail.saturating_mul(status.f_frsize))
}

fn check_space(free: Option<u64>, needed: u64) -> Result<(), BlobError> {
    match free {
        Some(free) if free < needed.saturating_add(SPARE_BYTES) => Err(BlobError::Space { needed, free }),
        _ => Ok(()),
    }
}

/// A file that is being written; dropping it removes what came so far.
#[derive(Debug)]
pub struct Upload {
    expected: Digest,
    folder: PathBuf,
    file: NamedTempFile,
    hash: Sha256,
    /// Bytes written since the free space was looked at.
    unchecked: u64,
    free_bytes: fn(&Path) -> Option<u64>,
}

impl Upload {
    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// [`BlobError::Space`], [`BlobError::Write`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.unchecked += bytes.len() as u64;
        if self.unchecked >= CHECKED_BYTES {
            check_space((self.free_bytes)(&self.folder), bytes.len() as u64)?;
            self.unchecked = 0;
        }
        self.hash.update(bytes);
        Ok(self.file.write_all(bytes)?)
    }

    /// Makes the file visible, if it is the one that was announced.
    ///
    /// # Errors
    ///
    /// [`BlobError::Mismatch`], [`BlobError::Write`]; then nothing is left of it.
    pub fn finish(self) -> Result<(), BlobError> {
        let found = Digest(hex(&self.hash.finalize()));
        if found != self.expected {
            return Err(BlobError::Mismatch { expected: self.expected, found });
        }
        self.file.as_file().sync_all()?;
        let target = self.folder.join(found.file_name());
        let lock = lock(&self.folder)?;
        self.file.persist(target).map_err(|error| error.error)?;
        drop(lock);
        // Whoever was told that it is kept finds it after a loss of power, too.
        File::open(&self.folder)?.sync_all()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder.join(FOLDER)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn digests_are_exact() {
        let digits = "0123456789abcdefABCDEF0123456789".repeat(2);
        for text in [format!("sha256:{digits}"), format!("sha256-{digits}")] {
            assert_eq!(
                text.parse::<Digest>().unwrap().to_string(),
                format!("sha256:{}", digits.to_lowercase())
            );
        }
        let long = format!("sha256:{digits}0");
        let slash = format!("sha256:{}/", &digits[1..]);
        for text in ["", "sha256:", "sha256:00", &digits, "sha512:00", &long, &slash, "../../etc/passwd"] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_appears_when_it_is_whole_and_right() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(dir.path());
        let digest = Digest::of(b"abc");
        assert_eq!(blobs.find(&digest), None);
        let mut upload = blobs.upload(digest.clone(), Some(3)).unwrap();
        upload.write(b"a").unwrap();
        assert_eq!(blobs.find(&digest), None);
        drop(upload);
        assert!(files(dir.path()).is_empty());
        let mut upload = blobs.upload(digest.clone(), Some(3)).unwrap();
        upload.write(b"abd").unwrap();
        let error = upload.finish().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("digest mismatch, expected \"{digest}\", got \"sha256:")),
            "{error}"
        );
        assert!(files(dir.path()).is_empty());
        let mut upload = blobs.upload(digest.clone(), Some(3)).unwrap();
        upload.write(b"ab").unwrap();
        upload.write(b"c").unwrap();
        upload.finish().unwrap();
        assert_eq!(fs::read(blobs.find(&digest).unwrap()).unwrap(), b"abc");
    }

    #[test]
    fn a_file_that_was_damaged_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(dir.path());
        let content = vec![7; PIECE_BYTES + 5];
        let digest = Digest::of(&content);
        let mut upload = blobs.upload(digest.clone(), None).unwrap();
        upload.write(&content).unwrap();
        upload.finish().unwrap();
        blobs.check(&digest, &|| false).unwrap();
        let path = blobs.find(&digest).unwrap();
        fs::write(&path, &content[1..]).unwrap();
        blobs.check(&digest, &|| true).unwrap();
        let error = blobs.check(&digest, &|| false).unwrap_err();
        assert!(matches!(&error, BlobError::Damaged { digest: named } if *named == digest), "{error}");
        assert_eq!(blobs.find(&digest), None);
        assert!(matches!(blobs.check(&digest, &|| false), Err(BlobError::Read(_))));
    }

    #[test]
    fn a_disk_is_not_filled() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(dir.path());
        let digest = Digest::of(b"abc");
        let error = blobs.upload(digest.clone(), Some(u64::MAX / 2)).unwrap_err();
        assert!(matches!(error, BlobError::Space { needed, .. } if needed == u64::MAX / 2), "{error}");
        let mut upload = blobs.upload(digest, None).unwrap();
        upload.free_bytes = |_| Some(SPARE_BYTES);
        let piece = vec![0; 1 << 20];
        let written = (0..1000).take_while(|_| upload.write(&piece).is_ok()).count() as u64;
        assert_eq!((written + 1) << 20, CHECKED_BYTES);
        drop(upload);
        assert!(files(dir.path()).is_empty());
    }

    #[test]
    fn whoever_asks_and_whoever_removes_wait_for_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(dir.path());
        let digest = Digest::of(b"abc");
        let mut upload = blobs.upload(digest.clone(), Some(3)).unwrap();
        upload.write(b"abc").unwrap();
        upload.finish().unwrap();
        let path = blobs.folder.join(digest.file_name());
        let file = File::options().write(true).open(&path).unwrap();
        let long_ago = SystemTime::now() - 2 * KEPT;
        let modified = || file.metadata().unwrap().modified().unwrap();
        for asks in [false, true] {
            file.set_modified(long_ago).unwrap();
            let lock = blobs.lock().unwrap();
            std::thread::scope(|scope| {
                let (started, begun) = std::sync::mpsc::channel();
                let (blobs, digest) = (&blobs, &digest);
                let other = scope.spawn(move || {
                    started.send(()).unwrap();
                    if asks { usize::from(blobs.find(digest).is_some()) } else { blobs.prune() }
                });
                begun.recv().unwrap();
                // Whoever does not wait is done in a moment. Whoever waits finds what is true afterwards.
                let moment = std::time::Instant::now() + Duration::from_millis(100);
                while !other.is_finished() && std::time::Instant::now() < moment {
                    std::thread::yield_now();
                }
                assert!(path.is_file() && modified() < long_ago + KEPT, "asks: {asks}");
                if asks {
                    fs::remove_file(&path).unwrap();
                } else {
                    file.set_modified(SystemTime::now()).unwrap();
                }
                drop(lock);
                assert_eq!(other.join().unwrap(), 0, "asks: {asks}");
            });
        }
    }

    #[test]
    fn what_was_uploaded_anew_is_not_removed_for_what_was_there_before() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(dir.path());
        let digest = Digest::of(b"abc");
        let put = || {
            let mut upload = blobs.upload(digest.clone(), None).unwrap();
            upload.write(b"abc").unwrap();
            upload.finish().unwrap();
        };
        put();
        let path = blobs.find(&digest).unwrap();
        fs::write(&path, b"abd").unwrap();
        let anew = std::cell::Cell::new(false);
        // It is replaced once the damaged one is open.
        let stop = || {
            if !anew.replace(true) {
                put();
            }
            false
        };
        assert!(matches!(blobs.check(&digest, &stop), Err(BlobError::Damaged { .. })));
        assert_eq!(fs::read(path).unwrap(), b"abc");
    }

    #[test]
    fn what_is_held_stays_however_old_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(dir.path());
        let digest = Digest::of(b"abc");
        let mut upload = blobs.upload(digest.clone(), Some(3)).unwrap();
        upload.write(b"abc").unwrap();
        upload.finish().unwrap();
        let age = |path: &Path| {
            let file = File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::now() - 2 * KEPT).unwrap();
        };
        let (first, second) = (blobs.hold(&digest).unwrap(), blobs.hold(&digest).unwrap());
        let path = first.path().to_owned();
        age(&path);
        assert_eq!(blobs.prune(), 0);
        drop(first);
        age(&path);
        assert_eq!(blobs.prune(), 0, "somebody else holds it");
        drop(second);
        assert_eq!(blobs.prune(), 0, "it was needed until now");
        age(&path);
        assert_eq!(blobs.prune(), 1);
        assert!(blobs.hold(&digest).is_none());
    }

    #[test]
    fn what_nobody_asks_for_goes() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(dir.path());
        assert_eq!(blobs.prune(), 0);
        for content in [b"a", b"b"] {
            let mut upload = blobs.upload(Digest::of(content), None).unwrap();
            upload.write(content).unwrap();
            upload.finish().unwrap();
        }
        let old = SystemTime::now() - 2 * KEPT;
        for content in [b"a", b"b"] {
            let path = blobs.find(&Digest::of(content)).unwrap();
            File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
        }
        blobs.find(&Digest::of(b"a"));
        assert_eq!(blobs.prune(), 1);
        assert_eq!(files(dir.path()), [Digest::of(b"a").file_name()]);
    }
}
