"use strict";
// In the head, so that the page is never painted in the wrong colours.
const quinr = { redraw: [] };

quinr.theme = (() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const key = "quinr-theme";

  function stored() {
    try {
      return localStorage.getItem(key);
    } catch {
      return null; // files may have no storage
    }
  }

  function current() {
    return root.dataset.theme || (system.matches ? "dark" : "light");
  }

  function show(theme) {
    if (theme === "dark" || theme === "light") root.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (button) button.setAttribute("aria-pressed", String(current() === "dark"));
    quinr.redraw.forEach((draw) => draw());
  }

  function toggle() {
    const next = current() === "dark" ? "light" : "dark";
    try {
      localStorage.setItem(key, next);
    } catch {
      // It lasts as long as the page, then.
    }
    show(next);
  }

  show(stored());
  system.addEventListener("change", () => show(null));
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", toggle);
    show(null);
  });

  // Paper is white: charts are drawn once more, and what is folded is opened.
  let before;
  let opened = [];
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((one) => (one.open = true));
    show("light");
  });
  addEventListener("afterprint", () => {
    opened.forEach((one) => (one.open = false));
    if (before) show(before);
    else {
      delete root.dataset.theme;
      show(null);
    }
  });

  return { current };
})();
