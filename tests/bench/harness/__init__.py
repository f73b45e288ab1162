"""What measures: processes, load, checks, figures, reports. Knows neither peers nor scenarios."""
