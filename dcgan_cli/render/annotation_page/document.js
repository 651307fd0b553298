// boxes.json: the text of a state, and the state of a text that anybody may have written.
"use strict";

const FORMAT = "dcgan boxes";
const VERSION = 1;
const LARGEST = 16 * 2 ** 20; // bytes of a file

/** A file that cannot be taken; the message says what was found and expected. */
class Refusal extends Error {}

/** The text of boxes.json; `samples` is the text of what the file says about the samples. */
function formatDocument(state, samples) {
  const kind = cleanKind(state.kind);
  const seen = state.seen.flatMap((looked, sample) => (looked ? [sample] : []));
  const rows = state.boxes.flatMap((boxes, sample) =>
    boxes.map((corners) => JSON.stringify({ sample, kind, corners })),
  );
  return (
    `{"format": "${FORMAT}", "version": ${VERSION}, "samples": ${samples},\n` +
    ` "seen": ${JSON.stringify(seen)},\n "boxes": [\n  ${rows.join(",\n  ")}\n ]}\n`
  );
}

/**
 * The state that the text of a boxes.json describes, for a page about `samples` and one kind.
 *
 * Of a file with several kinds, `kind` is taken, or else the most frequent; `left` says how many
 * boxes of which others were left out. Throws a Refusal.
 */
function parseDocument(text, samples, kind) {
  const document = parseObject(text);
  if (document.format !== FORMAT) {
    throw new Refusal(
      "not a file that this page saved; give those of other programs to dcgan drop-filters --boxes",
    );
  }
  if (!Number.isInteger(document.version) || document.version < 1 || document.version > VERSION) {
    throw new Refusal(`version ${shown(document.version)}; this page reads up to ${VERSION}`);
  }
  compareSamples(document.samples, samples);
  const all = parseBoxes(document.boxes, samples.count);
  const counts = new Map();
  for (const box of all) counts.set(box.kind, (counts.get(box.kind) ?? 0) + 1);
  const ranked = [...counts].sort(([, a], [, b]) => b - a);
  const taken = counts.has(kind) || ranked.length === 0 ? kind : ranked[0][0];

  const state = blankState(taken, samples.count);
  for (const sample of parseSeen(document.seen, samples.count)) state.seen[sample] = true;
  for (const { sample, corners } of all.filter((box) => box.kind === taken)) {
    state.seen[sample] = true;
    if (state.boxes[sample].push(corners) > MOST) {
      throw new Refusal(`more than ${MOST} boxes on sample ${sample}`);
    }
  }
  return { state, left: ranked.filter(([name]) => name !== taken) };
}

function parseObject(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refusal(
      text.trim() === "" ? "the file is empty" : "not JSON; expected boxes.json as this page saves it",
    );
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Refusal(`found ${shown(value)}; expected boxes.json as this page saves it`);
  }
  return value;
}

/** Boxes on other images mean nothing here. What a file does not say (null) fits anything. */
function compareSamples(found, here) {
  for (const key of ["checkpoint", "seed", "bn", "average"]) {
    const value = found?.[key] ?? null;
    if (value !== null && value !== here[key]) {
      throw new Refusal(
        `about other samples: ${key} is ${shown(value)}, of this page ${shown(here[key])}`,
      );
    }
  }
}

function parseSeen(list, count) {
  if (!Array.isArray(list)) throw new Refusal(`seen is ${shown(list)}; expected a list of numbers`);
  return list.map((sample) => parseSample("seen", sample, count));
}

function parseBoxes(list, count) {
  if (!Array.isArray(list)) throw new Refusal(`boxes is ${shown(list)}; expected a list`);
  return list.map((box, place) => {
    const where = `box ${place}`;
    const sample = parseSample(where, box?.sample, count);
    const { kind, corners } = box;
    if (typeof kind !== "string" || kind === "" || kind !== cleanKind(kind)) {
      throw new Refusal(`${where}: kind is ${shown(kind)}; expected the name of an object`);
    }
    const [x0, y0, x1, y1] = Array.isArray(corners) && corners.length === 4 ? corners : [];
    const numbers = [x0, y0, x1, y1].every((corner) => typeof corner === "number");
    if (!numbers || !(0 <= x0 && x0 < x1 && x1 <= 1 && 0 <= y0 && y0 < y1 && y1 <= 1)) {
      throw new Refusal(
        `${where}: corners is ${shown(corners)}; expected x0 < x1 and y0 < y1 as fractions from 0 to 1`,
      );
    }
    return { sample, kind, corners: [x0, y0, x1, y1] };
  });
}

function parseSample(where, sample, count) {
  if (!Number.isInteger(sample) || sample < 0 || sample >= count) {
    throw new Refusal(`${where}: sample ${shown(sample)}; this page has samples 0 to ${count - 1}`);
  }
  return sample;
}

/** A value of a file on one short line. */
function shown(value) {
  const text = value === undefined ? "missing" : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
