// The hands: boxes drawn and changed with the pointer, and everything with the keys.
"use strict";

const SLIP = 4; // screen pixels that a pointer must move before it draws
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const within = (value, most) => Math.min(Math.max(value, 0), most);

const inPixels = ([x0, y0, x1, y1]) => [x0 * width, y0 * height, x1 * width, y1 * height];
const inFractions = ([x0, y0, x1, y1]) => [x0 / width, y0 / height, x1 / width, y1 / height];

/** The box between two corners in pixels; null where it has no area. */
function spanning([ax, ay], [bx, by]) {
  if (ax === bx || ay === by) return null;
  return inFractions([Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)]);
}

/** `corners` by some pixels to the right and down, as far as the image goes. */
function moved(corners, dx, dy) {
  const [x0, y0, x1, y1] = inPixels(corners);
  const right = Math.min(Math.max(dx, -x0), width - x1);
  const down = Math.min(Math.max(dy, -y0), height - y1);
  return inFractions([x0 + right, y0 + down, x1 + right, y1 + down]);
}

/** `corners` with the edges that `grip` names ("n", "se", …) at a pixel, turned over past the others. */
function resized(corners, grip, [x, y]) {
  const [x0, y0, x1, y1] = inPixels(corners);
  const from = [grip.includes("w") ? x : x0, grip.includes("n") ? y : y0];
  const to = [grip.includes("e") ? x : x1, grip.includes("s") ? y : y1];
  return spanning(from, to) ?? corners;
}

// With the pointer

/** A point of the screen in pixels of the sample, whole ones, never outside it. */
function pixelAt(event) {
  const frame = $("image").getBoundingClientRect();
  return [
    within(Math.round(((event.clientX - frame.left) / frame.width) * width), width),
    within(Math.round(((event.clientY - frame.top) / frame.height) * height), height),
  ];
}

function startDrag(event) {
  if (!event.isPrimary || event.button !== 0 || event.target.closest("#message")) return;
  event.preventDefault(); // no text is selected, no image dragged
  const box = event.shiftKey ? null : event.target.closest(".box");
  const index = box === null ? null : boxElements.indexOf(box);
  const corners = boxesHere()[index];
  const grip = box === null ? undefined : event.target.dataset.grip;
  const from = pixelAt(event);
  let draw = (to) => spanning(from, to);
  if (grip) draw = (to) => resized(corners, grip, to);
  else if (box !== null) draw = (to) => moved(corners, to[0] - from[0], to[1] - from[1]);

  page.drag = { index, draw, x: event.clientX, y: event.clientY, begun: false, corners: null };
  page.selected = index;
  $("pane").setPointerCapture(event.pointerId);
  render();
  if (index === null) focusPicture();
  else focusSelected();
}

function moveDrag(event) {
  const { drag } = page;
  if (drag === null || !event.isPrimary) return;
  drag.begun ||= Math.hypot(event.clientX - drag.x, event.clientY - drag.y) >= SLIP;
  if (!drag.begun) return;
  drag.corners = drag.draw(pixelAt(event));
  render();
}

function endDrag(event) {
  const { drag } = page;
  if (drag === null || !event.isPrimary) return;
  page.drag = null;
  if (drag.corners === null) render();
  else if (drag.index === null) addBox(drag.corners);
  else setBoxes(boxesHere().with(drag.index, drag.corners), drag.index);
}

function giveUpDrag() {
  page.drag = null;
  render();
}

// With the keys

const COMMANDS = {
  Enter: () => finishSample(),
  PageUp: () => go(page.current - 1),
  PageDown: () => go(page.current + 1),
  Home: () => go(0),
  End: () => go(samples.count - 1),
  Delete: () => removeSelected(),
  Backspace: () => removeSelected(),
  Escape: () => (page.drag === null ? deselect() : giveUpDrag()),
  b: () => newBox(),
  n: () => toggleNothing(),
  "?": () => $("help").showModal(),
};

const COMMANDS_WITH_CONTROL = {
  z: (event) => (event.shiftKey ? redo() : undo()),
  y: () => redo(),
  s: () => save(),
};

function onKey(event) {
  if ($("help").open) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const typing = event.target === $("kind");
  if (event.ctrlKey || event.metaKey) {
    if (!Object.hasOwn(COMMANDS_WITH_CONTROL, key) || (typing && key !== "s")) return;
    event.preventDefault();
    COMMANDS_WITH_CONTROL[key](event);
  } else if (event.altKey) {
    return;
  } else if (typing) {
    if (key === "Enter" || key === "Escape") focusPicture();
  } else if (Object.hasOwn(STEPS, key)) {
    onArrow(event, STEPS[key]);
  } else if (Object.hasOwn(COMMANDS, key)) {
    // a button answers Enter itself; a key held down must not rush through the samples
    if (key === "Enter" && (event.repeat || event.target.closest("button"))) return;
    event.preventDefault();
    COMMANDS[key]();
  }
}

function onArrow(event, [dx, dy]) {
  if (page.selected !== null && !$("strip").contains(event.target)) {
    event.preventDefault();
    nudge(dx, dy, event.shiftKey);
  } else if (dx !== 0) {
    event.preventDefault();
    go(page.current + dx);
  }
}

/** Move the selected box by a pixel, or its lower right corner. */
function nudge(dx, dy, resizing) {
  const { current, selected } = page;
  const corners = boxesHere()[selected];
  const [, , x1, y1] = inPixels(corners);
  const [x0, y0] = inPixels(corners);
  const [x, y] = [within(x1 + dx, width), within(y1 + dy, height)];
  let next = moved(corners, dx, dy);
  if (resizing) next = x > x0 && y > y0 ? inFractions([x0, y0, x, y]) : corners;
  setBoxes(boxesHere().with(selected, next), selected, `nudge ${current} ${selected}`);
}
