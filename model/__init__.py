"""Voxels in, calcium scores out. Knows Hounsfield units and millimetres; knows no DICOM and no network."""

import os

# torch's threads (libgomp) wait by spinning. Beside another busy process they take the cores from each other: a reading
# that takes 0.7 s on two idle cores took more than 18 s beside two busy ones, and 1.8 s with a short spin, which costs
# nothing on idle cores. libgomp reads this once, when torch is first imported, which no module here does before this.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
