// What pages do by themselves: follow links out of Airflow's frame, keep current in place, count ages on.
// Without it every page still shows everything; only links to Airflow's own pages need it in the frame.
"use strict";

// --- Links -------------------------------------------------------------------------------------------------
// The frame may neither open windows nor move Airflow's page; Airflow's own document may do both.

const airflow = (() => {
  try {
    return parent !== window && parent.document ? parent : null;
  } catch {
    return null;
  }
})();

const clickOutside = (url, target) => {
  const link = airflow.document.createElement("a");
  link.href = url;
  if (target) {
    link.target = target;
    link.rel = "noopener noreferrer";
  }
  airflow.document.body.append(link);
  link.click();
  link.remove();
};

const goInAirflow = (url) => {
  airflow.history.pushState({}, "", url);
  airflow.dispatchEvent(new airflow.PopStateEvent("popstate", { state: {} }));
};

const withReturn = (link) => {
  const url = new URL(link.href);
  url.searchParams.set("next", (airflow ?? window).location.href);
  return url.href;
};

const followLink = (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button > 1) return;
  const isNew = event.button === 1 || event.ctrlKey || event.metaKey || event.shiftKey;
  if ("login" in link.dataset && !isNew) {
    event.preventDefault();
    if (airflow) clickOutside(withReturn(link));
    else location.assign(withReturn(link));
    return;
  }
  if (!airflow) return;
  if ("outside" in link.dataset || isNew) {
    event.preventDefault();
    clickOutside(link.href, "_blank");
  } else if ("airflow" in link.dataset) {
    event.preventDefault();
    goInAirflow(link.href);
  }
};
addEventListener("click", followLink);
addEventListener("auxclick", followLink);

// --- Times -------------------------------------------------------------------------------------------------
// The same steps as in wording.py.

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

const age = (seconds) => {
  const whole = Math.max(0, Math.floor(seconds));
  const [size, unit] = UNITS.find(([each]) => whole >= 2 * each || each === 1);
  return `${Math.floor(whole / size)} ${unit}`;
};

const duration = (seconds) => {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  if (whole >= 86400) return `${Math.floor(whole / 86400)} d ${two((whole / 3600) % 24)} h`;
  if (whole >= 3600) return `${Math.floor(whole / 3600)} h ${two((whole / 60) % 60)} min`;
  return whole >= 60 ? `${Math.floor(whole / 60)} min ${two(whole % 60)} s` : `${whole} s`;
};

const setText = (node, text) => {
  if (node.textContent !== text) node.textContent = text;
};

// The server's clock decides: that of this machine may be wrong.
let clockAhead = 0;
const now = () => Date.now() - clockAhead;
const readClock = (response) => {
  const served = Date.parse(response.headers.get("date") ?? "");
  if (!Number.isNaN(served) && Math.abs(Date.now() - served) > 2000) clockAhead = Date.now() - served;
};

const zone = (() => {
  try {
    return JSON.parse(localStorage.getItem("timezone") ?? "null") || "UTC";
  } catch {
    return localStorage.getItem("timezone") || "UTC";
  }
})();
const exact = (() => {
  const options = { dateStyle: "medium", timeStyle: "long", timeZone: zone };
  try {
    return new Intl.DateTimeFormat(undefined, options);
  } catch {
    return new Intl.DateTimeFormat(undefined, { ...options, timeZone: "UTC" });
  }
})();

const TOLD_EVERY_SECONDS = 30; // JOBS_SECONDS of journal/pulse.py
const due = (late) => {
  if (late < 0) return `next in ${age(-late)}`;
  return late > TOLD_EVERY_SECONDS ? `${age(late)} late` : "due now";
};

const countTimes = () => {
  for (const node of document.querySelectorAll("time[data-age], time[data-since], time[data-due]")) {
    const at = Date.parse(node.dateTime);
    const seconds = (now() - at) / 1000;
    if ("since" in node.dataset) setText(node, duration(seconds));
    else if ("due" in node.dataset) setText(node, due(seconds));
    else setText(node, seconds >= 0 ? `${age(seconds)} ago` : `in ${age(-seconds)}`);
    const title = exact.format(at);
    if (node.title !== title) node.title = title;
  }
};

// --- The live part -----------------------------------------------------------------------------------------

const live = document.getElementById("live");
const notice = document.getElementById("notice");
const updated = document.getElementById("updated");
const pause = document.getElementById("pause");

const keyOf = (node) => (node.nodeType === 1 ? node.dataset.key || node.id || null : null);
const isSame = (one, other) => one.nodeName === other.nodeName && keyOf(one) === keyOf(other);
const isTime = (node) => node.nodeName === "TIME" || node.nodeName === "time";

// What users do to an element is theirs: whether it is open, what they typed or chose.
const KEPT = new Set(["open", "value", "checked", "selected", "tabindex"]);

const morphAttributes = (old, fresh) => {
  for (const { name, value } of fresh.attributes) {
    if (!(KEPT.has(name) || (name === "title" && isTime(old))) && old.getAttribute(name) !== value) {
      old.setAttribute(name, value);
    }
  }
  for (const { name } of [...old.attributes]) {
    if (!KEPT.has(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
};

// Whether a list may change its order now: not under the pointer, the focus or a selection.
const isBusy = (list) =>
  list.matches(":hover") ||
  list.contains(document.activeElement) ||
  (getSelection().rangeCount > 0 && !getSelection().isCollapsed && getSelection().containsNode(list, true));

const morphKeyed = (old, fresh, isForced) => {
  const present = new Map([...old.children].map((child) => [keyOf(child), child]));
  const wanted = [...fresh.children];
  const isSameOrder = wanted.length === present.size && wanted.every((child, at) => keyOf(child) === keyOf(old.children[at]));
  if (!isSameOrder && !isForced && isBusy(old)) {
    for (const child of wanted) {
      const mine = present.get(keyOf(child));
      if (mine && isSame(mine, child)) morph(mine, child, isForced);
    }
    return false;
  }
  let place = old.firstElementChild;
  let isWhole = true;
  for (const child of wanted) {
    const mine = present.get(keyOf(child));
    present.delete(keyOf(child));
    if (mine && isSame(mine, child)) {
      isWhole = morph(mine, child, isForced) && isWhole;
      if (mine === place) place = place.nextElementSibling;
      else old.insertBefore(mine, place);
    } else {
      mine?.remove();
      if (mine === place) place = old.children[wanted.indexOf(child)] ?? null;
      old.insertBefore(child, place);
    }
  }
  for (const gone of present.values()) gone.remove();
  return isWhole;
};

// Make `old` like `fresh`, touching what differs only; false if a list kept its order for the user's sake.
const morph = (old, fresh, isForced = false) => {
  if (old.nodeType !== 1) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return true;
  }
  morphAttributes(old, fresh);
  if (isTime(old)) return true; // its text is counted on by this page
  if ("keyed" in old.dataset) return morphKeyed(old, fresh, isForced);
  return morphChildren(old, fresh, isForced);
};

// The node to become like `child`: `place` or one behind it, unless one between them is wanted later.
const findMine = (place, child, later) => {
  for (let mine = place; mine; mine = mine.nextSibling) {
    if (isSame(mine, child)) return mine;
    if (child.nodeType !== 1 || later.some((other) => isSame(mine, other))) return null;
  }
  return null;
};

const morphChildren = (old, fresh, isForced) => {
  const children = [...fresh.childNodes];
  let place = old.firstChild;
  let isWhole = true;
  children.forEach((child, at) => {
    const mine = findMine(place, child, children.slice(at + 1).filter((other) => other.nodeType === 1));
    if (!mine) {
      old.insertBefore(child, place);
      return;
    }
    while (place !== mine) {
      const next = place.nextSibling;
      place.remove();
      place = next;
    }
    isWhole = morph(mine, child, isForced) && isWhole;
    place = mine.nextSibling;
  });
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
  return isWhole;
};

const MOST_SECONDS = 60;
const state = { etag: live.dataset.etag, seconds: Number(live.dataset.refresh), failures: 0, at: Date.now(), timer: 0, isPaused: false, waiting: null };

const say = (kind, text, label, act) => {
  if (notice.dataset.kind === kind && kind) return;
  notice.dataset.kind = kind;
  notice.replaceChildren();
  if (!text) return;
  const line = document.createElement("p");
  line.append(text);
  if (label) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", act);
    line.append(" ", button);
  }
  notice.append(line);
};

const show = (html, isForced) => {
  const box = document.createElement("template");
  box.innerHTML = html;
  const fresh = document.createElement("main");
  for (const { name, value } of live.attributes) fresh.setAttribute(name, value);
  fresh.append(box.content);
  const isWhole = morph(live, fresh, isForced);
  countTimes();
  state.waiting = isWhole ? null : html;
  if (!isWhole) say("order", "The list has changed.", "Show", () => {
    show(html, true);
    live.querySelector("tbody a")?.focus({ preventScroll: true }); // the button is gone
  });
  else if (notice.dataset.kind === "order") say("");
  document.dispatchEvent(new CustomEvent("trtc:changed"));
};

const sessionEnded = () => {
  state.isPaused = true;
  live.dataset.stale = "";
  const link = document.createElement("a");
  link.href = new URL(`${location.pathname.endsWith("/ui") ? "../" : "../../"}api/v2/auth/login`, location.href);
  link.dataset.login = "";
  say("ended", "Your session has ended; this page is no longer current.", "Log in", () => link.click());
  document.body.append(link);
  link.hidden = true;
};

const take = async (response) => {
  readClock(response);
  // Ours leads nowhere else: a proxy asks for a login.
  if (response.redirected || response.status === 401 || response.status === 403) return sessionEnded();
  if (response.status !== 200 && response.status !== 304) throw new Error(String(response.status));
  state.failures = 0;
  state.at = Date.now();
  delete live.dataset.stale;
  if (notice.dataset.kind === "away") say("");
  const seconds = response.headers.get("x-trtc-refresh");
  if (seconds !== null) state.seconds = Number(seconds);
  if (response.status === 200) {
    state.etag = response.headers.get("etag");
    show(await response.text(), false);
  } else if (state.waiting !== null) {
    show(state.waiting, false);
  }
};

const refresh = async () => {
  const url = new URL(location.href);
  url.searchParams.set("part", "live");
  try {
    await take(await fetch(url, { headers: { "If-None-Match": state.etag, "X-TRTC": "1" }, cache: "no-store", credentials: "same-origin" }));
  } catch {
    state.failures += 1;
    if (state.failures > 1) {
      live.dataset.stale = "";
      say("away", "Airflow does not answer; trying again.");
    }
  }
  plan();
};

// Later by chance, by a tenth at most, so that pages that were opened together part; later after failures.
const plan = () => {
  clearTimeout(state.timer);
  if (state.isPaused || document.hidden || !state.seconds) return;
  const seconds = Math.min(MOST_SECONDS, state.seconds * 2 ** state.failures);
  state.timer = setTimeout(refresh, seconds * 1000 * (1 + Math.random() / 10));
};

const sayAge = () => {
  if (!updated) return;
  updated.parentElement.hidden = false;
  setText(updated, state.isPaused ? "Paused" : `Updated ${age((Date.now() - state.at) / 1000)} ago`);
};

pause?.addEventListener("click", () => {
  state.isPaused = !state.isPaused;
  pause.setAttribute("aria-pressed", String(state.isPaused));
  sayAge();
  if (!state.isPaused) refresh();
  else plan();
});

addEventListener("visibilitychange", () => {
  if (!document.hidden && state.seconds && Date.now() - state.at > state.seconds * 1000) refresh();
  else plan();
});

addEventListener("click", async (event) => {
  const button = event.target.closest?.("button[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.dataset.done = "";
    setTimeout(() => delete button.dataset.done, 1500);
  } catch {
    getSelection().selectAllChildren(button.previousElementSibling); // no clipboard: the user copies
  }
});

// A choice counts at once; an empty field leaves no trace in the address.
addEventListener("change", (event) => {
  if (event.target.matches?.("form[data-filter] select")) event.target.form.requestSubmit();
});
addEventListener("submit", (event) => {
  if (!event.target.matches?.("form[data-filter]")) return;
  for (const field of event.target.elements) if (field.name && !field.value) field.disabled = true;
});
addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("form[data-filter] :disabled")) field.disabled = false;
});

countTimes();
setInterval(() => {
  if (document.hidden) return;
  countTimes();
  sayAge();
}, 1000);
plan();
