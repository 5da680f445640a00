// Checks a connection when asked to, without leaving the page. Uses `refresh`, `say` and `sessionEnded` of
// trtc.js, which is loaded before.
"use strict";

(() => {
  const running = new Set(); // the addresses of checks that are under way

  const mark = () => {
    for (const button of document.querySelectorAll("button[data-check]")) {
      const isRunning = running.has(button.dataset.check);
      if (isRunning) button.setAttribute("aria-disabled", "true");
      else button.removeAttribute("aria-disabled");
      setText(button.firstChild, isRunning ? "Checking…" : "Check now");
    }
  };

  const tell = (text) => {
    say("");
    say("check", text, "Close", () => say(""));
  };

  const ask = async (address) => {
    const response = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-TRTC": "1" },
      body: "{}",
      cache: "no-store",
      credentials: "same-origin",
    });
    if (response.status === 401) return sessionEnded();
    const said = await response.json();
    await refresh();
    tell(said.summary ?? said.detail ?? "Airflow could not check the connection.");
  };

  addEventListener("click", async (event) => {
    const button = event.target.closest?.("button[data-check]");
    const address = button?.dataset.check;
    if (!address || running.has(address)) return;
    running.add(address);
    mark();
    try {
      await ask(address);
    } catch {
      tell("Airflow does not answer; try again.");
    } finally {
      running.delete(address);
      mark();
    }
  });
  document.addEventListener("trtc:changed", mark);
})();
