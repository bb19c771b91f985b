// One instruction, and where the sections of its model start. `model` is the first word of a model.

struct instmodel_op {
    opcode: u32,
    input: u32,
    output: u32,
    size: u32,
    p0: u32,
    p1: u32,
    p2: u32,
}

fn instmodel_op_at(model: u32, index: u32) -> instmodel_op {
    let at = model + instmodel_word(model + 6u) + 8u * index;
    return instmodel_op(
        instmodel_word(at),
        instmodel_word(at + 1u),
        instmodel_word(at + 2u),
        instmodel_word(at + 3u),
        instmodel_word(at + 4u),
        instmodel_word(at + 5u),
        instmodel_word(at + 6u),
    );
}

fn instmodel_instruction_count(model: u32) -> u32 {
    return instmodel_word(model + 5u);
}

fn instmodel_weights(model: u32) -> u32 {
    return model + instmodel_word(model + 7u);
}

fn instmodel_parameters(model: u32) -> u32 {
    return model + instmodel_word(model + 9u);
}

// Only models of version 2 have integers and maps.

fn instmodel_integers(model: u32) -> u32 {
    return model + instmodel_word(model + 13u);
}

fn instmodel_maps(model: u32) -> u32 {
    return model + instmodel_word(model + 15u);
}
