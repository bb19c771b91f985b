"""Every code that an error of instmodel can have: its meaning, and a message as an example.

The tables of docs/errors.md are made of these, and a test raises each code and compares the
message. A code never changes its name or its meaning; a new rule gets a new one.
"""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """What a code says.

    Attributes
    ----------
    meaning : str
        In a sentence, as Markdown.
    example : str
        A message, without the code; "…" stands for what depends on the machine.
    """

    meaning: str
    example: str


_VALUES = {
    "invalid_document": Rule(
        "Not a model document: neither JSON nor a binary model, cut short, with something behind "
        "its end, nested too deep, not UTF-8; or a file name that no format has.",
        "line 1, column 18: neither a binary model nor valid JSON: Expecting ',' delimiter",
    ),
    "unsupported_version": Rule(
        "A binary file or GPU words of a version that this package does not read.",
        "field 'version': another version of the format (expected 1 to 4, got 0)",
    ),
    "digest_mismatch": Rule(
        "The bytes of a binary file are not those that were written, or MLflow hands out another "
        "model than was logged.",
        "field 'digest': the content is not what was written: SHA-256 differs (expected …, got …)",
    ),
    "missing_field": Rule(
        "A field that is needed is not there, or an argument: data to compare on.",
        "instruction 2 (DOT), field 'weights': a required field is missing",
    ),
    "unknown_field": Rule(
        "A field that no rule knows; the closest known one is named.",
        "instruction 2 (DOT), field 'activaton': unknown key; did you mean 'activation'? "
        "(expected one of type, input, output, weights, activation, got 'activaton')",
    ),
    "duplicate_key": Rule(
        "An object has the same key twice, or a map the same number.",
        "field 'feature_size': the same key twice in one object",
    ),
    "invalid_type": Rule(
        "A value of the wrong type, or none of those that are allowed there.",
        "instruction 0 (DOT), field 'input': wrong type (expected an integer, got float 0.0)",
    ),
    "non_finite_value": Rule(
        "NaN, an infinity, or a number that float32 cannot hold, where a finite one is needed.",
        "field 'weights[0][1][0]': not a finite float32 number (expected a number between "
        "±3.4028235e38, got 1e+39)",
    ),
    "unknown_instruction": Rule(
        "An instruction of a type that there is not.",
        "instruction 2, field 'type': unknown instruction; did you mean 'DOT'? (expected one of "
        "DOT, ATTENTION, …, got 'DOTS')",
    ),
    "unknown_activation": Rule(
        "An activation that there is not.",
        "instruction 2 (DOT), field 'activation': unknown activation; did you mean 'RELU'? "
        "(expected one of RELU, SIGMOID, …, got str 'RELLU')",
    ),
}

_STRUCTURE = {
    "missing_features": Rule(
        "Neither the names of the features nor their number are given.",
        "field 'features': needs `features` or `feature_size`",
    ),
    "invalid_feature_format": Rule(
        "The name of a feature is neither a name nor an array such as `emb[16]`, or it has "
        "brackets where it stands for one value.",
        "field 'features[1]': not a feature name (expected 'name' or 'name[n]' with n ≥ 1, got "
        "'b[0]')",
    ),
    "invalid_feature_size": Rule(
        "A model needs at least one input value.",
        "field 'feature_size': a model needs at least one input value (expected ≥ 1, got 0)",
    ),
    "feature_size_mismatch": Rule(
        "`feature_size`, `features` and the first buffers do not agree.",
        "field 'feature_size': `features` and `feature_size` disagree (expected 2, as in "
        "`features`, got 3)",
    ),
    "unknown_feature": Rule(
        "`categories`, `signature` or `rename` name a feature that the model does not name; the "
        "closest one is named.",
        "field 'categories': categories of a feature that the model does not name; did you mean "
        "'a'? (expected a name of `features`, without brackets, got 'A')",
    ),
    "duplicate_category": Rule(
        "A feature has the same category twice.",
        "field 'categories['a'].values[2]': the same category twice (expected another text than "
        "in values[0], got 'red')",
    ),
    "category_limit_exceeded": Rule(
        "More categories, or characters of them, than `Limits` allows; or more of a feature than "
        "float32 can number.",
        "field 'categories': too many categories (expected at most 1 (Limits.max_category_count), "
        "got 2)",
    ),
    "invalid_signature": Rule(
        "What a signature says of a feature does not fit together, is reversed or repeated; or it "
        "does not fit the feature's categories.",
        "field 'signature.features['a'].min': the range is reversed (expected at most 1, got 2.0)",
    ),
    "no_buffers": Rule(
        "A model needs at least one buffer.",
        "field 'buffer_sizes': a model needs buffers",
    ),
    "invalid_buffer_size": Rule(
        "A buffer needs at least one value.",
        "field 'buffer_sizes[1]': a buffer holds at least one value (expected ≥ 1, got 0)",
    ),
    "no_instructions": Rule(
        "A model needs at least one instruction.",
        "field 'instructions': a model needs instructions",
    ),
    "bias_weights_mismatch": Rule(
        "There are not as many bias vectors as weight matrices.",
        "field 'bias': each matrix of weights needs a bias vector (expected 2, got 1)",
    ),
    "bias_weights_size_mismatch": Rule(
        "A bias has another length than its weight matrix has rows.",
        "field 'bias[0]': the bias needs one value per row of the weights (expected 3, got 1)",
    ),
    "too_many_weights": Rule(
        "More weight matrices than instructions, so that one of them cannot be used.",
        "field 'weights': more weights than instructions (expected at most 1, got 2)",
    ),
    "buffer_index_out_of_bounds": Rule(
        "An instruction names a buffer that there is not.",
        "instruction 2 (DOT), field 'output': no such index (expected 0 ≤ index < 3, got 3)",
    ),
    "weights_index_out_of_bounds": Rule(
        "An instruction names weights that there are not.",
        "instruction 2 (DOT), field 'weights': no such index (expected 0 ≤ index < 2, got 2)",
    ),
    "parameters_index_out_of_bounds": Rule(
        "An instruction names parameters that there are not.",
        "instruction 1 (MUL_ELEMENTWISE), field 'parameters': no such index (expected 0 ≤ index < "
        "1, got 1)",
    ),
    "map_index_out_of_bounds": Rule(
        "An instruction names a map that there is not.",
        "instruction 7 (MAP_TRANSFORM), field 'map': no such index (expected 0 ≤ index < 1, got "
        "-1)",
    ),
    "weights_row_size_mismatch": Rule(
        "Weights have other rows than the output has values.",
        "instruction 2 (DOT), field 'weights[1]': the weights need one row per output value "
        "(expected 1, got 2)",
    ),
    "weights_column_size_mismatch": Rule(
        "Weights have other columns than the input has values, or rows of unequal lengths.",
        "instruction 2 (DOT), field 'weights[1]': the weights need one column per input value "
        "(expected 3, got 2)",
    ),
    "bias_output_size_mismatch": Rule(
        "A bias has another length than the output.",
        "field 'bias[0]': the bias needs one value per output value (expected 3, got 2)",
    ),
    "parameters_size_mismatch": Rule(
        "Parameters have another length than what they are applied to.",
        "instruction 1 (MUL_ELEMENTWISE), field 'parameters[0]': the parameters need one value "
        "per value of the buffer (expected 3, got 1)",
    ),
    "same_input_output": Rule(
        "An instruction that cannot work in place reads what it writes.",
        "instruction 0 (DOT), field 'output': the output must be another buffer than the input "
        "(got buffer 0 for both)",
    ),
    "internal_index_out_of_bounds": Rule(
        "A copy does not fit its target.",
        "instruction 13 (COPY), field 'internal_index': outside of the buffer (expected a range "
        "of at least 1 inside 0 … 5, got 2 … 6)",
    ),
    "internal_input_index_out_of_bounds": Rule(
        "A lookup reads its key outside of the input.",
        "instruction 7 (MAP_TRANSFORM), field 'internal_input_index': outside of the buffer "
        "(expected a range of at least 1 inside 0 … 6, got 6 … 7)",
    ),
    "internal_output_index_out_of_bounds": Rule(
        "The values of a lookup do not fit the output.",
        "instruction 7 (MAP_TRANSFORM), field 'internal_output_index': outside of the buffer "
        "(expected a range of at least 1 inside 0 … 2, got 1 … 3)",
    ),
    "mask_index_out_of_bounds": Rule(
        "A mask picks a value outside of the input.",
        "instruction 0 (COPY_MASKED), field 'indexes[2]': no such index (expected 0 ≤ index < 6, "
        "got 6)",
    ),
    "too_many_mask_indexes": Rule(
        "A mask picks more values than the output has.",
        "instruction 0 (COPY_MASKED), field 'indexes': more indexes than the output has values "
        "(expected at most 4, got 5)",
    ),
    "insufficient_input_buffers": Rule(
        "An instruction needs more input buffers.",
        "instruction 11 (MULTIPLY_ELEMENTWISE_BUFFERS), field 'input': needs at least two input "
        "buffers (expected 2 or more, got 1)",
    ),
    "input_buffer_size_mismatch": Rule(
        "Input buffers that are combined have unequal sizes.",
        "instruction 10 (ADD_ELEMENTWISE_BUFFERS), field 'input[1]': buffers must have the same "
        "size (expected 4, got 2)",
    ),
    "invalid_heads_size": Rule(
        "The size of the data is no multiple of the number of heads.",
        "instruction 0 (ADD_BUFFER_HEADS), field 'input[1]': the size of the data must be a "
        "multiple of the number of heads (expected a divisor of 4, got 3)",
    ),
    "default_size_mismatch": Rule(
        "The default of a lookup has another length than `size` says.",
        "instruction 7 (MAP_TRANSFORM), field 'default': the default needs `size` values "
        "(expected 2, got 1)",
    ),
    "map_value_size_mismatch": Rule(
        "The values of a map have unequal lengths, or another one than a lookup needs.",
        "field 'maps[0]['2']': the values of a map must have one length (expected 2, got 1)",
    ),
    "invalid_map_key": Rule(
        "The key of a map is no int32, or written in another way than the shortest.",
        "field 'maps[0]': a map key must be an int32 in decimal, without leading zeros "
        "(expected -2147483648 … 2147483647, got str '1.5')",
    ),
    "unused_weights": Rule(
        "Weights that no instruction uses.",
        "field 'weights[2]': no instruction uses it",
    ),
    "unused_parameters": Rule(
        "Parameters that no instruction uses.",
        "field 'parameters[1]': no instruction uses it",
    ),
    "unused_map": Rule(
        "A map that no instruction uses.",
        "field 'maps[0]': no instruction uses it",
    ),
    "unused_computation": Rule(
        "An instruction overwrites the whole result of another, which nothing has read.",
        "instruction 2 (DOT), field 'output': overwrites the result of instruction 1, which "
        "nothing has read (got buffer 1)",
    ),
    "repeated_state": Rule(
        "A buffer is twice in the list of state buffers.",
        "field 'state[1].buffer': the buffer is in the list twice (got buffer 1)",
    ),
    "state_in_input": Rule(
        "A state buffer is one of those that the input fills.",
        "field 'state[0].buffer': the input fills this buffer anew (got buffer 0)",
    ),
    "unwritten_state": Rule(
        "No instruction writes a state buffer.",
        "field 'state[0].buffer': no instruction writes this buffer (got buffer 1)",
    ),
    "unused_state": Rule(
        "No instruction reads a state buffer, and it is not the output.",
        "field 'state[0].buffer': nothing reads this buffer (got buffer 1)",
    ),
    "weight_limit_exceeded": Rule(
        "More weights than `Limits.max_weight_count`, or a file that is too large to hold weights "
        "within it.",
        "field 'weights': too many weight and bias values (expected at most 12 "
        "(Limits.max_weight_count), got 13)",
    ),
    "buffer_limit_exceeded": Rule(
        "More buffer values than `Limits` allows, or than the GPU takes; or more instructions "
        "than an importer takes.",
        "field 'buffer_sizes': the buffers together are too large (expected at most 1000000 "
        "floats (Limits.max_buffer_size), got 1000003)",
    ),
    "validation_limit_exceeded": Rule(
        "The validation data takes more computation than `Limits.max_validation_work`.",
        "field 'validation_data': the validation data takes too much computation (expected at "
        "most 100 multiply-adds (Limits.max_validation_work), got …)",
    ),
}

_VALIDATION = {
    "validation_count_mismatch": Rule(
        "Not as many expected outputs as inputs.",
        "field 'validation_data': each validation input needs an expected output (expected 1 "
        "expected outputs, got 0)",
    ),
    "validation_input_size_mismatch": Rule(
        "A validation input has another length than the model's input.",
        "field 'validation_data.inputs[0]': a validation row has the wrong length (expected 2, "
        "got 1)",
    ),
    "validation_output_size_mismatch": Rule(
        "An expected output has another length than the model's output.",
        "field 'validation_data.expected_outputs[0]': a validation row has the wrong length "
        "(expected 1, got 2)",
    ),
    "validation_mismatch": Rule(
        "The model computes something else than its validation data expects.",
        "field 'validation_data.expected_outputs[0][0]': the model does not reproduce its "
        "validation data: off by 0.196, more than 1e-05 + 1e-05·|expected| (expected 0.5, got …)",
    ),
}

_CALLS = {
    "input_size_mismatch": Rule(
        "The input has another number of values, or another shape, than the model takes.",
        "field 'input': the input does not fit the model (expected shape (…, 2), got shape (3,))",
    ),
    "buffer_too_small": Rule(
        "A buffer for `predict_with_buffer` or a shader is shorter than the model needs.",
        "field 'buffer': the model does not fit the buffer (expected at least 6 values, got 5)",
    ),
    "invalid_thread_count": Rule(
        "Not a number of threads: below 1, or no whole number.",
        "field 'threads': not a number of threads (expected ≥ 1, or None for every CPU, got 0)",
    ),
    "invalid_slice": Rule(
        "`buffer_slice` is no range, or an empty one.",
        "field 'buffer_slice': the range is empty (expected start < stop, got (2, 2))",
    ),
    "slice_out_of_bounds": Rule(
        "`buffer_slice` ends outside of the buffers.",
        "field 'buffer_slice': the range leaves the unified buffer (expected inside 0 … 6, got "
        "(0, 7))",
    ),
    "result_index_out_of_bounds": Rule(
        "There is no such result, or no such output.",
        "field 'index': no such sample (expected 0 ≤ index < 3, got 3)",
    ),
    "destination_size_mismatch": Rule(
        "What results are to be written into has another shape, or is no writable float32 array.",
        "field 'destination': the destination has the wrong shape (expected shape (3, 1) or (3,), "
        "got shape (2,))",
    ),
}

_SEQUENCES = {
    "needs_sequences": Rule(
        "A call for independent rows, of a recurrent model: its rows are steps of sequences.",
        "the model is recurrent: what a row gives depends on the rows before it in its sequence; "
        "`predict_sequences` takes sequences, `step` one row of each, `predict_events` a table",
    ),
    "sequence_shape_mismatch": Rule(
        "What was given as sequences does not hold rows of the model.",
        "field 'x': the input holds no sequences of the model's rows (expected (N, T, 2), a list "
        "of (T, 2), or (ΣT, 2) with offsets, got shape (3, 2) without offsets)",
    ),
    "invalid_lengths": Rule(
        "Lengths of sequences that are negative, too long, or not one for each sequence.",
        "field 'lengths[0]': a sequence cannot have so many steps (expected 0 to 3, got 4)",
    ),
    "invalid_offsets": Rule(
        "Offsets of sequences that go back, or not from 0 to the number of rows.",
        "field 'offsets[2]': offsets must not go back (expected ≥ 3, got 2)",
    ),
    "state_size_mismatch": Rule(
        "A state that does not fit the model or its input, or a model without state.",
        "field 'state': the state does not fit the model and its input (expected shape (1, 3), "
        "got shape (2, 3))",
    ),
}

_TABLES = {
    "missing_column": Rule(
        "A column that the model needs is not there; the closest one is named.",
        "column 'b': missing; did you mean 'B'?",
    ),
    "repeated_column": Rule(
        "A column that the model needs is there twice.",
        "rows.csv, column 'b': there 2 times",
    ),
    "column_count_mismatch": Rule(
        "The model does not name its features, and there are not as many columns as inputs.",
        "the model does not name its features, so the columns must be exactly its inputs "
        "(expected 3 columns, got 2)",
    ),
    "column_mismatch": Rule(
        "The columns of a data frame, or the features of another model, are not the model's.",
        "the models take other features; only the first one takes a, b; only the second one takes "
        "f0, f1 (expected 2 features, got 2 features)",
    ),
    "repeated_feature": Rule(
        "The model names a feature twice, so that no column fits it alone.",
        "the model names the feature 'a' more than once, so its columns cannot be told apart by "
        "name",
    ),
    "invalid_cell": Rule(
        "A cell that is no number, or one that float32 cannot hold; a column of the wrong type.",
        "rows.csv, row 2 (line 3), column 'b': the cell is not a number (expected a number, got "
        "'x')",
    ),
    "unknown_category": Rule(
        "A text that is none of the feature's categories; the closest one is named.",
        "column 'colour', row 1: not a category of the feature; did you mean 'green'? (expected "
        "one of 'red', 'green', got 'gren')",
    ),
    "unexpected_value": Rule(
        "With `--check-inputs error`: a value out of the range of the model's signature, a code or "
        "text that it does not know, or a null where it expects none.",
        "rows.csv, column 'age', row 2: not what the model's signature expects (expected 18 … 99, "
        "got 130)",
    ),
    "missing_signature": Rule(
        "Inputs can be checked only against a model that has a signature.",
        "field 'check_inputs': the model does not say what it expects: `instmodel signature` lets "
        "it (expected a model with a signature)",
    ),
    "null_value": Rule(
        "A null where `nulls` does not allow any.",
        "column 'b', row 1: the value is null; `nulls` (`--nulls`) says what a null input becomes "
        "(expected a number, got null)",
    ),
    "unordered_events": Rule(
        "An event that comes before the last one of its sequence, by the column `order`.",
        "column 'time', row 2: the event comes before the last one of its sequence, whose key is 7 "
        "(expected at least 5, got 4)",
    ),
    "state_model_mismatch": Rule(
        "A store of states that was made for another model.",
        "states.parquet: these are the states of another model (expected the digest …, got …)",
    ),
    "list_length_mismatch": Rule(
        "The cell of an array feature is a list of another length.",
        "column 'emb', row 1: the list has the wrong length (expected 3 numbers, got 2)",
    ),
    "inexact_key": Rule(
        "A whole number that is looked up in a map, and that float32 would round to another key; "
        "arrays of integers or float64, too.",
        "column 'shop', row 1: float32 rounds this map key to another number (expected a whole "
        "number that float32 holds, as it does all up to 2^24, got 16777217)",
    ),
    "invalid_table": Rule(
        "Not a table: another type or file format, a broken file, columns of unequal lengths, a "
        "row of the wrong length; or a place that may not be written to.",
        "rows.csv, row 2 (line 3): the row has the wrong length (expected 2 cells, got 1)",
    ),
    "invalid_nulls": Rule(
        "`nulls` makes no sense, or names no column of the model.",
        "field 'nulls': not a way to treat nulls (expected 'error', 'nan', or a finite number, "
        "got 'zero')",
    ),
    "invalid_outputs": Rule(
        "`outputs` does not fit the model, a name is taken, or a file cannot hold a kept column.",
        "field 'outputs': not the names of the outputs (expected 2 names, got ['score'])",
    ),
}

_JOBS = {
    "output_exists": Rule(
        "The output is there already.",
        "scores: the output is already there (expected a name that is free)",
    ),
    "output_busy": Rule(
        "Another run is working on the output, or a commit of another one came between: run again.",
        ".scores.instmodel-part: another run is working on this",
    ),
    "resume_mismatch": Rule(
        "Another job, or another model, left its work or its output where this one should go on.",
        ".scores.instmodel-part: another job left its work there: run that one again, or this one "
        "without --resume",
    ),
}

_COMPARING = {
    "no_rows": Rule("There is not a single row.", "field 'data': there are no rows to compare on"),
    "output_size_mismatch": Rule(
        "What a model is compared with has another number of outputs.",
        "another number of outputs to compare with (expected 2, got 3)",
    ),
    "invalid_label": Rule(
        "Labels that are neither numbers nor names of the classes; models of other classes.",
        "labels of two classes must be 0 and 1 (expected 0 or 1, got 2 … 2)",
    ),
    "too_many_groups": Rule(
        "The column of `by` has too many values, or too long ones.",
        "field 'by': the column has too many values to group by, or too long ones (expected at "
        "most 50000 values of 10000000 characters together)",
    ),
    "invalid_limit": Rule(
        "A limit on a figure of `verify` or `compare` makes no sense, or its file is no TOML.",
        "field 'max.psi': not a bound (expected a finite number, or a share such as '0.5%', got "
        "'0.1')",
    ),
    "unknown_figure": Rule(
        "A limit is on what is no figure, or on one that was not computed.",
        "field 'outputs.max_upl': no such figure; did you mean 'max_ulp'? (expected one of …, got "
        "'max_upl')",
    ),
    "invalid_record": Rule(
        "Not a record of `verify` or `compare`.",
        "rows.json: not a record: no field 'format' with 'instmodel-record-1'",
    ),
    "changed_file": Rule(
        "A file changed while it was read, so that no record can say what was in it.",
        "rows.npy, field 'data': the file changed while it was read",
    ),
    "too_many_edges": Rule(
        "The execution graph is too large to draw.",
        "the execution graph is too large to draw (expected at most 100000 edges, got 160000)",
    ),
}

_IMPORTING = {
    "unsupported_model": Rule(
        "No instructions express some pieces of the model; the message and `pieces` list all of "
        "them.",
        "1 unsupported piece of the ONNX model: node 1 (Cos): no instructions for Cos",
    ),
    "ambiguous_output": Rule(
        "The model has several outputs, and none was chosen.",
        "choose one tensor with output= (expected one output of numbers, got y, z)",
    ),
    "external_data": Rule(
        "The numbers of an ONNX tensor are in another file, which is never opened.",
        "field 'p': the numbers of a tensor are in another file, which is not opened",
    ),
    "untrusted_pickle": Rule(
        "The file would run the code that is pickled in it, and nobody said that it may.",
        "model.pkl: loading this file runs whatever code is pickled in it: pass --trust-pickle "
        "(trust_pickle=True) if you know who made it",
    ),
    "import_mismatch": Rule(
        "What was imported does not compute what its source does.",
        "output 0 for the inputs [3. 4.]: what was imported does not compute what its source "
        "does (expected 6.0, got 3.0)",
    ),
    "source_failed": Rule(
        "The source refuses the rows on which it is compared with what was imported.",
        "field 'sample': the estimator refuses them: …",
    ),
}

_MACHINE = {
    "missing_package": Rule(
        "An optional package is not installed; the message says what to install.",
        "this needs pyarrow: pip install 'instmodel-inference[arrow]' (got …)",
    ),
    "unsupported_isa": Rule(
        "`INSTMODEL_ISA` asks for an instruction set that this CPU or this build does not have.",
        "field 'INSTMODEL_ISA': this CPU or this build does not have the instruction set "
        "(expected one of …, got 'sse9')",
    ),
    "gpu_unavailable": Rule(
        "There is no GPU, or it cannot be opened.",
        "wgpu finds no GPU; Mesa's software driver counts as one (Debian: mesa-vulkan-drivers, "
        "libvulkan1): no adapter",
    ),
    "gpu_failed": Rule("The GPU failed, or was used after a fork.", "the GPU failed: device lost"),
    "session_closed": Rule("The `GpuSession` was closed.", "the session was closed: make another"),
}

AREAS = {
    "Texts, files and values": _VALUES,
    "Structure of a model": _STRUCTURE,
    "Validation data": _VALIDATION,
    "Calls": _CALLS,
    "Sequences": _SEQUENCES,
    "Tables": _TABLES,
    "Jobs": _JOBS,
    "Comparing and drawing": _COMPARING,
    "Importing": _IMPORTING,
    "The machine": _MACHINE,
}
"""Tables of codes, in the order of a reader."""

CODES = {code: rule for rules in AREAS.values() for code, rule in rules.items()}
"""All of them, by name."""
