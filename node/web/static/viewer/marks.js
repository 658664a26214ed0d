// Marked calcium: runs of labelled pixels, filled or outlined, by vessel and by read.

export class Marks {
  constructor(facts) {
    this.columns = facts.columns;
    this.colours = new Map(facts.vessels.map((one) => [one.label, one.rgb]));
    this.layers = facts.layers.map((layer) => ({ ...layer, shown: true }));
    this.hidden = new Set(); // labels
    this.style = this.layers.length > 1 ? "mixed" : "outline"; // or "fill", or "off"
    this.opacity = 0.8;
  }

  // Draws one slice; `view` maps pixel corners to the canvas.
  draw(pen, index, view) {
    if (this.style === "off") return;
    pen.save();
    this.layers.forEach((layer, order) => {
      const runs = layer.shown && layer.runs[index];
      if (!runs) return;
      // two reads are told apart by form, since colour tells the vessel: the first filled, the second outlined over it
      const filled = this.style === "mixed" ? order === 0 : this.style === "fill";
      pen.globalAlpha = filled && this.style === "mixed" ? this.opacity * 0.55 : this.opacity;
      if (filled) this.fill(pen, runs, view);
      else this.outline(pen, runs, view, this.style === "mixed" ? [5, 4] : []);
    });
    pen.restore();
  }

  // One path for each colour, its lines a little over each other: no seams, and no pixel twice.
  fill(pen, runs, view) {
    const paths = new Map();
    for (let at = 0; at < runs.length; at += 3) {
      const label = runs[at + 2];
      if (this.hidden.has(label)) continue;
      if (!paths.has(label)) paths.set(label, new Path2D());
      const row = Math.floor(runs[at] / this.columns);
      const column = runs[at] - row * this.columns;
      const [left, top] = view.toCanvas(column, row);
      const [right, bottom] = view.toCanvas(column + runs[at + 1], row + 1);
      paths.get(label).rect(left, top - 0.5, right - left, bottom - top + 1);
    }
    for (const [label, path] of paths) {
      pen.fillStyle = colour(this.colours.get(label));
      pen.fill(path);
    }
  }

  outline(pen, runs, view, dashes) {
    for (const [label, places] of this.byLabel(runs)) {
      const path = new Path2D();
      for (const place of places) this.edges(path, place, places, view);
      pen.setLineDash([]);
      pen.lineWidth = 3.5;
      pen.strokeStyle = "rgba(0, 0, 0, 0.65)"; // every colour, blue above all, needs a dark rim on bright calcium
      pen.stroke(path);
      if (luminance(this.colours.get(label)) < 60) {
        pen.lineWidth = 2.75; // and blue a light one on dark tissue
        pen.strokeStyle = "rgba(255, 255, 255, 0.85)";
        pen.stroke(path);
      }
      pen.setLineDash(dashes);
      pen.lineWidth = 1.75;
      pen.strokeStyle = colour(this.colours.get(label));
      pen.stroke(path);
    }
  }

  byLabel(runs) {
    const found = new Map();
    for (let at = 0; at < runs.length; at += 3) {
      const label = runs[at + 2];
      if (this.hidden.has(label)) continue;
      if (!found.has(label)) found.set(label, new Set());
      for (let step = 0; step < runs[at + 1]; step += 1) found.get(label).add(runs[at] + step);
    }
    return found;
  }

  edges(path, place, places, view) {
    const row = Math.floor(place / this.columns);
    const column = place - row * this.columns;
    const line = (x1, y1, x2, y2) => {
      path.moveTo(...view.toCanvas(x1, y1));
      path.lineTo(...view.toCanvas(x2, y2));
    };
    if (!places.has(place - this.columns)) line(column, row, column + 1, row);
    if (!places.has(place + this.columns)) line(column, row + 1, column + 1, row + 1);
    if (column === 0 || !places.has(place - 1)) line(column, row, column, row + 1);
    if (column === this.columns - 1 || !places.has(place + 1)) line(column + 1, row, column + 1, row + 1);
  }

  // Names of the reads of which something is to be seen on a slice.
  on(index) {
    if (this.style === "off") return [];
    return this.layers.filter((layer) => layer.shown && this.visible(layer.runs[index])).map((layer) => layer.name);
  }

  visible(runs) {
    for (let at = 2; runs && at < runs.length; at += 3) if (!this.hidden.has(runs[at])) return true;
    return false;
  }

  // Slices on which something that is switched on is marked.
  slices() {
    const found = new Set();
    for (const layer of this.layers) {
      if (!layer.shown) continue;
      for (const [index, runs] of Object.entries(layer.runs)) if (this.visible(runs)) found.add(Number(index));
    }
    return found;
  }
}

function colour([red, green, blue]) {
  return `rgb(${red}, ${green}, ${blue})`;
}

function luminance([red, green, blue]) {
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
