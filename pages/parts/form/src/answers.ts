// Answers: what counts as one, what is missing, what a digit key means. No DOM here.

import type { Answer, Answers, Item, Mark } from "./types";

export const SCALE_MAXIMUM = 100;

/** Say whether something from outside is an answer that the item allows. */
export function allows(item: Item, value: unknown): value is Answer {
  switch (item.kind) {
    case "likert":
      return isWhole(value, 1, item.points);
    case "scale":
      return isWhole(value, 0, SCALE_MAXIMUM);
    case "text":
      return typeof value === "string" && value.length <= item.maxLength;
    case "choice":
      return item.options.some((option) => option.id === value);
    case "multi_choice":
      return (
        Array.isArray(value) && value.every((one) => item.options.some((option) => option.id === one))
      );
    case "point":
      return areMarks(value, 2, item.maxMarks);
    case "box":
      return areMarks(value, 4, item.maxMarks);
  }
}

function isWhole(value: unknown, low: number, high: number): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= low && value <= high;
}

function areMarks(value: unknown, length: number, most: number): boolean {
  return (
    Array.isArray(value) &&
    value.length <= most &&
    value.every(
      (mark) =>
        Array.isArray(mark) &&
        mark.length === length &&
        mark.every((part) => typeof part === "number" && part >= 0 && part <= 1),
    )
  );
}

/** Keep what fits the items of a draft that came from a store; nothing else gets in. */
export function adopt(items: readonly Item[], foreign: Readonly<Record<string, unknown>>): Answers {
  const kept: Record<string, Answer> = {};
  for (const item of items) {
    const value = foreign[item.id];
    if (allows(item, value) && isGiven(value)) kept[item.id] = value;
  }
  return kept;
}

/** Say whether an answer says anything; blank text and empty lists do not. */
export function isGiven(answer: Answer | undefined): boolean {
  if (answer === undefined) return false;
  if (typeof answer === "number") return true;
  return typeof answer === "string" ? answer.trim() !== "" : answer.length > 0;
}

/** Return a copy with one answer changed; an answer that says nothing is left out. */
export function changed(answers: Answers, item: Item, answer: Answer | undefined): Answers {
  const next: Record<string, Answer> = { ...answers };
  if (answer === undefined || !isGiven(answer)) delete next[item.id];
  else next[item.id] = answer;
  return next;
}

/** Say whether an item is asked, as the answers stand. */
export function isAsked(item: Item, answers: Answers): boolean {
  return !item.askedIf || answers[item.askedIf.item] === item.askedIf.equals;
}

/** Return the answers that count: what stands in an item that is not asked does not. */
export function counting(items: readonly Item[], answers: Answers): Answers {
  const left = items.filter((item) => !isAsked(item, answers)).map((item) => item.id);
  return Object.fromEntries(Object.entries(answers).filter(([id]) => !left.includes(id)));
}

/** Return the required items that are asked and have no answer, in order. */
export function missing(items: readonly Item[], answers: Answers): readonly Item[] {
  return items.filter(
    (item) => item.required && isAsked(item, answers) && !isGiven(answers[item.id]),
  );
}

/** Say whether digit keys answer the item. */
export function takesDigits(item: Item): boolean {
  return item.kind !== "text" && item.kind !== "point" && item.kind !== "box";
}

/**
 * Return what a digit (1 to 9) makes of an item's answer, or null where it means nothing.
 *
 * Scales are not answered by one digit; the form puts the digit into their number field.
 */
export function byDigit(item: Item, digit: number, answer: Answer | undefined): Answer | null {
  if (item.kind === "likert") return digit >= 1 && digit <= item.points ? digit : null;
  const option = item.options[digit - 1];
  if (option === undefined) return null;
  if (item.kind === "choice") return option.id;
  if (item.kind === "multi_choice") return toggled(item, option.id, answer);
  return null;
}

/** Return the chosen options with one added or removed, in the protocol's order. */
export function toggled(item: Item, id: string, answer: Answer | undefined): readonly string[] {
  const before = Array.isArray(answer) ? (answer as readonly string[]) : [];
  const ids = item.options.map((option) => option.id);
  return ids.filter((one) => before.includes(one) !== (one === id));
}

/** Return the item that the digits answer next: the first open one after `from`, going round. */
export function nextOpen(
  items: readonly Item[],
  answers: Answers,
  from: string | null,
): string | null {
  const at = items.findIndex((item) => item.id === from);
  const round = [...items.slice(at + 1), ...items.slice(0, at + 1)];
  const open = round.find(
    (item) => takesDigits(item) && isAsked(item, answers) && !isGiven(answers[item.id]),
  );
  return open?.id ?? null;
}

/** Read the marks that the viewer reports; null if they are not the item's. */
export function marksOf(item: Item, value: unknown): readonly Mark[] | null {
  return allows(item, value) ? (value as readonly Mark[]) : null;
}

/** Name what is missing in one short line. */
export function namesOf(items: readonly Item[], longest = 70): string {
  const names = items.map((item) => item.question.replace(/[?.:]\s*$/, ""));
  const line = names.join("; ");
  return line.length <= longest ? line : `${line.slice(0, longest - 1).trimEnd()}…`;
}
