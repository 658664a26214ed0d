// Mouse, pen and fingers on the canvas. One finger scrolls (or does what the chosen tool does), two move and zoom.

const PIXELS_PER_SLICE = 14;
const WHEEL_PER_SLICE = 60;

export class Gestures {
  // `act` has scroll(slices), window(dx, dy), zoom(x, y, factor), move(dx, dy), point(x, y) and leave().
  constructor(canvas, toolOf, act) {
    this.canvas = canvas;
    this.toolOf = toolOf;
    this.act = act;
    this.pointers = new Map();
    this.rest = 0;
    this.wheelRest = 0;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.moved(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.up(event));
    canvas.addEventListener("pointerleave", () => act.leave());
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.focus({ preventScroll: true });
    this.pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY, button: event.button });
    this.rest = 0;
  }

  up(event) {
    this.pointers.delete(event.pointerId);
  }

  moved(event) {
    const last = this.pointers.get(event.pointerId);
    if (event.pointerType !== "touch") this.act.point(event.offsetX, event.offsetY);
    if (!last) return;
    const [dx, dy] = [event.offsetX - last.x, event.offsetY - last.y];
    if (this.pointers.size === 2) this.pinch(event, last);
    else if (event.shiftKey || last.button === 1) this.act.move(dx, dy);
    else if (last.button === 2) this.act.window(dx, dy);
    else this.drag(dx, dy);
    this.pointers.set(event.pointerId, { ...last, x: event.offsetX, y: event.offsetY });
  }

  drag(dx, dy) {
    const tool = this.toolOf();
    if (tool === "window") this.act.window(dx, dy);
    else if (tool === "move") this.act.move(dx, dy);
    else {
      this.rest += dy;
      const slices = Math.trunc(this.rest / PIXELS_PER_SLICE);
      this.rest -= slices * PIXELS_PER_SLICE;
      if (slices) this.act.scroll(slices);
    }
  }

  pinch(event, last) {
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
    const before = Math.hypot(last.x - other.x, last.y - other.y);
    const after = Math.hypot(event.offsetX - other.x, event.offsetY - other.y);
    this.act.move((event.offsetX - last.x) / 2, (event.offsetY - last.y) / 2);
    if (before > 0) this.act.zoom((event.offsetX + other.x) / 2, (event.offsetY + other.y) / 2, after / before);
  }

  wheel(event) {
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) {
      this.act.zoom(event.offsetX, event.offsetY, Math.exp(-event.deltaY / 300));
      return;
    }
    // a notched wheel gives 100 or 3 lines at once, a touch pad a few pixels many times
    this.wheelRest += event.deltaMode === 1 ? event.deltaY * 33 : event.deltaY;
    const slices = Math.trunc(this.wheelRest / WHEEL_PER_SLICE);
    this.wheelRest -= slices * WHEEL_PER_SLICE;
    if (slices) this.act.scroll(Math.sign(slices) * Math.min(Math.abs(slices), 3));
  }
}
