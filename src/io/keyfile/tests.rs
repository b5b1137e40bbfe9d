//! A key file that others could have read, changed or swapped is refused with the command that repairs it.

use std::os::unix::fs::symlink;

use super::*;

const MAX: usize = 100;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, mode: u32, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        set_mode(&path, mode);
        path
    }
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn refusal(path: &Path) -> KeyFileError {
    read_secret(path, MAX).err().unwrap_or_else(|| panic!("{} was read", path.display()))
}

#[test]
fn a_closed_file_is_read_whole() {
    let place = Place::new();
    for (name, mode, length) in [("a", 0o600, 0), ("b", 0o400, MAX), ("c", 0o700, 1)] {
        let bytes = vec![7; length];
        let path = place.file(name, mode, &bytes);
        assert_eq!(read_secret(&path, MAX).unwrap().expose(), bytes);
    }
}

#[test]
fn each_right_of_group_and_others_is_refused_with_the_command() {
    let place = Place::new();
    for bit in [0o040, 0o020, 0o010, 0o004, 0o002, 0o001] {
        let path = place.file("key", 0o600 | bit, b"k");
        let error = refusal(&path);
        assert!(matches!(error.fault, Fault::Mode { mode } if mode == 0o600 | bit), "{error}");
        assert!(error.is_permission());
        assert!(error.to_string().contains(&format!("`chmod 600 {}`", path.display())), "{error}");
        assert_eq!(read_public(&path, MAX).unwrap(), b"k", "a public file may be open");
    }
}

#[test]
fn the_owner_is_root_or_the_user_of_the_process() {
    assert!(check_closed(0o100_600, 0, 1000, false).is_ok());
    assert!(check_closed(0o100_600, 1000, 1000, false).is_ok());
    assert!(matches!(check_closed(0o100_600, 1001, 1000, false), Err(Fault::Owner { owner: 1001 })));
    assert!(matches!(check_closed(0o100_600, 1001, 0, false), Err(Fault::Owner { owner: 1001 })));
}

#[test]
fn a_credential_of_systemd_may_be_group_readable_and_no_more() {
    assert!(check_closed(0o440, 0, 1000, true).is_ok());
    assert!(matches!(check_closed(0o460, 0, 1000, true), Err(Fault::Mode { .. })));
    assert!(matches!(check_closed(0o444, 0, 1000, true), Err(Fault::Mode { .. })));
    let at = |path: &str, directory: &str| is_credential(Path::new(path), Some(PathBuf::from(directory)));
    assert!(at("/run/credentials/plait/key", "/run/credentials/plait"));
    assert!(!at("/run/credentials/plait/../key", "/run/credentials/plait"));
    assert!(!at("key", ""));
    assert!(!is_credential(Path::new("/run/credentials/plait/key"), None));
}

#[test]
fn a_link_is_followed_only_where_it_may_be() {
    let place = Place::new();
    let closed = place.file("closed", 0o600, b"k");
    let open = place.file("open", 0o644, b"k");
    let (to_closed, to_open) = (place.0.path().join("l1"), place.0.path().join("l2"));
    symlink(&closed, &to_closed).unwrap();
    symlink(&open, &to_open).unwrap();
    let error = refusal(&to_closed);
    assert!(matches!(error.fault, Fault::Link), "{error}");
    assert!(!error.is_permission());
    assert_eq!(read_linked_secret(&to_closed, MAX).unwrap().expose(), b"k");
    let error = read_linked_secret(&to_open, MAX).err().unwrap();
    assert!(matches!(error.fault, Fault::Mode { mode: 0o644 }), "the file behind the link counts: {error}");
    assert_eq!(read_public(&to_open, MAX).unwrap(), b"k");
}

#[test]
fn what_is_no_file_is_refused_without_waiting() {
    let place = Place::new();
    let fifo = place.0.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    for path in [fifo.as_path(), place.0.path(), Path::new("/dev/null")] {
        assert!(matches!(refusal(path).fault, Fault::NotRegular), "{}", path.display());
        assert!(matches!(read_public(path, MAX).unwrap_err().fault, Fault::NotRegular), "{}", path.display());
    }
    let missing = refusal(&place.0.path().join("missing"));
    assert!(matches!(&missing.fault, Fault::Open(error) if error.kind() == io::ErrorKind::NotFound), "{missing}");
}

#[test]
fn a_file_above_the_bound_is_not_read_to_its_end() {
    let place = Place::new();
    let path = place.file("big", 0o600, &[7; MAX + 1]);
    assert!(matches!(refusal(&path).fault, Fault::TooLarge { bytes_max: MAX }));
    assert!(matches!(read_public(&path, MAX).unwrap_err().fault, Fault::TooLarge { bytes_max: MAX }));
    // A gigabyte of holes: the bound holds before memory is asked for.
    File::options().write(true).open(&path).unwrap().set_len(1 << 30).unwrap();
    assert!(matches!(refusal(&path).fault, Fault::TooLarge { .. }));
}

#[test]
fn a_directory_that_others_may_write_is_refused_unless_sticky() {
    let place = Place::new();
    let path = place.file("key", 0o600, b"k");
    for (mode, is_accepted) in [(0o755, true), (0o757, false), (0o1777, true), (0o700, true)] {
        set_mode(place.0.path(), mode);
        assert_eq!(read_secret(&path, MAX).is_ok(), is_accepted, "{mode:o}");
    }
    set_mode(place.0.path(), 0o757);
    let said = refusal(&path).to_string();
    assert!(said.contains(&format!("`chmod go-w {}`", place.0.path().display())), "{said}");
    set_mode(place.0.path(), 0o700);
    assert!(is_directory_closed(0o775, 1000, 1000), "a group of the owner's own");
    assert!(!is_directory_closed(0o775, 1000, 100));
    assert!(!is_directory_closed(0o777, 1000, 1000));
}

#[test]
fn a_new_secret_is_closed_and_never_replaces_another_file() {
    let place = Place::new();
    let path = place.0.path().join("new");
    write_new_secret(&path, b"first").unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(read_secret(&path, MAX).unwrap().expose(), b"first");
    let error = write_new_secret(&path, b"second").unwrap_err();
    assert!(matches!(error.fault, Fault::Exists), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"first");

    let dangling = place.0.path().join("dangling");
    symlink(place.0.path().join("target"), &dangling).unwrap();
    assert!(matches!(write_new_secret(&dangling, b"x").unwrap_err().fault, Fault::Exists));
    assert!(!place.0.path().join("target").exists(), "a link is not written through");
}

#[test]
fn a_secret_that_is_not_written_whole_leaves_nothing() {
    let place = Place::new();
    let path = place.file("half", 0o600, b"hal");
    assert!(or_remove(&path, Ok(())).is_ok() && path.exists());
    let full = || Err(io::Error::from(io::ErrorKind::StorageFull));
    assert_eq!(or_remove(&path, full()).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert!(!path.exists());
    let missing = place.0.path().join("no").join("such");
    let error = write_new_secret(&missing, b"x").unwrap_err();
    assert!(matches!(error.fault, Fault::Write(_)), "{error}");
}

#[test]
fn a_file_that_does_not_say_how_long_it_is_is_read_whole_and_bounded() {
    // Regular files of /proc have 0 bytes, whatever can be read; this one has a line for each mapping, far more than a page.
    let maps = Path::new("/proc/self/smaps");
    assert_eq!(std::fs::metadata(maps).unwrap().len(), 0);
    let whole = read_public(maps, 64 << 20).unwrap();
    assert!(whole.len() > 4 * ROOM_BYTES && whole.ends_with(b"\n"), "{} bytes", whole.len());
    let error = read_public(maps, 2 * ROOM_BYTES).unwrap_err();
    assert!(matches!(error.fault, Fault::TooLarge { bytes_max } if bytes_max == 2 * ROOM_BYTES), "{error}");
}

#[test]
fn as_much_room_is_made_as_the_file_needs() {
    let place = Place::new();
    let path = place.file("key", 0o600, &[7; 1000]);
    let mut file = open(&path, 0).unwrap();
    let found = regular(&file).unwrap();
    let bytes = read_bounded(&mut file, &found, 1 << 30).unwrap();
    assert_eq!((bytes.len(), bytes.capacity()), (1000, 1001));
}
