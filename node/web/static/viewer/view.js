// Where the slice lies on the canvas: fitted, zoomed, moved. Pixels that are not square are shown as they are in the body.

const CLOSEST = 24;

export class View {
  constructor(facts) {
    this.columns = facts.columns;
    this.rows = facts.rows;
    this.aspect = facts.spacing_mm[1] / facts.spacing_mm[2]; // height of a pixel in widths
    this.millimetres = facts.spacing_mm[2];
    this.size = [1, 1];
    this.reset();
  }

  reset() {
    this.zoom = 1;
    this.centre = [this.columns / 2, this.rows / 2];
  }

  resize(width, height) {
    this.size = [width, height];
  }

  get scale() {
    const [width, height] = this.size;
    return this.zoom * Math.min(width / this.columns, height / (this.rows * this.aspect));
  }

  toCanvas(column, row) {
    const [width, height] = this.size;
    return [
      width / 2 + (column - this.centre[0]) * this.scale,
      height / 2 + (row - this.centre[1]) * this.scale * this.aspect,
    ];
  }

  toSlice(x, y) {
    const [width, height] = this.size;
    return [
      this.centre[0] + (x - width / 2) / this.scale,
      this.centre[1] + (y - height / 2) / (this.scale * this.aspect),
    ];
  }

  // Zooms so that what lies under (x, y) stays there.
  zoomAt(x, y, factor) {
    const held = this.toSlice(x, y);
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), CLOSEST);
    const moved = this.toSlice(x, y);
    this.centre = [this.centre[0] + held[0] - moved[0], this.centre[1] + held[1] - moved[1]];
    this.keepInside();
  }

  move(dx, dy) {
    this.centre = [this.centre[0] - dx / this.scale, this.centre[1] - dy / (this.scale * this.aspect)];
    this.keepInside();
  }

  // Brings a place to the middle, close enough to see a lesion and its vessel.
  show(column, row, millimetres) {
    const wide = millimetres / this.millimetres;
    this.zoom = Math.min(Math.max(this.columns / wide, 1), CLOSEST);
    this.centre = [column, row];
    this.keepInside();
  }

  keepInside() {
    this.centre = [
      Math.min(Math.max(this.centre[0], 0), this.columns),
      Math.min(Math.max(this.centre[1], 0), this.rows),
    ];
  }
}
