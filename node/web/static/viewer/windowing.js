// From Hounsfield units to grey: a table of all 65536 values, made once per window.

export const PRESETS = Object.freeze({
  calcium: { name: "Calcium", level: 130, width: 800 },
  mediastinum: { name: "Mediastinum", level: 40, width: 350 },
  lung: { name: "Lung", level: -500, width: 1500 },
  bone: { name: "Bone", level: 400, width: 1800 },
});

export class Greys {
  constructor() {
    this.table = new Uint32Array(65536);
    this.set(PRESETS.calcium.level, PRESETS.calcium.width);
  }

  set(level, width) {
    this.level = Math.round(Math.min(Math.max(level, -1200), 3000));
    this.width = Math.round(Math.min(Math.max(width, 2), 6000));
    const low = this.level - this.width / 2;
    for (let hu = -32768; hu < 32768; hu += 1) {
      const grey = Math.min(Math.max(((hu - low) * 255) / this.width, 0), 255) | 0;
      this.table[hu & 0xffff] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
    }
  }

  // Paints a slice (Int16Array) into a picture (ImageData) of the same size.
  paint(slice, picture) {
    const pixels = new Uint32Array(picture.data.buffer);
    const { table } = this;
    for (let at = 0; at < slice.length; at += 1) pixels[at] = table[slice[at] & 0xffff];
  }
}
