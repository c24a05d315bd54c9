// What the tests ask of an open page.

const all = (selector) => [...document.querySelectorAll(selector)];
const openAll = () => all("details").forEach((part) => { part.open = true; });
const drawings = () => all(".panel svg").map((svg) => [svg.getBoundingClientRect().width, svg.innerHTML.length]);
const still = () => document.head.append(
  Object.assign(document.createElement("style"), { textContent: "* { transition: none !important }" }),
);

// Contrast of every text with what it stands on, by WCAG 2: [contrast, what it needs, text].
function contrasts() {
  const parse = (text) => text.match(/[\d.]+/g).map(Number);
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = (colour) => {
    const [red, green, blue] = colour.slice(0, 3).map((c) => linear(c / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const paper = (element) => {
    for (let behind = element; behind; behind = behind.parentElement) {
      const found = parse(getComputedStyle(behind).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
      if (found[3] > 0) throw new Error("half transparent: " + behind.outerHTML.slice(0, 80));
    }
    return [255, 255, 255];
  };
  const seen = [];
  for (const element of all("body *")) {
    const own = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join("");
    if (!own || element.closest("script, style") || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const colour = parse(element instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(colour), light(paper(element))].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    seen.push([(a + 0.05) / (b + 0.05), large ? 3 : 4.5, own.slice(0, 40)]);
  }
  return seen;
}

// The leaderboard: names of its rows, its scores, and how each heading sorts.
const table = () => document.querySelector("#answer table");
const names = () => [...table().tBodies[0].rows].map((row) => row.cells[0].textContent);
const scores = () => [...table().tBodies[0].rows].map((row) => Number(row.cells[2].dataset.value));
const sorts = () => [...table().tHead.rows[0].cells].map((cell) => cell.ariaSort);

// [method, whether it is seen fully] of everything that is drawn of a method.
const shown = () => all("#answer .panel [data-method]").map((e) => [e.dataset.method, getComputedStyle(e).opacity === "1"]);

// CSS pixels of the texts in the figures.
const textSizes = () => all(".panel text").map((text) => {
  const svg = text.ownerSVGElement;
  return (parseFloat(getComputedStyle(text).fontSize) * svg.getBoundingClientRect().width) / svg.viewBox.baseVal.width;
});

// How far the first column moves when the leaderboard is scrolled sideways: [scrolled by, body, head].
function scrolled() {
  const box = document.querySelector("#answer .scroll");
  const left = (selector) => box.querySelector(selector).getBoundingClientRect().left;
  box.scrollLeft = 0;
  const before = left("tbody th");
  box.scrollLeft = 200;
  return [box.scrollLeft, left("tbody th") - before, left("thead th") - before];
}
