import { describe, expect, it } from "vitest";
import { Timing } from "./timing";

describe("timing", () => {
  it("counts from the first complete picture, seen and hidden time apart", () => {
    let now = 1000;
    const timing = new Timing(() => now, false, null);
    now = 1300;
    timing.painted(1250);
    now = 2250;
    timing.interacted();
    now = 3250;
    timing.visibility(true);
    now = 8250;
    timing.visibility(false);
    now = 9250;
    expect(timing.sent()).toEqual({
      first_paint_ms: 250,
      first_interaction_ms: 1000,
      active_ms: 3000,
      hidden_ms: 5000,
      total_ms: 8000,
    });
  });

  it("goes on after a reload, without the time in between", () => {
    let now = 0;
    const before = { firstPaint: 90, firstInteraction: 400, active: 5000, hidden: 100 };
    const timing = new Timing(() => now, false, before);
    now = 300;
    timing.painted(300);
    now = 1300;
    timing.interacted();
    expect(timing.sent()).toEqual({
      first_paint_ms: 90,
      first_interaction_ms: 400,
      active_ms: 6000,
      hidden_ms: 100,
      total_ms: 6100,
    });
  });

  it("leaves out what never happened", () => {
    const timing = new Timing(() => 5, false, null);
    expect(timing.sent()).toEqual({ active_ms: 0, hidden_ms: 0, total_ms: 0 });
  });
});
