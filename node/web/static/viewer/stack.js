// Slices as they come from the node: each fetched once, those next to what is looked at before they are wanted.

const AT_ONCE = 4;
const MOST_BYTES = 192 * 1024 * 1024; // a tablet has little to spare

export class Stack {
  constructor(count, addressOf, voxels, onArrival) {
    this.count = count;
    this.addressOf = addressOf;
    this.voxels = voxels;
    this.onArrival = onArrival;
    this.reach = Math.max(Math.floor(MOST_BYTES / (voxels * 2) / 2), 4);
    this.slices = new Map();
    this.running = new Set();
    this.middle = 0;
    this.fault = "";
  }

  get(index) {
    return this.slices.get(index);
  }

  // What is looked at first, then outwards. Asking again after a fault tries again.
  look(index) {
    this.middle = index;
    this.fault = "";
    for (const at of this.slices.keys()) if (Math.abs(at - index) > this.reach) this.slices.delete(at);
    this.next();
  }

  next() {
    while (!this.fault && this.running.size < AT_ONCE) {
      const index = this.nearest();
      if (index === undefined) return;
      this.load(index);
    }
  }

  nearest() {
    for (let step = 0; step <= this.reach; step += 1) {
      for (const at of [this.middle + step, this.middle - step]) {
        if (at >= 0 && at < this.count && !this.slices.has(at) && !this.running.has(at)) return at;
      }
    }
    return undefined;
  }

  async load(index) {
    this.running.add(index);
    try {
      const answer = await fetch(this.addressOf(index), { credentials: "same-origin" });
      if (!answer.ok || answer.redirected) throw new Error(await wordsOf(answer));
      const bytes = await answer.arrayBuffer();
      if (bytes.byteLength !== this.voxels * 2) throw new Error("A slice came back incomplete.");
      this.slices.set(index, new Int16Array(bytes));
    } catch (error) {
      this.fault = error.message || "A slice could not be loaded.";
    } finally {
      this.running.delete(index);
      this.onArrival(index);
      this.next();
    }
  }
}

// What the node says is wrong, in words for the person in front of it.
export async function wordsOf(answer) {
  if (answer.status === 401 || answer.redirected) return "You are logged out: log in again in another tab, then reload.";
  try {
    const body = await answer.json();
    if (typeof body.detail === "string") return body.detail;
    if (typeof body.title === "string") return body.title;
  } catch {
    // not JSON: the status has to do
  }
  return `The images cannot be shown (${answer.status}).`;
}
