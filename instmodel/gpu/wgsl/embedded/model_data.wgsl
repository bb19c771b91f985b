// The words of the models. The shader around this declares them as floats, so what is an integer is
// a bit pattern; loading a float and looking at its bits changes none.

fn instmodel_word(index: u32) -> u32 {
    return bitcast<u32>(model_data[index]);
}

fn instmodel_value(index: u32) -> f32 {
    return model_data[index];
}
