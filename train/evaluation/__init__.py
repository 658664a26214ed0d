"""How well readers read: cases held against their truth one at a time, then figures, tables and plots."""
