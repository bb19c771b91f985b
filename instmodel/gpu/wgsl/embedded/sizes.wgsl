// What a shader may ask of the model that starts at word `model_offset`.

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
