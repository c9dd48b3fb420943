// Draws what Great Expectations' pages draw with jQuery and bootstrap-table, from the page alone.
(function () {
  function each(nodes) {
    const list = Array.from(nodes);
    const api = {
      ready: (run) => document.addEventListener("DOMContentLoaded", run),
      on: () => api,
      modal: () => api,
      prepend: (html) => (list.forEach((n) => n.insertAdjacentHTML("afterbegin", html)), api),
      parent: () => each(list.map((n) => n.parentElement).filter(Boolean)),
      each: (run) => (list.forEach((n, at) => run(at, n)), api),
      fadeIn: () => (list.forEach((n) => (n.style.display = "")), api),
      fadeOut: () => (list.forEach((n) => (n.style.display = "none")), api),
      bootstrapTable: (options) => (list.forEach((n) => table(n, options)), api),
    };
    return api;
  }

  function table(node, options) {
    if (typeof options !== "object") return; // clearFilterControl, resetSearch: nothing is filtered
    const columns = options.columns.filter((column) => column.title);
    const row = (cells, tag) =>
      "<tr>" + cells.map((cell) => `<${tag}>${cell ?? ""}</${tag}>`).join("") + "</tr>";
    const body = options.data.map((entry) => row(columns.map((c) => entry[c.field]), "td"));
    node.innerHTML =
      `<thead>${row(columns.map((c) => c.title), "th")}</thead><tbody>${body.join("")}</tbody>`;
    node.querySelectorAll("tbody tr").forEach((line, at) => {
      const href = options.data[at]._table_row_link_path;
      if (!href) return;
      line.classList.add("clickable-row");
      line.addEventListener("click", () => { window.location = href; });
    });
  }

  window.$ = window.jQuery = (what) => each(
    typeof what === "string" ? document.querySelectorAll(what) : [what]);

  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-toggle='collapse'], [data-toggle='tab']");
    const target = link && document.querySelector(link.getAttribute("href"));
    if (!target) return;
    event.preventDefault();
    if (link.dataset.toggle === "collapse") {
      target.classList.toggle("show");
      return;
    }
    link.closest("ul").querySelectorAll(".nav-link").forEach((l) => l.classList.toggle("active", l === link));
    target.parentElement.querySelectorAll(".tab-pane").forEach((p) => p.classList.toggle("show", p === target));
  });
})();
