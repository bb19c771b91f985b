// The state buffers of a model, in the order of the compute buffer.

struct instmodel_state {
    start: u32,
    size: u32,
    initial: u32,
    place: u32,
}

// Only models of version 3 have any.
fn instmodel_state_count(model: u32) -> u32 {
    if (instmodel_word(model + 1u) < 3u) {
        return 0u;
    }
    return instmodel_word(model + 18u) / 4u;
}

fn instmodel_state_at(model: u32, index: u32) -> instmodel_state {
    let at = model + instmodel_word(model + 17u) + 4u * index;
    return instmodel_state(
        instmodel_word(at),
        instmodel_word(at + 1u),
        instmodel_word(at + 2u),
        instmodel_word(at + 3u),
    );
}
