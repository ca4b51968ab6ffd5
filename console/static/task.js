// A task's page: a file that is too large is told before it is sent, and a link is chosen at a click.
"use strict";
(() => {
  document.addEventListener("change", (event) => {
    const input = event.target;
    if (!(input instanceof HTMLInputElement) || input.type !== "file") return;
    const isTooLarge = [...input.files].some((file) => file.size > Number(input.dataset.largest));
    input.setCustomValidity(isTooLarge ? input.dataset.tooLarge : "");
    input.reportValidity();
  });
  for (const field of document.querySelectorAll("[data-select]")) {
    field.addEventListener("focus", () => field.select());
  }
})();
