// Search and filters of a report's predictions. Whatever comes from data is set as text.
"use strict";
const STEP = 50;
const {languages, lines} = JSON.parse(document.getElementById("searched").textContent);
const [GROUP, TEXTS, GOLD, VALUE, SURE, BEFORE, RIGHT, BEFORE_RIGHT] = [0, 1, 2, 3, 4, 5, 6, 7];
const part = document.getElementById("predictions"), form = part.querySelector(".filters");
const body = part.querySelector("tbody"), more = part.querySelector("button.more"), status = part.querySelector("output");

const confident = lines.some((line) => line[SURE] !== null);

const OUTCOMES = {
  wrong: (line) => !line[RIGHT],
  right: (line) => line[RIGHT],
  gained: (line) => line[RIGHT] && line[BEFORE_RIGHT] === false && line[BEFORE] !== null,
  lost: (line) => !line[RIGHT] && line[BEFORE_RIGHT],
};

const plain = (text) => text.replace(/\s+/g, " ").toLowerCase();  // as it is shown
const whole = (text) => plain(text.normalize("NFC"));
const bare = (text) => plain(text.normalize("NFD").replace(/\p{M}/gu, ""));
const written = (line) => [...line[TEXTS], line[GOLD] ?? "", line[VALUE], line[BEFORE] ?? ""].join("\0");

let found = lines, shown = 0;

function filter() {
  const {search, language, outcome, gold, value} = form.elements;
  const wanted = search.value.trim();
  const marked = /\p{M}/u.test(wanted.normalize("NFD")), read = marked ? whole : bare;  // naira finds náírà
  found = lines.filter((line) =>
    (!language?.value || line[GROUP] === Number(language.value))
    && (!outcome.value || OUTCOMES[outcome.value](line))
    && (!gold?.value || line[GOLD] === gold.value) && (!value?.value || line[VALUE] === value.value)
    && (!wanted || read(written(line)).includes(read(wanted))));
  body.replaceChildren();
  shown = 0;
  show();
}

function show() {
  body.append(...found.slice(shown, shown + STEP).map(row));
  shown = Math.min(shown + STEP, found.length);
  more.hidden = shown === found.length;
  const number = (one) => one.toLocaleString("en");
  status.textContent = `${number(found.length)} of ${number(lines.length)} found`
    + (more.hidden ? "" : `, the first ${number(shown)} shown`);
}

function cell(kind, ...texts) {
  const made = document.createElement("td");
  made.className = kind;
  made.dir = "auto";
  texts.forEach((text, at) => {
    const piece = at ? document.createElement("span") : made;
    if (at) {
      piece.className = "note";
      piece.dir = "auto";
      made.append(document.createElement("br"), piece);
    }
    piece.append(text);
  });
  return made;
}

function row(line) {
  const made = document.createElement("tr"), mark = (right) => right ? " ✓" : "";
  made.append(
    cell("text", ...line[TEXTS]),
    cell("", line[GOLD] ?? "–"),
    cell(line[RIGHT] ? "" : "wrong", line[VALUE] + mark(line[RIGHT])),
    ...(confident ? [cell("number", line[SURE] === null ? "–" : `${(100 * line[SURE]).toFixed(0)}\u00a0%`)] : []),
    cell("", (line[BEFORE] ?? "–") + mark(line[BEFORE_RIGHT])));
  if (languages.length > 1) made.append(cell("", languages[line[GROUP]]));
  return made;
}

form.addEventListener("input", filter);
form.addEventListener("reset", () => setTimeout(filter));
form.addEventListener("submit", (event) => event.preventDefault());
more.addEventListener("click", show);
addEventListener("pageshow", filter);  // who comes back finds the fields as they were
form.hidden = false;
filter();
