// Light or dark: the system's choice until the button is pressed. Loaded before the page is drawn, so that nothing flashes.
"use strict";
(function () {
  const root = document.documentElement;
  const KEY = "theme";
  function kept() {
    try { return localStorage.getItem(KEY); } catch { return null; }
  }
  const chosen = kept();
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  document.addEventListener("DOMContentLoaded", function () {
    const button = document.getElementById("theme");
    if (!button) return;
    button.addEventListener("click", function () {
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      try { localStorage.setItem(KEY, root.dataset.theme); } catch { /* private windows keep nothing */ }
      document.dispatchEvent(new CustomEvent("theme"));
    });
  });
})();
