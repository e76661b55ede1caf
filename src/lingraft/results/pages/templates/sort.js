// A heading sorts its table: numbers from the highest, words from A, then the other way round.
for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, at) => head.firstElementChild.addEventListener("click", () => {
    const before = head.getAttribute("aria-sort"), numbers = head.classList.contains("number");
    const up = before ? before === "descending" : !numbers;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = (row) => row.cells[at].dataset.value;
    const order = (one, other) => one !== "" && other !== "" && !isNaN(one) && !isNaN(other)
      ? one - other : one.localeCompare(other);
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort((one, other) =>
      (value(one) === "") - (value(other) === "") || (up ? 1 : -1) * order(value(one), value(other))));
  }));
}
