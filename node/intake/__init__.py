"""The doors that do not speak DICOM: how a human read comes in as a file, as HL7 or as FHIR."""
