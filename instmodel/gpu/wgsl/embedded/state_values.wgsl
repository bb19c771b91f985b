// The values of the state one by one, in the order in which the document lists the state buffers;
// so a shader keeps them from one dispatch to the next.

// How many there are: 0 for a model without state.
fn get_state_size(model_offset: u32) -> u32 {
    if (instmodel_state_count(model_offset) == 0u) {
        return 0u;
    }
    return instmodel_word(model_offset + 19u);
}

// Value `index` of the state in the buffer.
fn get_state_value(
    model_offset: u32,
    compute_buffer: ptr<function, array<f32, MAX_COMPUTE_BUFFER>>,
    index: u32,
) -> f32 {
    return instmodel_get(compute_buffer, instmodel_state_place(model_offset, index));
}

// Sets value `index` of the state in the buffer.
fn set_state_value(
    model_offset: u32,
    compute_buffer: ptr<function, array<f32, MAX_COMPUTE_BUFFER>>,
    index: u32,
    value: f32,
) {
    instmodel_set(compute_buffer, instmodel_state_place(model_offset, index), value);
}

// Where in the compute buffer value `index` of the state is; index < get_state_size(model).
fn instmodel_state_place(model: u32, index: u32) -> u32 {
    let count = instmodel_state_count(model);
    for (var i = 0u; i < count; i++) {
        let state = instmodel_state_at(model, i);
        if (index - state.place < state.size) { // index < place wraps around to a large number
            return state.start + index - state.place;
        }
    }
    return 0u;
}
