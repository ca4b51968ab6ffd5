// The inbox: choosing rows, keys for those who want them, and lists that keep themselves up to date
// without disturbing who is at work. Everything here can be done without it.
"use strict";
(() => {
  const OFF = "onewindow-keys-off";
  const words = document.getElementById("words")?.dataset;
  const found = () => document.getElementById("found");
  const ticks = () => [...found().querySelectorAll("input[name=task]")];
  const chosen = () => ticks().filter((tick) => tick.checked);
  const isTyping = (at) =>
    at instanceof Element &&
    at.matches("input:not([type=checkbox]):not([type=radio]), select, textarea, [contenteditable]");

  // ------------------------------------------------------------ choosing

  function count() {
    const all = found().querySelector("input.all");
    const many = chosen().length;
    if (all) {
      all.hidden = false;
      all.checked = many > 0 && many === ticks().length;
      all.indeterminate = many > 0 && !all.checked;
    }
    const said = found().querySelector(".chosen");
    if (said) said.textContent = said.dataset.one.replace("%n", String(many));
    for (const button of document.querySelectorAll("#bulk button")) button.disabled = many === 0;
    for (const tick of ticks()) tick.closest("tr").classList.toggle("is-chosen", tick.checked);
  }

  document.addEventListener("change", (event) => {
    if (event.target.matches("input.all")) {
      for (const tick of ticks()) tick.checked = event.target.checked;
    }
    if (event.target.matches("input.all, input[name=task]")) count();
  });

  // ------------------------------------------------------------ live

  let changes = 0;

  function isBusy() {
    const at = document.activeElement;
    return chosen().length > 0 || document.querySelector("dialog[open]") !== null ||
      (found().contains(at) && isTyping(at));
  }

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.elt.id !== "found" || event.detail.requestConfig.triggeringEvent?.type === "refresh") return;
    if (!isBusy()) return;
    // Whoever is choosing or typing goes on with the list that they see.
    event.preventDefault();
    changes += 1;
    const place = document.getElementById("changes");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = words.refresh;
    button.addEventListener("click", () => htmx.trigger(found(), "refresh"));
    const many = changes === 1 ? words.changedOne : words.changed.replace("%n", String(changes));
    place.replaceChildren(`${many} `, button);
  });

  document.addEventListener("htmx:afterSettle", () => {
    changes = 0;
    count();
    mark();
  });

  // A page that is left open with its session gone says so.
  document.addEventListener("htmx:sseOpen", (event) => {
    event.detail.source.addEventListener("signed-out", () => {
      event.detail.source.close();
      document.getElementById("changes").textContent = words.ended;
    });
  });

  // ------------------------------------------------------------ keys

  const rows = () => [...found().querySelectorAll("table.rows tbody tr")];
  const here = () => rows().findIndex((row) => row.contains(document.activeElement));
  const isOff = () => localStorage.getItem(OFF) === "yes";
  const dialog = document.getElementById("keys");
  const toggle = dialog.querySelector("[data-keys-on]");
  let before = "";

  function mark() {
    for (const row of rows()) row.classList.toggle("is-here", row.contains(document.activeElement));
  }

  function move(by) {
    const all = rows();
    if (all.length === 0) return;
    const at = here();
    const to = at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1);
    all[to].querySelector("th a").focus();
    all[to].scrollIntoView({ block: "nearest" });
  }

  function showKeys() {
    toggle.checked = !isOff();
    dialog.showModal();
  }

  const keys = {
    j: () => move(1),
    ArrowDown: () => move(1),
    k: () => move(-1),
    ArrowUp: () => move(-1),
    x: () => rows()[here()]?.querySelector("input[name=task]")?.click(),
    c: () => rows()[here()]?.querySelector("form.claim button")?.click(),
    "/": () => document.querySelector("#filters select, #filters input")?.focus(),
    "?": showKeys,
  };

  document.addEventListener("keydown", (event) => {
    const sequence = before + event.key;
    before = "";
    if (isOff() || isTyping(event.target) || dialog.open) return;
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
    if (sequence === "gi") {
      location.assign(found().dataset.home);
    } else if (event.key === "g") {
      before = "g";
      return;
    } else if (keys[event.key]) {
      keys[event.key]();
    } else {
      return;
    }
    event.preventDefault();
  });

  document.addEventListener("focusin", mark);
  toggle.addEventListener("change", () => {
    if (toggle.checked) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "yes");
  });
  for (const offer of document.querySelectorAll(".keys-offer")) offer.hidden = false;
  document.querySelector("[data-keys-help]").addEventListener("click", showKeys);
  count();
})();
