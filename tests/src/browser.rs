//! A real browser without a window, for the pages that the profiler writes.
//!
//! Chromium speaks its DevTools protocol over a pair of pipes (`--remote-debugging-pipe`:
//! JSON, each message ended by a zero byte). That needs neither a port nor a WebSocket, and
//! when a test dies, its pipes close, and the browser ends. The few commands that a test of a page needs
//! are here; a driver's bindings for all of the protocol would take longer to build than all
//! other dependencies of the tests together.

use anyhow::{Context, Result, anyhow, bail};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long the browser may take for anything, on a machine that is busy building.
const PATIENCE: Duration = Duration::from_secs(60);

/// What Debian and Google call it.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Without a window, a GPU or a word to anybody: as root in a container it has no sandbox of
/// its own.
const FLAGS: [&str; 14] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--mute-audio",
    "--remote-debugging-pipe",
];

/// A browser with one page open. It ends when this is dropped.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    to: Option<ChildStdin>,
    from: Receiver<Value>,
    session: String,
    asked: u64,
    complaints: Vec<String>,
    loaded: bool,
    _folder: TempDir,
}

impl Browser {
    /// Starts it with a page of `width` × `height`.
    ///
    /// # Errors
    /// There is no Chromium, or it does not answer.
    pub fn start(width: u32, height: u32) -> Result<Self> {
        let on_path = |name: &&str| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
        };
        let name = NAMES.iter().find(|name| on_path(name)).context(
            "no Chromium, in which this test opens a page; install it: apt-get install chromium",
        )?;
        let folder = tempfile::tempdir()?;
        // The browser reads commands from descriptor 3 and answers on 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null"])
            .arg(name)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", folder.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start a shell")?;
        let (to, stdout) = (child.stdin.take(), child.stdout.take());
        let stdout = stdout.context("standard output is piped")?;
        let (sender, from) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(stdout).split(0).map_while(Result::ok) {
                let read = serde_json::from_slice(&message).ok();
                if read.is_none_or(|message| sender.send(message).is_err()) {
                    break;
                }
            }
        });
        let mut browser = Self {
            child,
            to,
            from,
            session: String::new(),
            asked: 0,
            complaints: Vec::new(),
            loaded: false,
            _folder: folder,
        };
        browser.open_page(width, height)?;
        Ok(browser)
    }

    fn open_page(&mut self, width: u32, height: u32) -> Result<()> {
        let page = self.ask("Target.createTarget", json!({"url": "about:blank"}))?;
        let page = page["targetId"].as_str().context("a page")?;
        let attached = self.ask(
            "Target.attachToTarget",
            json!({"targetId": page, "flatten": true}),
        )?;
        attached["sessionId"]
            .as_str()
            .context("a session")?
            .clone_into(&mut self.session);
        for domain in ["Page", "Runtime", "Log", "Network", "Audits"] {
            self.ask(&format!("{domain}.enable"), json!({}))?;
        }
        // What moves by itself is nowhere to be clicked.
        let still = json!({"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]});
        self.ask("Emulation.setEmulatedMedia", still)?;
        self.resize(width, height)
    }

    /// Makes the page so large.
    ///
    /// # Errors
    /// The browser does not answer.
    pub fn resize(&mut self, width: u32, height: u32) -> Result<()> {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.ask("Emulation.setDeviceMetricsOverride", size)?;
        Ok(())
    }

    /// Opens a file from disk, and waits until it is drawn.
    ///
    /// # Errors
    /// It does not load.
    pub fn open(&mut self, path: &Path) -> Result<()> {
        self.loaded = false;
        let url = format!("file://{}", path.canonicalize()?.display());
        let opened = self.ask("Page.navigate", json!({"url": url}))?;
        if let Some(error) = opened["errorText"].as_str() {
            bail!("cannot open {url}: {error}");
        }
        let deadline = Instant::now() + PATIENCE;
        while !self.loaded {
            self.hear(deadline)?;
        }
        self.settle()
    }

    /// Waits until what was asked for is drawn.
    ///
    /// # Errors
    /// The page does not draw.
    pub fn settle(&mut self) -> Result<()> {
        let drawn = "new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => drawn(true)))))";
        let drawn: bool = self.value(drawn)?;
        drawn.then_some(()).context("it is drawn")
    }

    /// The value of an expression in the page.
    ///
    /// # Errors
    /// The expression throws, or is of another type.
    pub fn value<T: DeserializeOwned>(&mut self, expression: &str) -> Result<T> {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.ask("Runtime.evaluate", asked)?;
        if !answer["exceptionDetails"].is_null() {
            bail!("{expression} throws {}", answer["exceptionDetails"]);
        }
        let value = answer["result"]["value"].clone();
        serde_json::from_value(value).with_context(|| format!("{expression}: {answer}"))
    }

    /// The text of an element.
    ///
    /// # Errors
    /// There is none.
    pub fn text(&mut self, selector: &str) -> Result<String> {
        self.value(&format!("document.querySelector({selector:?}).textContent"))
    }

    /// The texts of all such elements.
    ///
    /// # Errors
    /// The browser does not answer.
    pub fn texts(&mut self, selector: &str) -> Result<Vec<String>> {
        self.value(&format!(
            "[...document.querySelectorAll({selector:?})].map((found) => found.textContent)"
        ))
    }

    /// Clicks into the middle of an element, as a mouse does.
    ///
    /// # Errors
    /// There is none.
    pub fn click(&mut self, selector: &str) -> Result<()> {
        let [left, top, width, height] = self.bounds(selector)?;
        self.click_at(left + width / 2.0, top + height / 2.0)
    }

    /// Where an element is in the window, after scrolling to it: left, top, width, height.
    ///
    /// # Errors
    /// There is none.
    pub fn bounds(&mut self, selector: &str) -> Result<[f64; 4]> {
        self.value(&format!(
            "(() => {{ const found = document.querySelector({selector:?});
               found.scrollIntoView({{ block: 'center', behavior: 'instant' }});
               const at = found.getBoundingClientRect();
               return [at.left, at.top, at.width, at.height]; }})()"
        ))
    }

    /// Clicks at a place in the window.
    ///
    /// # Errors
    /// The browser does not answer.
    pub fn click_at(&mut self, x: f64, y: f64) -> Result<()> {
        self.drag((x, y), (x, y))
    }

    /// Presses the mouse at one place and lets it go at another.
    ///
    /// # Errors
    /// The browser does not answer.
    pub fn drag(&mut self, from: (f64, f64), to: (f64, f64)) -> Result<()> {
        self.mouse("mouseMoved", from, 0)?;
        self.mouse("mousePressed", from, 1)?;
        for step in 1..=4 {
            let part = |from: f64, to: f64| from + (to - from) * f64::from(step) / 4.0;
            if from != to {
                self.mouse("mouseMoved", (part(from.0, to.0), part(from.1, to.1)), 1)?;
            }
        }
        self.mouse("mouseReleased", to, 1)?;
        self.settle()
    }

    /// Moves the mouse there.
    ///
    /// # Errors
    /// The browser does not answer.
    pub fn point(&mut self, x: f64, y: f64) -> Result<()> {
        self.mouse("mouseMoved", (x, y), 0)?;
        self.settle()
    }

    fn mouse(&mut self, what: &str, (x, y): (f64, f64), held: u32) -> Result<()> {
        let button = if held == 0 { "none" } else { "left" };
        let event = json!({"type": what, "x": x, "y": y, "button": button, "buttons": held, "clickCount": held});
        self.ask("Input.dispatchMouseEvent", event)?;
        Ok(())
    }

    /// Presses a key, by its name in the DOM: `Escape`, `ArrowLeft`, `a`.
    ///
    /// # Errors
    /// The browser does not answer.
    pub fn press(&mut self, key: &str) -> Result<()> {
        let text = match key {
            "Enter" => "\r",
            _ if key.chars().count() == 1 => key,
            _ => "",
        };
        let code = match key {
            "Escape" => 27,
            "Enter" => 13,
            _ => 0,
        };
        let down =
            json!({"type": "keyDown", "key": key, "text": text, "windowsVirtualKeyCode": code});
        self.ask("Input.dispatchKeyEvent", down)?;
        self.ask(
            "Input.dispatchKeyEvent",
            json!({"type": "keyUp", "key": key}),
        )?;
        self.settle()
    }

    /// Types into an element.
    ///
    /// # Errors
    /// There is none.
    pub fn write(&mut self, selector: &str, text: &str) -> Result<()> {
        self.click(selector)?;
        self.ask("Input.insertText", json!({"text": text}))?;
        self.settle()
    }

    /// Everything the browser complained of since it started: messages on the console,
    /// exceptions, violations of the page's policy, and requests to any network.
    #[must_use]
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    fn ask(&mut self, method: &str, params: Value) -> Result<Value> {
        self.asked += 1;
        let id = self.asked;
        let mut message = json!({"id": id, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let to = self.to.as_mut().context("the browser is told to end")?;
        to.write_all(message.to_string().as_bytes())
            .and_then(|()| to.write_all(b"\0"))
            .and_then(|()| to.flush())
            .context("the browser has ended")?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut heard = self.hear(deadline)?;
            if heard["id"] != json!(id) {
                continue;
            }
            if !heard["error"].is_null() {
                bail!("{method}: {}", heard["error"]);
            }
            return Ok(heard["result"].take());
        }
    }

    fn hear(&mut self, deadline: Instant) -> Result<Value> {
        let left = deadline.saturating_duration_since(Instant::now());
        let heard = self.from.recv_timeout(left).map_err(|why| match why {
            RecvTimeoutError::Timeout => anyhow!("the browser does not answer"),
            RecvTimeoutError::Disconnected => anyhow!("the browser has ended"),
        })?;
        let about = &heard["params"];
        match heard["method"].as_str().unwrap_or_default() {
            "Page.loadEventFired" => self.loaded = true,
            method @ ("Runtime.consoleAPICalled"
            | "Runtime.exceptionThrown"
            | "Log.entryAdded"
            | "Audits.issueAdded") => self.complaints.push(format!("{method}: {about}")),
            "Network.requestWillBeSent" => {
                let url = about["request"]["url"].as_str().unwrap_or_default();
                if !url.starts_with("file://") && !url.starts_with("about:") {
                    self.complaints.push(format!("it asked for {url}"));
                }
            }
            _ => {}
        }
        Ok(heard)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Without its pipe it ends, with all its processes; and if not, it is killed.
        drop(self.to.take());
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
