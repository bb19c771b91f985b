// Runs one step of a sequence: like predict, but the state in the buffer is taken as it stands, and
// afterwards is that of the next step. Of a model without state, it is predict.
fn predict_step(
    model_offset: u32,
    compute_buffer: ptr<function, array<f32, MAX_COMPUTE_BUFFER>>,
) {
    var unwritten = get_feature_size(model_offset);
    instmodel_take(compute_buffer, unwritten);
    let count = instmodel_state_count(model_offset);
    for (var i = 0u; i < count; i++) {
        let state = instmodel_state_at(model_offset, i);
        instmodel_clear(compute_buffer, unwritten, state.start);
        unwritten = state.start + state.size;
    }
    instmodel_clear(compute_buffer, unwritten, get_compute_buffer_size(model_offset));
    instmodel_run(model_offset, 0u, instmodel_instruction_count(model_offset), compute_buffer);
}
