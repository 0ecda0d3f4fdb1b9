"""KPI values as they leave the house."""
