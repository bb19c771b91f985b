// The compute buffer of one sample: a private array of the thread.

alias instmodel_buffer = ptr<function, array<f32, MAX_COMPUTE_BUFFER>>;

fn instmodel_get(buffer: instmodel_buffer, index: u32) -> f32 {
    return (*buffer)[index];
}

fn instmodel_set(buffer: instmodel_buffer, index: u32, value: f32) {
    (*buffer)[index] = instmodel_flush(value);
}

// Flushes the first `count` values, which the caller has put there.
fn instmodel_take(buffer: instmodel_buffer, count: u32) {
    for (var i = 0u; i < count; i++) {
        instmodel_set(buffer, i, instmodel_get(buffer, i));
    }
}

// Sets the values from `start` up to `stop` to 0.
fn instmodel_clear(buffer: instmodel_buffer, start: u32, stop: u32) {
    for (var i = start; i < stop; i++) {
        instmodel_set(buffer, i, 0.0);
    }
}
