"""One module per arrow of the flow. Every stage can be run again without a second effect."""
