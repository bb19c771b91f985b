// The compute buffer of one sample: a private array of the thread.

alias instmodel_buffer = ptr<function, array<f32, MAX_COMPUTE_BUFFER>>;

fn instmodel_get(buffer: instmodel_buffer, index: u32) -> f32 {
    return (*buffer)[index];
}

fn instmodel_set(buffer: instmodel_buffer, index: u32, value: f32) {
    (*buffer)[index] = instmodel_flush(value);
}
