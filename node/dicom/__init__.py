"""The only room that speaks DICOM: no tag leaves it."""
