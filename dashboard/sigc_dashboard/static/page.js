// The browser's side of the page: keeps the parts fresh without touching what did not change, says when what you see
// is old, shows times in your zone, and asks before anything is done. No text is ever run: parts are HTML that the
// server has escaped, and the policy of the page forbids scripts in them.
"use strict";
(() => {
  const STALE_S = 4, SILENT_S = 3, LOOK_EVERY_MS = 500, ALIVE_EVERY_MS = 1500;
  const told = JSON.parse(document.getElementById("told").textContent);
  const byId = (id) => document.getElementById(id);
  const banner = byId("banner"), ask = byId("ask");

  // Parts.

  const shown = new Map();

  function show(name, html) {
    if (shown.get(name) === html) return;
    shown.set(name, html);
    const part = byId(`part-${name}`);
    if (part === null) return;
    const made = document.createElement("template");
    made.innerHTML = html;
    children(part, made.content);
    const section = part.closest("section");
    if (section !== null) section.hidden = html === "";
    settle(part);
  }

  // What the server can't know: your zone, and whether Dask's page, which listens on its own machine, is in your reach.
  const isNear = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);

  function settle(part) {
    times(part);
    for (const frame of part.querySelectorAll("[data-near]"))
      if (!isNear) frame.closest("details").hidden = true;
  }

  function children(into, from) {
    const keyed = new Map();
    for (const child of into.children) if (child.dataset.key) keyed.set(child.dataset.key, child);
    let at = into.firstChild;
    for (const wanted of [...from.childNodes]) {
      const key = wanted.dataset?.key;
      const have = key ? keyed.get(key) : alike(at, wanted) ? at : null;
      if (have == null) { into.insertBefore(wanted, at); continue; }
      if (have === at) at = at.nextSibling; else into.insertBefore(have, at);
      same(have, wanted);
    }
    while (at !== null) { const next = at.nextSibling; at.remove(); at = next; }
  }

  const alike = (have, wanted) => have !== null && have.nodeName === wanted.nodeName && !have.dataset?.key;

  function same(have, wanted) {
    if (have.nodeType !== Node.ELEMENT_NODE) {
      if (have.nodeValue !== wanted.nodeValue) have.nodeValue = wanted.nodeValue;
      return;
    }
    if (have.nodeName !== wanted.nodeName) { have.replaceWith(wanted); return; }
    const moment = have.nodeName === "TIME" && have.getAttribute("datetime") === wanted.getAttribute("datetime");
    for (const { name } of [...have.attributes]) {
      const kept = (name === "open" && have.nodeName === "DETAILS") || (moment && name === "title");
      if (!kept && !wanted.hasAttribute(name)) have.removeAttribute(name);
    }
    for (const { name, value } of [...wanted.attributes])
      if (have.getAttribute(name) !== value) have.setAttribute(name, value);
    if (!moment && !have.hasAttribute("data-own")) children(have, wanted);
  }

  // Times: the reader's zone, the exchange's beside it.

  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const place = (zone) => zone.split("/").pop().replaceAll("_", " ");
  const inZone = (options, zone) => {
    try { return new Intl.DateTimeFormat("en-GB", { ...options, timeZone: zone || "UTC" }); }
    catch { return new Intl.DateTimeFormat("en-GB", { ...options, timeZone: "UTC" }); }
  };
  const CLOCK = { hour: "2-digit", minute: "2-digit", hour12: false };
  const DAY = { day: "numeric", month: "short" };

  function times(root) {
    const zone = document.documentElement.dataset.zone || "UTC";
    for (const node of root.querySelectorAll("time[datetime]")) {
      const at = new Date(node.dateTime);
      const isToday = inZone(DAY, here).format(at) === inZone(DAY, here).format(new Date());
      const clock = inZone(CLOCK, here).format(at);
      const text = (isToday ? "" : `${inZone(DAY, here).format(at)} `) + clock;
      const there = zone === here ? "" : `(${inZone(CLOCK, zone).format(at)} ${place(zone)})`;
      const about = node.dataset.form === "about" ? ago((at - Date.now()) / 1000) : "";
      write(node, [text, about, there]);
      node.title = `${inZone({ ...DAY, ...CLOCK, second: "2-digit", year: "numeric" }, here).format(at)} ${place(here)}`;
    }
  }

  function write(node, [text, about, there]) {
    const wanted = [text, about && ` · ${about}`, there && ` ${there}`].join("");
    if (node.textContent === wanted) return;
    node.textContent = text;
    for (const [more, kind] of [[about && ` · ${about}`, "about"], [there && ` ${there}`, "there"]]) {
      if (!more) continue;
      const small = document.createElement("small");
      small.className = kind;
      small.textContent = more;
      node.append(small);
    }
  }

  function ago(seconds) {
    const far = Math.abs(seconds);
    const [count, unit] = far < 60 ? [far, "s"] : far < 3600 ? [far / 60, "min"] : far < 172800 ? [far / 3600, "h"]
      : [far / 86400, "d"];
    const text = `${Math.floor(count)} ${unit}`;
    return seconds < 0 ? `${text} ago` : `in ${text}`;
  }

  // How old what you see is.

  let beat = { age: null, problem: "", over: false }, heard = performance.now(), asked = 0, isGone = false;

  function pulse(text) {
    beat = JSON.parse(text);
    heard = performance.now();
    isGone = false;
    look();
  }

  function look() {
    const silent = (performance.now() - heard) / 1000;
    const age = beat.age === null ? null : beat.age + silent;
    let words = "";
    if (isGone) words = "The page's own process does not answer. What you see is old; it comes back by itself.";
    else if (silent > SILENT_S) words = "No news from the page. What you see is old.";
    else if (age === null && beat.problem) words = `Nothing is known: ${beat.problem}`;
    else if (age !== null && (age > STALE_S || (beat.problem && age > 1.5)))
      words = `Stale: this is how it was ${ago(-age)}. ${beat.problem || "The daemon is slow to answer."}`;
    if (banner.textContent !== words) banner.textContent = words;
    banner.hidden = words === "";
    document.body.classList.toggle("stale", words !== "");
    const node = byId("age");
    if (node !== null) node.textContent = age === null ? "" : age < 10 ? `${age.toFixed(1)} s old` : `${Math.floor(age)} s old`;
    if (beat.over && !ask.open) location.assign(`/login?${new URLSearchParams({ daemon: told.daemon, next: location.pathname + location.search })}`);
    if (silent > SILENT_S && performance.now() - asked > ALIVE_EVERY_MS) alive();
  }

  async function alive() {
    asked = performance.now();
    try {
      const answer = await fetch("/alive", { signal: AbortSignal.timeout(2000), cache: "no-store" });
      isGone = !answer.ok;
    } catch { isGone = true; }
    // It is there and says nothing to us: it has forgotten this tab, so the tab begins anew.
    if (!isGone && (performance.now() - heard) / 1000 > SILENT_S && !ask.open) location.reload();
  }

  // Controls.

  let pressed = null;

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button[data-do]");
    if (button === null || button === undefined || button.disabled) return;
    pressed = { ...button.dataset, key: secret() };
    byId("ask-title").textContent = pressed.title;
    byId("ask-words").textContent = pressed.words;
    byId("ask-name").textContent = pressed.name;
    byId("typed").value = byId("reason").value = "";
    told_(null, "");
    ask.showModal();
    byId("typed").focus();
  });

  byId("typed").addEventListener("input", ready);
  byId("ask-close").addEventListener("click", () => ask.close());
  byId("ask-form").addEventListener("submit", (event) => { event.preventDefault(); act(); });

  function ready() { byId("ask-do").disabled = pressed === null || byId("typed").value.trim() !== pressed.name; }

  function told_(ok, message) {
    const said = byId("ask-said");
    said.textContent = message;
    said.className = ok === null ? "" : ok ? "good" : "bad";
    byId("ask-fields").hidden = byId("ask-do").hidden = ok === true;
    byId("ask-close").textContent = ok === true ? "Close" : "Cancel";
    ready();
  }

  async function act() {
    if (pressed === null || byId("ask-do").disabled) return;
    byId("ask-do").disabled = true;
    const wish = { daemon: told.daemon, do: pressed.do, name: pressed.name, typed: byId("typed").value, key: pressed.key,
      id: pressed.id || "", reason: byId("reason").value };
    try {
      const answer = await fetch("/do", { method: "POST", headers: { "Content-Type": "application/json" },
        body: JSON.stringify(wish) });
      const { ok, message } = await answer.json();
      told_(ok, message);
      if (ok) byId("ask-close").focus();
    } catch { told_(false, "The page does not answer, so it is not known whether that was done. Press again: it is done once."); }
  }

  const secret = () => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");

  // Begin.

  for (const part of document.querySelectorAll("[id^=part-]")) settle(part);
  setInterval(look, LOOK_EVERY_MS);
  setInterval(() => times(document), 10000);
  Bokeh.set_log_level("error");
  Bokeh.embed.embed_items({}, [{ token: told.token, roots: told.roots, root_ids: told.order, use_for_title: false }], told.app)
    .then(() => {
      const source = Bokeh.documents[0].get_model_by_name("parts");
      const all = () => {
        for (const [name, [html]] of Object.entries(Object.fromEntries(source.data instanceof Map ? source.data : Object.entries(source.data))))
          name === "beat" ? pulse(html) : show(name, html);
      };
      source.properties.data.change.connect(all);
      all();
      document.body.dataset.live = "yes";
    });
})();
