// The slice viewer of the case page. The page itself is made by the node; this hooks up what it finds there.

import { Gestures } from "./viewer/gestures.js";
import { Marks } from "./viewer/marks.js";
import { Screen } from "./viewer/screen.js";
import { Stack, wordsOf } from "./viewer/stack.js";
import { View } from "./viewer/view.js";
import { Greys, PRESETS } from "./viewer/windowing.js";

const LESION_MM = 110; // width of the picture around a lesion that was jumped to
const TYPING = "input:not([type=checkbox], [type=range]), textarea, select"; // where keys mean something else

class Viewer {
  constructor(root, facts) {
    this.root = root;
    this.facts = facts;
    this.canvas = root.querySelector("canvas");
    this.slider = root.querySelector("[data-slider]");
    this.greys = new Greys();
    this.marks = new Marks(facts);
    this.view = new View(facts);
    this.stack = new Stack(facts.slices, (at) => this.address(at), facts.rows * facts.columns, (at) => this.came(at));
    const { greys, stack, marks, view } = this;
    this.screen = new Screen(this.canvas, facts, { greys, stack, marks, view });
    this.lesion = null;
    this.tool = root.querySelector("[data-tool]:checked")?.value || "scroll";
    this.gestures = new Gestures(this.canvas, () => this.tool, this.actions());
    this.slider.max = String(facts.slices - 1);
    this.connect();
    const first = facts.lesions.findIndex((one) => one.causal);
    if (first >= 0) this.jump(first);
    else this.show(Math.floor(facts.slices / 2));
    root.dataset.ready = "yes";
  }

  address(index) {
    return `${this.root.dataset.slices}/${index}.bin?v=${this.facts.version}`;
  }

  came(index) {
    if (index === this.index || this.stack.fault) this.screen.request();
  }

  actions() {
    return {
      scroll: (slices) => this.scroll(slices),
      window: (dx, dy) => this.window(this.greys.level + dy * 2, this.greys.width * Math.exp(dx / 200)),
      zoom: (x, y, factor) => this.change(() => this.view.zoomAt(x, y, factor)),
      move: (dx, dy) => this.change(() => this.view.move(dx, dy)),
      point: (x, y) => this.point(x, y),
      leave: () => this.say("value", ""),
    };
  }

  change(deed) {
    deed();
    this.screen.request();
  }

  // Downwards is towards the feet, whichever way the stack is kept.
  scroll(slices) {
    this.show(this.index + (this.facts.headwards ? -slices : slices));
  }

  show(index) {
    this.index = Math.min(Math.max(index, 0), this.facts.slices - 1);
    this.slider.value = String(this.facts.headwards ? this.facts.slices - 1 - this.index : this.index);
    const number = this.facts.headwards ? this.facts.slices - this.index : this.index + 1;
    const words = `Slice ${number} of ${this.facts.slices}, ${this.facts.positions_mm[this.index].toFixed(1).replace("-", "−")} mm`;
    this.say("position", words);
    this.tell(words);
    this.stack.look(this.index);
    this.screen.show(this.index, this.lesion);
    if (this.pointer) this.point(...this.pointer);
  }

  // What is drawn on the slice, for those who hear it.
  tell(words) {
    const marked = this.marks.on(this.index);
    this.slider.setAttribute("aria-valuetext", marked.length ? `${words}, marked: ${marked.join(" and ")}` : words);
  }

  window(level, width) {
    this.greys.set(level, width);
    this.say("window", `W ${this.greys.width}  L ${this.greys.level}`);
    for (const one of this.root.querySelectorAll("[data-preset]")) {
      const preset = PRESETS[one.dataset.preset];
      const chosen = preset.level === this.greys.level && preset.width === this.greys.width;
      one.setAttribute("aria-pressed", String(chosen));
    }
    this.screen.request();
  }

  point(x, y) {
    this.pointer = [x, y];
    const [column, row] = this.view.toSlice(x, y).map(Math.floor);
    const inside = column >= 0 && row >= 0 && column < this.facts.columns && row < this.facts.rows;
    const slice = this.stack.get(this.index);
    this.say("value", inside && slice ? `${slice[row * this.facts.columns + column]} HU` : "");
  }

  jump(number) {
    this.lesion = this.facts.lesions[number];
    this.root.querySelectorAll("[data-lesion]").forEach((one) => {
      one.setAttribute("aria-pressed", String(Number(one.dataset.lesion) === number));
    });
    this.chosen = number;
    if (this.view.zoom === 1) this.view.show(this.lesion.column, this.lesion.row, LESION_MM);
    else this.view.show(this.lesion.column, this.lesion.row, (this.view.columns / this.view.zoom) * this.view.millimetres);
    this.show(this.lesion.slice);
  }

  step(by) {
    const count = this.facts.lesions.length;
    if (count) this.jump(this.chosen === undefined ? 0 : (this.chosen + by + count) % count);
  }

  style(name) {
    this.marks.style = name;
    const button = this.root.querySelector(`[data-style][value="${name}"]`);
    if (button) button.checked = true;
    this.changed();
  }

  nextStyle() {
    const off = this.marks.layers.length > 1 ? "mixed" : "outline";
    return { outline: "fill", fill: "off", mixed: "off", off }[this.marks.style];
  }

  say(name, words) {
    const place = this.root.querySelector(`[data-say="${name}"]`);
    if (place) place.textContent = words;
  }

  connect() {
    const each = (selector, event, deed) =>
      this.root.querySelectorAll(selector).forEach((one) => one.addEventListener(event, (what) => deed(one, what)));
    this.slider.addEventListener("input", () => {
      const value = Number(this.slider.value);
      this.show(this.facts.headwards ? this.facts.slices - 1 - value : value);
    });
    each("[data-preset]", "click", (one) => this.preset(one.dataset.preset));
    each("[data-tool]", "change", (one) => (this.tool = one.value));
    each("[data-style]", "change", (one) => this.style(one.value));
    each("[data-vessel]", "change", (one) => this.toggle(Number(one.value), one.checked));
    each("[data-layer]", "change", (one) => this.layer(one.value));
    this.layers();
    each("[data-opacity]", "input", (one) => this.change(() => (this.marks.opacity = Number(one.value) / 100)));
    each("[data-reset]", "click", () => this.change(() => this.view.reset()));
    each("[data-zoom]", "click", (one) => this.zoomMiddle(Number(one.dataset.zoom)));
    each("[data-lesion]", "click", (one) => this.jump(Number(one.dataset.lesion)));
    // a choice made by pointer leaves the arrow keys to the scan; one made by keyboard keeps them
    each("[type=radio]", "click", (one, event) => event.detail && this.canvas.focus({ preventScroll: true }));
    document.addEventListener("keydown", (event) => this.key(event));
    this.preset("calcium");
    this.style(this.marks.style);
  }

  // Whose marks: a choice only where both reads have some.
  layers() {
    const two = this.marks.layers.length > 1;
    for (const one of this.root.querySelectorAll("[data-layers], [data-two-reads]")) one.hidden = !two;
    for (const one of this.root.querySelectorAll("[data-one-read]")) one.hidden = two;
    this.say("remarks", (this.facts.remarks || []).join(" "));
  }

  preset(name) {
    this.window(PRESETS[name].level, PRESETS[name].width);
  }

  toggle(label, shown) {
    if (shown) this.marks.hidden.delete(label);
    else this.marks.hidden.add(label);
    this.changed();
  }

  layer(name) {
    this.marks.layers.forEach((one, order) => (one.shown = name === "both" || name === String(order)));
    const button = this.root.querySelector(`[data-layer][value="${name}"]`);
    if (button) button.checked = true;
    this.changed();
  }

  nextLayer() {
    const present = this.root.querySelector("[data-layer]:checked")?.value;
    if (present && this.marks.layers.length > 1) this.layer({ both: "0", 0: "1", 1: "both" }[present]);
  }

  // After other marks are shown.
  changed() {
    this.ticks();
    if (this.index !== undefined) this.tell(this.slider.getAttribute("aria-valuetext").split(", marked:")[0]);
    this.screen.request();
  }

  // Beside the slider: where there is something to see.
  ticks() {
    const place = this.root.querySelector("[data-ticks]");
    if (!place) return;
    const { width, height } = place;
    const pen = place.getContext("2d");
    pen.clearRect(0, 0, width, height);
    if (this.marks.style === "off") return;
    pen.fillStyle = getComputedStyle(place).color;
    for (const at of this.marks.slices()) {
      const share = this.facts.headwards ? this.facts.slices - 1 - at : at;
      pen.fillRect((share / this.facts.slices) * width, 0, Math.max(width / this.facts.slices - 1, 1), height);
    }
  }

  zoomMiddle(factor) {
    const [width, height] = this.view.size;
    this.change(() => this.view.zoomAt(width / 2, height / 2, factor));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches(TYPING)) return;
    const deed = this.keys()[event.key];
    if (!deed) return;
    event.preventDefault();
    deed();
  }

  keys() {
    const end = this.facts.headwards ? 0 : this.facts.slices - 1;
    return {
      ArrowDown: () => this.scroll(1),
      ArrowUp: () => this.scroll(-1),
      PageDown: () => this.scroll(5),
      PageUp: () => this.scroll(-5),
      Home: () => this.show(this.facts.slices - 1 - end),
      End: () => this.show(end),
      1: () => this.preset("calcium"),
      2: () => this.preset("mediastinum"),
      3: () => this.preset("lung"),
      4: () => this.preset("bone"),
      n: () => this.step(1),
      p: () => this.step(-1),
      m: () => this.nextLayer(),
      o: () => this.style(this.nextStyle()),
      "+": () => this.zoomMiddle(1.3),
      "-": () => this.zoomMiddle(1 / 1.3),
      0: () => this.change(() => this.view.reset()),
      "?": () => this.root.querySelector("[data-help]")?.toggleAttribute("open"),
    };
  }
}

async function start(root) {
  const answer = await fetch(root.dataset.facts, { credentials: "same-origin" });
  if (!answer.ok || answer.redirected) throw new Error(await wordsOf(answer));
  new Viewer(root, await answer.json());
}

for (const root of document.querySelectorAll("[data-viewer]")) {
  start(root).catch((error) => {
    root.querySelector("[data-say=fault]").textContent = error.message;
    root.dataset.ready = "failed";
  });
}
