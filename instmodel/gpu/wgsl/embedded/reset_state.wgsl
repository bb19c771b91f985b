// Puts into the buffer what the state is before the first step of a sequence.
fn reset_state(
    model_offset: u32,
    compute_buffer: ptr<function, array<f32, MAX_COMPUTE_BUFFER>>,
) {
    let count = instmodel_state_count(model_offset);
    for (var i = 0u; i < count; i++) {
        let state = instmodel_state_at(model_offset, i);
        instmodel_clear(compute_buffer, state.start, state.start + state.size);
        if (state.initial != 0xffffffffu) {
            let values = instmodel_parameters(model_offset) + state.initial;
            for (var k = 0u; k < state.size; k++) {
                instmodel_set(compute_buffer, state.start + k, instmodel_value(values + k));
            }
        }
    }
}
