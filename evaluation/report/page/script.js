// Tables sort by their headings; a method that is pointed at, or chosen in the row under the contents, stands out.

function sortBy(heading) {
  const body = heading.closest("table").tBodies[0];
  const rows = [...body.rows];
  rows.forEach((row, place) => { row.dataset.place ??= place; });
  const next = { none: "ascending", ascending: "descending", descending: "none" }[heading.ariaSort];
  for (const other of heading.parentNode.cells) other.ariaSort = "none";
  heading.ariaSort = next;
  const value = (row) => row.cells[heading.cellIndex].dataset.value;
  const inOrder = (a, b) => {
    if (next === "none") return a.dataset.place - b.dataset.place;
    const [x, y] = [value(a), value(b)];
    if (x === "" || y === "") return (x === "") - (y === "");
    const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
    return next === "descending" ? -order : order;
  };
  body.append(...rows.sort(inOrder));
}

for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => sortBy(button.parentNode));
}

const marked = document.querySelectorAll("[data-method]");
const choices = document.querySelectorAll("[data-show]");
let chosen = "";

function show(method) {
  document.body.classList.toggle("one", method !== "");
  for (const element of marked) element.classList.toggle("lit", element.dataset.method === method);
}

for (const choice of choices) {
  choice.addEventListener("click", () => {
    chosen = chosen === choice.dataset.show ? "" : choice.dataset.show;
    for (const other of choices) other.ariaPressed = String(other.dataset.show === chosen);
    show(chosen);
  });
}

for (const drawing of document.querySelectorAll(".panel svg")) {
  drawing.addEventListener("pointerover", (event) => {
    show(event.target.closest("[data-method]")?.dataset.method ?? chosen);
  });
  drawing.addEventListener("pointerleave", () => show(chosen));
}

// what is folded is printed as well
const folded = () => document.querySelectorAll("details:not([open])");
let opened = [];
addEventListener("beforeprint", () => { opened = [...folded()]; for (const part of opened) part.open = true; });
addEventListener("afterprint", () => { for (const part of opened) part.open = false; });
