"""Events of many sequences, in any order of arrival: keys, states that are kept, tables."""
