"use strict";
// Tables that sort by a column when its heading is pressed, with mouse or keyboard.
(() => {
  const words = new Intl.Collator("en", { numeric: true });

  function compare(a, b, numeric, sign) {
    // What is missing stays at the end, whichever way.
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (numeric ? a - b : words.compare(a, b));
  }

  function sort(table, column) {
    const heads = [...table.tHead.rows[0].cells];
    const head = heads[column];
    const ascending = head.getAttribute("aria-sort") !== "ascending";
    const numeric = head.classList.contains("number");
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row) => {
      const cell = row.cells[column];
      const text = cell.textContent.trim();
      if (numeric) return [row, "value" in cell.dataset ? Number(cell.dataset.value) : null];
      return [row, text === "" ? null : text];
    });
    keyed.sort((a, b) => compare(a[1], b[1], numeric, ascending ? 1 : -1));
    body.append(...keyed.map(([row]) => row));
    heads.forEach((one) => one.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => sort(table, column));
    });
  }
})();
