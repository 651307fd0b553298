// What a person says about the samples, as values. Nothing here knows of the page.
//
// A state is {kind, seen, boxes}: the name of the object; for each sample whether it was looked at;
// for each sample its boxes, each [x0, y0, x1, y1] as fractions of width and height. States are
// replaced, never changed, so that undoing needs no more than the states before.
"use strict";

const MOST = 500; // boxes on one sample
const LONGEST_KIND = 80;

function blankState(kind, count) {
  return { kind, seen: Array(count).fill(false), boxes: Array.from({ length: count }, () => []) };
}

/** `state` with `boxes` on `sample`, which was looked at if there are any. */
function withBoxes(state, sample, boxes) {
  return {
    ...state,
    seen: state.seen.with(sample, boxes.length > 0),
    boxes: state.boxes.with(sample, boxes),
  };
}

function withSeen(state, sample, seen) {
  return { ...state, seen: state.seen.with(sample, seen) };
}

/** The next sample after `sample` that was not looked at, going round; −1 when all were. */
function nextUnseen(state, sample) {
  const after = state.seen.indexOf(false, sample + 1);
  return after >= 0 ? after : state.seen.indexOf(false);
}

function tally(state) {
  return {
    seen: state.seen.filter(Boolean).length,
    boxes: state.boxes.reduce((sum, boxes) => sum + boxes.length, 0),
  };
}

/** The name of the object as a file may hold it: short, one line, no blanks around it. */
function cleanKind(kind) {
  return [...kind.replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/gu, "").trim()].slice(0, LONGEST_KIND).join("");
}

/** States that can be undone and redone, each with the sample that it was about. */
class Steps {
  constructor(state) {
    this.past = [];
    this.future = [];
    this.state = state;
    this.last = { tag: null, time: 0 };
  }

  /** Go on to `state`. Steps of one `tag` in quick succession are undone together. */
  commit(state, sample, tag = null) {
    const time = Date.now();
    const joins = tag !== null && tag === this.last.tag && time - this.last.time < 1000;
    if (!joins) this.past.push({ state: this.state, sample });
    this.future = [];
    this.state = state;
    this.last = { tag, time };
  }

  /** Back by one step; the sample it was about, or null where there is none. */
  undo() {
    return this.#step(this.past, this.future);
  }

  redo() {
    return this.#step(this.future, this.past);
  }

  #step(from, to) {
    const entry = from.pop();
    if (entry === undefined) return null;
    to.push({ state: this.state, sample: entry.sample });
    this.state = entry.state;
    this.last = { tag: null, time: 0 };
    return entry.sample;
  }
}
