//! The control socket from both ends: good and bad clients against one listener.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream as Blocking;

use super::super::control_client::{ANSWER_DEADLINE, CallError, call};
use super::super::lock::Lock;
use super::*;

/// In place of [`CLIENT_DEADLINE`]: the tests wait for it to pass.
const SHORT: Duration = Duration::from_millis(300);

/// A daemon that answers every request with its debug text; stops when dropped.
struct Echo {
    place: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Echo {
    fn start() -> Self {
        let place = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let path = socket_path(place.path(), "hq");
        runtime.block_on(async {
            let (listener, name) = ControlListener::bind(&path).unwrap();
            name.leave();
            let mut socket = ControlSocket::over(listener).unwrap();
            socket.deadline = SHORT;
            let (calls, mut coming) = mpsc::channel::<Call>(1);
            tokio::spawn(socket.serve(calls));
            tokio::spawn(async move {
                while let Some(Call { request, answer }) = coming.recv().await {
                    let text = format!("{request:?}");
                    drop(answer.send(Answer::Done { text }));
                }
            });
        });
        Self { place, _runtime: runtime }
    }

    fn connect(&self) -> Blocking {
        let stream = Blocking::connect(socket_path(self.place.path(), "hq")).unwrap();
        stream.set_read_timeout(Some(CLIENT_DEADLINE * 3)).unwrap();
        stream
    }

    fn ask(&self, request: &Request) -> Result<Answer, CallError> {
        call(self.place.path(), "hq", request, ANSWER_DEADLINE)
    }
}

#[test]
fn a_request_is_answered_and_the_socket_is_closed_to_others() {
    let echo = Echo::start();
    let Ok(Answer::Done { text }) = echo.ask(&Request::Status) else { panic!("expected Done") };
    assert_eq!(text, "Status");
    let mode = std::fs::metadata(socket_path(echo.place.path(), "hq")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn one_client_may_ask_several_times_and_nonsense_is_answered_with_words() {
    let echo = Echo::start();
    let mut stream = echo.connect();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    stream.write_all(b"nonsense\n{\"version\":1,\"body\":{\"verb\":\"stop\"}}\n").unwrap();
    assert!(lines.next().unwrap().unwrap().contains("\"refused\""));
    assert!(lines.next().unwrap().unwrap().contains("Stop"));
}

#[test]
fn a_request_without_an_end_is_cut_off() {
    let echo = Echo::start();
    let mut stream = echo.connect();
    let written = stream.write_all(&vec![b'x'; 2 * REQUEST_BYTES_MAX]);
    let mut rest = Vec::new();
    let read = stream.read_to_end(&mut rest);
    assert!(rest.is_empty() && (written.is_err() || read.is_err() || read.is_ok_and(|count| count == 0)));
    assert!(echo.ask(&Request::Status).is_ok(), "others are still served");
}

#[test]
fn silent_clients_hold_their_places_only_until_their_deadline() {
    let echo = Echo::start();
    let silent: Vec<Blocking> = (0..CLIENTS_MAX).map(|_| echo.connect()).collect();
    for mut stream in silent {
        let mut end = [0; 1];
        assert_eq!(stream.read(&mut end).unwrap(), 0, "closed at the deadline, nothing said");
    }
    assert!(echo.ask(&Request::Status).is_ok());
}

#[test]
fn only_root_and_the_daemons_own_user_may_speak() {
    assert!(may_speak(0) && may_speak(Uid::effective().as_raw()));
    assert!(!may_speak(Uid::effective().as_raw() + 65_534));
}

#[test]
fn a_missing_and_a_dead_daemon_do_not_run() {
    let place = tempfile::tempdir().unwrap();
    let ask = || call(place.path(), "hq", &Request::Status, ANSWER_DEADLINE);
    assert!(matches!(ask(), Err(CallError::NotRunning { .. })));
    // A socket whose listener is gone, as a killed daemon leaves it.
    drop(std::os::unix::net::UnixListener::bind(socket_path(place.path(), "hq")).unwrap());
    assert!(matches!(ask(), Err(CallError::NotRunning { .. })));
    let _lock = Lock::take(&lock_path(place.path(), "hq")).unwrap();
    assert!(matches!(ask(), Err(CallError::Unreachable { .. })), "a daemon at its start has its lock and no socket");
}

#[test]
fn a_stale_socket_is_taken_over_and_the_name_goes_with_the_owner() {
    let place = tempfile::tempdir().unwrap();
    let path = socket_path(place.path(), "hq");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let (listener, name) = ControlListener::bind(&path).unwrap();
    let socket = ControlSocket::over(listener).unwrap();
    assert!(path.exists());
    drop(socket);
    assert!(path.exists(), "another process may listen on");
    drop(name);
    assert!(!path.exists());
}

#[test]
fn a_daemon_that_says_nothing_is_unreachable() {
    let place = tempfile::tempdir().unwrap();
    let _mute = std::os::unix::net::UnixListener::bind(socket_path(place.path(), "hq")).unwrap();
    let error = call(place.path(), "hq", &Request::Status, Duration::from_millis(50)).unwrap_err();
    assert!(matches!(error, CallError::Unreachable { .. }), "{error}");
}

#[test]
fn only_sockets_with_a_held_lock_belong_to_running_daemons() {
    let place = tempfile::tempdir().unwrap();
    assert!(running(&place.path().join("none")).unwrap().is_empty());
    for name in ["hq", "dead", "pair.kme"] {
        std::fs::write(socket_path(place.path(), name), b"").unwrap();
        drop(Lock::take(&lock_path(place.path(), name)).unwrap());
    }
    let _lock = Lock::take(&lock_path(place.path(), "hq")).unwrap();
    assert_eq!(running(place.path()).unwrap(), ["hq"]);
}
