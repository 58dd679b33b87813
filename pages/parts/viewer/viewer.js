// Linked canvas viewer: films, maps over films and frame sequences, one window, one zoom.
//
// Pictures are fetched once by URL from our own route and kept as grey levels; scrubbing, windowing
// and zooming then cause no traffic at all. The instance belongs to one reading (`data.id`): a new
// id builds a new instance, so neither slider position nor window can leak into the next case.

const FULL = { window: 255, level: 127.5 };
const HOME = { zoom: 1, x: 0.5, y: 0.5 };
const GAP_PX = 6;
const RETRY_MS = [1000, 2000, 4000, 8000, 15000];

export default function ({ data, parentElement }) {
  const host = parentElement.querySelector(".viewer");
  const signature = JSON.stringify(data);
  if (host.viewer && host.viewer.signature === signature) return host.viewer.stop;
  const before = host.viewer?.viewer;
  if (host.viewer) host.viewer.stop();
  const viewer = new Viewer(host, data, before && data.keep && before.data.keep === data.keep ? before : null);
  host.viewer = { signature, viewer, stop: () => viewer.stop() };
  return () => {
    viewer.stop();
    host.viewer = null;
  };
}

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function button(label, title, onClick) {
  const node = element("button", "tool", label);
  node.type = "button";
  node.title = title;
  node.addEventListener("click", onClick);
  return node;
}

class Viewer {
  constructor(host, data, before) {
    this.host = host;
    this.data = data;
    this.aborter = new AbortController();
    this.pictures = new Map();
    this.view = { ...HOME };
    this.grey = { ...FULL, invert: false };
    this.overlay = { shown: true, opacity: data.opacity ?? 1 };
    this.alone = null;
    this.index = data.origin ?? 0;
    this.mode = 0;
    if (before) this.carryOn(before);
    else this.startFromAddress();
    this.direction = 1;
    this.playing = false;
    this.pending = 0;
    this.build();
    this.listen();
    this.load();
  }

  // ---------------------------------------------------------------- going on where one was

  // Only the explorer asks for this: same film, other pictures.
  carryOn(before) {
    Object.assign(this, { view: before.view, grey: before.grey, mode: before.mode, alone: before.alone });
    this.overlay = before.overlay;
    // The same number of frames means the same positions.
    if (before.nFrames() === this.nFrames()) this.index = before.index;
    else if (before.nFrames() === 1) this.startFromAddress();
    if (this.alone !== null && this.alone >= this.data.panels.length) this.alone = null;
    // A wish for a frame is granted once.
    const { goTo } = this.data;
    if (goTo && String(goTo) !== String(before.data.goTo)) this.index = goTo[0];
    this.pictures = before.pictures;
  }

  startFromAddress() {
    const given = new URLSearchParams(window.location.search);
    const { frameParameter, modeParameter, modes } = this.data;
    if (frameParameter && /^\d{1,4}$/.test(given.get(frameParameter) ?? "")) this.index = Number(given.get(frameParameter));
    if (modeParameter && modes) this.mode = Math.max(0, modes.indexOf(given.get(modeParameter)));
  }

  // A link then shows the same; nothing is sent to the server.
  keepInAddress() {
    const { frameParameter, modeParameter, modes, origin } = this.data;
    if (!frameParameter && !modeParameter) return;
    clearTimeout(this.keeping);
    this.keeping = setTimeout(() => {
      if (this.stopped || this.playing) return;
      const address = new URL(window.location.href);
      const put = (name, value) => (value === null ? address.searchParams.delete(name) : address.searchParams.set(name, value));
      if (frameParameter && this.nFrames() > 1) put(frameParameter, this.index === origin ? null : this.index);
      if (modeParameter && modes) put(modeParameter, this.mode === 0 ? null : modes[this.mode]);
      if (address.href !== window.location.href) window.history.replaceState(window.history.state, "", address);
    }, 250);
  }

  // ---------------------------------------------------------------- building

  build() {
    this.host.replaceChildren();
    this.host.style.setProperty("--reserved", `${this.data.reserved ?? 96}px`);
    this.grid = element("div", "panels");
    this.panels = this.data.panels.map((panel, number) => this.buildPanel(panel, number));
    this.host.append(this.grid, this.buildSlider(), ...this.buildReadings(), this.buildTools());
    this.message = element("div", "message");
    this.message.setAttribute("role", "status");
    this.host.append(this.message);
    this.host.dataset.state = "loading";
    this.resizer = new ResizeObserver(() => this.layout());
    this.resizer.observe(this.grid);
    this.showNumbers();
    if (this.modeButtons) this.markMode();
    this.show(this.index);
  }

  buildPanel(panel, number) {
    const box = element("figure", "panel");
    const canvas = element("canvas");
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", panel.title);
    const caption = element("figcaption", "caption", panel.title);
    const waiting = element("div", "waiting", "loading");
    box.append(canvas, caption, waiting);
    this.grid.append(box);
    const built = { ...panel, number, box, canvas, waiting, small: element("canvas"), drawn: null };
    this.bindPointer(built);
    return built;
  }

  buildSlider() {
    const row = element("div", "slider-row");
    const frames = this.nFrames();
    const unused = frames < 2 || !(this.data.controls.slider || this.data.controls.play);
    row.hidden = unused && !this.data.controlRow;
    row.classList.toggle("unused", unused);
    if (unused) return row;
    if (this.data.controls.slider) {
      const track = element("div", "track");
      this.slider = element("input", "slider");
      Object.assign(this.slider, { type: "range", min: 0, max: Math.max(frames - 1, 1), step: 1 });
      this.slider.setAttribute("aria-label", `${this.data.low} to ${this.data.high}`);
      const mark = element("span", "mark", this.data.originWord ?? "original");
      mark.style.setProperty("--at", this.data.origin / Math.max(frames - 1, 1));
      this.slider.addEventListener("input", () => {
        this.pause();
        this.show(Number(this.slider.value));
      });
      track.append(this.slider, mark);
      row.append(element("span", "word", this.data.low), track, element("span", "word", this.data.high));
    }
    if (this.data.controls.play) {
      this.playButton = button("▶ Play", "Play or pause (space)", () => this.toggle());
      this.playButton.classList.add("play");
      this.homeButton = button("Original", "Back to the original film (O)", () => this.home());
      row.append(this.playButton, this.homeButton);
    }
    return row;
  }

  buildReadings() {
    this.readings = (this.data.readings ?? []).map((reading) => {
      const row = element("div", "reading");
      const now = element("span", "now");
      row.append(element("span", "who", reading.label), element("span", "", reading.fixed), now);
      return { row, now, frames: reading.frames };
    });
    return this.readings.map((reading) => reading.row);
  }

  buildMode() {
    const group = element("span", "modes");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "Frames shown");
    this.modeButtons = this.data.modes.map((name, mode) => button(name, `Show ${name} frames (D)`, () => this.setMode(mode)));
    group.append(...this.modeButtons);
    return group;
  }

  setMode(mode) {
    this.mode = mode;
    this.markMode();
    this.keepInAddress();
    this.arrived();
  }

  markMode() {
    this.host.dataset.mode = this.data.modes[this.mode];
    this.modeButtons.forEach((each, mode) => each.setAttribute("aria-pressed", String(mode === this.mode)));
  }

  buildTools() {
    const row = element("div", "tools");
    this.numbers = element("span", "numbers");
    this.invertButton = button("Invert", "Invert greys (I)", () => this.invert());
    this.invertButton.setAttribute("aria-pressed", String(this.grey.invert));
    if (this.data.modes) row.append(this.buildMode());
    row.append(this.numbers, this.invertButton);
    row.append(button("Reset", "Reset window, zoom and position (0)", () => this.reset()));
    if (this.data.panels.some((panel) => panel.kind === "map")) row.append(...this.buildOverlayTools());
    row.append(element("span", "hint", "drag: window · shift-drag: move · wheel: zoom · double-click: one panel"));
    return row;
  }

  buildOverlayTools() {
    const words = this.overlay.shown ? "Hide map" : "Show map";
    this.overlayButton = button(words, "Hide or show the map (H)", () => this.toggleOverlay());
    this.overlayButton.setAttribute("aria-pressed", String(!this.overlay.shown));
    const label = element("label", "opacity", "map strength");
    const range = element("input");
    Object.assign(range, { type: "range", min: 0, max: 100, value: 100 * this.overlay.opacity });
    range.addEventListener("input", () => {
      this.overlay.opacity = Number(range.value) / 100;
      this.redraw();
    });
    label.append(range);
    return [this.overlayButton, label];
  }

  // ---------------------------------------------------------------- loading

  load() {
    const urls = new Set();
    for (const panel of this.panels) this.framesOf(panel).forEach((url) => urls.add(url));
    for (const panel of this.panels) [...panel.urls, ...(panel.otherUrls ?? [])].forEach((url) => urls.add(url));
    for (const panel of this.panels) if (panel.under) urls.add(panel.under);
    for (const url of this.pictures.keys()) if (!urls.has(url)) this.pictures.delete(url);
    const missing = [...urls].filter((url) => !this.pictures.has(url));
    this.pending = missing.length;
    for (const url of missing) this.fetchPicture(url, 0);
    if (missing.length === 0) this.arrived();
  }

  async fetchPicture(url, attempt) {
    const signal = this.aborter.signal;
    try {
      const answer = await fetch(url, { credentials: "same-origin", signal });
      if (!answer.ok) return this.refused(answer.status, url, attempt);
      const blob = await answer.blob();
      const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
      const bitmap = await createImageBitmap(blob, options);
      if (signal.aborted) return;
      this.pictures.set(url, readPicture(bitmap));
      this.pending -= 1;
      this.arrived();
    } catch (error) {
      if (signal.aborted) return;
      this.say("The connection is lost. Your answers are kept; trying again…");
      this.retry(url, attempt);
    }
  }

  refused(status, url, attempt) {
    if (status === 401 || status === 403) this.fail("You are signed out. Reload the page to sign in again.");
    else if (status === 404) this.fail("A picture of this case is missing. Please tell the coordinator.");
    else {
      this.say("The server is not answering properly; trying again…");
      this.retry(url, attempt);
    }
  }

  retry(url, attempt) {
    const wait = RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)];
    const timer = setTimeout(() => this.fetchPicture(url, attempt + 1), wait);
    this.aborter.signal.addEventListener("abort", () => clearTimeout(timer));
  }

  arrived() {
    for (const panel of this.panels) {
      const frames = this.framesOf(panel);
      const needed = [frames[panel.kind === "frames" ? Math.min(this.index, frames.length - 1) : 0], panel.under].filter(Boolean);
      panel.waiting.hidden = needed.every((url) => this.pictures.has(url));
    }
    this.redraw();
    if (this.pending > 0) return;
    this.say("");
    this.host.dataset.state = "ready";
    if (this.data.autoplay) this.play();
  }

  say(text) {
    if (this.message.textContent !== text) this.message.textContent = text;
  }

  fail(text) {
    this.aborter.abort();
    this.host.dataset.state = "error";
    for (const panel of this.panels) panel.waiting.textContent = "";
    this.say(text);
  }

  // ---------------------------------------------------------------- frames

  nFrames() {
    return Math.max(1, ...this.data.panels.filter((p) => p.kind === "frames").map((p) => p.urls.length));
  }

  framesOf(panel) {
    return this.mode > 0 && panel.otherUrls ? panel.otherUrls : panel.urls;
  }

  show(index) {
    this.index = Math.min(Math.max(index, 0), this.nFrames() - 1);
    this.host.dataset.frame = this.index;
    if (this.slider) this.slider.value = this.index;
    for (const { now, frames } of this.readings) now.textContent = frames[Math.min(this.index, frames.length - 1)] ?? "";
    this.keepInAddress();
    this.redraw();
  }

  step(by) {
    this.pause();
    this.show(this.index + by);
  }

  home() {
    this.pause();
    this.show(this.data.origin ?? 0);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  play() {
    if (this.playing || this.nFrames() < 2 || this.stopped) return;
    this.playing = true;
    this.label();
    const period = 1000 / (this.data.fps ?? 12);
    let last = performance.now();
    const tick = (now) => {
      if (!this.playing) return;
      if (now - last >= period) {
        last = now;
        if (this.index + this.direction < 0 || this.index + this.direction >= this.nFrames())
          this.direction = -this.direction;
        this.show(this.index + this.direction);
      }
      this.ticking = requestAnimationFrame(tick);
    };
    this.ticking = requestAnimationFrame(tick);
  }

  pause() {
    this.playing = false;
    cancelAnimationFrame(this.ticking);
    this.label();
    this.keepInAddress();
  }

  label() {
    this.host.dataset.playing = String(this.playing);
    if (this.playButton) this.playButton.textContent = this.playing ? "❚❚ Pause" : "▶ Play";
  }

  // ---------------------------------------------------------------- what the reader changes

  invert() {
    this.grey.invert = !this.grey.invert;
    this.invertButton.setAttribute("aria-pressed", String(this.grey.invert));
    this.redraw();
  }

  toggleOverlay() {
    this.overlay.shown = !this.overlay.shown;
    this.overlayButton.setAttribute("aria-pressed", String(!this.overlay.shown));
    this.overlayButton.textContent = this.overlay.shown ? "Hide map" : "Show map";
    this.redraw();
  }

  reset() {
    this.view = { ...HOME };
    this.grey = { ...FULL, invert: false };
    this.invertButton.setAttribute("aria-pressed", "false");
    this.redraw();
  }

  bindPointer(panel) {
    const { canvas } = panel;
    let from = null;
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      canvas.focus({ preventScroll: true });
      from = { x: event.clientX, y: event.clientY, moves: event.button !== 0 || event.shiftKey };
      event.preventDefault();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!from) return;
      const dx = event.clientX - from.x;
      const dy = event.clientY - from.y;
      Object.assign(from, { x: event.clientX, y: event.clientY });
      if (from.moves) this.pan(panel, dx, dy);
      else this.setWindow(dx, dy);
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (from = null));
    canvas.addEventListener("dblclick", () => this.toggleAlone(panel));
    canvas.addEventListener("wheel", (event) => this.wheel(panel, event), { passive: false });
  }

  setWindow(dx, dy) {
    this.grey.window = Math.min(Math.max(this.grey.window + dx, 2), 510);
    this.grey.level = Math.min(Math.max(this.grey.level + dy, 0), 255);
    this.redraw();
  }

  pan(panel, dx, dy) {
    const side = this.shownSize(panel);
    this.view.x -= dx / side.width;
    this.view.y -= dy / side.height;
    this.keepInside();
    this.redraw();
  }

  wheel(panel, event) {
    event.preventDefault();
    const rect = panel.canvas.getBoundingClientRect();
    const before = this.shownSize(panel);
    const fx = event.clientX - rect.left - rect.width / 2;
    const fy = event.clientY - rect.top - rect.height / 2;
    const zoom = Math.min(Math.max(this.view.zoom * Math.exp(-event.deltaY / 500), 1), 12);
    const after = { width: (before.width * zoom) / this.view.zoom, height: (before.height * zoom) / this.view.zoom };
    this.view.x += fx / before.width - fx / after.width;
    this.view.y += fy / before.height - fy / after.height;
    this.view.zoom = zoom;
    this.keepInside();
    this.redraw();
  }

  keepInside() {
    if (this.view.zoom <= 1.001) Object.assign(this.view, { x: 0.5, y: 0.5 });
    this.view.x = Math.min(Math.max(this.view.x, 0), 1);
    this.view.y = Math.min(Math.max(this.view.y, 0), 1);
  }

  toggleAlone(panel) {
    this.alone = this.alone === panel.number ? null : panel.number;
    this.layout();
  }

  // ---------------------------------------------------------------- keys

  listen() {
    const options = { capture: true, signal: this.aborter.signal };
    window.addEventListener("keydown", (event) => this.key(event), options);
    // React binds its own keys on keyup and keypress as well.
    for (const name of ["keyup", "keypress"])
      window.addEventListener(name, (event) => isReserved(event) && event.stopImmediatePropagation(), options);
    window.addEventListener("online", () => this.say(""), { signal: this.aborter.signal });
    window.addEventListener(
      "offline",
      () => this.say("The connection is lost. Your answers are kept; wait before you go on."),
      { signal: this.aborter.signal },
    );
  }

  key(event) {
    // Streamlit reruns on R and clears its cache on C, wherever the focus is.
    if (isReserved(event)) event.stopImmediatePropagation();
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
    const ranges = event.composedPath()[0]?.type === "range";
    const actions = {
      ArrowLeft: () => !ranges && this.nFrames() > 1 && this.data.controls.slider && this.step(-1),
      ArrowRight: () => !ranges && this.nFrames() > 1 && this.data.controls.slider && this.step(1),
      " ": () => !isControl(event) && this.data.controls.play && this.toggle(),
      h: () => this.overlayButton && this.toggleOverlay(),
      i: () => this.invert(),
      d: () => (this.data.modes ? this.setMode((this.mode + 1) % this.data.modes.length) : false),
      o: () => (this.data.controls.slider || this.data.controls.play) && this.home(),
      0: () => this.reset(),
    };
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const done = actions[key] ? actions[key]() !== false && actions[key] : this.answer(event, key);
    if (done) {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
  }

  // Digits answer the first item that has no answer yet, by clicking its own button in the form.
  answer(event, key) {
    if (!/^[1-9]$/.test(key)) return false;
    for (const name of this.data.answerKeys ?? []) {
      const item = document.querySelector(`.st-key-${name}`);
      if (!item || item.querySelector('[aria-checked="true"]')) continue;
      const choice = item.querySelectorAll('[role="radio"]')[Number(key) - 1];
      if (choice) choice.click();
      return Boolean(choice);
    }
    return false;
  }

  // ---------------------------------------------------------------- drawing

  layout() {
    const room = this.grid.getBoundingClientRect();
    const shown = this.panels.filter((panel) => this.alone === null || panel.number === this.alone);
    const aspect = this.data.aspect ?? 1;
    const wanted = this.alone === null ? (this.data.columns ?? 0) : 0;
    const { columns } = bestGrid(shown.length, room, aspect, wanted);
    // A film has the same size in every condition, whatever is shown beside it.
    const cells = Math.max(this.data.cells ?? 0, this.panels.length);
    const { height } = bestGrid(cells, room, aspect, this.data.columns ?? 0);
    const alone = this.alone !== null;
    const width = Math.floor(height * aspect);
    this.grid.style.gridTemplateColumns = alone ? "1fr" : `repeat(${columns}, ${width}px)`;
    this.grid.style.gridAutoRows = alone ? "1fr" : `${Math.floor(height)}px`;
    for (const panel of this.panels) panel.box.hidden = !shown.includes(panel);
    for (const panel of shown) {
      const rect = panel.box.getBoundingClientRect();
      const ratio = window.devicePixelRatio || 1;
      const [w, h] = [Math.round(rect.width * ratio), Math.round(rect.height * ratio)];
      if (panel.canvas.width !== w || panel.canvas.height !== h)
        Object.assign(panel.canvas, { width: w, height: h });
    }
    this.redraw();
  }

  redraw() {
    if (this.scheduled || this.stopped) return;
    this.scheduled = requestAnimationFrame(() => {
      this.scheduled = null;
      this.showNumbers();
      for (const panel of this.panels) if (!panel.box.hidden) this.draw(panel);
    });
  }

  showNumbers() {
    const { window: width, level, invert } = this.grey;
    this.numbers.textContent =
      `W ${Math.round(width)}  L ${Math.round(level)}  ${this.view.zoom.toFixed(1)}×` + (invert ? "  inverted" : "");
  }

  shownSize(panel) {
    // Explanations are square; everything is drawn with the film's own proportions.
    const aspect = this.data.aspect ?? 1;
    const { clientWidth, clientHeight } = panel.canvas;
    const height = Math.min(clientWidth / aspect, clientHeight) * this.view.zoom;
    return { width: height * aspect, height };
  }

  pictureOf(panel) {
    if (panel.kind === "map") return this.pictures.get(panel.under) ?? this.pictures.get(panel.urls[0]);
    const frames = this.framesOf(panel);
    if (panel.kind === "frames") return this.pictures.get(frames[Math.min(this.index, frames.length - 1)]);
    return this.pictures.get(panel.urls[0]);
  }

  draw(panel) {
    const picture = this.pictureOf(panel);
    const { canvas } = panel;
    const context = canvas.getContext("2d");
    context.fillStyle = "#0b0d10";
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (!picture || canvas.width === 0) return;
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    const ratio = canvas.width / (canvas.clientWidth || canvas.width);
    const size = this.shownSize(panel);
    const [w, h] = [size.width * ratio, size.height * ratio];
    const x = canvas.width / 2 - this.view.x * w;
    const y = canvas.height / 2 - this.view.y * h;
    const under = panel.kind === "map" ? this.pictures.get(panel.under) : picture;
    if (under) context.drawImage(this.windowed(panel, under), x, y, w, h);
    if (panel.kind !== "map" || !this.overlay.shown) return;
    const over = this.pictures.get(panel.urls[0]);
    if (!over) return;
    context.globalAlpha = this.overlay.opacity;
    context.drawImage(over.bitmap, x, y, w, h);
    context.globalAlpha = 1;
  }

  windowed(panel, picture) {
    const { window: width, level, invert } = this.grey;
    const state = `${width}/${level}/${invert}`;
    const { small } = panel;
    if (panel.drawn && panel.drawn.picture === picture && panel.drawn.state === state) return small;
    panel.drawn = { picture, state };
    if (small.width !== picture.width || small.height !== picture.height)
      Object.assign(small, { width: picture.width, height: picture.height });
    const table = greyTable(width, level, invert);
    const target = new Uint32Array(picture.grey.length);
    for (let i = 0; i < target.length; i += 1) target[i] = table[picture.grey[i]];
    const image = new ImageData(new Uint8ClampedArray(target.buffer), picture.width, picture.height);
    small.getContext("2d").putImageData(image, 0, 0);
    return small;
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.keeping);
    this.playing = false;
    this.aborter.abort();
    this.resizer.disconnect();
    cancelAnimationFrame(this.ticking);
    cancelAnimationFrame(this.scheduled);
  }
}

// Columns that make n panels largest, and the height of a film in them.
function bestGrid(n, room, aspect, wanted = 0) {
  let best = { columns: 1, height: 0 };
  for (let columns = wanted || 1; columns <= (wanted || n); columns += 1) {
    const rows = Math.ceil(n / columns);
    const width = (room.width - GAP_PX * (columns - 1)) / columns;
    const height = Math.min(width / aspect, (room.height - GAP_PX * (rows - 1)) / rows);
    if (height > best.height) best = { columns, height };
  }
  return best;
}

// Grey levels of a picture, once, so that windowing never decodes again.
function readPicture(bitmap) {
  const canvas = element("canvas");
  Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const grey = new Uint8Array(bitmap.width * bitmap.height);
  for (let i = 0; i < grey.length; i += 1) grey[i] = data[4 * i];
  return { width: bitmap.width, height: bitmap.height, grey, bitmap };
}

// Displayed grey of each stored grey, as opaque little-endian RGBA.
function greyTable(width, level, invert) {
  const table = new Uint32Array(256);
  for (let value = 0; value < 256; value += 1) {
    let shown = Math.round(((value - level) / width + 0.5) * 255);
    shown = Math.min(Math.max(shown, 0), 255);
    if (invert) shown = 255 - shown;
    table[value] = (0xff000000 | (shown << 16) | (shown << 8) | shown) >>> 0;
  }
  return table;
}

function isTyping(event) {
  const target = event.composedPath()[0];
  if (!target || !target.tagName) return false;
  const text = target.tagName === "INPUT" && !["range", "radio", "checkbox", "button"].includes(target.type);
  return text || target.tagName === "TEXTAREA" || target.tagName === "SELECT" || target.isContentEditable;
}

function isControl(event) {
  return ["BUTTON", "A", "INPUT"].includes(event.composedPath()[0]?.tagName);
}

function isReserved(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return false;
  return event.key === "r" || event.key === "R" || event.key === "c" || event.key === "C";
}
