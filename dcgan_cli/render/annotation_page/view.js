// What is to be seen of what was said.
"use strict";

const $ = (id) => document.getElementById(id);

const GRIPS = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
const boxElements = []; // of the current sample, in the order of its boxes
const thumbs = [];

function render() {
  const { kind } = state();
  const { seen, boxes } = tally(state());
  document.title = `${seen} of ${samples.count} – boxes around ${objectName(kind)}`;
  if (document.activeElement !== $("kind")) $("kind").value = kind;
  for (const element of document.querySelectorAll(".kind-name")) {
    element.textContent = objectName(kind);
  }
  $("bar").value = seen;
  $("tally").textContent = `${seen} of ${samples.count} looked at, ${boxCount(boxes)}`;
  $("undo").disabled = page.steps.past.length === 0;
  $("redo").disabled = page.steps.future.length === 0;
  $("save").classList.toggle("due", !page.saved);
  $("keeping").textContent = page.kept
    ? "All you do is kept in this browser: the page can be closed and opened again."
    : "This browser keeps nothing of local pages: save before you close the page.";
  renderSample();
  renderThumbs();
}

function renderSample() {
  const { current, selected, drag } = page;
  const here = boxesHere();
  if ($("image").dataset.sample !== String(current)) {
    $("image").src = given.pictures[current];
    $("image").dataset.sample = current;
  }
  $("name").textContent = `Sample ${current}`;
  $("picture").setAttribute("aria-label", `Sample ${current}: ${standing(current)}`);
  $("hint").textContent = hint();
  $("previous").disabled = current === 0;
  $("next").disabled = current === samples.count - 1;
  $("remove").disabled = selected === null;
  $("nothing").checked = state().seen[current] && here.length === 0;
  $("nothing").disabled = here.length > 0;
  $("done-text").textContent = here.length > 0 ? "Done, next" : "Nothing here, next";

  const drawn = here.map((corners, index) => (drag?.index === index && drag.corners) || corners);
  if (drag?.index === null && drag.corners) drawn.push(drag.corners);
  fitBoxElements(drawn.length);
  for (const [index, corners] of drawn.entries()) {
    const element = boxElements[index];
    place(element, corners);
    element.classList.toggle("selected", index === selected || index === here.length);
    element.setAttribute("aria-label", `Box ${index + 1} of ${drawn.length}: ${describe(corners)}`);
  }
}

/** As many elements as there are boxes; those that stay keep their focus. */
function fitBoxElements(count) {
  while (boxElements.length > count) boxElements.pop().remove();
  while (boxElements.length < count) {
    const element = document.createElement("div");
    element.className = "box";
    element.tabIndex = 0;
    element.setAttribute("role", "group");
    element.setAttribute("aria-roledescription", "box");
    for (const grip of GRIPS) {
      const handle = document.createElement("i");
      handle.dataset.grip = grip;
      element.append(handle);
    }
    element.addEventListener("focus", () => select(boxElements.indexOf(element)));
    boxElements.push(element);
    $("picture").append(element);
  }
}

function hint() {
  const here = boxesHere();
  if (page.drag?.corners) return describe(page.drag.corners);
  if (page.selected !== null) {
    return `${describe(here[page.selected])}. Arrows move it, Shift + arrows resize it, Delete removes it.`;
  }
  if (here.length > 0) return `${boxCount(here.length)}. Enter: next sample.`;
  const name = objectName(state().kind);
  return state().seen[page.current]
    ? `No ${name} here.`
    : `Drag a box around each ${name}. None here? Enter.`;
}

function standing(sample) {
  if (!state().seen[sample]) return "not looked at";
  const count = state().boxes[sample].length;
  return count === 0 ? "nothing here" : boxCount(count);
}

const boxCount = (count) => `${count} ${count === 1 ? "box" : "boxes"}`;

const objectName = (kind) => cleanKind(kind) || "object";

function describe(corners) {
  const [x0, y0, x1, y1] = inPixels(corners);
  const round = (value) => Math.round(10 * value) / 10;
  return `${round(x1 - x0)} × ${round(y1 - y0)} pixels at ${round(x0)}, ${round(y0)}`;
}

function place(element, [x0, y0, x1, y1]) {
  element.style.left = `${100 * x0}%`;
  element.style.top = `${100 * y0}%`;
  element.style.width = `${100 * (x1 - x0)}%`;
  element.style.height = `${100 * (y1 - y0)}%`;
}

function makeThumbs() {
  for (const [sample, source] of given.pictures.entries()) {
    const button = document.createElement("button");
    button.className = "thumb";
    const image = document.createElement("img");
    image.src = source;
    image.alt = "";
    image.draggable = false;
    const mark = document.createElement("b");
    button.append(image, mark);
    onClick(button, () => go(sample));
    thumbs.push({ button, mark, boxes: null, seen: null });
    $("strip").append(button);
  }
}

function renderThumbs() {
  for (const [sample, thumb] of thumbs.entries()) {
    const here = sample === page.current;
    thumb.button.tabIndex = here ? 0 : -1;
    thumb.button.setAttribute("aria-current", here);
    const boxes = state().boxes[sample];
    const seen = state().seen[sample];
    if (thumb.boxes === boxes && thumb.seen === seen) continue;
    Object.assign(thumb, { boxes, seen });
    thumb.button.setAttribute("aria-label", `Sample ${sample}: ${standing(sample)}`);
    thumb.button.title = `${sample}: ${standing(sample)}`;
    thumb.button.dataset.standing = boxes.length > 0 ? "boxes" : seen ? "nothing" : "open";
    thumb.mark.textContent = boxes.length > 0 ? boxes.length : seen ? "–" : "";
    for (const old of thumb.button.querySelectorAll("i")) old.remove();
    for (const corners of boxes) {
      const outline = document.createElement("i");
      place(outline, corners);
      thumb.button.append(outline);
    }
  }
}

function showThumb() {
  thumbs[page.current].button.scrollIntoView({ block: "nearest", inline: "nearest" });
}

/** As large as there is room, each pixel of the sample a whole number of the screen's. */
function fitPicture() {
  const pane = $("pane");
  const ratio = window.devicePixelRatio || 1;
  const [across, down] = [(pane.clientWidth - 12) / width, (pane.clientHeight - 12) / height];
  const room = Math.max(Math.min(across, down), 0) * ratio;
  const scale = (room >= 1 ? Math.floor(room) : room) / ratio;
  $("picture").style.width = `${width * scale}px`;
  $("picture").style.height = `${height * scale}px`;
}

function focusPicture() {
  $("picture").focus({ preventScroll: true });
}

function focusSelected() {
  boxElements[page.selected]?.focus({ preventScroll: true });
}

/** A message over the image, until the next step. */
function tell(text, wrong = false) {
  $("message-text").textContent = text;
  $("message").classList.toggle("wrong", wrong);
  $("message").hidden = false;
}

function closeMessage() {
  $("message").hidden = true;
}

/** A word for those who hear the page. */
function say(text) {
  $("said").textContent = text;
}
