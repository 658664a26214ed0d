"""Voxels in, calcium scores out. Knows Hounsfield units and millimetres; knows no DICOM and no network."""
