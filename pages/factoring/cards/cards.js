// The cards of the factors: a moving picture, −/0/+ and a slider for each dimension.
//
// A move is told to the server at once; the next one waits until that has been answered, and only
// the latest is told then. What the server says of positions counts only when it wishes something.

const PLAY_MS = 160;
const ANSWER_MS = 2000;

const element = (name, className, text) => {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
};

const shown = (steps, of) => (steps === 0 ? "0" : `${steps > 0 ? "+" : "−"}${Math.abs(steps / of).toFixed(2)}`);

class FactorCard {
  constructor(data, common, moved) {
    Object.assign(this, { dimension: data.dimension, title: data.title, common, moved });
    this.steps = Math.round(data.at * common.steps);
    this.frame = 0;
    this.timer = undefined;
    this.box = element("section", "card");
    this.box.setAttribute("aria-label", data.title);
    this.picture = element("div", "picture");
    this.picture.setAttribute("role", "img");
    this.picture.setAttribute("aria-label", `Film at the position of ${data.title}`);
    this.picture.style.backgroundSize = `${common.frames * 100}% 100%`;
    this.play = element("button", "play", "▶");
    this.play.type = "button";
    this.play.setAttribute("aria-pressed", "false");
    this.play.setAttribute("aria-label", `Play ${data.title}`);
    this.play.addEventListener("click", () => this.toggle());
    const left = element("div", "left");
    left.append(this.picture, this.play);
    const right = element("div", "right");
    right.append(element("h3", "", data.title));
    for (const line of data.lines) right.append(element("p", "", line));
    right.append(this.controls());
    this.box.append(left, right);
    this.draw();
  }

  controls() {
    const row = element("div", "row");
    const group = element("div", "signs");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", `${this.title}: lowest, the film's own, highest`);
    this.signs = [["−", -1, "lowest"], ["0", 0, "the film's own"], ["+", 1, "highest"]].map(([sign, at, word]) => {
      const button = element("button", "", sign);
      button.type = "button";
      button.setAttribute("aria-label", `${this.title}: ${word}`);
      button.addEventListener("click", () => this.move(at * this.common.steps));
      group.append(button);
      return { button, at };
    });
    this.slider = element("input");
    Object.assign(this.slider, { type: "range", min: -this.common.steps, max: this.common.steps, step: 1 });
    this.slider.setAttribute("aria-label", `${this.title}: position`);
    this.slider.addEventListener("input", () => this.move(Number(this.slider.value)));
    this.value = element("output", "value");
    row.append(group, this.slider, this.value);
    return row;
  }

  /** Take the address of the frames, which may come later than the card. */
  strip(url) {
    const wanted = url ? `url("${url}")` : "";
    if (this.picture.style.backgroundImage !== wanted) this.picture.style.backgroundImage = wanted;
    this.play.disabled = !url;
  }

  move(steps) {
    this.still();
    this.set(steps);
    this.moved();
  }

  set(steps) {
    this.steps = steps;
    this.draw();
  }

  draw() {
    const { steps: of, frames } = this.common;
    this.slider.value = String(this.steps);
    const text = shown(this.steps, of);
    this.value.textContent = text;
    this.slider.setAttribute("aria-valuetext", text);
    for (const { button, at } of this.signs) button.setAttribute("aria-pressed", String(this.steps === at * of));
    this.box.classList.toggle("moved", this.steps !== 0);
    this.show(Math.round(((this.steps / of + 1) / 2) * (frames - 1)));
  }

  show(frame) {
    this.frame = frame;
    this.picture.style.backgroundPosition = `${(frame / (this.common.frames - 1)) * 100}% 0`;
  }

  toggle() {
    if (this.timer) return this.still();
    let by = 1;
    this.show(0);
    this.play.textContent = "■";
    this.play.setAttribute("aria-pressed", "true");
    this.timer = setInterval(() => {
      if (this.frame + by < 0 || this.frame + by >= this.common.frames) by = -by;
      this.show(this.frame + by);
    }, PLAY_MS);
  }

  still() {
    if (!this.timer) return;
    clearInterval(this.timer);
    this.timer = undefined;
    this.play.textContent = "▶";
    this.play.setAttribute("aria-pressed", "false");
    this.draw();
  }
}

class Cards {
  constructor(host, data, tell) {
    Object.assign(this, { host, tell, view: data.view, wish: data.wish, heard: data.heard, sent: data.heard });
    this.waiting = false;
    this.timer = undefined;
    const common = { steps: data.steps, frames: data.frames };
    this.cards = data.cards.map((each) => new FactorCard(each, common, () => this.moved()));
    this.zero = element("button", "zero", "All to 0");
    this.zero.type = "button";
    this.zero.addEventListener("click", () => this.allToZero());
    const head = element("div", "head");
    head.append(element("h2", "", "Factors"), this.zero);
    host.replaceChildren(head, ...this.cards.map((card) => card.box));
    this.update(data, tell);
  }

  update(data, tell) {
    this.tell = tell;
    data.cards.forEach((each, k) => this.cards[k].strip(each.strip));
    if (data.wish !== this.wish) {
      this.wish = data.wish;
      data.cards.forEach((each, k) => this.cards[k].set(Math.round(each.at * data.steps)));
      this.waiting = false;
    }
    this.heard = Math.max(this.heard, data.heard);
    this.mark();
    if (this.waiting && this.heard >= this.sent) this.send();
  }

  mark() {
    this.zero.disabled = this.cards.every((card) => card.steps === 0);
  }

  allToZero() {
    for (const card of this.cards) {
      card.still();
      card.set(0);
    }
    this.cards[0]?.slider.focus();
    this.moved();
  }

  moved() {
    this.mark();
    this.waiting = true;
    if (this.heard >= this.sent) this.send();
  }

  send() {
    this.waiting = false;
    this.sent += 1;
    const at = this.cards
      .filter((card) => card.steps !== 0)
      .map((card) => `${card.dimension}:${card.steps / card.common.steps}`)
      .join(",");
    window.dispatchEvent(new CustomEvent("counterlight:moved", { detail: { n: this.sent, atMs: performance.now() } }));
    this.tell("moved", { n: this.sent, at });
    clearTimeout(this.timer);
    // An answer that was lost with its connection is not waited for.
    this.timer = setTimeout(() => {
      this.heard = this.sent;
      if (this.waiting) this.send();
    }, ANSWER_MS);
  }

  stop() {
    clearTimeout(this.timer);
    for (const card of this.cards) card.still();
  }
}

export default function ({ data, parentElement, setStateValue }) {
  const host = parentElement.querySelector(".cards");
  const before = host.counterlight;
  if (before && before.view === data.view) before.update(data, setStateValue);
  else {
    before?.stop();
    host.counterlight = new Cards(host, data, setStateValue);
  }
  return () => {
    host.counterlight?.stop();
    host.counterlight = undefined;
  };
}
