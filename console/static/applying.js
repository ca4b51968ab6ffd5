// Comfort for the form of a new application; without it everything works as well.
(() => {
  "use strict";
  const form = document.getElementById("apply");
  if (!form) return;
  const filled = () => new URLSearchParams(new FormData(form)).toString();
  const asLoaded = filled();
  const cameBack = document.querySelector(".problems") !== null;
  let isSent = false;
  form.addEventListener("submit", () => { isSent = true; });
  // Back from a submitted form the browser shows it as it was left.
  addEventListener("pageshow", () => { isSent = false; });
  addEventListener("beforeunload", (event) => {
    if (!isSent && (cameBack || filled() !== asLoaded)) event.preventDefault();
  });
  // Which field is still being typed in: half a number is no mistake.
  form.addEventListener("htmx:configRequest", (event) => {
    event.detail.parameters.set("typing", document.activeElement?.name ?? "");
  });
  // What was unfolded stays so, and a field says of itself that it is wrong.
  let unfolded = [];
  document.addEventListener("htmx:beforeSwap", () => {
    unfolded = [...document.querySelectorAll("#preview details[open]")].map((each) => each.id);
  });
  document.addEventListener("htmx:afterRequest", () => {
    for (const id of unfolded) document.getElementById(id)?.setAttribute("open", "");
    for (const said of document.querySelectorAll(".said")) {
      const field = document.getElementById(said.id.replace(/-said$/, ""));
      if (!field || field.type === "radio") continue;
      if (said.querySelector(".problem")) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    }
  });
})();
