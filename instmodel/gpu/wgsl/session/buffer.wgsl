// The compute buffers of a chunk of samples, feature by feature: value i of sample s is at
// i * stride + s, so that neighbouring threads touch neighbouring floats. A buffer is a sample.

struct instmodel_step_words {
    stride: u32,
    first: u32,
    count: u32,
    width: u32,
    column: u32,
}

@group(0) @binding(1)
var<storage, read_write> instmodel_values: array<f32>;

@group(0) @binding(2)
var<uniform> instmodel_step: instmodel_step_words;

// Which samples have a row now: the first ones. The others keep what they hold.
struct instmodel_moment_words {
    samples: u32,
    row: u32, // where the rows of these samples start among those of the caller
}

@group(0) @binding(4)
var<uniform> instmodel_moment: instmodel_moment_words;

alias instmodel_buffer = u32;

fn instmodel_get(buffer: instmodel_buffer, index: u32) -> f32 {
    return instmodel_values[index * instmodel_step.stride + buffer];
}

fn instmodel_set(buffer: instmodel_buffer, index: u32, value: f32) {
    instmodel_values[index * instmodel_step.stride + buffer] = instmodel_flush(value);
}
