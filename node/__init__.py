"""The DICOM node: receives gated calcium-score CT, has it read, answers."""
