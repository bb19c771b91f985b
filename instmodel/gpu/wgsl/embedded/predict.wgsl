// Runs the model that starts at word `model_offset`. The caller has put the input into the first
// get_feature_size(model_offset) values of the buffer, and finds the output at
// get_output_start(model_offset). Whatever else the buffer held is forgotten.
fn predict(
    model_offset: u32,
    compute_buffer: ptr<function, array<f32, MAX_COMPUTE_BUFFER>>,
) {
    let features = get_feature_size(model_offset);
    for (var i = 0u; i < features; i++) {
        instmodel_set(compute_buffer, i, instmodel_get(compute_buffer, i));
    }
    // What no instruction writes reads as 0, in every call.
    let total = get_compute_buffer_size(model_offset);
    for (var i = features; i < total; i++) {
        instmodel_set(compute_buffer, i, 0.0);
    }
    instmodel_run(model_offset, 0u, instmodel_instruction_count(model_offset), compute_buffer);
}

fn get_feature_size(model_offset: u32) -> u32 {
    return instmodel_word(model_offset + 2u);
}

fn get_output_size(model_offset: u32) -> u32 {
    return instmodel_word(model_offset + 3u);
}

fn get_compute_buffer_size(model_offset: u32) -> u32 {
    return instmodel_word(model_offset + 4u);
}

fn get_output_start(model_offset: u32) -> u32 {
    return instmodel_word(model_offset + 11u);
}

fn get_full_model_size(model_offset: u32) -> u32 {
    return instmodel_word(model_offset + 12u);
}
