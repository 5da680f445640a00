// Follow Airflow's theme. Blocking and first in the head, so that no page is ever painted in the wrong one.
(() => {
  "use strict";
  const TOKENS = ["bg", "bg-subtle", "bg-muted", "bg-emphasized", "fg", "fg-muted", "border", "border-emphasized"];
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");

  const findAirflow = () => {
    try {
      return parent === window ? null : parent.document.documentElement;
    } catch {
      return null; // a page of another origin shows us
    }
  };
  const readChoice = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // storage is forbidden
    }
  };

  const airflow = findAirflow();
  const isDark = () => {
    for (const theme of ["dark", "light"]) {
      if (airflow?.classList.contains(theme)) return theme === "dark";
    }
    const choice = readChoice();
    return choice === "dark" || (choice !== "light" && system.matches);
  };
  const follow = () => {
    const dark = isDark();
    root.classList.toggle("dark", dark);
    root.classList.toggle("light", !dark);
    if (!airflow) return;
    root.classList.add("framed");
    // A site may have colours of its own, [api] theme: take them as they are now.
    const style = parent.getComputedStyle(airflow);
    for (const token of TOKENS) {
      const value = style.getPropertyValue(`--chakra-colors-${token}`).trim();
      if (value) root.style.setProperty(`--airflow-${token}`, value);
      else root.style.removeProperty(`--airflow-${token}`);
    }
  };

  follow();
  system.addEventListener("change", follow);
  addEventListener("storage", follow);
  if (airflow) {
    const observer = new MutationObserver(follow);
    observer.observe(airflow, { attributes: true, attributeFilter: ["class", "style", "data-theme"] });
    addEventListener("pagehide", () => observer.disconnect());
    addEventListener("pageshow", follow);
  }
})();
