"""Scoring inside other engines: Spark, Ray Data, Dask, DuckDB and Polars.

One module each, imported by name (``from instmodel.engines import spark``); each needs its extra.
A model travels as the bytes of its document and is built once in a process.
"""
