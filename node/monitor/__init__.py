"""What whoever runs the node can measure: counts, gauges, whether it is ready. Nothing of a patient, no UID."""
