"""What telephony platforms write, put into the form of our own contracts: one module for each platform."""
