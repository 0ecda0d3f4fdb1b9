"""The way out: what leaves the warehouse for HM Passport Office. It reads marts and changes none."""
