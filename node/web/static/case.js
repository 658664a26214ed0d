// The form for a decision: offers the grade that goes with the chosen outcome. Only a person takes it.
"use strict";

for (const form of document.querySelectorAll("[data-decision]")) {
  const grade = form.querySelector("[data-radpeer]");
  const proposal = form.querySelector("[data-proposal]");
  if (!grade || !proposal) continue;

  const propose = () => {
    const proposed = form.querySelector("[name=outcome]:checked")?.dataset.proposed || "";
    const option = [...grade.options].find((one) => one.value === proposed);
    proposal.hidden = !proposed || grade.value === proposed;
    proposal.querySelector("b").textContent = option ? option.textContent : "";
    proposal.dataset.value = proposed;
  };

  proposal.querySelector("button").addEventListener("click", () => {
    grade.value = proposal.dataset.value;
    propose();
    grade.focus();
  });
  form.addEventListener("change", propose);
  propose();
}

// One decision for one press of the button.
for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", () => {
    setTimeout(() => form.querySelectorAll("button").forEach((one) => (one.disabled = true)), 0);
  });
}
window.addEventListener("pageshow", () => {
  document.querySelectorAll("form button").forEach((one) => (one.disabled = false));
});
