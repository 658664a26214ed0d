// The worklist by keyboard: j and k go through the cases, Enter opens the one in focus, / searches.
"use strict";
(function () {
  const search = document.getElementById("search");
  const links = Array.from(document.querySelectorAll("#cases a.open"));

  function go(step) {
    if (!links.length) return;
    const present = links.indexOf(document.activeElement);
    const next = present < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(Math.max(present + step, 0), links.length - 1);
    links[next].focus();
    links[next].closest("tr").scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    const typing = target instanceof HTMLElement && target.matches("input, select, textarea");
    if (typing) {
      if (event.key === "Escape") target.blur();
      return;
    }
    if (event.key === "j") go(1);
    else if (event.key === "k") go(-1);
    else if (event.key === "/") { search.focus(); search.select(); }
    else return;
    event.preventDefault();
  });

  // A click anywhere in a row opens its case; text can still be marked, and links behave as links.
  document.querySelectorAll("#cases tbody tr").forEach(function (row) {
    row.addEventListener("click", function (event) {
      if (event.target.closest("a") || String(getSelection())) return;
      row.querySelector("a.open").click();
    });
  });

  // Choosing a filter applies it.
  document.querySelectorAll("#filters select").forEach(function (select) {
    select.addEventListener("change", function () { select.form.requestSubmit(); });
  });
})();
