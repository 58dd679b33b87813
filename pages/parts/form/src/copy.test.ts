import { describe, expect, it } from "vitest";
import { CopyShelf } from "./copy";
import type { Item } from "./types";

function storage(): Storage {
  const kept = new Map<string, string>();
  return {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  } as unknown as Storage;
}

const likert: Item = {
  id: "l", kind: "likert", question: "l?", low: "", high: "", points: 5, required: true,
  maxLength: 20, options: [], maxMarks: 1,
};
const items = [likert];

describe("the browser's own copy", () => {
  it("comes back for the same reading and for no other", () => {
    const shelf = storage();
    const spent = { firstPaint: 40, firstInteraction: null, active: 7, hidden: 0 };
    new CopyShelf(shelf, "one").keep({ answers: { l: 3 }, number: 12, spent });
    expect(new CopyShelf(shelf, "one").read(items)).toEqual({ answers: { l: 3 }, number: 12, spent });
    expect(new CopyShelf(shelf, "two").read(items)).toBeNull();
    new CopyShelf(shelf, "one").drop();
    expect(new CopyShelf(shelf, "one").read(items)).toBeNull();
  });

  it("takes nothing that is no answer, and no damaged copy", () => {
    const shelf = storage();
    shelf.setItem("counterlight:reading:one", '{"answers": {"l": 77, "x": 1}, "number": 3}');
    expect(new CopyShelf(shelf, "one").read(items)?.answers).toEqual({});
    shelf.setItem("counterlight:reading:one", "{not json");
    expect(new CopyShelf(shelf, "one").read(items)).toBeNull();
  });

  it("does without a storage that is full or forbidden", () => {
    const full = { ...storage(), setItem: () => { throw new DOMException("full"); } } as Storage;
    expect(() => new CopyShelf(full, "one").keep({ answers: {}, number: 1, spent: null })).not.toThrow();
    expect(new CopyShelf(null, "one").read(items)).toBeNull();
  });

  it("hands a note on once", () => {
    const shelf = storage();
    new CopyShelf(shelf, "one").leaveNote("Finished elsewhere.");
    expect(new CopyShelf(shelf, "two").takeNote()).toBe("Finished elsewhere.");
    expect(new CopyShelf(shelf, "two").takeNote()).toBe("");
  });
});
