// Light or dark: the system's choice until the button is pressed. Loaded before the page is drawn, so that nothing flashes.
"use strict";
(function () {
  const KEY = "theme";
  const dark = document.getElementById("dark"); // the sheet of dark colours; its medium says when it holds
  const system = matchMedia("(prefers-color-scheme: dark)");
  function kept() {
    try { return localStorage.getItem(KEY); } catch { return null; }
  }
  let chosen = kept();
  function apply() {
    if (chosen === "light" || chosen === "dark") dark.media = chosen === "dark" ? "all" : "not all";
  }
  apply();
  document.addEventListener("DOMContentLoaded", function () {
    const button = document.getElementById("theme");
    if (!button) return;
    button.addEventListener("click", function () {
      const present = chosen === "dark" || (chosen !== "light" && system.matches);
      chosen = present ? "light" : "dark";
      try { localStorage.setItem(KEY, chosen); } catch { /* private windows keep nothing */ }
      apply();
    });
  });
})();
