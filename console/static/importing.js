// While lines are being submitted, leaving the page asks first; without scripts all are sent at once.
(() => {
  "use strict";
  const isUnderWay = () => document.querySelector("#progress[hx-post]") !== null;
  addEventListener("beforeunload", (event) => {
    if (isUnderWay()) event.preventDefault();
  });
  document.getElementById("import")?.addEventListener("htmx:afterRequest", (event) => {
    // Once begun, it is not begun again.
    if (event.detail.successful) document.querySelector("#import button").disabled = true;
  });
})();
