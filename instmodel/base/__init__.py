"""What every room needs and no model: values, limits, arrays, names, files, threads."""
