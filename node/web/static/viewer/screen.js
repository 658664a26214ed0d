// The canvas: the slice, what is marked on it, a circle around the chosen lesion, and the sides of the patient.

export class Screen {
  constructor(canvas, facts, parts) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d", { alpha: false });
    this.facts = facts;
    this.parts = parts; // greys, stack, marks, view
    this.source = document.createElement("canvas");
    [this.source.width, this.source.height] = [facts.columns, facts.rows];
    this.sourcePen = this.source.getContext("2d", { alpha: false });
    this.picture = this.sourcePen.createImageData(facts.columns, facts.rows);
    this.painted = "";
    this.due = false;
    new ResizeObserver(() => this.fit()).observe(canvas);
    this.fit();
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    const ratio = window.devicePixelRatio || 1;
    [this.canvas.width, this.canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    this.ratio = ratio;
    this.parts.view.resize(width, height);
    this.request();
  }

  show(index, lesion) {
    [this.index, this.lesion] = [index, lesion];
    this.request();
  }

  // Draws before the next frame, however much was asked for until then.
  request() {
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => {
      this.due = false;
      this.draw();
    });
  }

  draw() {
    const { pen, parts } = this;
    const [width, height] = parts.view.size;
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, width, height);
    const slice = parts.stack.get(this.index);
    if (slice) {
      this.paint(slice);
      const [left, top] = parts.view.toCanvas(0, 0);
      const [right, bottom] = parts.view.toCanvas(this.facts.columns, this.facts.rows);
      pen.imageSmoothingEnabled = parts.view.scale < 8;
      pen.imageSmoothingQuality = "high";
      pen.drawImage(this.source, left, top, right - left, bottom - top);
      parts.marks.draw(pen, this.index, parts.view);
      this.circle();
    }
    this.words(slice ? "" : parts.stack.fault || "Loading ...");
    this.canvas.dataset.slice = String(this.index);
    this.canvas.dataset.shown = slice ? "yes" : "no";
  }

  paint(slice) {
    const { greys } = this.parts;
    const key = `${this.index}/${greys.level}/${greys.width}`;
    if (key === this.painted) return;
    greys.paint(slice, this.picture);
    this.sourcePen.putImageData(this.picture, 0, 0);
    this.painted = key;
  }

  circle() {
    const { lesion, pen } = this;
    if (!lesion || this.index < lesion.first || this.index > lesion.last) return;
    const { view } = this.parts;
    const [x, y] = view.toCanvas(lesion.column + 0.5, lesion.row + 0.5);
    const radius = Math.max((lesion.radius_mm / view.millimetres) * view.scale, 14);
    for (const [colour, wide] of [["rgba(0, 0, 0, 0.7)", 4], ["#fff", 1.5]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = wide;
      pen.setLineDash([6, 5]);
      pen.beginPath();
      pen.arc(x, y, radius, 0, 2 * Math.PI);
      pen.stroke();
    }
    pen.setLineDash([]);
  }

  words(middle) {
    const { pen } = this;
    const [width, height] = this.parts.view.size;
    const { edges } = this.facts;
    pen.font = "600 15px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    rimmed(pen, edges.left, 16, height / 2);
    rimmed(pen, edges.right, width - 16, height / 2);
    rimmed(pen, edges.top, width / 2, 16);
    rimmed(pen, edges.bottom, width / 2, height - 16);
    if (middle) wrapped(pen, middle, width, height);
  }
}

// Readable on lung and on bone.
function rimmed(pen, words, x, y) {
  pen.lineJoin = "round";
  pen.lineWidth = 4;
  pen.strokeStyle = "rgba(0, 0, 0, 0.75)";
  pen.strokeText(words, x, y);
  pen.fillStyle = "#e2e8f0";
  pen.fillText(words, x, y);
}

function wrapped(pen, words, width, height) {
  pen.font = "16px system-ui, sans-serif";
  pen.fillStyle = "#e2e8f0";
  const lines = [""];
  for (const word of words.split(" ")) {
    const longer = `${lines[lines.length - 1]} ${word}`.trim();
    if (pen.measureText(longer).width < width - 60) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  lines.forEach((line, at) => pen.fillText(line, width / 2, height / 2 + (at - (lines.length - 1) / 2) * 24));
}
