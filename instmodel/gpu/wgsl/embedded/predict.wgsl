// Runs the model that starts at word `model_offset`. The caller has put the input into the first
// get_feature_size(model_offset) values of the buffer, and finds the output at
// get_output_start(model_offset). Whatever else the buffer held is forgotten.
fn predict(
    model_offset: u32,
    compute_buffer: ptr<function, array<f32, MAX_COMPUTE_BUFFER>>,
) {
    let features = get_feature_size(model_offset);
    instmodel_take(compute_buffer, features);
    // What no instruction writes reads as 0, in every call.
    instmodel_clear(compute_buffer, features, get_compute_buffer_size(model_offset));
    instmodel_run(model_offset, 0u, instmodel_instruction_count(model_offset), compute_buffer);
}
