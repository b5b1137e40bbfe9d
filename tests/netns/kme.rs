//! A simulated KME pair in the namespace `kme`: certificates, the file, the process, the quantum link.

use crate::process::{Process, plait, succeed, wait_for};
use crate::topology::{Net, kme4};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long a pair may take until both KMEs listen.
const SERVES_WITHIN: Duration = Duration::from_secs(10);

/// A pair; `link` holds the lines of `[link]`.
pub(crate) struct KmePair {
    pub(crate) name: String,
    pub(crate) link: Vec<String>,
    /// Lines of `[fault]`.
    pub(crate) faults: Vec<String>,
    kmes: Vec<Kme>,
    net: Arc<Net>,
    dir: PathBuf,
    process: Option<Process>,
}

struct Kme {
    id: String,
    site: u8,
    port: u16,
    sae: String,
}

/// Certificates for KMEs at their addresses and for SAEs, in a folder of its own.
pub(crate) fn certificates(dir: &Path, folder: &str, kmes: &[(&str, u8)], saes: &[&str]) {
    let mut command = plait(dir);
    command.args(["kme", "cert", "--dir"]).arg(dir.join(folder));
    for (id, site) in kmes {
        command.arg("--kme").arg(format!("{id}={}", kme4(*site)));
    }
    for sae in saes {
        command.arg("--sae").arg(sae);
    }
    succeed(&mut command);
}

impl KmePair {
    /// A pair beside two sites; both KMEs listen on `port` of their own address. Key comes fast, one key a block.
    pub(crate) fn new(net: Arc<Net>, dir: PathBuf, name: &str, sites: [(u8, &str, &str); 2], port: u16) -> Self {
        let kmes = sites.map(|(site, id, sae)| Kme { id: id.to_owned(), site, port, sae: sae.to_owned() }).into();
        let link =
            ["model = \"constant\"", "key_rate = 25600", "block_bits = 2560", "stock_start = 100", "stock_max = 1000"];
        Self {
            name: name.to_owned(),
            link: link.map(str::to_owned).into(),
            faults: Vec::new(),
            kmes,
            net,
            dir,
            process: None,
        }
    }

    /// A stock of `keys` that fills at `keys_per_second`.
    pub(crate) fn stock(&mut self, keys: u32, keys_per_second: u32) {
        let rate = format!("key_rate = {}", keys_per_second * 256);
        let (start, max) = (format!("stock_start = {keys}"), format!("stock_max = {keys}"));
        self.link = vec!["model = \"constant\"".to_owned(), rate, "block_bits = 256".to_owned(), start, max];
    }

    /// Starts both KMEs and waits until they listen.
    pub(crate) fn up(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        let file = self.dir.join(format!("{}.toml", self.name));
        std::fs::write(&file, self.render()).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let mut command = plait(&self.dir);
        command.args(["kme", "serve"]).arg(&file);
        let log = self.dir.join(format!("{}.log", self.name));
        self.process = Some(self.net.inside("kme", || Process::start(&self.name, command, log)));
        let addresses: Vec<_> =
            self.kmes.iter().map(|kme| std::net::SocketAddr::new(kme4(kme.site), kme.port)).collect();
        let process = self.process.as_mut().unwrap();
        wait_for("listening KMEs", SERVES_WITHIN, || {
            assert!(process.ended().is_none(), "kme serve ended:\n{}", process.output());
            let listens = |address| std::net::TcpStream::connect_timeout(address, Duration::from_millis(200)).is_ok();
            self.net.inside("kme", || addresses.iter().all(listens)).then_some(())
        });
    }

    /// Descriptors that both KMEs hold.
    pub(crate) fn descriptors(&self) -> usize {
        self.process.as_ref().expect("the pair is up").descriptors()
    }

    /// Ends both KMEs at once.
    pub(crate) fn kill(&mut self) {
        self.process.take().expect("the pair is up").kill();
    }

    /// The number of the process in which both KMEs run.
    pub(crate) fn pid(&self) -> nix::unistd::Pid {
        self.process.as_ref().expect("the pair is up").pid()
    }

    /// `plait kme link NAME ...`; gives what it printed.
    pub(crate) fn steer(&self, arguments: &[&str]) -> String {
        succeed(plait(&self.dir).args(["kme", "link", &self.name]).args(arguments))
    }

    /// `plait kme fault NAME ...`; gives what it printed.
    pub(crate) fn fault(&self, arguments: &[&str]) -> String {
        succeed(plait(&self.dir).args(["kme", "fault", &self.name]).args(arguments))
    }

    /// Cuts the quantum link.
    pub(crate) fn cut(&self) {
        self.steer(&["down"]);
    }

    /// Repairs the quantum link.
    pub(crate) fn repair(&self) {
        self.steer(&["up"]);
    }

    fn render(&self) -> String {
        let (link, faults) = (self.link.join("\n"), self.faults.join("\n"));
        let mut text = format!("name = \"{}\"\n[link]\n{link}\n[fault]\n{faults}\n", self.name);
        for kme in &self.kmes {
            text += &format!(
                "[[kme]]\nid = \"{0}\"\nlisten = [\"{1}:{2}\"]\ncert_file = \"pki/{0}.pem\"\nkey_file = \"pki/{0}.key\"\nca_file = \"pki/ca.pem\"\nsaes = [\"{3}\"]\n",
                kme.id,
                kme4(kme.site),
                kme.port,
                kme.sae
            );
        }
        text
    }
}
