// Filters, sorts and pages the tables of a page: each is a .paged element with its data as JSON inside.
"use strict";

const PAGE_SIZES = [50, 100, 500];
const CONDITION = /^(.+?)(<=|>=|!=|<|>|=)(.*)$/;

function value(cell) {
  return Array.isArray(cell) ? cell[0] : cell;
}

function formatted(number, kind) {
  if (typeof number !== "number") return number === null ? "-" : String(number);
  if (kind === "percent") return (100 * number).toFixed(2);
  if (Number.isInteger(number)) return number.toLocaleString("en");
  return Math.abs(number) < 1e-4 ? number.toExponential(2) : String(Number(number.toPrecision(4)));
}

function element(tag, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(tag), attributes);
  made.append(...children);
  return made;
}

function cellElement(cell, kind) {
  const unit = kind === "percent" && value(cell) !== null ? " %" : "";
  const made = element("td", { className: kind === "text" ? "name" : "n" }, formatted(value(cell), kind) + unit);
  if (Array.isArray(cell)) {
    const limits = `${formatted(cell[1], kind)} to ${formatted(cell[2], kind)}${unit}`;
    made.append(element("br"), element("small", {}, limits));
  }
  return made;
}

function compare(one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), "en", { numeric: true });
}

// Return the index of the column that a condition names: its key, the end of its key, or the start of its label.
function columnIndex(columns, name) {
  const wanted = name.toLowerCase();
  const tests = [
    (column) => column.key.toLowerCase() === wanted,
    (column) => column.key.toLowerCase().endsWith("." + wanted),
    (column) => column.label.toLowerCase().startsWith(wanted),
    (column) => column.key.toLowerCase().startsWith(wanted),
  ];
  for (const test of tests) {
    const index = columns.findIndex(test);
    if (index >= 0) return index;
  }
  return -1;
}

// Return a predicate of rows for a term of the filter, or null for a column that does not exist.
function predicate(columns, term) {
  const [, name, operator, text] = term.match(CONDITION) || [];
  if (!operator) return (row, words) => words.includes(term.toLowerCase());
  const index = columnIndex(columns, name);
  if (index < 0) return null;
  const number = text.trim() === "" ? NaN : Number(text);
  return (row) => {
    const cell = value(row[index]);
    if (operator === "=" || operator === "!=") {
      const equal = typeof cell === "number" && !Number.isNaN(number) ? cell === number : String(cell ?? "-") === text;
      return equal === (operator === "=");
    }
    if (typeof cell !== "number" || Number.isNaN(number)) return false;
    return { "<": cell < number, ">": cell > number, "<=": cell <= number, ">=": cell >= number }[operator];
  };
}

function pagedTable(container) {
  const { columns, rows } = JSON.parse(container.querySelector("script").textContent);
  const words = rows.map((row) => row.map((cell) => String(value(cell) ?? "-")).join("\t").toLowerCase());
  const state = { order: rows.map((_, index) => index), first: 0, size: PAGE_SIZES[0], sorted: -1, descending: false };
  const filter = element("input", { type: "search", placeholder: "Filter: words, accuracy>0.99, lr=0.01" });
  filter.setAttribute("aria-label", "Filter rows");
  const size = element("select", {}, ...PAGE_SIZES.map((number) => element("option", { value: number }, `${number} rows`)));
  size.setAttribute("aria-label", "Rows on a page");
  const previous = element("button", { type: "button" }, "Previous");
  const next = element("button", { type: "button" }, "Next");
  const status = element("span");
  status.setAttribute("role", "status");
  const body = element("tbody");
  const headers = columns.map((column, index) => {
    const button = element("button", { type: "button" }, column.label);
    button.addEventListener("click", () => sortBy(index));
    return element("th", { className: column.kind === "text" ? "" : "n" }, button);
  });

  function sortBy(index) {
    state.descending = state.sorted === index ? !state.descending : columns[index].kind !== "text";
    state.sorted = index;
    state.first = 0;
    update();
  }

  function sortOrder() {
    if (state.sorted < 0) return;
    const sign = state.descending ? -1 : 1;
    state.order.sort((a, b) => {
      const [one, other] = [value(rows[a][state.sorted]), value(rows[b][state.sorted])];
      if (one === null || other === null) return (one === null) - (other === null) || a - b;
      return sign * compare(one, other) || a - b;
    });
  }

  function update() {
    const terms = filter.value.split(/\s+/).filter(Boolean);
    const predicates = terms.map((term) => predicate(columns, term));
    const unknown = terms.filter((_, index) => predicates[index] === null);
    const known = predicates.filter(Boolean);
    state.order = rows.map((_, index) => index).filter((index) => known.every((test) => test(rows[index], words[index])));
    sortOrder();
    headers.forEach((header, index) => {
      const direction = state.descending ? "descending" : "ascending";
      header.setAttribute("aria-sort", index === state.sorted ? direction : "none");
    });
    show(unknown);
  }

  function show(unknown = []) {
    const found = state.order.length;
    const end = Math.min(state.first + state.size, found);
    body.replaceChildren(
      ...state.order.slice(state.first, end).map((index) =>
        element("tr", {}, ...columns.map((column, place) => cellElement(rows[index][place], column.kind))),
      ),
    );
    const of = found === rows.length ? "" : ` that match, of ${rows.length.toLocaleString("en")}`;
    const range = found ? `${(state.first + 1).toLocaleString("en")} to ${end.toLocaleString("en")} of ` : "";
    const missing = unknown.length ? `; no column for ${unknown.join(" ")}` : "";
    status.textContent = `${range}${found.toLocaleString("en")} rows${of}${missing}`;
    previous.disabled = state.first === 0;
    next.disabled = end >= found;
  }

  function turn(step) {
    state.first = Math.max(0, state.first + step * state.size);
    show();
  }

  filter.addEventListener("input", () => { state.first = 0; update(); });
  size.addEventListener("change", () => { state.size = Number(size.value); state.first = 0; show(); });
  previous.addEventListener("click", () => turn(-1));
  next.addEventListener("click", () => turn(1));
  const table = element("table", { className: "close" }, element("thead", {}, element("tr", {}, ...headers)), body);
  container.append(
    element("p", { className: "controls" }, filter, size, previous, next, status),
    element("div", { className: "scroll" }, table),
  );
  update();
}

document.querySelectorAll(".paged").forEach(pagedTable);
