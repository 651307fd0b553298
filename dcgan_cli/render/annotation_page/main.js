// The page itself: what was said so far, every step that changes it, and where it is kept.
"use strict";

const given = JSON.parse($("data").textContent);
const samples = JSON.parse(given.samples); // saved as that text, for a seed may be past 2^53
const [width, height] = given.size;
const KEY = `${FORMAT} ${given.samples} ${given.kind}`;

const page = {
  steps: new Steps(blankState(given.kind, samples.count)),
  current: 0, // the sample that is shown
  selected: null, // the number of one of its boxes
  drag: null, // what the pointer is drawing
  saved: true, // whether a file holds all that was said
  kept: true, // whether the browser does
};

const state = () => page.steps.state;
const boxesHere = () => state().boxes[page.current];

// Steps

function commit(next, tag = null) {
  page.steps.commit(next, page.current, tag);
  page.saved = false;
  page.drag = null;
  closeMessage();
  keep();
  render();
}

function setBoxes(boxes, selected, tag = null) {
  page.selected = selected;
  commit(withBoxes(state(), page.current, boxes), tag);
}

function addBox(corners) {
  const here = boxesHere();
  if (here.length === MOST) return;
  setBoxes([...here, corners], here.length);
  focusSelected();
  say(`New box: ${describe(corners)}`);
}

function newBox() {
  const [x0, x1, y0, y1] = [width / 3, (2 * width) / 3, height / 3, (2 * height) / 3].map(Math.round);
  addBox(inFractions([x0, y0, Math.max(x1, x0 + 1), Math.max(y1, y0 + 1)]));
}

function removeSelected() {
  if (page.selected === null) return;
  setBoxes(boxesHere().toSpliced(page.selected, 1), null);
  focusPicture();
  say(`Box deleted, ${boxCount(boxesHere().length)} left`);
}

function toggleNothing() {
  const { current } = page;
  if (boxesHere().length === 0) commit(withSeen(state(), current, !state().seen[current]));
}

function finishSample() {
  if (!state().seen[page.current]) commit(withSeen(state(), page.current, true));
  const unseen = nextUnseen(state(), page.current);
  if (unseen >= 0) go(unseen);
  else tell(`All ${samples.count} are looked at: ${boxCount(tally(state()).boxes)}. Save boxes.json now.`);
}

function undo() {
  travel(page.steps.undo(), "Undone");
}

function redo() {
  travel(page.steps.redo(), "Redone");
}

function travel(sample, said) {
  if (sample === null) return;
  page.saved = false;
  go(sample);
  say(`${said}: sample ${sample}, ${standing(sample)}`);
}

function select(index) {
  if (page.selected === index || index >= boxesHere().length) return;
  page.selected = index;
  render();
}

function deselect() {
  page.selected = null;
  closeMessage();
  render();
  focusPicture();
}

function go(sample) {
  closeMessage();
  page.current = within(sample, samples.count - 1);
  page.selected = null;
  page.drag = null;
  keep();
  render();
  showThumb();
  if ($("strip").contains(document.activeElement)) thumbs[page.current].button.focus();
  else if (document.activeElement !== $("kind")) focusPicture();
}

// Files

function save() {
  if (cleanKind(state().kind) === "") {
    tell("The object has no name yet: say what the boxes are around, then save.", true);
    $("kind").focus();
    return;
  }
  const link = document.createElement("a");
  const text = formatDocument(state(), given.samples);
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = "boxes.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  page.saved = true;
  keep();
  render();
  const { seen, boxes } = tally(state());
  const rest = samples.count - seen;
  const open = rest > 0 ? ` The other ${rest} will be left out.` : "";
  tell(`boxes.json is among your downloads: ${boxCount(boxes)} on ${seen} of ${samples.count} samples.${open}`);
}

async function load(file) {
  let found;
  try {
    if (file.size > LARGEST) throw new Refusal("larger than 16 MiB; no list of boxes is");
    found = parseDocument(await readText(file), samples, cleanKind(state().kind));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    tell(`${file.name}: ${error.message}`, true);
    return;
  }
  page.selected = null;
  commit(found.state);
  page.saved = found.left.length === 0;
  keep();
  render();
  const { seen, boxes } = tally(found.state);
  const others = found.left.map(([name, count]) => `${name} ${count}`).join(", ");
  const left = others ? ` Boxes of other objects are left out: ${others}.` : "";
  tell(`${file.name}: ${boxCount(boxes)} on ${seen} samples.${left}`);
}

async function readText(file) {
  try {
    return await file.text();
  } catch {
    throw new Refusal("cannot be read; expected a file");
  }
}

// What the browser keeps

function keep() {
  const { kind } = state();
  const text = formatDocument({ ...state(), kind: objectName(kind) }, given.samples);
  const { current, saved } = page;
  try {
    localStorage.setItem(KEY, JSON.stringify({ text, kind, current, saved }));
    page.kept = true;
  } catch {
    page.kept = false; // full or forbidden: the help says so, and leaving the page asks first
  }
}

/** Begin with what the browser kept, or else with what came with the page. */
function begin() {
  try {
    const kept = readKept();
    if (kept !== null) {
      const { text, kind, current, saved } = JSON.parse(kept);
      const found = parseDocument(text, samples, objectName(kind)).state;
      page.current = parseSample("current", current, samples.count);
      page.steps.state = { ...found, kind };
      page.saved = saved;
    } else if (given.boxes !== null) {
      page.steps.state = parseDocument(given.boxes, samples, given.kind).state;
    }
  } catch (error) {
    tell(`What was kept cannot be read: ${error.message}. This page begins anew.`, true);
  }
}

function readKept() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    page.kept = false;
    return null;
  }
}

/** The same page in another tab went on: this one follows. */
function follow(event) {
  if (event.key !== KEY || event.newValue === null) return;
  const { text, kind, saved } = JSON.parse(event.newValue);
  const found = parseDocument(text, samples, objectName(kind)).state;
  page.steps.commit({ ...found, kind }, page.current);
  Object.assign(page, { saved, selected: null, drag: null });
  render();
}

// Everything that happens

function onClick(element, action) {
  element.addEventListener("click", (event) => {
    action();
    // after a click with the mouse Enter is for the sample again, not for what was clicked
    if (event.detail > 0 && document.activeElement === element) focusPicture();
  });
}

function listen() {
  const clicks = {
    undo, redo, save,
    load: () => $("file").click(),
    ask: () => $("help").showModal(),
    previous: () => go(page.current - 1),
    next: () => go(page.current + 1),
    add: newBox,
    remove: removeSelected,
    nothing: toggleNothing,
    done: finishSample,
    "message-close": closeMessage,
  };
  for (const [id, action] of Object.entries(clicks)) onClick($(id), action);
  $("kind").addEventListener("input", () => commit({ ...state(), kind: $("kind").value }, "kind"));
  $("file").addEventListener("change", () => {
    const [file] = $("file").files;
    if (file) load(file);
    $("file").value = ""; // so that the same file can be chosen again
  });
  $("help").addEventListener("close", focusPicture);

  $("pane").addEventListener("pointerdown", startDrag);
  $("pane").addEventListener("pointermove", moveDrag);
  $("pane").addEventListener("pointerup", endDrag);
  $("pane").addEventListener("pointercancel", giveUpDrag);
  document.addEventListener("keydown", onKey);

  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    $("drop").hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) $("drop").hidden = true;
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    $("drop").hidden = true;
    const [file] = event.dataTransfer.files;
    if (file) load(file);
  });

  window.addEventListener("storage", follow);
  window.addEventListener("beforeunload", (event) => {
    if (!page.kept && !page.saved) event.preventDefault();
  });
  const fit = () => {
    fitPicture();
    showThumb();
  };
  new ResizeObserver(fit).observe($("pane"));
}

$("bar").max = samples.count;
begin();
makeThumbs();
listen(); // whose observer of the pane fits the image
render();
focusPicture();
